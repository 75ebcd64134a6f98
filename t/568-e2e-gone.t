#!/usr/bin/env python3
"""What the source has dropped is forgotten: collections and partitions,
aliases and a database come and go, by live flow, and with the replicator
killed between; what lives goes on and is equal.
"""

import os
import re
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from process import TestbedError, wait_for                   # noqa: E402
from pymilvus import Collection, db, utility                 # noqa: E402

S = 'source'
TWO = Shape(dim=16, shards=2)
ROUND = 4
WAIT = 120                       # a busy machine's; it takes some seconds


def log(t):
    with open(t.nginx.errors, errors='replace') as f:
        return f.read()


def forgotten(t):
    """(collections, partitions) so far, by the log."""
    told = re.findall(r'(\d+) dropped collections and (\d+) dropped '
                      r'partitions are forgotten', log(t))
    return [sum(int(n) for n in column) for column in zip(*told)] or [0, 0]


def come_and_go(t, first, using=S):
    """ROUND collections with rows and an alias, ROUND partitions of the one
    that lives; each is dropped again."""
    lives = Collection('lives', using=S)
    for n in range(first, first + ROUND):
        name = 'c%d' % n
        shape = TWO if n % 2 else PLAIN
        it = shape.create(name, using)
        it.insert(shape.rows(0, 5))
        utility.create_alias(name, 'a%d' % n, using=using)
        part = lives.create_partition('p%d' % n)
        part.insert(TWO.rows(n * 10, n * 10 + 5))
        utility.drop_alias('a%d' % n, using=using)
        utility.drop_collection(name, using=using)
        part.release()
        part.drop()
    t.dropped += ROUND
    t.parts += ROUND
    # the target does what the source did
    TWO.create('after', S).insert(TWO.rows(0, 1))
    t.equal('after %d' % t.dropped, WAIT)
    utility.drop_collection('after', using=S)
    t.dropped += 1


def all_forgotten(t, name):
    try:
        wait_for('the log', lambda: (
            lambda c, p: c >= t.dropped and p >= t.parts)(*forgotten(t)),
                 WAIT, 0.3)
    except TestbedError:
        pass
    now = forgotten(t)                 # one may be twice, by a kill
    t.ok(now[0] >= t.dropped and now[1] >= t.parts,
         '%s: they are forgotten' % name, (now, t.dropped, t.parts))


def kill(t):
    """Until another has begun: what comes and goes meanwhile was never
    there."""
    begun = log(t).count('replicating to')
    for pid in t.nginx.replicators():
        os.kill(pid, signal.SIGKILL)
    wait_for('the next one', lambda: log(t).count('replicating to') > begun,
             WAIT, 0.1)


with E2E() as t:
    t.up({'target': {'channels': 4}})
    TWO.ready('lives', S, 20)
    t.nginx = t.start_nginx()
    t.nginx.create(t.bed['target'], task_id='one')
    t.needed(t.equal('equal before', 60) is not None)
    t.dropped = t.parts = 0

    come_and_go(t, 0)
    all_forgotten(t, 'live')

    # one that begins anew knows nothing of them, and needs nothing
    kill(t)
    db.create_database('d', using=S)
    t.source.connect('d', db_name='d')
    come_and_go(t, 100, using='d')
    db.drop_database('d', using=S)
    all_forgotten(t, 'killed')

    Collection('lives', using=S).insert(TWO.rows(9000, 9020))
    t.equal('what lives goes on', WAIT)
    t.same(utility.list_collections(using='target'), ['lives'],
           'and is alone there')
    wait_for('no database', lambda: db.list_database(using='target')
             == ['default'], WAIT, 0.3)
    t.check_logs(kills=True)
