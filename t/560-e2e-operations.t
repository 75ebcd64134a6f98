#!/usr/bin/env python3
"""Every operation of Milvus 2.3, each seen on both sides.

Each case has names of its own, so one that fails leaves the others alone.

usage: 560-e2e-operations.t [CASE...]
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases, flushed                             # noqa: E402
from pymilvus import DataType, db, utility                   # noqa: E402

from fixtures import (AUTO_ID, EVERY, PLAIN, TEXT_KEY,       # noqa: E402
                      Shape)
from process import wait_for                                 # noqa: E402

S = 'source'
LEVELS = ('Strong', 'Bounded', 'Session', 'Eventually', 'Customized')


def databases(c):
    """databases created, with collections of one name in each"""
    for name, shape in (('a', PLAIN), ('b', TEXT_KEY)):
        shape.ready(c('x'), c.make_db(name), 30, wait=False)
    c.make_db('empty')


def databases_gone(c):
    """databases dropped after their collections"""
    c.drop_db('empty')
    for name in ('a', 'b'):
        using = c.using(name)
        utility.drop_collection(c('x'), using=using)
        c.drop_db(name)


def created(c):
    """collections: description, shards, consistency level, TTL"""
    for n, level in enumerate(LEVELS):
        shape = Shape(shards=1 + n % 3, dynamic=n % 2 == 0,
                      description='%s é "quoted"' % level)
        shape.create(c(level), c.source, consistency_level=level,
                     properties={'collection.ttl.seconds': 86400 * (n + 1)})


def keys(c):
    """collections: varchar keys, auto id of both kinds, partition keys"""
    for name, shape in (
            ('auto', Shape(auto_id=True, shards=3)),
            ('text', TEXT_KEY),
            ('text_auto', Shape(pk=DataType.VARCHAR, auto_id=True)),
            ('keyed', Shape(partition_key=7, shards=1)),
            ('keyed_auto', AUTO_ID)):
        shape.ready(c(name), c.source, 120, wait=False)


def types(c):
    """insert, upsert, delete: every type, dynamic fields"""
    every = EVERY.ready(c('x'), c.source, 300, wait=False)
    every.upsert(EVERY.rows(100, 200, version=1))
    every.delete(EVERY.expression(range(50, 120)))
    every.insert(EVERY.rows(50, 60, version=2))
    keyed = Shape(partition_key=5, dynamic=True)
    more = keyed.ready(c('keyed'), c.source, 100, wait=False)
    more.upsert(keyed.rows(0, 50, version=1))
    more.delete(keyed.expression(range(40, 60)))


def properties(c):
    """properties altered: TTL, mmap"""
    x = PLAIN.create(c('x'), c.source,
                     properties={'collection.ttl.seconds': 3600})
    PLAIN.create(c('y'), c.source)
    for _ in range(2):
        # Milvus 2.3.5 puts into etcd what the properties were before the
        # change: they are there with the next one
        x.set_properties({'collection.ttl.seconds': 7200})
        c.get('y').set_properties({'mmap.enabled': True})


def partitions(c):
    """partitions created, filled, dropped"""
    x = TEXT_KEY.ready(c('x'), c.source, 20, wait=False)
    for name in ('p1', 'p2', 'p3'):
        x.create_partition(name)
    x.load(_refresh=False)
    for name in ('p1', 'p2'):
        x.insert(TEXT_KEY.rows(100, 120), partition_name=name)
    x.partition('p2').release()
    x.drop_partition('p2')


def aliases(c):
    """aliases created, moved, dropped, in two databases"""
    for name in ('x', 'y'):
        PLAIN.create(c(name), c.source)
    for alias in ('a1', 'a2', 'a3'):
        utility.create_alias(c('x'), c(alias), using=c.source)
    utility.alter_alias(c('y'), c('a2'), using=c.source)
    utility.drop_alias(c('a3'), using=c.source)
    using = c.make_db('db')
    PLAIN.create(c('x'), using)
    utility.create_alias(c('x'), c('a1'), using=using)


def aliases_used(c):
    """rows through an alias; a collection whose alias is dropped first"""
    c.get('a2').insert(PLAIN.rows(0, 20))
    utility.drop_alias(c('a1'), using=c.source)
    c.drop('x')
    utility.alter_alias(c('y'), c('a2'), using=c.source)
    y = c.get('y')
    PLAIN.build_index(y)
    y.load(_async=True)


def renamed(c):
    """renamed, also into another database and back"""
    for name in ('x', 'y'):
        PLAIN.ready(c(name), c.source, 20, wait=False)
    c.rename('x', 'x1')
    c.get('x1').insert(PLAIN.rows(20, 40))
    using = c.make_db('db')
    c.rename('y', 'y', new_db_name=c('db'))
    c.get('y', using).insert(PLAIN.rows(40, 60))
    EVERY.ready(c('x'), c.source, 20, wait=False)


def renamed_back(c):
    """renamed back, a partition and rows after it"""
    using = c.using('db')
    c.rename('y', 'y2', using=using, new_db_name='default')
    y = c.get('y2')
    y.create_partition('p')
    y.load(_refresh=False)
    y.insert(PLAIN.rows(60, 80), partition_name='p')


def indexes(c):
    """indexes by name: created, dropped, of other kinds"""
    x = EVERY.create(c('x'), c.source)
    x.insert(EVERY.rows(0, 50))
    for field in ('f_i64', 'f_text', 'f_i8', 'f_double'):
        x.create_index(field, index_name='by_' + field)
    x.drop_index(index_name='by_f_i8')
    x.create_index('vec', {'index_type': 'IVF_SQ8', 'metric_type': 'COSINE',
                           'params': {'nlist': 32}}, index_name='first')
    x.drop_index(index_name='first')
    x.create_index('vec', {'index_type': 'IVF_PQ', 'metric_type': 'IP',
                           'params': {'nlist': 8, 'm': 4, 'nbits': 8}},
                   index_name='second')
    y = TEXT_KEY.create(c('y'), c.source)
    y.create_index('vec', {'index_type': 'BIN_FLAT',
                           'metric_type': 'JACCARD', 'params': {}},
                   index_name='binary')
    PLAIN.create(c('z'), c.source).create_index(
        'vec', {'index_type': 'DISKANN', 'metric_type': 'L2', 'params': {}})


def indexes_again(c):
    """an index dropped and another made under its name, loaded"""
    x = c.get('x')
    x.drop_index(index_name='second')
    x.create_index('vec', {'index_type': 'FLAT', 'metric_type': 'L2',
                           'params': {}}, index_name='second')
    x.drop_index(index_name='by_f_text')
    x.load(_async=True)


def loaded(c):
    """load with replica number and resource group, release"""
    for name in ('x', 'y'):
        x = PLAIN.create(c(name), c.source)
        PLAIN.build_index(x)
        x.insert(PLAIN.rows(0, 30))
        x.load(replica_number=1, _async=True,
               _resource_groups=['__default_resource_group'])
    x.release()


def partitions_loaded(c):
    """one partition loaded, of three"""
    x = PLAIN.create(c('x'), c.source)
    PLAIN.build_index(x)
    for name in ('p1', 'p2'):
        x.create_partition(name)
        x.insert(PLAIN.rows(0, 20), partition_name=name)
    x.load(['p1'])


def partitions_more(c):
    """another one loaded, the first one released"""
    x = c.get('x')
    x.load(['p2'])
    x.partition('p1').release()
    x.insert(PLAIN.rows(20, 40), partition_name='p2')


def flush(t):
    c = t.case('flush')
    x = PLAIN.ready(c('x'), S, 200, wait=False)
    t.needed(t.equal_case(c, 'rows before a flush') is not None)
    t.ok(not flushed(c('x'), 'target'), 'nothing is flushed yet')
    x.flush()
    t.ok(flushed(c('x'), S) == 200, 'the source has flushed them')
    t.passes('the target has flushed them', wait_for, 'flush',
             lambda: flushed(c('x'), 'target') == 200, 20)
    x.insert(PLAIN.rows(200, 210))
    t.equal_case(c, 'rows after the flush')


CASES = (
    ('db', (databases, databases_gone)), ('created', (created,)),
    ('keys', (keys,)), ('types', (types,)), ('properties', (properties,)),
    ('partitions', (partitions,)), ('aliases', (aliases, aliases_used)),
    ('renamed', (renamed, renamed_back)),
    ('indexes', (indexes, indexes_again)), ('loaded', (loaded,)),
    ('parts', (partitions_loaded, partitions_more)))

with Cases() as t:
    t.up({'target': {'channels': 4}}, {'channels': 6})
    task = t.start_nginx().create(t.bed['target'])

    for name, steps in CASES:
        if name in sys.argv[1:] or not sys.argv[1:]:
            t.run_case(name, *steps)
    t.ok('db_a' not in db.list_database(using='target'),
         'the databases are gone from the target')
    flush(t)

    t.wait_task('the task runs in the end', task, 'Running')
    t.equal('the whole clusters', 10)
    t.check_logs()
