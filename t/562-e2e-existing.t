#!/usr/bin/env python3
"""What is there before a task: on the source, on the target, in the log."""

import base64
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import Collection, utility                     # noqa: E402

import kafka                                                 # noqa: E402
from fixtures import (AUTO_ID, EVERY, PLAIN, TEXT_KEY,       # noqa: E402
                      Shape)
from process import wait_for                                 # noqa: E402

S = 'source'
CHANNELS = 4
LATE = 550                            # messages, on one channel
TOPICS = ['by-dev-rootcoord-dml_%d' % n for n in range(CHANNELS)]


def fill(c):
    """A source that has seen everything."""
    every = EVERY.create(c('every'), S, consistency_level='Eventually',
                         properties={'collection.ttl.seconds': 86400})
    every.create_index('f_i64', index_name='by_number')
    every.create_index('f_text', index_name='gone')
    every.drop_index(index_name='gone')
    EVERY.build_index(every)
    every.load(_async=True)
    every.insert(EVERY.rows(0, 400))
    every.delete(EVERY.expression(range(0, 40)))
    every.upsert(EVERY.rows(100, 150, version=1))
    utility.create_alias(c('every'), c('alias'), using=S)

    AUTO_ID.ready(c('keyed'), S, 300, wait=False)
    text = TEXT_KEY.ready(c('text'), S, 50, wait=False)
    for name in ('p1', 'p2', 'gone'):
        text.create_partition(name)
        text.insert(TEXT_KEY.rows(100, 130), partition_name=name)
    text.release()
    text.drop_partition('gone')
    text.load(['p1'])

    cold = PLAIN.create(c('cold'), S)
    cold.insert(PLAIN.rows(0, 100))
    cold.flush()
    released = PLAIN.ready(c('released'), S, 60)
    released.release()

    # one name that lived three times; an alias that was moved
    for shape in (PLAIN, TEXT_KEY):
        shape.create(c('again'), S).insert(shape.rows(0, 120))
        c.drop('again')
    EVERY.ready(c('again'), S, 70, wait=False)
    utility.create_alias(c('again'), c('moved'), using=S)
    utility.alter_alias(c('keyed'), c('moved'), using=S)
    utility.create_alias(c('again'), c('dropped'), using=S)
    utility.drop_alias(c('dropped'), using=S)

    using = c.make_db('db')
    PLAIN.ready(c('every'), using, 80, wait=False)
    utility.create_alias(c('every'), c('alias'), using=using)
    PLAIN.ready(c('old'), S, 40, wait=False)
    c.get('old').insert(PLAIN.rows(40, 60))
    c.rename('old', 'new')
    c.get('new').insert(PLAIN.rows(60, 80))
    PLAIN.ready(c('wanders'), S, 40, wait=False)
    c.rename('wanders', 'wanders2', new_db_name=c('db'))
    c.get('wanders2', using).insert(PLAIN.rows(40, 60))
    c.make_db('empty')
    PLAIN.create(c('x'), c.make_db('gone'))
    c.drop('x', c.using('gone'))
    c.drop_db('gone')


def whole(t, c):
    task = t.nginx.create(t.bed['target'])
    t.needed(t.equal_case(c, 'everything that was there arrives', 60)
             is not None)
    c.get('alias').insert(EVERY.rows(1000, 1020))
    c.get('new').insert(PLAIN.rows(100, 120))
    c.get('wanders2', c.using('db')).insert(PLAIN.rows(100, 120))
    c.get('cold').insert(PLAIN.rows(100, 120))
    t.equal_case(c, 'and goes on')
    return task


def taken_over(t, c, task):
    """The target holds it all."""
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted')
    task = t.nginx.create(t.bed['target'])
    c.get('every').insert(EVERY.rows(2000, 2020))
    c.get('every').delete(EVERY.expression(range(1000, 1005)))
    t.equal_case(c, 'a new task takes over what is there: nothing twice')
    return task


def in_the_way(t, c, task):
    """Somebody made it on the target before the source has it."""
    def cause():
        degraded = t.nginx.cdc('progress', {
            'task_id': task})[1]['data']['tasks'][0]['degraded'] or {}
        return 'of its own' in degraded.get('cause', '') and degraded

    Shape(dim=16).create(c('theirs'), 'target')
    PLAIN.ready(c('theirs'), S, 40, wait=False)
    c.get('every').insert(EVERY.rows(3000, 3020))
    cause = wait_for('a cause', cause, 20)['cause']
    t.ok(c('theirs') in cause and 'drop or rename it there' in cause,
         "a collection of the target's own is named, and the cure", cause)
    schema = Collection(c('theirs'), using='target').schema
    t.ok('16' in str(schema), 'and stays as it is', schema)
    utility.drop_collection(c('theirs'), using='target')
    t.equal_case(c, 'without it all arrives')


