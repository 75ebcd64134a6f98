#!/usr/bin/env python3
"""One Milvus follows another: what was there before, and every operation.

The target has fewer channels than the source, so that several source
channels feed one of the target.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection, connections, db, utility    # noqa: E402

from fixtures import (AUTO_ID, EVERY, PLAIN, TEXT_KEY,       # noqa: E402
                      Shape)
from process import wait_for                                 # noqa: E402

S = 'source'


def before(t):
    """What the source holds when the task is created."""
    every = EVERY.ready('every', S, 1500, wait=False)
    every.create_index('f_i64', index_name='by_number')
    every.delete(EVERY.expression(range(0, 40)))

    text = TEXT_KEY.ready('text_key', S, 300)
    text.create_partition('first')
    text.create_partition('second')
    text.insert(TEXT_KEY.rows(300, 400), partition_name='first')
    text.insert(TEXT_KEY.rows(400, 500), partition_name='second')
    text.create_partition('gone')
    text.load(_refresh=False)
    text.insert(TEXT_KEY.rows(500, 600), partition_name='gone')
    text.partition('gone').release()
    text.drop_partition('gone')

    AUTO_ID.ready('auto_id', S, 500, wait=False)

    cold = PLAIN.create('cold', S)
    cold.insert(PLAIN.rows(0, 200))
    cold.flush()

    PLAIN.create('gone', S).insert(PLAIN.rows(0, 100))
    utility.drop_collection('gone', using=S)

    # one name that lived three times, with another schema each time
    for shape in (PLAIN, TEXT_KEY):
        shape.create('again', S).insert(shape.rows(0, 120))
        utility.drop_collection('again', using=S)
    EVERY.ready('again', S, 120, wait=False)

    db.create_database('books', using=S)
    t.bed.source.connect('books', db_name='books')
    PLAIN.ready('every', 'books', 80)
    for name in utility.list_collections(using=S):
        if name != 'cold':
            utility.wait_for_loading_complete(name, using=S)


def rows(t):
    """Insert, delete, upsert into what the task found."""
    every = Collection('every', using=S)
    every.insert(EVERY.rows(1500, 1800))
    every.delete(EVERY.expression(range(40, 60)))
    every.upsert(EVERY.rows(1000, 1200, version=1))
    every.insert(EVERY.rows(0, 20, version=2))
    t.equal('insert, delete, upsert: every type, dynamic fields')

    text = Collection('text_key', using=S)
    text.insert(TEXT_KEY.rows(600, 700), partition_name='second')
    text.delete(TEXT_KEY.expression(range(350, 360)),
                partition_name='first')
    text.upsert(TEXT_KEY.rows(0, 50, version=1))
    Collection('auto_id', using=S).insert(AUTO_ID.rows(500, 700))
    Collection('every', using='books').insert(PLAIN.rows(80, 120))
    t.equal('varchar keys, partitions, auto id, partition key, database')

    for n in range(2000, 2060):
        every.insert([EVERY.row(n)])
        if n % 3 == 0:
            every.delete(EVERY.expression([n - 1]))
        if n % 5 == 0:
            every.upsert([EVERY.row(n, version=1)])
    t.equal('one row after another, with deletes and upserts between')


def partitions(t):
    text = Collection('text_key', using=S)
    text.create_partition('third')
    text.load(_refresh=False)
    text.insert(TEXT_KEY.rows(800, 900), partition_name='third')
    t.equal('partition created, rows in it')

    text.insert(TEXT_KEY.rows(900, 950), partition_name='third')
    text.partition('third').release()
    text.drop_partition('third')
    t.equal('partition released and dropped right after rows')

    # the existing service stops for good at this one
    text.release()
    text.drop_partition('second')
    text.load()
    text.insert(TEXT_KEY.rows(1000, 1050))
    t.equal('release, drop partition, load, one right after the other')


def collections(t):
    PLAIN.ready('new', S, 200)
    t.equal('collection created, indexed, loaded, filled')
    utility.drop_collection('new', using=S)
    t.equal('collection dropped')

    wide = Shape(shards=4, dim=16)
    collection = wide.ready('wide', S)
    for first in range(0, 2000, 100):
        collection.insert(wide.rows(first, first + 100))
    collection.delete(wide.expression(range(0, 2000, 7)))
    t.equal('four shards over the four channels of the target')

    for n, shape in enumerate((TEXT_KEY, PLAIN, EVERY, AUTO_ID)):
        utility.drop_collection('again', using=S)
        shape.ready('again', S, 60 + n)
    t.equal('one name dropped and created four times, other schemas')

    # the drop must not take what came before it on other collections
    doomed = PLAIN.ready('doomed', S)
    every = Collection('every', using=S)
    for n in range(3000, 3020):
        doomed.insert([PLAIN.row(n)])
        every.insert([EVERY.row(n)])
    utility.drop_collection('doomed', using=S)
    t.equal('rows and a drop right after them')


def databases(t):
    db.create_database('films', using=S)
    t.bed.source.connect('films', db_name='films')
    PLAIN.ready('every', 'films', 50)
    EVERY.ready('more', 'films', 50)
    t.equal('database created, two collections in it, one of a used name')
    for name in ('every', 'more'):
        utility.drop_collection(name, using='films')
    connections.disconnect('films')
    db.drop_database('films', using=S)
    t.equal('collections and database dropped')


def flushed(collection, using):
    """Rows in sealed and flushed segments."""
    handler = connections._fetch_handler(using)
    return sum(s.num_rows
               for s in handler.get_persistent_segment_infos(collection)
               if s.state == 4)


def operations(t):
    cold = Collection('cold', using=S)
    PLAIN.build_index(cold)
    cold.load()
    t.equal('index and load of a collection with rows from before')
    cold.release()
    cold.drop_index()
    t.equal('release and drop of the index')
    Shape(index='IVF_FLAT').build_index(cold)
    cold.load()
    cold.insert(PLAIN.rows(200, 260))
    t.equal('another kind of index, load, rows')
    cold.release()
    t.equal('release')
    # the load of a single partition is not tried: 2.3.5 does not write it to
    # the replicate channel

    every = Collection('every', using=S)
    every.insert(EVERY.rows(4000, 4100))
    every.flush()
    wanted = flushed('every', S)
    t.ok(wanted > 0, 'the source has flushed rows: %d' % wanted)

    def arrived():
        return flushed('every', 'target') > 0

    t.passes('flush reaches the target', wait_for, 'flush', arrived, 20)
    t.equal('equal after the flush')


def shown(t, task):
    """What "progress" knows of this source, when all is equal."""
    def told():
        now, = t.nginx.cdc('progress', {'task_id': task})[1]['data']['tasks']
        return now['live'] and now['lag_seconds'] < 1 \
            and now['backlog_bytes'] < 100000 and (
                t.source.mq != 'kafka' or now['retention_left_seconds']) and now

    now = t.passes('progress: live, less than a second behind, no backlog',
                   wait_for, 'that', told, 30)
    t.needed(now)
    left = now['retention_left_seconds']
    if t.source.mq == 'kafka':
        # what the broker has by itself: a week
        t.ok(abs(7 * 24 * 3600 - now['lag_seconds'] - left) < 0.01,
             "what is left of the log's retention: %s s" % left)
    else:
        t.same(left, None, "the log's retention is not known")
    t.same((now['source']['kind'], now['source']['ok'], now['target']['ok']),
           (t.source.mq, True, True), 'both ends are well')
    t.ok(now['initial_copy_percent'] == 100 and now['rows_out'] > 1000
         and now['last_operation'], 'what it did', now)


def pause(t, task):
    every = Collection('every', using=S)
    status, answer = t.nginx.cdc('pause', {'task_id': task})
    t.same((status, answer.get('code')), (200, 200), 'pause')
    t.wait_task('the task says Paused', task, 'Paused')
    every.insert(EVERY.rows(5000, 5100))
    t.stays_different('paused: rows do not arrive')
    status, answer = t.nginx.cdc('resume', {'task_id': task})
    t.same((status, answer.get('code')), (200, 200), 'resume')
    t.equal('resumed: they do')

    status, answer = t.nginx.cdc('delete', {'task_id': task})
    t.same((status, answer.get('code')), (200, 200), 'delete')
    every.insert(EVERY.rows(5100, 5110))
    t.stays_different('deleted: rows do not arrive')
    t.same(t.nginx.cdc('list')[1]['data']['tasks'], [], 'no task is left')


with E2E() as t:
    t.up({'target': {'channels': 4}}, {'channels': 6})
    before(t)
    nginx = t.start_nginx()

    begin = time.monotonic()
    task = nginx.create(t.bed['target'])
    t.note('create answered after %.2f s' % (time.monotonic() - begin))
    t.ok(len(task) == 32 and not set(task) - set('0123456789abcdef'),
         'a task id of 32 hexadecimal digits')
    t.wait_task('the task runs', task, 'Running')
    t.needed(t.equal('everything that was there before', 60) is not None)

    for part in (rows, partitions, collections, databases, operations):
        part(t)
    shown(t, task)
    pause(t, task)
    t.check_logs()
