#!/usr/bin/env python3
"""What stands between a task and its target fails: a proxy swallows answers,
breaks connections, lets one direction stand still, becomes slow by a factor
of 100.  Each row is there once in the end, under load all the time.

Rows 3, 4, 9 and 10 of the faults: see t/FAULTS.md.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import utility                                 # noqa: E402

import bulk                                                  # noqa: E402
import compare                                               # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from metrics import metric                                   # noqa: E402
from process import wait_for                                 # noqa: E402
from proxy import Proxy                                      # noqa: E402
from usage import sample                                     # noqa: E402

S = 'source'
SHAPE = Shape(dim=32, shards=2, scalars=True)
WIDE = Shape(dim=4096, shards=1, index='FLAT')
ROWS = 6000                                # 98 MB
LARGEST = 250 * 4096 * 4                   # a message of it


def applied_and_lost(t, proxy):
    """The target does what it is asked, and nobody is told so."""
    before = metric(t.nginx, 'rows_settled_total')
    with Load(SHAPE, 'load', rows=20, pause=0.05) as load:
        for n in range(8):
            proxy.swallow()
            t.needed(wait_for('an answer', lambda n=n: proxy.swallowed > n,
                              20))
            time.sleep(0.7)
    t.same(proxy.swallowed, 8, '8 answers of the target are lost under load')
    t.ok(metric(t.nginx, 'rows_settled_total') > before,
         'rows were in doubt (%d settled)' % (
             metric(t.nginx, 'rows_settled_total') - before))
    t.equal('rows that were applied and not acknowledged are there once', 60)
    return load.next


def operations_lost(t, proxy):
    """The same for operations: each second answer is lost."""
    lost = proxy.swallowed
    collection = PLAIN.create('ops', S)
    for step in (lambda: collection.create_partition('p'),
                 lambda: PLAIN.build_index(collection),
                 lambda: collection.insert(PLAIN.rows(0, 50)),
                 lambda: utility.create_alias('ops', 'called', using=S),
                 lambda: collection.load(_async=True),
                 lambda: collection.insert(PLAIN.rows(50, 99),
                                           partition_name='p'),
                 lambda: utility.drop_alias('called', using=S),
                 lambda: PLAIN.ready('gone', S, 20, wait=False),
                 lambda: utility.drop_collection('gone', using=S),
                 lambda: PLAIN.ready('gone', S, 30, wait=False),
                 lambda: utility.rename_collection('ops', 'ops2', using=S)):
        proxy.swallow()
        step()
        time.sleep(0.4)
    t.passes('operations: answers are lost', wait_for, 'answers',
             lambda: proxy.swallowed >= lost + 11, 30)
    t.equal('operations that were done and not acknowledged are done once',
            60)


def stands_still(t, proxy, first):
    """First what is asked does not arrive, for less than it takes to be
    noticed; then no answer comes back, until the connection is given up."""
    with Load(SHAPE, 'load', rows=20, pause=0.05, first=first) as load:
        proxy.freeze('up')
        time.sleep(4)
        proxy.thaw()
        time.sleep(1)
        before = proxy.taken, metric(t.nginx, 'rows_settled_total')
        proxy.freeze('down')
        t.passes('nothing comes back: the connection is given up, and said',
                 wait_for, 'reason', lambda: t.nginx.task(t.task).get(
                     'reason') and proxy.taken > before[0], 40)
        t.note(t.nginx.task(t.task).get('reason'))
        proxy.thaw()
        time.sleep(2)
    t.equal('one direction stood still: equal', 60)
    t.ok(metric(t.nginx, 'rows_settled_total') > before[1],
         'what was applied meanwhile was in doubt')
    return load.next


def flaps(t, proxy, first):
    with Load(SHAPE, 'load', rows=20, pause=0.05, first=first):
        for n in range(10):
            proxy.refuse(n % 3 == 2)
            proxy.cut()
            time.sleep(0.3 + n % 4 / 4)
        proxy.refuse(False)
    t.equal('the connections were cut 10 times: equal', 60)


def slow(t, proxy):
    """A hundredth of what the target takes, and more than memory holds."""
    proxy.rate = 300 << 10
    (pid,) = t.nginx.replicators()
    WIDE.ready('wide', S, wait=False)
    bulk.fill('wide', ROWS, WIDE.dim, 250)
    # a busy target may need its time for the collection first
    t.passes('rows wait', wait_for, 'rows', lambda: metric(
        t.nginx, 'buffered_bytes') > LARGEST, 60)
    sent, held = proxy.up, []
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(0.5)
        held.append(metric(t.nginx, 'buffered_bytes'))
    t.ok(0 < proxy.up - sent < 3 << 20, 'the target is slow (%.1f MB in 5 s)'
         % ((proxy.up - sent) / 1e6))
    t.ok(metric(t.nginx, 'lag_seconds') > 3, 'the lag says so (%.1f s)'
         % metric(t.nginx, 'lag_seconds'))
    t.ok(max(held) < 32 << 20, 'of %.0f MB at most %.1f are held' % (
        ROWS * WIDE.dim * 4 / 1e6, max(held) / 1e6), held)
    proxy.rate = None
    t.passes('as fast as ever: all rows are there', wait_for, 'rows',
             lambda: compare.Cluster('target').count(
                 'default', 'wide', '_default') == ROWS, 120, 0.5)
    peak = sample(pid)[1]
    limit = (64 << 20) + 2 * LARGEST
    t.ok(peak < limit, 'the replicator never needed more than %d MB '
         '(%.1f MB)' % (limit >> 20, peak / (1 << 20)))
    utility.drop_collection('wide', using=S)
    t.equal('equal in the end', 60)


with E2E() as t:
    t.up()
    SHAPE.ready('load', S)
    proxy = Proxy(t.bed.port(), t.bed['target'].port)
    t.task = t.start_nginx().create(proxy)
    t.needed(t.equal('equal before', 60) is not None)

    reached = applied_and_lost(t, proxy)
    operations_lost(t, proxy)
    reached = stands_still(t, proxy, reached)
    flaps(t, proxy, reached)
    slow(t, proxy)
    t.wait_task('the task runs in the end', t.task, 'Running')
    t.check_logs()
    proxy.close()
