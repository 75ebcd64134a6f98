#!/usr/bin/env python3
"""Create looks at the source: what would not arrive whole is said at once.

And what only a whole nginx shows: tasks that do not start with it.  It runs
on a testbed of its own.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import utility                                 # noqa: E402

import kafka                                                 # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402

S, T = 'source', 'target'
TOPICS = ['by-dev-rootcoord-dml_%d' % n for n in range(4)]


def create(t, *names, **data):
    """(code, data or message, seconds) of a create of these collections."""
    begin = time.monotonic()
    answer = t.nginx.cdc('create', dict(
        {'milvus_connect_param': {'uri': t.bed['target'].uri,
                                  'connect_timeout': 10},
         'collection_infos': [{'name': n} for n in names]}, **data))[1]
    return (answer.get('code'), answer.get('data', answer.get('message')),
            time.monotonic() - begin)


def delete(t, task):
    t.same(t.nginx.cdc('delete', {'task_id': task['task_id']})[1],
           {'code': 200, 'data': {}}, 'delete')


def refused(t, name, answer, *words):
    code, message, _ = answer
    t.ok(code == 400 and all(w in message for w in words), name, answer)


def accepted(t, name, answer, warnings=None):
    """200, these words in the warnings (None: there is no such member)."""
    code, data, _ = answer
    said = data.get('warnings') if isinstance(data, dict) else None
    t.ok(code == 200 and (said is None) == (warnings is None)
         and all(any(w in text for text in said) for w in warnings or ()),
         name, answer)
    if code == 200:
        delete(t, data)


def schemas(t):
    for using in (S, T):
        PLAIN.create('same', using)
        PLAIN.create('other', using) if using == S else \
            Shape(dim=16, scalars=True).create('other', using)
        Shape(shards=1 if using == S else 2).create('shards', using)
    PLAIN.create('fresh', S)

    accepted(t, 'the target holds one with the same schema, and lacks one',
             create(t, 'same', 'fresh'))
    refused(t, 'one with another schema', create(t, 'same', 'other'),
            '"default.other"', 'another schema', 'vec', '8', '16', 'f_bool')
    refused(t, 'the whole cluster, too', create(t, '*'), 'another schema')
    accepted(t, 'not when it is left out', create(
        t, '*', exclude_collections=['default.other', 'default.shards']))
    refused(t, 'another number of shards', create(t, 'shards'),
            '"default.shards"', '1 shards on the source, 2 on the target')
    accepted(t, 'a name of its own cures that', create(
        t, 'other', name_mapping=[{
            'source_db': 'default', 'target_db': 'default',
            'collection_mapping': {'other': 'another'}}]))
    refused(t, 'a name that is mapped onto another',
            create(t, '*', exclude_collections=['default.other',
                                                'default.shards'],
                   name_mapping=[{
                       'source_db': '', 'target_db': '',
                       'collection_mapping': {'fresh': 'same'}}]),
            'would both be "default.same"')

    utility.create_alias('same', 'alias', using=T)
    PLAIN.create('alias', S)
    refused(t, 'a name that is an alias there', create(t, 'alias'),
            'is an alias of "same"')
    utility.drop_alias('alias', using=T)


def gaps(t):
    before = time.strftime('%Y-%m-%dT%H', time.gmtime())
    for name in ('lost', 'lost2'):
        PLAIN.create(name, S).insert(PLAIN.rows(0, 10))
    time.sleep(0.5)
    kafka.forget(t.bed['kafka'].uri, TOPICS)
    time.sleep(0.5)
    PLAIN.create('later', S)

    refused(t, 'the log does not reach back', create(
        t, 'lost', 'later', 'lost2'), '"default.lost"', '"default.lost2"',
        'since ' + before, 'backup', 'log_gap')
    t.ok('later' not in create(t, 'lost', 'later', 'lost2')[1],
         'what it has whole is not named')
    refused(t, 'refuse is what it does by itself',
            create(t, 'lost', log_gap='refuse'), '"default.lost"')
    accepted(t, 'earliest: with a warning',
             create(t, 'lost', 'later', log_gap='earliest'),
             ['"default.lost"', 'since ' + before])
    accepted(t, 'earliest where nothing is lost',
             create(t, 'later', log_gap='earliest'))
    accepted(t, 'what the target holds is not replayed', create(t, 'same'))
    accepted(t, 'what is left out does not matter', create(
        t, '*', exclude_collections=['default.' + n for n in (
            'lost', 'lost2', 'other', 'shards', 'fresh', 'alias')]))


def users(t):
    for user in ('ann', 'bob'):
        utility.create_user(user, 'Sesame-1', using=S)
    utility.create_user('bob', 'Sesame-1', using=T)

    roles = {'extra_info': {'enable_user_role': True}}
    accepted(t, 'a user whose password cannot be carried',
             create(t, 'same', **roles), ['"ann"'])
    t.ok('bob' not in str(create(t, 'same', task_id='roles', **roles)[1]),
         'one that the target has is not named')
    delete(t, {'task_id': 'roles'})
    accepted(t, 'users do not matter otherwise', create(t, 'same'))
    utility.create_user('ann', 'Sesame-1', using=T)
    accepted(t, 'all are there', create(t, 'same', **roles))


def silence(t):
    etcd = t.bed['etcd']
    os.kill(etcd.pid, signal.SIGSTOP)
    try:
        code, data, seconds = create(t, 'same', task_id='silent')
    finally:
        os.kill(etcd.pid, signal.SIGCONT)
    t.ok(code == 200 and seconds < 4,
         'an etcd that hangs holds a create up for %.1f s' % seconds,
         (code, data))
    delete(t, {'task_id': 'silent'})


def auto_start(t):
    nginx = t.nginx
    for task, lazy in (('lazy', True), ('eager', False)):
        t.same(create(t, {'lazy': 'same', 'eager': 'later'}[task],
                      task_id=task, disable_auto_start=lazy)[0], 200, task)
    t.wait_task('disable_auto_start: it runs', 'lazy', 'Running')

    nginx.reload()
    time.sleep(1)
    t.wait_task('after a reload, too', 'lazy', 'Running')
    os.kill(nginx.store()[0], signal.SIGKILL)
    time.sleep(1)
    t.wait_task('and after an end of the store', 'lazy', 'Running')

    nginx.stop()
    nginx.start()
    nginx.wait()
    t.wait_task('nginx has been started: paused', 'lazy', 'Paused')
    t.same(nginx.task('lazy').get('reason'),
           'the task is disabled auto start', 'the reason')
    t.wait_task('others run', 'eager', 'Running')
    t.same(nginx.cdc('resume', {'task_id': 'lazy'})[0], 200, 'resume')
    nginx.reload()
    time.sleep(1)
    t.wait_task('it runs until the next start', 'lazy', 'Running')


with E2E() as t:
    t.up(source={'mq': 'kafka'})
    t.start_nginx()
    for part in (schemas, users, silence, gaps, auto_start):
        part(t)
    t.check_logs(kills=True)
