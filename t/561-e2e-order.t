#!/usr/bin/env python3
"""One order over all channels and the metadata: live, and with the
replicator killed in the middle; with 100,000 rows behind in 567-e2e-behind.t.

usage: 561-e2e-order.t [live|backlog|killed|again|CASE]...
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import Collection                              # noqa: E402

import order                                                 # noqa: E402
from process import wait_for                                 # noqa: E402
from fixtures import Shape                                   # noqa: E402

S = 'source'
ROWS = 100000
KILLS = 4
dead = set()
MODES = ('live', 'killed', 'backlog', 'again')
DEFAULT = MODES[:2]                # the others are those of 567-e2e-behind.t
# one shard: the other channels are far ahead of this one's
BULK = Shape(shards=1, dim=16)


def begin(t, mode, wanted):
    """The cases of a mode, with what they need in place."""
    cases = []
    for kind in order.ALL:
        if not wanted or kind.__name__ in wanted:
            case = kind(t.case('%s_%s' % (mode, kind.__name__.lower())))
            case.prepare()
            cases.append(case)
    t.needed(t.equal('%s: what the cases need is there' % mode, 60)
             is not None)
    return cases


def end(t, mode, cases, timeout=60):
    """One verdict a case; the first that fails took the time of all."""
    for case in cases:
        if t.equal_case(case.c, '%s: %s' % (mode, case.text()),
                        timeout) is None:
            timeout = 3
    for case in cases:
        case.c.clean()
        case.c.close()


def acts(cases):
    """All of them, one after the other, a step at a time."""
    for case in cases:
        yield from case.act()


def live(t, mode, wanted):
    cases = begin(t, mode, wanted)
    for case in cases:
        for _ in case.act():
            pass
    end(t, mode, cases)


def behind(t, task, mode, cases):
    """The task is paused, and this much is written before it goes on."""
    t.nginx.cdc('pause', {'task_id': task})
    t.wait_task('%s: paused' % mode, task, 'Paused')
    bulk = Collection('bulk', using=S)
    first, t.bulk = t.bulk, t.bulk + ROWS
    steps = acts(cases)
    for n in range(0, ROWS, 5000):
        bulk.insert(BULK.columns(first + n, first + n + 5000))
        # the operations lie between the rows
        if n >= ROWS / 2:
            next(steps, None)
    for _ in steps:
        pass


def backlog(t, task, mode, wanted):
    cases = begin(t, mode, wanted)
    behind(t, task, mode, cases)
    t.nginx.cdc('resume', {'task_id': task})
    end(t, mode, cases, 90)


def fresh(t):
    """Replicators that have not been killed yet; the supervisor waits longer
    before each start of the next."""
    return [p for p in t.nginx.replicators() if p not in dead]


def kill(t, name):
    found = wait_for('replicator', lambda: fresh(t), 30)
    for pid in found:
        os.kill(pid, signal.SIGKILL)
        dead.add(pid)
    return t.ok(found, name)


def killed(t, mode, wanted):
    """Killed between the operations."""
    cases = begin(t, mode, wanted)
    for n, _ in enumerate(acts(cases)):
        if n % 8 == 4:
            kill(t, '%s: killed after step %d' % (mode, n))
            time.sleep(1.5)
    end(t, mode, cases, 90)


def killed_behind(t, task, mode, wanted):
    """Killed while it makes up for what it is behind."""
    cases = begin(t, mode, wanted)
    behind(t, task, mode, cases)
    t.nginx.cdc('resume', {'task_id': task})
    for n in range(KILLS):
        wait_for('replicator', lambda: fresh(t), 30)
        time.sleep(0.3 * (n + 1))
        kill(t, '%s: killed, %d' % (mode, n + 1))
    end(t, mode, cases, 120)


with Cases() as t:
    modes = [m for m in sys.argv[1:] if m in MODES] or DEFAULT
    wanted = [a for a in sys.argv[1:] if a not in MODES]
    t.up({'target': {'channels': 4}}, {'channels': 6})
    BULK.ready('bulk', S)
    t.bulk = 0
    task = t.start_nginx().create(t.bed['target'])

    for mode in modes:
        begun = time.monotonic()
        if mode == 'live':
            live(t, mode, wanted)
        elif mode == 'backlog':
            backlog(t, task, mode, wanted)
        elif mode == 'killed':
            killed(t, mode, wanted)
        else:
            killed_behind(t, task, mode, wanted)
        t.note('%s: %.0f s' % (mode, time.monotonic() - begun))

    t.wait_task('the task runs in the end', task, 'Running')
    t.equal('the whole clusters', 60)
    t.check_logs(kills=True)
