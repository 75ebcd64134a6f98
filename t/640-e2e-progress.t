#!/usr/bin/env python3
"""The lag that is shown is the lag that there is, through faults; what else
"progress" and the metrics say of real servers.

A probe row is written each half second; what is shown may be 1 s off.  A busy
machine may stretch one sample in twenty, none by 3 s.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from prometheus_client.parser import \
    text_string_to_metric_families                           # noqa: E402

from fixtures import PLAIN                                   # noqa: E402
from process import wait_for                                 # noqa: E402
from truth import Truth                                      # noqa: E402


def progress(t, task):
    return t.nginx.cdc('progress', {'task_id': task})[1]['data']['tasks'][0]


def holds(t, truth, begin, end, name):
    """ok when what was shown then is the truth."""
    samples = truth.between(begin, end)
    off = sorted(truth.wrong(begin, end),
                 key=lambda s: -abs((s[1] or 0) - s[2]))
    worst = max([abs((s[1] or 0) - s[2]) for s in samples] or [99])
    t.ok(len(samples) >= 5 and len(off) * 20 <= len(samples)
         and worst < 3 and all(s[1] is not None for s in samples),
         '%s: %d samples, %.2f s off at most' % (name, len(samples), worst),
         '%d of %d, (after, shown, truth):\n%s' % (
             len(off), len(samples),
             '\n'.join('%.1f %s %.2f' % s for s in off[:12])))


def phase(t, truth, name, fault, seconds):
    """The fault, and then rows that come through again."""
    wait_for('calm', lambda: truth.caught_up()
             and (progress(t, truth.task)['lag_seconds'] or 9) < 1, 30)
    begin = time.time()
    fault()
    time.sleep(max(0.0, seconds - (time.time() - begin)))
    wait_for('rows after ' + name, truth.caught_up, 40)
    holds(t, truth, begin, time.time(), name)
    return [s for s in truth.shown if begin <= s[0]]


def idle(t, truth):
    wait_for('rows', truth.caught_up, 30)
    truth.writing = False
    time.sleep(1)
    wait_for('nothing is under way', truth.caught_up, 30)
    begin = time.time()
    time.sleep(5)
    lags = [s[1] for s in truth.between(begin, time.time())]
    t.ok(len(lags) > 10 and max(lags) < 1,
         'idle: %.3f to %.3f s' % (min(lags), max(lags)), lags)
    truth.writing = True


def stopped(pids, seconds):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def replicator(t, truth):
    def kill():
        for pid in t.nginx.replicators():
            os.kill(pid, signal.SIGKILL)

    before = progress(t, truth.task)
    phase(t, truth, 'replicator killed', kill, 4)
    after = progress(t, truth.task)
    t.same(after['restarts'], before['restarts'] + 1, 'that is a restart')
    t.ok('restarted' in [e['kind'] for e in after['events']],
         'and an event', after['events'])
    t.ok(after['rows_out'] >= before['rows_out'],
         'counters go on', (before['rows_out'], after['rows_out']))
    t.ok(after['collections'][0]['rows_out']
         >= before['collections'][0]['rows_out'] > 0,
         'those of the collection, too', after['collections'])

    shown = phase(t, truth, 'replicator hangs',
                  lambda: stopped(t.nginx.replicators(), 4), 5)
    t.ok(max(s[1] for s in shown) > 3, 'which is seen')


def nginx(t, truth):
    phase(t, truth, 'reload', t.nginx.reload, 4)

    def pause():
        t.nginx.cdc('pause', {'task_id': truth.task})
        time.sleep(4)
        t.nginx.cdc('resume', {'task_id': truth.task})

    shown = phase(t, truth, 'paused', pause, 4)
    t.ok(max(s[1] for s in shown) > 3, 'the lag of a paused task grows')
    kinds = [e['kind'] for e in progress(t, truth.task)['events']]
    t.ok({'created', 'started', 'paused', 'resumed', 'caught_up'}
         <= set(kinds), 'events tell of it', kinds)


def source(t, truth):
    """No row comes: how long ago the target was surely equal is shown."""
    wait_for('calm', truth.caught_up, 30)
    begin = time.time()
    stopped([t.bed['source'].pid], 8)
    end = time.time()
    shown = [s for s in truth.shown if begin <= s[0] <= end]
    off = [(s[0] - begin, s[1]) for s in shown
           if abs(s[1] - (s[0] - begin)) > 2]
    t.ok(len(shown) > 20 and len(off) * 20 <= len(shown),
         'the source stands still: the lag grows', off)
    t.ok(not shown[-1][2]['source']['ok'] and not shown[-1][2]['live'],
         'and the source is named', shown[-1][2]['source'])
    wait_for('rows go on', lambda: truth.caught_up()
             and truth.written[-1][0] > end, 40)
    wait_for('lag', lambda: progress(t, truth.task)['lag_seconds'] < 1, 30)
    t.ok(progress(t, truth.task)['source']['ok'], 'it is well again')


def target(t, truth):
    """The lag grows; the target, and why, are named."""
    wait_for('calm', truth.caught_up, 30)
    begin = time.time()
    t.bed.kill('target')
    time.sleep(5)
    holds(t, truth, begin, time.time(), 'target killed')
    task = truth.shown[-1][2]
    t.ok(not task['target']['ok'] and task['degraded'] and task['last_error'],
         'the target is named', task)
    t.bed.restart('target')
    t.bed['target'].connect()
    wait_for('lag', lambda: progress(t, truth.task)['lag_seconds'] < 1, 60)
    t.ok(progress(t, truth.task)['target']['ok'], 'it is well again')


def metrics(t, task):
    text = t.nginx.get('/cdc/metrics')[1]
    families = {f.name: f for f in text_string_to_metric_families(text)}
    t.ok(all(n.startswith('milvus_cdc_') for n in families)
         and len(families) > 30, "Prometheus's own parser takes the metrics",
         list(families))

    def value(name, **labels):
        found = [s.value for f in families.values() for s in f.samples
                 if s.name == 'milvus_cdc_' + name and s.labels == labels]
        return found[0] if found else None

    now = progress(t, task)
    t.ok(value('rows_out_total', task_id=task) > 0
         and value('collection_rows_out_total', task_id=task,
                   database='default', collection_name='probe') > 0
         and value('collection_lag_seconds', task_id=task,
                   database='default', collection_name='probe') < 5,
         'rows and lag, of the task and of the collection', text)
    t.ok(value('helper_resident_memory_bytes', task_id=task) > 1e6
         and value('helper_cpu_seconds_total', task_id=task) > 0
         and now['helper']['pid'] in t.nginx.replicators(),
         'the helper', now['helper'])
    t.ok(value('request_latency_count', request_type='progress')
         == value('request_total', request_type='progress',
                  request_status='total'), 'requests by type')


with E2E() as t:
    t.up({'target': {'mq': 'kafka'}})
    PLAIN.ready('probe', 'source', 300, wait=False)
    t.start_nginx()
    task = t.nginx.create(t.bed['target'])
    t.needed(t.equal('a collection is there') is not None)
    first = wait_for('progress', lambda: (lambda p: p['live'] and p)(
        progress(t, task)), 20)
    t.same((first['initial_copy_percent'], first['collections'][0]['state'],
            first['rows_out'] >= 300, first['target']['version'][:4]),
           (100.0, 'live', True, 'v2.3'), 'the first copy is complete')

    with Truth(t.bed, t.nginx, task, PLAIN, 'probe') as truth:
        idle(t, truth)
        replicator(t, truth)
        nginx(t, truth)
        source(t, truth)
        metrics(t, task)
        target(t, truth)

    t.check_logs(kills=True)
