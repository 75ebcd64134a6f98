#!/usr/bin/env python3
"""Which collections a task follows, where they go, and where it begins.

Two targets, several tasks, each with another part of one source.
"""

import base64
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import (Collection, connections, db,           # noqa: E402
                      utility)
from pymilvus.grpc_gen import msg_pb2                        # noqa: E402

import compare                                               # noqa: E402
import kafka                                                 # noqa: E402
from fixtures import EVERY, PLAIN, Shape                     # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'


def create(t, target, **data):
    param = {'uri': t.bed[target].uri, 'connect_timeout': 10}
    param.update(data.pop('param', {}))
    status, answer = t.nginx.cdc('create', dict(
        data, milvus_connect_param=param))
    if not t.same((status, answer.get('code')), (200, 200), 'create'):
        t.diag(answer)
        return None
    return answer['data']['task_id']


def delete(t, task):
    if task is not None:
        t.nginx.cdc('delete', {'task_id': task})


def held(target):
    """Everything that a target has: {database.collection}"""
    side = compare.Cluster(target)
    return {'%s.%s' % (d, n) for d in side.databases()
            for n in side.collections(d)}


def only(*names):
    """What compare leaves out: all but these."""
    wanted = {n if isinstance(n, tuple) else ('default', n) for n in names}
    return lambda database, name: (database, name) not in wanted


def ids(name, target='target', database=None):
    using = target
    if database:
        using = '%s/%s' % (target, database)
        if not connections.has_connection(using):
            connections.connect(using, db_name=database, **{
                k: v for k, v in connections.get_connection_addr(
                    target).items() if k == 'address'})
    try:
        rows = Collection(name, using=using).query(
            'id >= 0', output_fields=['id'],
            consistency_level='Eventually')
    except Exception as e:
        return str(e)
    return {row['id'] for row in rows}


def gets(t, name, collection, wanted, **where):
    def check():
        return ids(collection, **where) == wanted

    try:
        wait_for(name, check, 20)
        # and it stays so
        time.sleep(0.5)
        t.ok(check(), name)
    except Exception:
        found = ids(collection, **where)
        t.ok(False, name, 'wanted %d, found %s\n%s' % (
            len(wanted), found if isinstance(found, str)
            else '%d: %s..' % (len(found), sorted(found)[:9]),
            t.circumstances()))


def names(t):
    """Several names, and the rest for another task."""
    for name in ('a', 'b', 'c', 'd'):
        PLAIN.ready(name, S, 30, wait=False)
    utility.create_alias('a', 'alias_a', using=S)
    utility.create_alias('c', 'alias_c', using=S)
    some = create(t, 'target', collection_infos=[{'name': 'a'},
                                                 {'name': 'b'}])
    t.equal('two names: these two', 40, databases=['default'],
            skip=only('a', 'b'))
    t.same(held('target'), {'default.a', 'default.b'}, 'and no other')

    # the same target, with another name; then all but those three
    third = create(t, 'target', collection_infos=[{'name': 'c'}])
    rest = create(t, 'target', collection_infos=[{'name': '*'}])
    t.equal('three tasks, one target: all of it', 40)
    for name in ('a', 'b', 'c', 'd'):
        Collection(name, using=S).insert(PLAIN.rows(30, 60))
    PLAIN.ready('e', S, 20, wait=False)
    t.equal('each row once, and a new collection', 40)
    status, answer = t.nginx.cdc('create', {
        'milvus_connect_param': {'uri': t.bed['target'].uri},
        'collection_infos': [{'name': 'd'}]})
    t.ok(answer['code'] == 400 and 'd' in answer['message'],
         'a name that a task of the target has is refused', answer)

    utility.drop_collection('b', using=S)
    utility.drop_collection('e', using=S)
    t.equal('a drop in each of two tasks', 40)
    for task in (some, third, rest):
        delete(t, task)


MAPPING = {('shop', None): ('store', None),
           ('shop', 'orders'): ('store', 'orders2'),
           ('default', 'plain'): ('default', 'mapped'),
           ('film', None): ('cinema', None)}


