#!/usr/bin/env python3
"""A drop leaves the target as clean as it leaves the source: no data, no
segment, no checkpoint, no channel that is watched, also when nothing else
is left that replicates.

What both sides keep is the root coordinator's: it asks after 20 minutes.
"""

import collections
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import connections, utility                    # noqa: E402

from fixtures import EVERY, PLAIN, Shape                     # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'
ROUNDS = 3
# What was dropped is cleared away after seconds, not hours.  Without
# compactions: 2.3.5 panics (datacoord, prepareCompactionMutation) at the end
# of one whose segments were cleared away meanwhile.
SOON = {'dataCoord': {'enableCompaction': False,
                      'gc': {'interval': 2, 'dropTolerance': 2,
                             'missingTolerance': 2}}}


class Traces:
    """What a side has of some collections, in etcd and on its disk."""

    def __init__(self, bed, side, names):
        self.bed, self.part = bed, bed[side]
        handler = connections._fetch_handler(side)
        self.ids = [str(handler.describe_collection(n)['collection_id'])
                    for n in names]

    def keys(self):
        listed = self.bed['etcd'].etcdctl(
            'get', '--prefix', self.part.root_path + '/', '--keys-only')
        return sorted(k for k in listed.split() if any(
            number in k for number in self.ids))

    def files(self):
        return [os.path.join(where, name)
                for where, _, names in os.walk(os.path.join(self.part.dir,
                                                            'data'))
                for name in names
                if any('/%s/' % number in where + '/' for number in self.ids)]

    def left(self):
        """What is left, by kind: {etcd's folder: how many keys}"""
        found = collections.Counter(
            re.sub(r'\d{9,}', 'N', k) for k in self.keys()
            if '/root-coord/' not in k)
        found.update('a file below ' + os.path.relpath(f, self.part.dir)
                     .split('/')[1] for f in self.files())
        return found


def life(c):
    """collections that have seen something, flushed"""
    for n, shape in enumerate((PLAIN, EVERY, Shape(shards=3))):
        name = 'xyz'[n]
        x = shape.ready(c(name), S, 200, wait=False)
        x.create_partition('p')
        x.load(_refresh=False)
        x.insert(shape.rows(200, 300), partition_name='p')
        x.delete(shape.expression(range(50)))
        x.flush()
    utility.create_alias(c('x'), c('alias'), using=S)
    c.rename('y', 'y2')


def drop(c):
    """dropped: a partition first, then all of it"""
    x = c.get('x')
    x.release()
    x.drop_partition('p')
    utility.drop_alias(c('alias'), using=S)
    for name in ('x', 'y2', 'z'):
        c.drop(name)


def clean(t, n):
    c = t.case('clean%d' % n)
    life(c)
    t.needed(t.equal_case(c, '%d: %s' % (n, life.__doc__)) is not None)
    names = [c(name) for name in ('x', 'y2', 'z')]
    sides = [Traces(t.bed, side, names) for side in (S, 'target')]
    t.passes('%d: both sides have data of them' % n, wait_for, 'data',
             lambda: all(side.files() for side in sides), 20)
    drop(c)
    t.equal_case(c, '%d: %s' % (n, drop.__doc__))
    for side, name in zip(sides, ('source', 'target')):
        try:
            wait_for('clean', lambda s=side: not s.left(), 30)
            t.ok(True, '%d: the %s is clean' % (n, name))
        except Exception:
            t.ok(False, '%d: the %s is clean' % (n, name),
                 '\n'.join('%d %s' % (v, k)
                           for k, v in side.left().items()))
    t.same(len(sides[1].keys()), len(sides[0].keys()),
           '%d: the root coordinators keep the same' % n)


with Cases() as t:
    t.up({'target': {'config': SOON}}, {'config': SOON})
    task = t.start_nginx().create(t.bed['target'])
    for n in range(ROUNDS):
        clean(t, n + 1)
    t.wait_task('the task runs in the end', task, 'Running')
    t.check_logs()
