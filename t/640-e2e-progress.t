#!/usr/bin/env python3
"""The lag that is shown is the lag that there is, through faults; what else
"progress" and the metrics say of real servers.

What is shown may be 1 s off, and when the lag falls, 1 s late; one sample in
twenty may be stretched.  A machine whose source has its ticks late when all is
well is given twice that much.
"""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection                              # noqa: E402

import bulk                                                  # noqa: E402
import compare                                               # noqa: E402
from fixtures import Shape                                   # noqa: E402
from metrics import metric                                   # noqa: E402
from process import wait_for                                 # noqa: E402
from truth import Relay, Truth                               # noqa: E402

MB = 1000000
ONE = Shape(shards=1)                    # a channel of its own


def progress(t):
    return t.nginx.cdc('progress', {'task_id': t.task})[1]['data']['tasks'][0]


def holds(t, begin, end, name, late=0.0):
    """ok when what was shown then is the truth."""
    samples = t.truth.between(begin, end, late)
    off = [s for s in samples if s[1] is None or abs(s[1] - s[2]) > t.slack]
    return t.ok(
        len(samples) > 4 and len(off) * 20 <= len(samples),
        '%s: shown %.1f to %.1f s, %.2f s off at most, %d samples' % (
            (name,) + ((0, 0, 0, 0) if not samples else (
                samples[0][1] or 0, samples[-1][1] or 0,
                max(abs((s[1] or 0) - s[2]) for s in samples),
                len(samples)))),
        '%d are wrong, (after, shown, truth):\n%s' % (
            len(off), '\n'.join(map(str, off[:20]))))


def calm(t):
    wait_for('calm', lambda: t.truth.caught_up()
             and progress(t)['lag_seconds'] < 1, 30)
    time.sleep(1)
    now = time.time()
    t.slack = max([t.slack] + [2 * s[1] for s in t.truth.between(now - 1, now)])
    if t.slack > 1:
        t.note('a busy machine: ticks come %.1f s late' % (t.slack / 2))


def phase(t, name, seconds, fault, cure, late=0.0):
    """The fault, a while, the cure, and rows that come through again."""
    calm(t)
    begin = time.time()
    fault()
    time.sleep(max(0.0, seconds - (time.time() - begin)))
    held = time.time()
    holds(t, begin, held, name, late)
    cure()
    wait_for('rows after ' + name, t.truth.caught_up, 40)
    time.sleep(1)
    holds(t, held, time.time(), name + ', and after it', late=1)
    return t.truth.tasks(begin, held)


def idle(t):
    calm(t)
    t.truth.writing = False
    begin = time.time()
    time.sleep(3)
    shown = [9 if s[1] is None else s[1]
             for s in t.truth.between(begin, time.time())]
    high = [lag for lag in shown if lag >= t.slack]
    t.ok(len(shown) > 4 and len(high) * 20 <= len(shown),
         'idle: %.2f to %.2f s' % (min(shown), max(shown)), shown)
    t.truth.writing = True


def channel(t):
    """One target channel stands still, the other one goes on."""
    stuck, = compare.Cluster('target').describe(
        'default', 'one').physical_channel_names
    tasks = phase(t, 'a stuck channel', 5.5, lambda: t.relay.hold(stuck),
                  t.relay.release)
    lags = {c['name']: c['lag_seconds'] for c in tasks[-1]['collections']}
    t.ok(lags['one'] > 4 > 2 > lags['two'],
         'its collection is behind, the other one is not', lags)


def last(t, name):
    found, = [c for c in progress(t)['collections'] if c['name'] == name]
    return found['last_operation'] or {}


