#!/usr/bin/env python3
"""Somebody changes the target, or the password of the task's login there:
it is noticed and named, and ends when it has been put right.

Rows 15 and 16 of the faults: see t/FAULTS.md.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection, utility                     # noqa: E402

from fixtures import PLAIN                                   # noqa: E402
from process import wait_for                                 # noqa: E402

S, T = 'source', 'target'


def says(t, name, *words, timeout=60):
    text = t.passes(name, wait_for, 'reason', lambda: all(
        w in t.nginx.task(t.task).get('reason', '') for w in words)
        and t.nginx.task(t.task)['reason'], timeout)
    t.note(text)
    t.wait_task('and the task runs', t.task, 'Running')


def quiet(t, name, timeout=60):
    t.passes(name, wait_for, 'no reason',
             lambda: not t.nginx.task(t.task).get('reason'), timeout)


def index(t):
    there = Collection('kept', using=T)
    there.release()
    there.drop_index()
    says(t, 'an index dropped on the target is named', 'default.kept',
         'no index')
    t.passes('it is the last error of that collection', wait_for, 'error',
             lambda: 'no index' in t.errors(t.task)['kept'], 60)
    t.ok(not any('no index' in text for name, text in t.errors(t.task).items()
                 if name != 'kept'), 'and of no other one', t.errors(t.task))
    PLAIN.build_index(there)
    there.load()
    quiet(t, 'and forgotten when it is there again')
    Collection('kept', using=S).insert(PLAIN.rows(100, 120))
    t.equal('the rows have gone on', 60)


def partition(t):
    here, there = (Collection('parts', using=u) for u in (S, T))
    there.release()
    there.drop_partition('p')
    says(t, 'a partition dropped on the target is named', 'default.parts',
         'partition')
    here.drop()
    quiet(t, 'and forgotten with its collection on the source')


def collection(t):
    utility.drop_collection('lost', using=T)
    Collection('lost', using=S).insert(PLAIN.rows(50, 60))
    says(t, 'a collection dropped on the target is named', 'default.lost',
         'not there any more')
    PLAIN.create('lost', T)
    says(t, 'one made in its place too', 'default.lost', 'another collection')
    utility.drop_collection('lost', using=T)
    utility.drop_collection('lost', using=S)
    quiet(t, 'and forgotten when the source drops it')
    Collection('kept', using=S).insert(PLAIN.rows(200, 220))
    t.equal('all else goes on', 60)


def password(t, old, new):
    target = t.bed[T]
    target.connect(user='root', password=old)
    utility.reset_password('root', old, new, using=T)
    target.connect(user='root', password=new)


def rotated(t):
    password(t, 'Milvus', 'rotated')
    Collection('kept', using=S).insert(PLAIN.rows(300, 330))
    says(t, 'the login is no longer accepted', 'token')
    password(t, 'rotated', 'Milvus')
    quiet(t, 'the password is put right: it goes on by itself')
    t.equal('and nothing is missing', 60)


with E2E() as t:
    t.up({'target': {'auth': True}})
    for name in ('kept', 'parts', 'lost'):
        PLAIN.ready(name, S, 50, wait=False)
    Collection('parts', using=S).create_partition('p')
    Collection('parts', using=S).insert(PLAIN.rows(50, 60),
                                        partition_name='p')
    t.task = t.start_nginx().create(t.bed[T])
    t.needed(t.equal('equal before', 60) is not None)
    t.same(t.nginx.task(t.task).get('reason'), None, 'nothing to say')

    index(t)
    partition(t)
    collection(t)
    rotated(t)
    t.check_logs()
