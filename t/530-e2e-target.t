#!/usr/bin/env python3
"""A target that has limits, then is killed and started again under load: rows
are equal after.

What a Milvus 2.3.5 holds against a client: rates of DDL and the number of
collections.  Its limits of writing are not asked of ReplicateMessage.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402

from pymilvus import Collection, MilvusException             # noqa: E402

SLOW = {'max': 0.0001}                # MB in a second
QUOTA = {'quotaAndLimits': {
    'enabled': True, 'quotaCenterCollectInterval': 1,
    'limits': {'maxCollectionNum': 1, 'maxCollectionNumPerDB': 1},
    'ddl': {'enabled': True, 'partitionRate': 0.001},
    'dml': {'enabled': True, 'insertRate': dict(SLOW, collection=SLOW)},
    'limitWriting': {'forceDeny': True}}}


def arrive(t, name, shape, first, last):
    Collection('load', using='source').insert(shape.rows(first, last))
    there = Collection('load', using='target')
    t.passes(name, wait_for, 'rows', lambda: len(there.query(
        shape.expression(range(first, last)))) == last - first, 20)


def denied(t, shape):
    """Its clients may not write; a task may."""
    said = ''
    try:
        Collection('load', using='target').insert(shape.rows(0, 9), timeout=2)
    except MilvusException as e:
        said = str(e)
    t.ok('writing has been deactivated' in said,
         'the target denies writing', said)
    arrive(t, 'rows of a task arrive all the same', shape, 40000, 40500)


def limited(t, shape, task):
    """Partitions by a rate, collections by a number: it waits for both."""
    for name in 'pq':
        Collection('load', using='source').create_partition(name)
    shape.ready('more', 'source', 100, wait=False)

    def named():
        errors = t.errors(task)
        return 'RateLimiter' in errors['load'] \
            and 'number of collections' in errors.get('more', '')

    t.passes('both limits are named, each where it is met', wait_for, 'both',
             named, 20)
    found = t.nginx.task(task)
    cause = found.get('degraded', {}).get('cause', '')
    t.ok(found.get('state') == 'Running' and (
        'RateLimiter' in cause or 'number of collections' in cause),
         'degraded by one of them', found)
    arrive(t, 'rows of what is there go on meanwhile', shape, 50000, 50100)
    calm = 0
    for _ in range(30):
        calm += 'degraded' not in t.nginx.task(task)
        time.sleep(0.1)
    t.same(calm, 0, 'and it stays so until they are lifted')
    t.bed['target'].config = {}          # from its next start on


with E2E() as t:
    t.up(targets={'target': {'config': QUOTA}})
    shape = Shape(dim=8, scalars=True)
    shape.ready('load', 'source')
    nginx = t.start_nginx()
    task = nginx.create(t.bed['target'])
    t.equal('equal before', 60)
    denied(t, shape)
    limited(t, shape, task)

    with Load(shape, 'load', rows=20, pause=0.05):
        for n in range(2):
            time.sleep(3)
            t.bed.kill('target', signal.SIGKILL)
            time.sleep(4)
            status, health = nginx.get('/cdc/health')
            t.same(status, 503, 'health while the target is down')
            t.ok('"degraded"' in health and '"Running"' in health,
                 'degraded, and running')
            t.bed.restart('target')
            time.sleep(3)

    t.equal('equal after: rows, each field, count(*)', 120)
    t.check_logs()
