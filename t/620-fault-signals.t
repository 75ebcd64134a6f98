#!/usr/bin/env python3
"""Every signal to every process while rows flow and a client asks all the
time: no request fails but while nginx is down, no row is lost or doubled.
Then pauses in a row, a delete while rows come, two nginx on one state
directory, and as many tasks as there may be.

CDC_PAUSES and CDC_TASKS: 1000 and 128 by hand.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time
import urllib.error

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from nginx import Nginx                                      # noqa: E402
from process import proc_stat, wait_for                      # noqa: E402
from pymilvus import Collection, utility                     # noqa: E402
from usage import Footprint                                  # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=2, scalars=True)
PAUSES = int(os.environ.get('CDC_PAUSES') or 100)
TASKS = int(os.environ.get('CDC_TASKS') or 12)
WAIT = 150


class Client:
    """Asks all the time, what reads and what writes."""

    ASKS = (('list', None), ('get', {'task_id': 'one'}),
            ('delete', {'task_id': 'nobody', 'ignore_not_found': True}))

    def __init__(self, nginx):
        self.nginx = nginx
        self.asked, self.failures, self.slowest = 0, [], 0.0
        self.down = 0
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def ask(self, kind, data):
        body = {'request_type': kind, 'request_data': data or {}}
        try:
            status, text = self.nginx.post('/cdc', json.dumps(body).encode())
        except (OSError, urllib.error.URLError) as e:
            return '%s: %s' % (type(e).__name__, e)
        if status != 200:
            return '%d %s' % (status, text.decode(errors='replace')[:200])
        tasks = json.loads(text)['data'].get('tasks')
        return None if kind != 'list' or tasks else 'an empty list'

    def run(self):
        while self.running:
            kind, data = self.ASKS[self.asked % len(self.ASKS)]
            before, begun = self.down, time.monotonic()
            failure = self.ask(kind, data)
            took = time.monotonic() - begun
            if not before and not self.down:
                self.slowest = max(self.slowest, took)
                if failure:
                    self.failures.append((time.strftime('%H:%M:%S'), kind,
                                          '%.1f s' % took, failure))
            self.asked += 1
            time.sleep(0.02)

    @contextlib.contextmanager
    def expects(self):
        """nginx is down, or a worker with a request in hand is killed."""
        self.down = 1
        try:
            yield
        finally:
            time.sleep(0.1)
            self.down = 0

    def close(self):
        self.running = False
        self.thread.join()


def reached(t, load, after):
    number = load.next
    t.passes('rows go on after ' + after, wait_for, 'rows', lambda: Collection(
        'load', using='target').query('id >= %d' % number, limit=1,
                                      consistency_level='Eventually'),
             WAIT, 0.1)


def kills(t, load, client):
    n = t.nginx
    for what, find in (('replicator', n.replicators), ('store', n.store),
                       ('supervisor', n.supervisor)):
        old = set(find())
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        t.passes('kill -9 of the %s: another one' % what, wait_for, what,
                 lambda f=find, o=old: set(f()) - o, 30)
    with client.expects():
        old = n.workers()
        os.kill(old[0], signal.SIGKILL)
        wait_for('worker', lambda: set(n.workers()) - set(old), 30)
    reached(t, load, 'kill -9 of replicator, store, supervisor and worker')


def master_killed(t, load, client):
    n = t.nginx
    with client.expects():
        left = n.workers() + n.supervisor()
        n.kill(signal.SIGKILL)
        for pid in left:                   # nginx leaves its workers behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        n.start()
        n.wait(60)
    reached(t, load, 'kill -9 of the master')


def reloads(t, load):
    for _ in range(2):
        t.nginx.reload()
        time.sleep(1)
    reached(t, load, 'two reloads')


def upgraded(t):
    n, old = t.nginx, t.nginx.pid
    n.send(signal.SIGUSR2)
    new = wait_for('a new master', lambda: n.master() != old and n.master(),
                   30)
    wait_for('its workers', lambda: len(n.workers()) == 4, 30)
    return old, new


def gone(pid, started):
    stat = proc_stat(pid)
    return stat is None or stat[2] != started or stat[0] == 'Z'


def upgrades(t, load):
    n = t.nginx
    old, new = upgraded(t)
    started = proc_stat(new)[2]
    os.kill(old, signal.SIGWINCH)
    wait_for('the old workers end', lambda: len(n.workers()) == 2, 30)
    reached(t, load, 'USR2 and WINCH: the new nginx')
    os.kill(old, signal.SIGHUP)
    wait_for('workers of the old', lambda: len(n.workers()) == 4, 30)
    os.kill(new, signal.SIGQUIT)
    t.passes('rolled back: the new nginx ends', wait_for, 'end',
             lambda: gone(new, started), 60)
    reached(t, load, 'the way back: the old nginx')

    old, new = upgraded(t)
    started = proc_stat(old)[2]
    os.kill(old, signal.SIGQUIT)
    t.passes('USR2 and QUIT: the old nginx ends', wait_for, 'end',
             lambda: gone(old, started), 60)
    n.follow(new)
    reached(t, load, 'the upgrade')


def stops(t, load, client):
    n = t.nginx
    for sig in (signal.SIGQUIT, signal.SIGTERM):
        with client.expects():
            n.send(sig)
            if not t.ok(n.gone(20), '%s: it ends' % sig.name):
                n.power_cut()
            n.start()
            n.wait(60)
    reached(t, load, 'QUIT and TERM')


def signals(t):
    client = Client(t.nginx)
    with Load(SHAPE, 'load', pause=0.1) as load:
        kills(t, load, client)
        reloads(t, load)
        upgrades(t, load)
        master_killed(t, load, client)
        stops(t, load, client)
    client.close()
    t.same(client.failures, [], 'no request failed of %d, but while nginx '
           'was down; the slowest took %.1f s' % (client.asked,
                                                  client.slowest))
    t.equal('signals under load: equal', WAIT)
    return load.next


def pauses(t, first):
    """In a row, under load; nothing is left behind by any of them."""
    n, codes = t.nginx, []
    watched = {name: Footprint(find()[0]) for name, find in (
        ('supervisor', n.supervisor), ('store', n.store))}

    def cycle(times):
        for _ in range(times):
            for kind in ('pause', 'resume'):
                codes.append(n.cdc(kind, {'task_id': 'one'})[1].get('code'))

    with Load(SHAPE, 'load', first=first, pause=0.1) as load:
        cycle(5)
        before = {name: f.take() for name, f in watched.items()}
        begun = time.monotonic()
        cycle(PAUSES)
        took = time.monotonic() - begun
        t.same(set(codes), {200}, '%d pauses and resumes in a row (%.0f s)'
               % (PAUSES, took))
        t.passes('one replicator in the end', wait_for, 'one', lambda: len(
            n.replicators()) == 2, 30)     # and that of "two"
        for name, f in watched.items():
            now = f.take()
            t.ok(now[2] <= before[name][2] + 2
                 and now[1] < before[name][1] + 4e6,
                 '%s: no file and no memory is kept' % name,
                 '%s\n%s' % (before[name], now))
    t.equal('pauses under load: equal', WAIT)
    return load.next


def deleted(t):
    """A task goes while its rows come."""
    n = t.nginx
    state = os.path.join(n.state_dir, 'tasks', 'two')
    with Load(PLAIN, 'second', first=1000, pause=0.02) as load:
        wait_for('rows', lambda: Collection('second', using='target').query(
            'id >= 1000', limit=1, consistency_level='Eventually'), WAIT)
        t.same(n.cdc('delete', {'task_id': 'two'})[1].get('code'), 200,
               'deleted while rows come')
        t.passes('its directory goes', wait_for, 'end',
                 lambda: not os.path.exists(state), 15)
        t.passes('and its process', wait_for, 'end',
                 lambda: len(n.replicators()) == 1, 15)
    for using in (S, 'target'):
        utility.drop_collection('second', using=using)
    t.equal('the other task is not hurt', WAIT)


def two(t, first):
    """A second nginx on the state directory, under load."""
    one = t.nginx
    second = Nginx(t.bed, 'second')
    second.state_dir = one.state_dir
    with Load(SHAPE, 'load', first=first, pause=0.05) as load:
        t.bed.add(second)
        time.sleep(2)
        t.same(len(second.supervisor()), 1, 'a second nginx on the directory')
        t.same(second.store() + second.replicators(), [], 'waits')
        t.same(len(one.replicators()), 1, 'and the first goes on')
        one.stop()
        t.same(one.orphans, [], 'the first ends')
        t.nginx = second
        t.passes('the second takes over', second.wait, 60)
        reached(t, load, 'that')
    for n in (one, second):
        with open(n.errors, errors='replace') as f:
            t.ok('Resource temporarily unavailable' not in f.read(),
                 'there is never a second writer')
    t.equal('two nginx on one directory, under load: equal', WAIT)


def many(t):
    """As many tasks as there may be, on shared target channels."""
    t.nginx.stop()
    t.nginx = n = t.bed.add_nginx(name='many', more='    milvus_cdc_max_tasks '
                                  '%d;' % TASKS)
    for i in range(TASKS):
        n.create(t.bed['target'], task_id='t%d' % i,
                 collection_infos=[{'name': 'many_%d' % i}])
    status, answer = n.cdc('create', {
        'milvus_connect_param': {'uri': t.bed['target'].uri},
        'collection_infos': [{'name': 'one_more'}]})
    t.ok('the task num has reach the limit' in answer.get('message', ''),
         'one more than %d tasks is refused' % TASKS, answer)
    t.passes('each has its replicator', wait_for, 'all',
             lambda: len(n.replicators()) == TASKS, 120)
    for i in (0, TASKS - 1):
        PLAIN.ready('many_%d' % i, S, 50, wait=False)
    t.equal('the rows of the first and the last arrive', WAIT)
    n.reload()
    t.passes('a reload: each has its replicator', wait_for, 'all', lambda:
             len(set(n.replicators())) == TASKS and n.get('/cdc/health')[0]
             == 200, 120)
    for i in range(TASKS):
        n.cdc('delete', {'task_id': 't%d' % i})
    t.passes('all deleted: no process and no directory is left', wait_for,
             'end', lambda: not n.replicators() and not os.listdir(
                 os.path.join(n.state_dir, 'tasks')), 60)


with E2E() as t:
    t.up({'target': {'channels': 4}})
    SHAPE.ready('load', S, wait=False)
    PLAIN.ready('second', S, 100)
    t.start_nginx(daemon=True)
    t.nginx.create(t.bed['target'], task_id='two',
                   collection_infos=[{'name': 'second'}])
    t.nginx.create(t.bed['target'], task_id='one')
    t.needed(t.equal('equal before', WAIT) is not None)
    following = signals(t)
    following = pauses(t, following)
    deleted(t)
    two(t, following)
    many(t)
