"""Answers to the request "progress", in states that real servers are in only
now and then: what the console's suite shows the page."""

import copy

NOW = 1790000000000


def collection(name, lag=0.2, rows=1000, **more):
    return dict({
        'database': 'default', 'name': name, 'target_database': 'default',
        'target_name': name, 'state': 'live', 'rows_in': rows,
        'rows_out': rows, 'bytes_in': rows * 540, 'bytes_out': rows * 540,
        'lag_seconds': lag, 'initial_copy_percent': 100.0,
        'last_operation': None, 'last_error': None}, **more)


def event(ago, kind, text=''):
    return {'at_ms': NOW - int(ago * 1000), 'kind': kind, 'text': text}


LIVE = {
    'task_id': 'dr-site', 'state': 'Running', 'reason': '',
    'since_ms': NOW - 7200000, 'created_ms': NOW - 90000000, 'now_ms': NOW,
    'live': True, 'lag_seconds': 0.212, 'degraded': None,
    'rows_in': 48211034, 'rows_out': 48211002,
    'bytes_in': 26100482031, 'bytes_out': 26100471000,
    'rows_per_second': 41200.0, 'bytes_per_second': 22300000.0,
    'backlog_bytes': 0, 'catch_up_seconds': 0.0,
    'initial_copy_percent': 100.0,
    'last_operation': {'name': 'CreateIndex', 'object': 'default.books',
                       'at_ms': NOW - 64000},
    'last_error': None, 'requests': 92114, 'retries': 3, 'restarts': 1,
    'operations': 41, 'rows_skipped': 0, 'rows_settled': 1200, 'parked': 0,
    'buffered_bytes': 812000, 'checkpoint_age_seconds': 0.14,
    'report_age_seconds': 0.61, 'retention_left_seconds': 171000.0,
    'helper': {'pid': 31022, 'rss_bytes': 84300000, 'cpu_seconds': 412.2},
    'source': {'name': 'main', 'kind': 'rocksmq', 'ok': True},
    'target': {'uri': 'http://10.0.0.2:19530', 'version': 'v2.3.5',
               'ok': True},
    'channels': 2, 'collections_total': 4,
    'collections': [
        collection('books', 0.212, 41200331),
        collection('authors', 0.11, 7010301, last_operation={
            'name': 'CreatePartition', 'at_ms': NOW - 64000}, last_error={
                'text': 'Socket closed', 'at_ms': NOW - 7400000}),
        collection('orders', 0.2, 402, database='shop',
                   target_database='store', target_name='orders2'),
        collection('reviews_of_the_last_year', 0.08, 0, state='creating',
                   initial_copy_percent=None)],
    'events': [
        event(90000, 'created'), event(89999, 'started'),
        event(88000, 'caught_up', '48,000,000 rows'),
        event(7400, 'degraded', 'the target http://10.0.0.2:19530 does not '
              'answer: connection refused'),
        event(7210, 'recovered', 'after 3 min 10 s'),
        event(7200, 'restarted', 'the replicator ended by signal 9'),
        event(64, 'operation', 'CreateIndex default.books')],
}


def task(task_id='dr-site', **more):
    made = copy.deepcopy(LIVE)
    made.update(task_id=task_id, **more)
    return made


def held():
    return task('held', live=False, lag_seconds=131.0, rows_per_second=0.0,
                bytes_per_second=0.0, backlog_bytes=71000000,
                catch_up_seconds=None,
                degraded={'since_ms': NOW - 130000, 'next_try_ms': NOW + 6400,
                          'cause': 'the target http://10.0.0.2:19530 does not '
                          'answer: connection refused'},
                last_error={'text': 'connection refused',
                            'at_ms': NOW - 3000},
                target={'uri': 'http://10.0.0.2:19530', 'version': None,
                        'ok': False})


def paused():
    return task('nightly', state='Paused', live=False, helper=None,
                reason='manually pause through http interface',
                rows_per_second=0.0, bytes_per_second=0.0,
                backlog_bytes=None, catch_up_seconds=None, lag_seconds=7200.0)


def stopped():
    return task('5f3a90c1d27e4b6688aa0c9e1b2d3f47', state='Paused',
                live=False, helper=None, rows_per_second=0.0,
                bytes_per_second=0.0, lag_seconds=None,
                reason='the log of the source no longer has what follows '
                'by-dev-rootcoord-dml_0 at 448211: "default.books" would have '
                'a hole; create the task anew, or say "log_gap": "earliest"',
                source={'name': 'main', 'kind': 'rocksmq', 'ok': False})


