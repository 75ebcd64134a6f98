#!/usr/bin/env python3
"""Kills, stops and reloads under a steady load: no row lost, none twice."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'
SHAPE = Shape(dim=32, shards=2, scalars=True)


def killed(t, what, find):
    """kill -9, and wait for another one in its place."""
    before = set(find())
    if not t.ok(before, 'there is a %s to kill' % what, t.circumstances()):
        return
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    t.passes('%s killed, another one is there' % what, wait_for, what,
             lambda: set(find()) - before, 15)


def arrives(t, load, name, timeout=30):
    """A row that is inserted from now on gets through."""
    number = load.next

    def there():
        from pymilvus import Collection
        return Collection('load', using='target').query(
            'id >= %d' % number, limit=1, consistency_level='Eventually')

    t.passes(name, wait_for, name, there, timeout, 0.05)


def helpers(t, nginx, load):
    for what, find in (('replicator', nginx.replicators),
                       ('store', nginx.store),
                       ('supervisor', nginx.supervisor),
                       ('worker', nginx.workers)):
        killed(t, what, find)
        arrives(t, load, 'rows go on after that')
    for n in range(3):
        killed(t, 'replicator', nginx.replicators)
        time.sleep(0.3 + 0.4 * n)


def servers(t, nginx, load):
    for _ in range(3):
        nginx.reload()
        time.sleep(0.7)
    arrives(t, load, 'rows go on after three reloads')

    took = nginx.stop()
    t.ok(not nginx.orphans, 'stop leaves no process behind (%.1f s)' % took,
         nginx.orphans)
    time.sleep(1)
    nginx.start()
    nginx.wait(30)
    arrives(t, load, 'rows go on after stop and start')

    nginx.power_cut()
    nginx.start()
    t.passes('nginx comes up after kill -9 of everything', nginx.wait, 30)
    arrives(t, load, 'rows go on after that')


def others(t, load):
    for name in ('target', 'kafka'):
        if name not in t.bed.parts:        # t/540: the source with its log
            continue
        t.bed.restart(name, signal.SIGKILL)
        if name == 'target':
            t.bed['target'].connect()
        arrives(t, load, 'rows go on after kill -9 of %s' % name, 60)


def paused(t, nginx, task):
    from pymilvus import Collection
    collection = Collection('load', using=S)
    t.same(nginx.cdc('pause', {'task_id': task})[1].get('code'), 200,
           'pause')
    collection.insert(SHAPE.rows(10 ** 6, 10 ** 6 + 50))
    nginx.stop()
    nginx.start()
    nginx.wait(30)
    t.wait_task('paused before a restart, paused after it', task, 'Paused')
    t.same(nginx.replicators(), [], 'no replicator runs for it')
    nginx.reload()
    time.sleep(1)
    t.wait_task('paused before a reload, paused after it', task, 'Paused')
    t.stays_different('its rows do not arrive')
    t.same(nginx.cdc('resume', {'task_id': task})[1].get('code'), 200,
           'resume')
    t.equal('resumed: they do')


with E2E() as t:
    t.up({'target': {'channels': 4}})
    SHAPE.ready('load', S, wait=False)
    PLAIN.ready('still', S, 200)
    nginx = t.start_nginx()
    task = nginx.create(t.bed['target'])
    t.needed(t.equal('equal before the load', 60) is not None)

    with Load(SHAPE, 'load') as load:
        helpers(t, nginx, load)
    t.equal('helpers killed under load: equal, count(*) too', 60)

    with Load(SHAPE, 'load', first=load.next) as load:
        servers(t, nginx, load)
    t.equal('nginx reloaded, stopped, killed under load: equal', 60)

    # the end of Kafka may fail an insert of the source itself
    with Load(SHAPE, 'load', first=load.next, pause=0.1) as load:
        others(t, load)
    t.equal('servers killed under load: equal', 60)

    paused(t, nginx, task)
    t.wait_task('the task runs in the end', task, 'Running')
    t.check_logs(kills=True)
