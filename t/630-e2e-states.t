#!/usr/bin/env python3
"""States that tell the truth, and messages that cannot be applied.

Pause: nothing reaches the target after its answer, and it stays through
whatever restarts.  Degraded: since when, why, when the next try is.  Poison:
garbage in the source's own topics, what the target refuses for good; stop,
skip, list, retry, drop.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E           # first: changes the Python   # noqa: E402
import compare                                               # noqa: E402
import kafka                                                 # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402
from proxy import Proxy                                      # noqa: E402

from pymilvus import Collection                              # noqa: E402

PLAIN = Shape(dim=8, shards=1)
BIG = Shape(dim=512, shards=1)
CHANNEL = 'by-dev-replicate-msg'
GARBAGE = b'\xff\xff\xffthis is not Milvus'
LIMIT = 1 << 20                    # of a request to the target, bytes


def varint(n):
    out = b''
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def message(kind, **fields):
    """A Milvus message: its base, then what else is given by number."""
    base = number(1, kind) + number(3, int((time.time() - 1) * 1000) << 18)
    return block(1, base) + b''.join(
        number(int(f[1:]), v) if isinstance(v, int) else block(int(f[1:]), v)
        for f, v in fields.items())


def place(name):
    """(id, topic) of a collection with one shard."""
    found = compare.Cluster('source').describe('default', name)
    (topic,) = found.physical_channel_names
    return found.collectionID, topic


class States(E2E):
    task = proxy = None

    def code(self, kind, more=None, wanted=200, name=None):
        status, answer = self.nginx.cdc(kind, dict(more or {},
                                                   task_id=self.task))
        self.same(answer.get('code'), wanted, name or kind)
        return answer.get('data') or answer.get('message')

    def parked(self):
        answer = self.nginx.cdc('parked', {'task_id': self.task})[1]
        return answer.get('data', {}).get('parked', answer)

    def shown(self):
        return self.nginx.task(self.task)

    def progress(self):
        return self.nginx.cdc('get', {'task_id': self.task})[1]['data'][
            'progress']

    def until(self, name, check, timeout=30):
        return self.passes(name, wait_for, name, check, timeout)

    def produce(self, topic, value):
        return kafka.produce(self.bed.parts['kafka'].uri, topic, [value])

    def insert(self, first, last):
        Collection('x', using='source').insert(PLAIN.rows(first, last))


# ---- pause

def quiet(t, name):
    """After the answer not one more byte reaches the target."""
    gone = t.nginx.replicators()
    t.until('%s: no connection' % name, lambda: not t.proxy.pairs, 2)
    seen = t.proxy.up, t.proxy.taken
    time.sleep(0.7)
    t.ok(not gone and (t.proxy.up, t.proxy.taken) == seen,
         '%s: no replicator, no request' % name,
         'replicators %s, %s, now %s'
         % (gone, seen, (t.proxy.up, t.proxy.taken)))


def pauses(t):
    with Load(PLAIN, 'x', first=1000, rows=20) as load:
        for n in range(2):
            time.sleep(0.7)
            t.code('pause', name='pause under load')
            quiet(t, 'the answer to pause')
            t.code('resume', name='resume right after it')
        for n in range(8):
            t.code('pause')
            t.code('resume')
    t.equal('equal after pauses', 60)
    return load.next


def stays(t):
    t.code('pause')
    t.nginx.reload()
    time.sleep(1)
    t.same(t.shown().get('state'), 'Paused', 'a reload leaves it paused')
    for what in ('store', 'supervisor'):
        for pid in getattr(t.nginx, what)():
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
        t.until('paused after kill -9 of the %s' % what,
                lambda: t.shown().get('state') == 'Paused')
    t.nginx.power_cut()
    t.nginx.start()
    t.nginx.wait(30)
    t.same(t.shown().get('state'), 'Paused', 'and after a power cut')
    quiet(t, 'paused through all that')
    t.same('reason' in t.shown(), True, 'with its reason')
    t.code('resume')
    t.insert(100, 110)
    t.equal('equal after it was resumed', 60)


# ---- degraded

def listed(t):
    (task,) = [x for x in t.nginx.cdc('list')[1]['data']['tasks']
               if x['task_id'] == t.task]
    return task


def degraded(t):
    before = time.time() * 1000
    t.same('degraded' in t.shown(), False, 'healthy: not degraded')
    t.proxy.refuse(True)
    t.proxy.cut()
    t.until('a target out of reach: degraded, and when it is tried again',
            lambda: t.shown().get('degraded', {}).get('next_try_ms'))
    found = {}
    while not found.get('next_try_ms'):
        seen = t.shown()
        found = seen.get('degraded', {})
    t.same((seen.get('state'), found.get('cause')),
           ('Running', seen.get('reason')), 'running, the cause is the reason')
    t.ok(before - 2000 < found.get('since_ms', 0) < time.time() * 1000,
         'since when', found)
    t.ok(found.get('next_try_ms', 1e15) < time.time() * 1000 + 11000,
         'the next try is within the back-off', found)
    found = t.progress().get('degraded') or {}
    t.same(sorted(found), ['cause', 'next_try_ms', 'since_ms'],
           'progress says it as well')
    time.sleep(1)
    t.same(listed(t).get('degraded', {}).get('since_ms'),
           found.get('since_ms'), 'list says the same')
    t.proxy.refuse(False)
    t.until('it ends by itself', lambda: 'degraded' not in t.shown(), 40)


# ---- poison, policy stop

def stopped(t, topic, offset, what):
    """The task has stopped in front of that message; its id."""
    t.until('%s stops the task' % what,
            lambda: t.shown().get('state') == 'Paused')
    reason = t.shown().get('reason', '')
    t.ok('topic "%s", position 0:%d, ' % (topic, offset) in reason
         and 'parked_drop' in reason, '%s: topic, position, cure' % what,
         reason)
    found = t.parked()
    t.same([(p['topic'], p['position'], p['state']) for p in found],
           [(topic, '0:%d' % offset, 'held')], '%s is shown' % what)
    return found[0]['id'] if found else 0


def stops(t, topic):
    for where, what in ((topic, 'garbage in a data channel'),
                        (CHANNEL, 'garbage in the replicate channel')):
        offset = t.produce(where, GARBAGE)
        one = stopped(t, where, offset, what)
        t.insert(offset * 10 + 5000, offset * 10 + 5003)
        if where == topic:
            t.code('parked_retry', {'id': one})
            t.code('resume')
            t.same(stopped(t, where, offset, 'tried again, it'), one,
                   'and is the same one')
        t.code('parked_drop', {'id': 99}, 400, 'drop of another one')
        t.code('parked_drop', {'id': one})
        t.code('resume')
        t.equal('%s is dropped: all goes on behind it' % what, 60)
        t.until('and nothing is parked any more', lambda: t.parked() == [])


def unknown(t, topic):
    where = [(w, t.produce(w, message(777))) for w in (topic, CHANNEL)]
    t.insert(200, 210)
    t.equal('messages of an unknown type are passed', 60)
    seen = t.shown()
    t.ok(seen.get('state') == 'Running'
         and 'unknown type 777' in seen.get('reason', ''),
         'running, and the reason names it', seen)
    t.note(where)


# ---- poison, policy skip

def skips(t, topic, number_):
    # a task begins a little before the end: what is there of the others
    before = {p['id'] for p in t.parked()}
    t.note('parked already: %s' % before)
    offsets = [t.produce(topic, GARBAGE), t.produce(CHANNEL, GARBAGE),
               t.produce(topic, message(0)),
               t.produce(topic, message(400, f2=b'elsewhere_1v0', f7=number_,
                                        f14=0))]
    Collection('big', using='source').insert(BIG.rows(10, 800))
    t.insert(300, 310)
    t.until('five messages are parked',
            lambda: len(t.parked()) == 5 + len(before), 60)
    found = [p for p in t.parked() if p['id'] not in before]
    t.same({p['state'] for p in found}, {'parked'}, 'and passed')
    t.same(sorted((p['topic'], p['position']) for p in found
                  if p['reason'].startswith('it is not')),
           sorted((w, '0:%d' % o) for w, o in
                  zip((topic, CHANNEL, topic), offsets)),
           'those that cannot be read, with their places')
    t.same([p.get('collection') for p in found if 'shard' in p['reason']],
           ['default.x'], 'one with a shard that there is not')
    big = [p for p in found if 'larger than max' in p['reason']]
    t.same([(p.get('operation'), p.get('collection')) for p in big],
           [('Insert', 'default.big')], 'one that the target refuses')
    t.needed(len(big) == 1)
    t.ok(big[0]['bytes'] > LIMIT and 'serverMaxRecvSize' in big[0]['reason'],
         'its size, and the cure', big)
    seen = t.shown()
    t.ok(seen.get('state') == 'Running' and '%d messages are parked'
         % (5 + len(before)) in seen.get('degraded', {}).get('cause', ''),
         'the task runs, degraded', seen)
    t.ok('milvus_cdc_parked{task_id="%s"} %d' % (t.task, 5 + len(before))
         in t.nginx.get('/cdc/metrics')[1], 'the metric')
    t.same(t.progress().get('parked'), 5 + len(before), 'and progress')
    return big[0]['id'], [p['id'] for p in t.parked()
                          if p['id'] != big[0]['id']]


def applies(t, big, others):
    t.code('parked_drop', {'id': big}, 400, 'no drop from a running task')
    t.code('pause')
    t.same(len(t.parked()), 1 + len(others), 'paused: the same are shown')
    for one in others[1:]:
        t.code('parked_drop', {'id': one})
    t.code('parked_drop', {'id': others[1]}, 400, 'dropped once')
    for one in (big, others[0]):
        t.code('parked_retry', {'id': one})
    t.same(sorted((p['id'], p['state']) for p in t.parked()),
           sorted([(big, 'retry'), (others[0], 'retry')]), 'to be retried')
    t.bed['target'].config = {}
    t.bed.restart('target')
    for pid in t.nginx.store():
        os.kill(pid, signal.SIGKILL)
    t.code('resume')
    t.equal('what the target takes now is applied', 90)
    t.until('garbage stays parked, the other one is gone',
            lambda: [(p['id'], p['state']) for p in t.parked()]
            == [(others[0], 'parked')])


def main(t):
    t.up(source={'mq': 'kafka'}, targets={'target': {'config': {
        'proxy': {'grpc': {'serverMaxRecvSize': LIMIT}}}}})
    for name, shape in (('x', PLAIN), ('big', BIG)):
        shape.ready(name, 'source', 10)
    t.start_nginx()
    number_, topic = place('x')
    t.proxy = Proxy(t.bed.port(), t.bed['target'].port)
    try:
        param = {'uri': t.proxy.uri, 'connect_timeout': 10}
        t.task = t.nginx.create(milvus_connect_param=param)
        t.equal('equal at the start', 60)
        pauses(t)
        stays(t)
        degraded(t)
        stops(t, topic)
        unknown(t, topic)
        t.code('delete')
        t.task = t.nginx.create(milvus_connect_param=param,
                                on_poison='skip')
        t.same(t.shown().get('on_poison'), 'skip', 'get shows the policy')
        t.until('it reads', lambda: 'milvus_cdc_channels{task_id="%s"} 0'
                % t.task not in t.nginx.get('/cdc/metrics')[1])
        time.sleep(1)
        applies(t, *skips(t, topic, number_))
        t.check_logs(kills=True)
    finally:
        t.proxy.close()


with States() as suite:
    main(suite)