def mapping(t):
    """Databases and collections under other names, on the other target."""
    for database in ('shop', 'film', 'else'):
        db.create_database(database, using=S)
        t.bed[S].connect(database, db_name=database)
    EVERY.ready('orders', 'shop', 40, wait=False)
    PLAIN.ready('goods', 'shop', 40, wait=False)
    PLAIN.ready('x', 'film', 30, wait=False)
    PLAIN.ready('x', 'else', 30, wait=False)
    PLAIN.ready('plain', S, 30, wait=False)
    utility.create_alias('orders', 'recent', using='shop')

    task = create(
        t, 'other',
        db_collections={'shop': [{'name': '*'}],
                        'film': [{'name': 'x'}],
                        'default': [{'name': 'plain'}]},
        name_mapping=[
            {'source_db': 'shop', 'target_db': 'store',
             'collection_mapping': {'orders': 'orders2'}},
            {'source_db': 'film', 'target_db': 'cinema'},
            {'source_db': 'default', 'target_db': 'default',
             'collection_mapping': {'plain': 'mapped'}}])

    def same(name):
        def skip(database, collection):
            return database in ('default', 'film') and (
                database, collection) not in (('default', 'plain'),
                                              ('film', 'x'))
        return t.equal(name, 40, target='other', mapping=MAPPING, skip=skip,
                       databases=['default', 'shop', 'film'])

    same('mapped: what was there')
    t.same(held('other'), {'store.orders2', 'store.goods', 'cinema.x',
                           'default.mapped'}, 'and nothing else')

    orders = Collection('orders', using='shop')
    orders.insert(EVERY.rows(40, 60))
    orders.upsert(EVERY.rows(0, 10, version=1))
    orders.delete(EVERY.expression(range(10, 20)))
    plain = Collection('plain', using=S)
    plain.create_partition('p')
    plain.load(_refresh=False)
    plain.insert(PLAIN.rows(100, 120), partition_name='p')
    PLAIN.ready('more', 'shop', 20, wait=False)
    PLAIN.ready('not ours'.replace(' ', '_'), 'film', 20, wait=False)
    same('mapped: rows, partitions, a new collection')

    orders.release()
    orders.drop_index()
    orders.create_index('f_i64', index_name='by_number')
    utility.alter_alias('goods', 'recent', using='shop')
    plain.release()
    plain.drop_partition('p')
    plain.load(_async=True)
    utility.rename_collection('more', 'more2', using='shop',
                              new_db_name='shop')
    Collection('more2', using='shop').insert(PLAIN.rows(20, 30))
    same('mapped: release, index, alias, partition dropped, rename')

    utility.drop_collection('orders', using='shop')
    EVERY.ready('orders', 'shop', 10, wait=False)
    utility.drop_collection('more2', using='shop')
    same('mapped: dropped and created again')
    t.same(held('other'), {'store.orders2', 'store.goods', 'cinema.x',
                           'default.mapped'}, 'nothing else is there')
    delete(t, task)


def partitions(t):
    """ignore_partition: all goes to the default partition."""
    x = PLAIN.ready('ignored', S, 20, wait=False)
    x.create_partition('p')
    x.load(_refresh=False)
    x.insert(PLAIN.rows(20, 40), partition_name='p')
    task = create(t, 'other', param={'ignore_partition': True},
                  collection_infos=[{'name': 'ignored'}])
    gets(t, 'ignore_partition: rows of every partition', 'ignored',
         set(range(40)), target='other')
    x.create_partition('q')
    x.load(_refresh=False)
    x.insert(PLAIN.rows(40, 60), partition_name='q')
    x.partition('p').release()
    x.drop_partition('p')
    x.insert(PLAIN.rows(60, 80))
    gets(t, 'those of a dropped one stay', 'ignored', set(range(80)),
         target='other')
    t.same([p.name for p in Collection('ignored', using='other').partitions],
           ['_default'], 'no partition is created')
    delete(t, task)


def position(channel, number, physical=None):
    return base64.b64encode(msg_pb2.MsgPosition(
        channel_name=physical or channel,
        msgID=number.to_bytes(8, 'little')).SerializeToString()).decode()