PARKED = [
    {'id': 1, 'state': 'held', 'topic': 'by-dev-rootcoord-dml_2',
     'position': '0:310', 'bytes': 20, 'at_ms': NOW - 130000,
     'reason': 'it is not a message of Milvus\'s own: find who writes to '
     'that topic'},
    {'id': 7, 'state': 'parked', 'topic': 'by-dev-rootcoord-dml_0',
     'position': '0:99182', 'bytes': 1482000, 'at_ms': NOW - 90000000,
     'operation': 'Insert', 'collection': 'default.books',
     'reason': 'the length of "title" is 70000, at most 65535'}]


def poisoned(**more):
    """Stopped in front of a message; another one was passed."""
    return task('poisoned', **dict({
        'state': 'Paused', 'live': False, 'helper': None, 'parked': 2,
        'rows_per_second': 0.0, 'bytes_per_second': 0.0,
        'reason': 'a message that is not Milvus\'s own: topic '
        '"by-dev-rootcoord-dml_2", position 0:310, 20 bytes; to go on '
        'without it: the request "parked_drop" with its id 1, then resume'},
        **more))


def skipping():
    """It goes on behind what was parked."""
    return poisoned(state='Running', live=True, reason='', helper=LIVE[
        'helper'], degraded={
        'since_ms': NOW - 130000, 'next_try_ms': None,
        'cause': '2 messages are parked, the last: topic '
        '"by-dev-rootcoord-dml_2", position 0:310: see the request '
        '"parked"'})


def copying():
    return task('copying', live=False, initial_copy_percent=42.3,
                catch_up_seconds=190.0, backlog_bytes=1210000000,
                lag_seconds=1804.0)


def behind():
    return task('behind', live=False, lag_seconds=905.0,
                backlog_bytes=310000000, catch_up_seconds=41.0)


def starting():
    return task('new', since_ms=NOW - 900, live=False, lag_seconds=None,
                helper=None, report_age_seconds=None, rows_in=0, rows_out=0,
                bytes_in=0, bytes_out=0, rows_per_second=0.0,
                bytes_per_second=0.0, checkpoint_age_seconds=None,
                backlog_bytes=None, catch_up_seconds=None,
                initial_copy_percent=None, last_operation=None,
                retention_left_seconds=None, collections=[],
                collections_total=0, events=[event(1, 'created')],
                target={'uri': 'http://10.0.0.2:19530', 'version': None,
                        'ok': True})


def silent():
    return task('silent', report_age_seconds=33.0)


def every():
    return [task(), held(), paused(), stopped(), copying(), behind(),
            starting(), silent()]


def wide(n=300):
    """A task with more collections than an answer has."""
    return task('wide', collections_total=n, collections=[
        collection('c%03d_%s' % (i, 'with_a_long_name' * (i % 3)),
                   lag=(n - i) / 10, rows=i * 7919) for i in range(64)])


def many(n=60):
    return every() + [task('task-%02d' % i, lag_seconds=i / 10)
                      for i in range(n)]


class Server:
    """Answers like the API; time passes with each answer."""

    def __init__(self, tasks):
        self.tasks = tasks
        self.seconds = 0
        self.seen = []
        self.failing = None
        self.check = None
        self.parked = copy.deepcopy(PARKED)

    def __call__(self, request):
        self.seen.append(request)
        if self.failing:
            return self.failing
        kind = request.get('request_type')
        if kind == 'create':
            return 200, {'code': 200, 'data': {'task_id': 'made'}}
        if kind == 'check':
            return 200, {'code': 200, 'data': self.check}
        if kind == 'parked':
            return 200, {'code': 200, 'data': {'parked': self.parked}}
        if kind != 'progress':
            return 200, {'code': 200, 'data': {}}
        wanted = request.get('request_data', {}).get('task_id')
        self.seconds += 1
        return 200, {'code': 200, 'data': {'tasks': [
            self.moved(t) for t in self.tasks
            if wanted in (None, t['task_id'])]}}

    def moved(self, task):
        task = copy.deepcopy(task)
        task['now_ms'] += self.seconds * 1000
        if task['state'] == 'Running' and not task['degraded']:
            wave = (self.seconds * 37 % 23) / 23
            for name in ('rows_in', 'rows_out', 'bytes_in', 'bytes_out'):
                per = 'bytes' if name.startswith('bytes') else 'rows'
                task[name] += int(self.seconds * task[per + '_per_second'])
            task['rows_per_second'] *= 0.8 + 0.4 * wave
            if task['lag_seconds'] is not None:
                task['lag_seconds'] *= 0.7 + 0.6 * wave
            if task['helper']:
                task['helper']['cpu_seconds'] += self.seconds * 0.31
        return task