def taken_over_late(t, c, task):
    """The survey comes when much has been written since the create."""
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted')
    task = t.nginx.create(t.bed['target'])
    t.same(t.nginx.cdc('pause', {'task_id': task})[1].get('code'), 200,
           'a new one is paused at once')
    every = c.get('every')
    channels = start_of(t, every)
    every.insert(EVERY.rows(4000, 4020))
    every.delete(EVERY.expression(range(2000, 2005)))
    first = kafka.ends(t.bed['kafka'].uri, list(channels))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: every.delete(EVERY.expression([100000])),
                      range(LATE)))
    last = kafka.ends(t.bed['kafka'].uri, list(channels))
    t.ok(max(last[n] - first[n] for n in channels) > 500,
         'more than is looked at first', [first, last])
    t.same(t.nginx.cdc('resume', {'task_id': task})[1].get('code'), 200,
           'resumed')
    t.equal_case(c, 'all that came since the create is there', 60)
    return task


def start_of(t, collection):
    """{channel: the message before the collection's own}, by the source's
    metadata: CollectionInfo.start_positions, a KeyDataPair each."""
    number = collection.describe()['collection_id']
    listed = t.bed['etcd'].etcdctl(
        'get', '--prefix', 'by-dev/meta/root-coord/database/collection-info/',
        '-w', 'json')
    (value,) = [base64.b64decode(kv['value'])
                for kv in json.loads(listed)['kvs']
                if base64.b64decode(kv['key']).endswith(b'/%d' % number)]
    return {key.decode(): int.from_bytes(data, 'little') for key, data in
            re.findall(rb'\x0a.(by-dev-rootcoord-dml_\d+)\x12\x08(.{8})',
                       value, re.DOTALL)}


def other_schema(t, c, task):
    """The target holds another collection of that name."""
    PLAIN.create(c('clash'), S)
    t.equal_case(c, 'a collection arrives')
    t.nginx.cdc('delete', {'task_id': task})
    c.drop('clash')
    Shape(dim=16, scalars=True).create(c('clash'), S)

    status, answer = t.nginx.cdc('create', dict(t.target, collection_infos=[
        {'name': '*'}]))
    t.same((status, answer.get('code')), (400, 400),
           'create is refused where the target has another schema')
    message = answer.get('message', '')
    t.ok(all(word in message for word in (c('clash'), 'vec', 'dim', '8',
                                          '16', 'f_bool')),
         'and names the collection and what differs', message)
    c.drop('clash')


def log_gap(t):
    """Part of the log is gone."""
    gap = t.case('gap')
    old = PLAIN.ready(gap('old'), S, 50)
    new = None
    old.flush()
    kafka.forget(t.bed['kafka'].uri, TOPICS)
    old.insert(PLAIN.rows(50, 80))
    new = PLAIN.ready(gap('new'), S, 40)

    wanted = [{'name': gap('old')}, {'name': gap('new')}]
    status, answer = t.nginx.cdc('create', dict(t.target,
                                                collection_infos=wanted))
    message = answer.get('message', '')
    t.same((status, answer.get('code')), (400, 400),
           'create is refused where the log has lost something')
    t.ok(gap('old') in message and gap('new') not in message
         and 'log_gap' in message and 'earliest' in message,
         'and names the collection, and the cure', message)

    status, answer = t.nginx.cdc('create', dict(
        t.target, collection_infos=wanted, log_gap='newest'))
    t.ok(answer.get('code') == 400 and all(
        w in answer['message'] for w in ('newest', 'refuse', 'earliest')),
         'an unknown policy is refused', answer)

    status, answer = t.nginx.cdc('create', dict(
        t.target, collection_infos=wanted, log_gap='earliest'))
    t.same(answer.get('code'), 200, '"log_gap": "earliest" begins with what '
           'is left')
    t.ok(any(gap('old') in w for w in
             answer.get('data', {}).get('warnings', [])),
         'and warns of the collection', answer)

    old.insert(PLAIN.rows(80, 90))
    new.insert(PLAIN.rows(40, 60))
    t.equal_case(t.case('gap_new'), 'the other one is whole')
    t.passes('rows that the log still has arrive', wait_for, 'rows',
             lambda: keys_of(gap('old')) == set(range(50, 90)), 20)
    t.same(t.nginx.cdc('delete', {
        'task_id': answer['data']['task_id']})[1].get('code'), 200,
        'the task is deleted')


def edge_of_log(t):
    """The log begins with the collection's own first message."""
    c = t.case('edge')
    edge = PLAIN.ready(c('edge'), S, 50)
    for channel, start in start_of(t, edge).items():
        kafka.forget(t.bed['kafka'].uri, [channel], start + 1)
    task = t.nginx.create(t.bed['target'],
                          collection_infos=[{'name': c('edge')}])
    t.equal_case(c, 'the one before its first message is not needed')
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted')


def keys_of(name):
    rows = Collection(name, using='target').query(
        'id >= 0', output_fields=['id'], consistency_level='Eventually')
    return {row['id'] for row in rows}


with Cases() as t:
    t.up(source={'mq': 'kafka', 'channels': CHANNELS})
    t.target = {'milvus_connect_param': {'uri': t.bed['target'].uri,
                                         'connect_timeout': 10}}
    c = t.case('was')
    fill(c)
    t.start_nginx()
    task = whole(t, c)
    task = taken_over(t, c, task)
    in_the_way(t, c, task)
    task = taken_over_late(t, c, task)
    other_schema(t, c, task)
    edge_of_log(t)
    log_gap(t)
    t.check_logs()