def operation(t):
    """Of a collection: which one was the last, and when."""
    calm(t)
    before, begin = last(t, 'one'), time.time()
    Collection('two', using='source').create_partition('p')
    wait_for('the operation', lambda: last(t, 'two').get('name')
             == 'CreatePartition', 30)
    t.partition = last(t, 'two')
    # it may have a tenth of a second for itself: the clock is the same
    t.ok(begin - 0.1 < t.partition['at_ms'] / 1000 < time.time() + 0.1,
         'the last operation of a collection', t.partition)
    t.ok(last(t, 'one') == before and before.get('name', 'CreatePartition')
         != 'CreatePartition', 'and not of the other one', before)
    wait_for('the metric', lambda: re.search(
        r'^milvus_cdc_collection_last_operation_timestamp_seconds\{task_id='
        r'"%s",database="default",collection_name="two"\} %.3f$' % (
            t.task, t.partition['at_ms'] / 1000),
        t.nginx.get('/cdc/metrics')[1], re.M), 20)
    t.ok(True, 'the metric says when')


def replicator(t):
    """It dies while the target hangs: the lag goes on from where it was."""
    def fault():
        t.relay.hold()
        time.sleep(2)
        for pid in t.nginx.replicators():
            os.kill(pid, signal.SIGKILL)

    before = progress(t)
    tasks = phase(t, 'replicator killed while the target hangs', 5, fault,
                  t.relay.release)
    t.ok(min(p['lag_seconds'] for p in tasks[-5:]) > 3,
         'it does not begin at 0')
    after = progress(t)
    t.same(after['restarts'], before['restarts'] + 1, 'that is a restart')
    t.ok('restarted' in [e['kind'] for e in after['events']],
         'and an event', after['events'])
    t.ok(after['rows_out'] >= before['rows_out'] > 0, 'counters go on',
         (before['rows_out'], after['rows_out']))
    t.same(last(t, 'two'), t.partition, "and a collection's last operation")


def stop(t):
    def send(sig):
        for pid in t.nginx.replicators():
            os.kill(pid, sig)

    def hang():
        send(signal.SIGSTOP)
        for _ in range(15):
            figures = dict(re.findall(
                r'^milvus_cdc_(live|lag_seconds)\{.*\} (\S+)$',
                t.nginx.get('/cdc/metrics')[1], re.M))
            scrapes.append((int(figures['live']),
                            float(figures['lag_seconds'])))
            time.sleep(0.2)

    scrapes = []
    phase(t, 'replicator hangs', 0, hang, lambda: send(signal.SIGCONT))
    t.ok(scrapes[0][0] == 1 and scrapes[-1][1] > 2
         and not [s for s in scrapes if s[0] and s[1] >= 2],
         'the metrics call nothing live that is behind', scrapes)


def nginx(t):
    phase(t, 'reload', 2.5, t.nginx.reload, lambda: None, late=1)
    phase(t, 'paused', 3,
          lambda: t.nginx.cdc('pause', {'task_id': t.task}),
          lambda: t.nginx.cdc('resume', {'task_id': t.task}))
    kinds = {e['kind'] for e in progress(t)['events']}
    t.ok({'created', 'started', 'paused', 'resumed'} <= kinds,
         'events tell of it', kinds)


def source(t):
    """No row comes: shown is how long ago the target was surely equal."""
    calm(t)
    begin = time.time()
    os.kill(t.source.pid, signal.SIGSTOP)
    time.sleep(6)
    end = time.time()
    os.kill(t.source.pid, signal.SIGCONT)
    tasks = t.truth.tasks(begin, end)
    lags = [s[:2] for s in t.truth.between(begin, end)]
    off = [s for s in lags if abs(s[1] - s[0]) > t.slack + 0.2]
    t.ok(len(lags) > 4 and len(off) * 20 <= len(lags),
         'the source stands still: the lag grows', off)
    t.ok(not tasks[-1]['source']['ok'] and not tasks[-1]['live']
         and tasks[-1]['target']['ok'], 'and the source is named', tasks[-1])
    wait_for('rows go on', lambda: max(t.truth.written)[0] > end, 40)
    calm(t)
    t.ok(progress(t)['source']['ok'], 'it is well again')


