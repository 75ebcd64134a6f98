#!/usr/bin/env python3
"""The largest insert that a Milvus takes, and a message that the target does
not take.

Row 18 of the faults: see t/FAULTS.md.  Milvus takes requests of 64 MB
(proxy.grpc.serverMaxRecvSize) and splits an insert into messages of 5 MB
(pulsar.maxMessageSize, whatever the log is); this source does not split.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402

import numpy                                                 # noqa: E402

import bulk                                                  # noqa: E402
import compare                                               # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from metrics import metric                                   # noqa: E402
from milvus import default_mq                                # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import Collection                              # noqa: E402
from usage import Usage                                      # noqa: E402

S, T = 'source', 'target'
MB = 1 << 20
LIMIT = 128 * MB                           # of the source's log
DIM = 16384                                # a row has 64 KB
SHAPE = Shape(dim=DIM, shards=1, index='FLAT')
SMALL, LARGE, AFTER = 24, 63, 1            # MB
SENT = {0: SMALL * 16, 1000: LARGE * 16, 5000: AFTER * 16}
ALL = sum(SENT.values())


def count():
    return compare.Cluster(T).count('default', 'huge', '_default')


def arrives(t, name, rows, timeout=120):
    if t.passes(name, wait_for, 'rows', lambda: count() == rows, timeout,
                0.3) is None:
        t.note('%d rows of %d' % (count(), rows))


def column(expression, name):
    """[(key, cell)] of those rows, out of all segments."""
    fields = {f.field_name: f for f in compare.Cluster(T).query(
        'default', 'huge', expression, ['id', name], '_default',
        reduce_stop_for_best='False')}
    return list(zip(compare.keys_of(fields['id']),
                    compare.cells_of(fields[name])))


def same_rows(t):
    """By what was sent: a source on Kafka cannot read 63 MB itself.  Every
    key, and every 16th row: a megabyte is a second of such a server's."""
    t.same(count(), ALL, 'each is there once, by count(*)')
    keys = [key for key, _ in column('id >= 0', 'id')]
    lacks = [first + i for first, n in SENT.items() for i in range(n)
             if first + i not in keys]
    t.same((len(keys), lacks), (ALL, []), 'each key')
    wrong = []
    for first, n in SENT.items():
        sent = numpy.random.default_rng(first).random(
            n * DIM, dtype=numpy.float32).reshape(n, DIM)
        rows = {*range(0, n, 16), n - 1}
        there = dict(column('id in %s' % [first + i for i in sorted(rows)],
                            'vec'))
        wrong += [first + i for i in rows
                  if bytes(there.get(first + i, b'')) != sent[i].tobytes()]
    t.same(wrong, [], 'and rows as they were sent')


def stopped(t):
    task = t.nginx.task(t.task)
    return task.get('state') == 'Paused' and task.get('reason')


def parked(t):
    return t.nginx.cdc('parked', {'task_id': t.task})[1]['data']['parked']


def begin(t):
    config = {'pulsar': {'maxMessageSize': LIMIT},
              'kafka': {'producer': {'message.max.bytes': LIMIT}}}
    kafka = {'config': {'message.max.bytes': LIMIT,
                        'replica.fetch.max.bytes': LIMIT}}
    t.up({T: {'config': {'proxy': {'grpc': {'serverMaxRecvSize': 32 * MB}}}}},
         {'config': config},
         kafka=kafka if default_mq() == 'kafka' else None)
    SHAPE.ready('huge', S)
    PLAIN.ready('other', S, 30)
    t.task = t.start_nginx().create(t.bed[T])
    t.needed(t.equal('equal before', 60) is not None)


def refused_by_source(t):
    refused = None
    try:
        bulk.insert('huge', 10 ** 6, 64 * 16, DIM)
    except Exception as e:
        refused = str(e)
    t.ok(refused and 'larger than max' in refused,
         'the source itself takes none of 64 MB of vectors', refused)


def refused_by_target(t):
    size = bulk.insert('huge', 1000, LARGE * 16, DIM)
    bulk.insert('huge', 5000, AFTER * 16, DIM)
    Collection('other', using=S).insert(PLAIN.rows(30, 60))
    text = t.passes('one of %.1f MB, more than the target takes: the task '
                    'stops' % (size / MB), wait_for, 'reason',
                    lambda: stopped(t), 60)
    t.note(text)
    t.ok(text and all(w in text for w in (
        'by-dev-rootcoord-dml_', 'position', 'default.huge',
        'larger than max', 'serverMaxRecvSize')),
         'it names the topic, the position, the size and the cure', text)
    t.same(count(), SMALL * 16, 'nothing of it, nor behind it, is there')
    return size


with E2E() as t:
    begin(t)
    with Usage(t.nginx.replicators) as usage:
        size = bulk.insert('huge', 0, SMALL * 16, DIM)
        arrives(t, 'an insert of %.1f MB' % (size / MB), SMALL * 16)
        refused_by_source(t)
        size = refused_by_target(t)

        t.bed[T].config = {}
        t.bed.restart(T)
        t.bed[T].connect()
        t.nginx.cdc('resume', {'task_id': t.task})
        arrives(t, 'the target takes 64 MB now: resumed, all is there, what '
                'came behind it too', ALL)
        t.ok(metric(t.nginx, 'rows_in_total') >= LARGE * 16,
             'by this replicator')
        t.passes('and nothing is parked any more', wait_for, 'the list',
                 lambda: parked(t) == [], 15)
    peak = max(peak for _, peak in usage.seen.values())
    t.ok(peak < 64 * MB + 2 * size, 'at most %.1f MB were needed, of %.1f'
         % (peak / MB, 64 + 2 * size / MB))
    t.note(usage)
    same_rows(t)
    t.equal('all else is equal, what came meanwhile too',
            skip=lambda db, name: name == 'huge')
    t.check_logs()
