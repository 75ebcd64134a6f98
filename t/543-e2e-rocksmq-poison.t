#!/usr/bin/env python3
"""Garbage in the topics of a source that is on RocksMQ.

It is written while the source is down, because RocksDB has one writer, and the
source is started on it.  Stop: the task pauses in front of each message and
goes on behind it.  Skip: it counts them and goes on at once.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E           # first: changes the Python   # noqa: E402
import compare                                               # noqa: E402
from fixtures import Shape                                   # noqa: E402
from metrics import metric                                   # noqa: E402
from process import wait_for                                 # noqa: E402
from rocksmq import RocksMQ                                  # noqa: E402

from pymilvus import Collection                              # noqa: E402

SHAPE = Shape(dim=8, shards=1)
CHANNEL = 'by-dev-replicate-msg'
GARBAGE = b'\xff\xff\xffthis is not Milvus'


class Poison(E2E):
    task = log = None

    def begin(self, policy):
        self.task = self.nginx.create(self.bed['target'], on_poison=policy)
        return self.equal('%s: equal at the start' % policy, 60)

    def parked(self):
        answer = self.nginx.cdc('parked', {'task_id': self.task})[1]
        return answer.get('data', {}).get('parked', [])

    def held(self):
        return [p for p in self.parked() if p['state'] == 'held']

    def done(self, kind, **more):
        self.same(self.nginx.cdc(kind, dict(more, task_id=self.task))[1].get(
            'code'), 200, kind)

    def poison(self, topics):
        """Garbage behind all that is in each; {(topic, position)}."""
        self.bed['source'].stop()
        # its threads end after its first one, and hold the database's lock
        self.bed['source'].child.wait(20)
        return {(topic, '0:%d' % self.log.append(topic, GARBAGE))
                for topic in topics}

    def again(self, first):
        """The source starts on it, and takes rows, operations too."""
        self.bed['source'].start()
        self.bed['source'].wait()
        self.bed['source'].connect()
        x = Collection('x', using='source')
        x.insert(SHAPE.rows(first, first + 100))
        x.create_partition('p%d' % first)
        x.insert(SHAPE.rows(first + 100, first + 150),
                 partition_name='p%d' % first)
        x.release()
        x.load(_async=True)


def stops(t, topics):
    """One after the other, each named, while the source is still down."""
    left = t.poison(topics)
    for n in range(len(topics)):
        t.wait_task('stop: the task pauses', t.task, 'Paused', 20)
        held = t.held()
        t.needed(t.same(len(held), 1, 'in front of one message'))
        place = held[0]['topic'], held[0]['position']
        t.ok(place in left and held[0]['bytes'] == len(GARBAGE),
             'which is the garbage', (held, left))
        left.discard(place)
        reason = t.nginx.task(t.task).get('reason', '')
        t.ok('topic "%s", position %s, ' % place in reason
             and 'parked_drop' in reason, 'topic, position, cure', reason)
        if not left:
            t.done('parked_retry', id=held[0]['id'])
            t.done('resume')
            t.passes('tried again, it stops again', wait_for, 'Paused',
                     lambda: [(p['id'], p['at_ms'] > held[0]['at_ms'])
                              for p in t.held()] == [(held[0]['id'], True)]
                     and t.nginx.task(t.task)['state'] == 'Paused', 20)
        t.done('parked_drop', id=held[0]['id'])
        t.done('resume')
    t.again(1000)
    t.equal('stop: dropped, all goes on behind both', 60)
    t.passes('and nothing is parked', wait_for, 'parked',
             lambda: t.parked() == [], 10)


def skips(t, topics):
    before = {p['id'] for p in t.parked()}
    places = t.poison(topics)
    t.passes('skip: both are parked', wait_for, 'parked',
             lambda: len(t.parked()) == len(before) + len(places), 20)
    found = [p for p in t.parked() if p['id'] not in before]
    t.same({(p['topic'], p['position']) for p in found}, places,
           'with their places')
    t.same({p['state'] for p in found}, {'parked'}, 'and passed')
    seen = t.nginx.task(t.task)
    t.ok(seen.get('state') == 'Running' and '%d messages are parked'
         % len(t.parked()) in seen.get('degraded', {}).get('cause', ''),
         'the task runs, degraded', seen)
    t.same(metric(t.nginx, 'parked'), len(t.parked()), 'the metric')
    t.again(2000)
    t.equal('skip: all that is behind them arrives', 60)


def main(t):
    t.up(source={'mq': 'rocksmq'})
    source = t.bed['source']
    t.log = RocksMQ(source.rocksmq, os.path.join(t.bed.dir, 'look'))
    SHAPE.ready('x', 'source', 100)
    t.start_nginx()
    found = compare.Cluster('source').describe('default', 'x')
    topics = (found.physical_channel_names[0], CHANNEL)

    t.needed(t.begin('stop') is not None)
    stops(t, topics)
    t.done('delete')
    t.needed(t.begin('skip') is not None)
    time.sleep(1)
    skips(t, topics)
    t.check_logs()


with Poison() as suite:
    main(suite)