def positions(t):
    """Where a task begins."""
    one = Shape(shards=1)
    x = one.ready('begins', S, 50)
    described = compare.Cluster(S).describe('default', 'begins')
    (virtual,) = described.virtual_channel_names
    (physical,) = described.physical_channel_names
    time.sleep(0.5)
    end = kafka.ends(t.bed['kafka'].uri, [physical])[physical]
    x.insert(one.rows(50, 90))
    task = create(t, 'other', collection_infos=[{
        'name': 'begins',
        'positions': {virtual: position(virtual, end, physical)}}])
    gets(t, 'positions: rows from there on', 'begins', set(range(50, 90)),
         target='other')
    delete(t, task)

    # it is there now: from this on, again
    x.insert(one.rows(90, 100))
    time.sleep(0.5)
    end = kafka.ends(t.bed['kafka'].uri, [physical])[physical]
    x.insert(one.rows(100, 120))
    task = create(t, 'other', collection_infos=[{
        'name': 'begins',
        'positions': {virtual: position(virtual, end, physical)}}])
    gets(t, 'positions: the same for what the target holds', 'begins',
         set(range(50, 90)) | set(range(100, 120)), target='other')
    delete(t, task)

    one.ready('started', S, 30, wait=False)
    task = create(t, 'other', collection_infos=[{
        'name': 'started', 'use_start_position': True}])
    gets(t, 'use_start_position: all of it', 'started', set(range(30)),
         target='other')
    delete(t, task)


def rpc_position(t):
    """Operations from a position of the replicate channel."""
    channel = 'by-dev-replicate-msg'
    one = Shape(shards=1)
    one.ready('op', S, 10)
    task = create(t, 'other', collection_infos=[{'name': 'op'}])
    t.equal('before the position', 40, target='other',
            databases=['default'], skip=only('op'))
    delete(t, task)

    time.sleep(0.5)
    begin = kafka.ends(t.bed['kafka'].uri, [channel])[channel]
    x = Collection('op', using=S)
    x.release()
    x.drop_index()
    time.sleep(0.5)
    task = create(t, 'other', collection_infos=[{'name': 'op'}],
                  rpc_channel_info={'name': channel, 'position': position(
                      channel, begin)})
    t.equal('rpc_channel_info.position: operations from there on', 30,
            target='other', databases=['default'], skip=only('op'))
    delete(t, task)


def auto_start(t):
    PLAIN.ready('auto', S, 10)
    task = create(t, 'other', collection_infos=[{'name': 'auto'}],
                  disable_auto_start=True)
    other = create(t, 'other', collection_infos=[{'name': 'started'}])
    gets(t, 'disable_auto_start: it starts at create', 'auto',
         set(range(10)), target='other')
    t.nginx.reload()
    time.sleep(1.5)
    t.wait_task('a reload is no start', task, 'Running')
    t.nginx.stop()
    t.nginx.start()
    t.nginx.wait(30)
    t.wait_task('after a start it is paused', task, 'Paused')
    t.same(t.nginx.task(task).get('reason'),
           'the task is disabled auto start', 'and says why')
    t.wait_task('another one runs', other, 'Running')
    Collection('auto', using=S).insert(PLAIN.rows(10, 20))
    t.same(t.nginx.cdc('resume', {'task_id': task})[1].get('code'), 200,
           'resume')
    gets(t, 'resumed, it goes on', 'auto', set(range(20)), target='other')
    delete(t, task)
    delete(t, other)


def two(t):
    """The whole cluster to one, part of it to another, at once."""
    whole = create(t, 'target', collection_infos=[{'name': '*'}])
    part = create(t, 'other', db_collections={'else': [{'name': '*'}]})
    using = 'else'
    Collection('x', using=using).insert(PLAIN.rows(30, 60))
    PLAIN.ready('y', using, 30, wait=False)
    t.equal('everything at the one', 60)
    t.equal('its part at the other', 40, target='other', databases=['else'])
    db.create_database('late', using=S)
    t.bed[S].connect('late', db_name='late')
    PLAIN.ready('x', 'late', 30, wait=False)
    t.equal('a new database at the one', 40)
    t.ok(not any(n.startswith('late.') for n in held('other')),
         'and not at the other')
    for task in (whole, part):
        t.wait_task('it runs', task, 'Running')
        delete(t, task)


PARTS = (names, mapping, partitions, positions, rpc_position, auto_start,
         two)

with Cases() as t:
    t.up(('target', 'other'), {'mq': 'kafka'})
    t.start_nginx()
    for part in PARTS:
        if part.__name__ in sys.argv[1:] or not sys.argv[1:]:
            t.unequal = 0
            try:
                part(t)
            except Exception as e:
                t.ok(False, part.__name__, '%s: %s' % (type(e).__name__, e))
            for task in t.nginx.cdc('list')[1]['data']['tasks']:
                delete(t, task['task_id'])
    t.check_logs()
