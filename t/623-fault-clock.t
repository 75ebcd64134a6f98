#!/usr/bin/env python3
"""The clock of nginx's machine is set by an hour, to and fro, while rows
flow: they go on, timers too, lag and health stay true; so it is for a
replicator that starts at that time, for a task that takes over what the target
holds, and while the target is away.
"""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from clock import Clock                                      # noqa: E402
from e2e import E2E                                          # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import Collection                              # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=2, scalars=True)
HOUR = 3600
WAIT = 150


def metric(t, name):
    text = t.nginx.get('/cdc/metrics')[1]
    found = re.search(r'%s\{task_id="one"\} ([\d.]+)' % name, text)
    return float(found.group(1)) if found else -1.0


def log_hour(t):
    """How far the clock of the error log's last line is off."""
    with open(t.nginx.errors, errors='replace') as f:
        stamp = f.read().splitlines()[-1][:19]
    return time.mktime(time.strptime(stamp, '%Y/%m/%d %H:%M:%S')) \
        - time.time()


def reached(t, load, name):
    number = load.next
    t.passes(name, wait_for, 'rows', lambda: Collection(
        'load', using='target').query('id >= %d' % number, limit=1,
                                      consistency_level='Eventually'),
             WAIT, 0.1)


def kill_replicator(t):
    old = set(t.nginx.replicators())
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    wait_for('another one', lambda: set(t.nginx.replicators()) - old, 60)


def true(t, when):
    """Samples for a while: what is shown agrees with what is."""
    lags, ages, health = [], [], []
    end = time.monotonic() + 6
    while time.monotonic() < end:
        lags.append(metric(t, 'lag_seconds'))
        ages.append(max(metric(t, 'report_age_seconds'),
                        metric(t, 'checkpoint_age_seconds')))
        health.append(t.nginx.get('/cdc/health')[:2])
        time.sleep(0.3)
    t.ok(max(lags) < HOUR / 4, when + ': the lag is true', lags)
    t.ok(ages[-1] < HOUR / 4, when + ': checkpoints and reports go on', ages)
    t.ok({code for code, _ in health} == {200}, when + ': health stays 200',
         set(health))


def jumps(t, clock):
    for seconds, when in ((HOUR, 'an hour on'), (-HOUR, 'an hour back'),
                          (0, 'put right')):
        with Load(SHAPE, 'load', first=t.rows, pause=0.1) as load:
            clock.set(seconds)
            reached(t, load, when + ': rows go on')
            true(t, when)
            kill_replicator(t)
            t.ok(abs(log_hour(t) - seconds) < 120,
                 when + ': the clock is what it should be', log_hour(t))
            reached(t, load, when + ': and after kill -9 of the replicator')
        t.rows = load.next
        t.equal(when + ': equal', WAIT)


def taken_over(t, clock):
    """A task is created: what the target holds goes on from the create, and
    not from the time that the clock shows."""
    for seconds, when in ((HOUR, 'an hour on'), (-HOUR, 'an hour back')):
        t.same(t.nginx.cdc('delete', {'task_id': 'one'})[1].get('code'), 200,
               'deleted')
        clock.set(seconds)
        t.nginx.create(t.bed['target'], task_id='one')
        with Load(SHAPE, 'load', first=t.rows, pause=0.1) as load:
            reached(t, load, 'created %s: rows go on' % when)
        t.rows = load.next
        t.equal('created %s: none is missing, none is there twice' % when,
                WAIT)
    clock.set(0)


def cut_off(t, clock):
    """The target is away: the lag is that of the flow and not the clock's."""
    with Load(SHAPE, 'load', first=t.rows, pause=0.1) as load:
        t.bed.kill('target')
        wait_for('degraded', lambda: t.nginx.task('one').get('reason'), 60)
        begun = time.monotonic()
        clock.set(HOUR)
        time.sleep(4)
        lag = metric(t, 'lag_seconds')
        t.ok(1 < lag < time.monotonic() - begun + 300,
             'target away, an hour on: the lag is true', lag)
        clock.set(-HOUR)
        time.sleep(4)
        lag = metric(t, 'lag_seconds')
        t.ok(1 < lag < time.monotonic() - begun + 300,
             'target away, an hour back: the lag is true', lag)
        clock.set(0)
    t.rows = load.next


with E2E() as t:
    t.up({'target': {'channels': 4}})
    SHAPE.ready('load', S, 200)
    clock = Clock(os.path.join(t.bed.dir, 'jump'))
    t.start_nginx(env=clock.env())
    t.nginx.create(t.bed['target'], task_id='one')
    t.needed(t.equal('equal before', WAIT) is not None)
    t.rows = 1000
    jumps(t, clock)
    taken_over(t, clock)
    cut_off(t, clock)
    t.check_logs(kills=True)
