#!/usr/bin/env python3
"""The source's log on Kafka fails: the broker is gone for a while, a message
is in it twice, records and topics are deleted that a task still needs.

Rows 5, 6, 14 and 17 of the faults: see t/FAULTS.md.  After a loss each task
must stop, name what is lost and go no further, however often it is resumed.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection                              # noqa: E402

import compare                                               # noqa: E402
import kafka                                                 # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from metrics import metric                                   # noqa: E402
from pymilvus.grpc_gen import common_pb2                     # noqa: E402
from process import wait_for                                 # noqa: E402
from targetlog import INSERT, fetch, records                 # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=1, scalars=True)
CHANNELS = 2


def broker_down(t, first):
    with Load(SHAPE, 'load', first=first, hardy=True, pause=0.05) as load:
        time.sleep(1)
        t.bed.kill('kafka', signal.SIGKILL)
        t.passes('the broker is gone: the task says so', wait_for, 'reason',
                 lambda: 'kafka' in t.nginx.task(t.task).get('reason', ''),
                 20)
        t.note(t.nginx.task(t.task).get('reason'))
        t.wait_task('and runs', t.task, 'Running')
        t.bed['kafka'].start()
        t.bed['kafka'].wait(400)
        reached = load.next
        t.passes('the source takes rows again', wait_for, 'rows',
                 lambda: load.next > reached + 50, 120)
    t.note('%d calls failed while the broker was down' % load.failures)
    t.passes('rows go on', wait_for, 'rows', lambda: there(load.next - 1),
             30)
    t.same(t.nginx.task(t.task).get('reason'), None, 'and no complaint')


def there(number, using='target'):
    return Collection('load', using=using).query(
        'id == %d' % number, output_fields=['id'],
        consistency_level='Eventually')


def last_of(address, topic):
    """(type, bytes) of the newest message."""
    (end,) = kafka.ends(address, [topic]).values()
    newest = [value for offset, value in records(fetch(
        address, topic, end - 1)) if offset == end - 1]
    header = common_pb2.MsgHeader.FromString(newest[0])
    return header.base.msg_type, newest[0]


def twice(t, address, topic, first):
    """Its producer had no answer and sent a message again.

    The source stands still meanwhile, so no tick comes between the two.  Both
    ways of a message: live, and from a backlog.
    """
    source, done = t.bed['source'], 0
    collection = Collection('load', using=S)
    for number in range(first, first + 400, 10):
        backlog = done > 2
        if backlog:
            t.nginx.cdc('pause', {'task_id': t.task})
        collection.insert(SHAPE.rows(number, number + 10))
        source.send(signal.SIGSTOP)
        kind, value = last_of(address, topic)
        if kind == INSERT:
            kafka.produce(address, topic, [value, value])
            done += 1
        source.send(signal.SIGCONT)
        if backlog:
            time.sleep(1)
            t.nginx.cdc('resume', {'task_id': t.task})
        if done == 5:
            break
        time.sleep(0.3)
    t.same(done, 5, '5 messages are in the log three times each')
    t.equal('each of their rows is there once', 60)
    return number + 10


def stops(t, name, *words):
    """The task pauses with a reason that has these words, and again."""
    for n in range(2):
        text = t.passes(name if n == 0 else 'resumed: it stops again',
                        wait_for, 'reason', lambda: paused(t), 40)
        t.ok(text and all(str(w) in text for w in words),
             'it names the channel and what is lost', text)
        if n == 0:
            t.note(text)
            t.same(t.nginx.cdc('resume', {'task_id': t.task})[1].get('code'),
                   200, 'resume')
            time.sleep(0.5)


def paused(t):
    task = t.nginx.task(t.task)
    return task.get('state') == 'Paused' and task.get('reason')


def pause(t):
    t.same(t.nginx.cdc('pause', {'task_id': t.task})[1].get('code'), 200,
           'pause')
    t.wait_task('paused', t.task, 'Paused')


def resume(t):
    t.same(t.nginx.cdc('resume', {'task_id': t.task})[1].get('code'), 200,
           'resume')


def anew(t):
    """The cure: another task; what the target holds goes on from now."""
    t.nginx.cdc('delete', {'task_id': t.task})
    t.task = t.nginx.create(t.bed['target'])
    t.passes('a new task runs', wait_for, 'live',
             lambda: metric(t.nginx, 'live', t.task) == 1, 30)


def records_deleted(t, address, topic):
    """Retention, or somebody, has removed what a paused task needs."""
    collection = Collection('load', using=S)
    pause(t)
    stood = kafka.ends(address, [topic])[topic]
    collection.insert(SHAPE.rows(10 ** 6, 10 ** 6 + 10))
    time.sleep(0.5)
    kafka.forget(address, [topic])
    left = kafka.ends(address, [topic])[topic]
    before = Collection('load', using='target').num_entities
    resume(t)
    stops(t, 'records past the checkpoint are gone: it stops', topic,
          'no longer holds offset', 'backup')
    reason = paused(t)
    numbers = [int(w.strip('.,:;()')) for w in reason.split()
               if w.strip('.,:;()').isdigit()]
    t.ok(len(numbers) >= 2 and stood - 20 <= numbers[0] < numbers[1]
         and numbers[1] >= left - 20, 'and the range: %s of %d..%d' % (
             numbers, stood, left))
    t.same(Collection('load', using='target').num_entities, before,
           'nothing was sent')


def topic_anew(t, address, topic):
    """Deleted and made anew: first it ends before the place where the task
    stands, then it has grown past it."""
    pause(t)
    stood = kafka.ends(address, [topic])[topic]
    t.bed['source'].send(signal.SIGSTOP)    # or it makes the topic at once
    kafka.delete(address, [topic])
    tick = common_pb2.MsgHeader(base=common_pb2.MsgBase(
        msg_type=common_pb2.MsgType.Value('TimeTick'),
        timestamp=int(time.time() * 1000) << 18)).SerializeToString()
    t.passes('a topic is deleted and made anew', kafka.produce, address,
             topic, [tick] * 5)
    resume(t)
    stops(t, 'it is shorter: the task stops', topic, 'ends at offset 5',
          'made anew', 'backup')
    kafka.produce(address, topic, [tick] * (stood + 500))
    resume(t)
    stops(t, 'it has grown past the task: the task stops', topic,
          'made anew', 'backup')
    t.bed['source'].send(signal.SIGCONT)


with E2E() as t:
    t.up(source={'mq': 'kafka', 'channels': CHANNELS})
    address = t.bed['kafka'].uri
    SHAPE.ready('load', S, 500)
    t.task = t.start_nginx().create(t.bed['target'])
    t.needed(t.equal('equal before', 60) is not None)
    (topic,) = compare.Cluster(S).describe(
        'default', 'load').physical_channel_names

    reached = twice(t, address, topic, 500)
    records_deleted(t, address, topic)
    anew(t)
    broker_down(t, reached)
    topic_anew(t, address, topic)
    t.check_logs(kills=True)