def backlog(t):
    """More than fits into memory; of Kafka it is an estimate."""
    off = 3 if t.source.mq == 'kafka' else 1.2
    calm(t)
    t.relay.hold()
    written = sum(bulk.insert('big', n * 2500, 2500, 512)
                  for n in range(10))
    wait_for('a full buffer', lambda: progress(t)['buffered_bytes'] > 20 * MB,
             30)
    time.sleep(4)                          # ticks come, and are no rows
    shown = progress(t)
    t.ok(shown['buffered_bytes'] < 40 * MB
         and written / off < (shown['backlog_bytes'] or 0) < written * off,
         'a part is in memory: %d MB; in all it is said to be %d MB, and '
         'is %d MB' % tuple(n // MB for n in (
             shown['buffered_bytes'], shown['backlog_bytes'] or 0, written)),
         shown)
    t.ok(not shown['live'] and shown['catch_up_seconds'] is None,
         'nobody knows when this will be over', shown)
    t.relay.release()
    wait_for('no backlog', lambda: (lambda p: p['backlog_bytes'] < MB and
                                    p['catch_up_seconds'] == 0 and p['live'])(
        progress(t)), 60)
    t.ok(True, 'when the target has it, there is none')


def figures(t):
    calm(t)
    t.truth.writing = False
    time.sleep(1.5)
    calm(t)
    now = progress(t)
    t.ok(now['rows_out'] == len(t.relay.acked),
         'each row that the target has acknowledged counts once: %d, %d' % (
             now['rows_out'], len(t.relay.acked)), now)
    t.same((metric(t.nginx, 'rows_out_total', t.task),
            metric(t.nginx, 'collection_rows_out_total', t.task)),
           (now['rows_out'], sum(c['rows_out'] for c in now['collections'])),
           'the metrics say the same, and so do those of collections')
    t.ok(metric(t.nginx, 'helper_resident_memory_bytes', t.task) > MB
         and now['helper']['pid'] in t.nginx.replicators(),
         'the helper', now['helper'])
    t.truth.writing = True


def throughout(t):
    shown = [s[2] for s in t.truth.shown]
    for name in ('rows_in', 'rows_out', 'bytes_out', 'requests', 'restarts'):
        falls = [(a[name], b[name]) for a, b in zip(shown, shown[1:])
                 if b[name] < a[name]]
        t.ok(not falls, '%s never fell' % name, falls)
    late = [p['lag_seconds'] for p in shown
            if p['live'] and p['lag_seconds'] >= 2]
    t.ok(not late, 'nothing that is behind was live', late)


def target(t):
    """It is named, and so is the cause."""
    calm(t)
    begin = time.time()
    t.bed.kill('target')
    time.sleep(5)
    holds(t, begin, time.time(), 'target killed')
    task = progress(t)
    t.ok(not task['target']['ok'] and task['degraded'] and task['last_error']
         and not task['live'], 'the target is named', task)
    t.bed.restart('target')
    calm(t)
    task = progress(t)
    t.ok(task['target']['ok'] and not task['degraded'], 'it is well again',
         task)


with E2E() as t:
    t.up()
    ONE.create('one', 'source')
    ONE.create('two', 'source')
    Shape(shards=1, dim=512).create('big', 'source')
    t.relay = Relay(t.bed.port(), t.bed['target'])
    t.start_nginx()
    t.slack = 1.0
    t.task = t.nginx.create(t.relay)
    wait_for('live', lambda: progress(t)['live']
             and progress(t)['collections_total'] == 3, 40)

    with Truth(t.nginx, t.task, t.relay, ONE, ['one', 'two']) as t.truth:
        for part in (idle, channel, operation, replicator, stop, nginx, source,
                     backlog, figures, target, throughout):
            part(t)

    t.relay.close()
    t.check_logs(kills=True)
