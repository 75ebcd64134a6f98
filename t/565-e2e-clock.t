#!/usr/bin/env python3
"""A target whose clock is an hour behind the source's: what is created,
renamed and dropped there stays so, also when the target starts again.  Then a
source whose clock is behind the target's and nginx's.

Milvus reads at the time of its own clock, so it shows the rows no sooner than
that clock gets there: it is put right at the end.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases, flushed                             # noqa: E402
from clock import Clock                                      # noqa: E402
from pymilvus import connections, utility                    # noqa: E402

from fixtures import EVERY, PLAIN, TEXT_KEY                  # noqa: E402
from process import wait_for                                 # noqa: E402

HOUR = 3600
AHEAD = 20


def lag():
    """How far the target's clock is behind."""
    stamp = connections._fetch_handler('target').alloc_timestamp()
    return time.time() - (stamp >> 18) / 1000


def first(c):
    """created, renamed, dropped, at a target an hour behind"""
    for name in ('stays', 'renamed', 'gone', 'again', 'moved', 'aliased'):
        PLAIN.ready(c(name), c.source, 30, wait=False)
    c.make_db('db')
    c.make_db('gone')
    c.rename('renamed', 'renamed2')
    c.rename('moved', 'moved2', new_db_name=c('db'))
    utility.create_alias(c('aliased'), c('alias'), using=c.source)
    utility.create_alias(c('aliased'), c('alias_gone'), using=c.source)
    utility.drop_alias(c('alias_gone'), using=c.source)
    c.drop('gone')
    c.drop('again')
    TEXT_KEY.ready(c('again'), c.source, 20, wait=False)
    stays = c.get('stays')
    stays.create_partition('p')
    stays.create_partition('q')
    stays.release()
    stays.drop_partition('q')
    stays.load(_async=True)
    c.drop_db('gone')


def second(c):
    """the same names once more, after the target has started again"""
    c.get('stays').insert(PLAIN.rows(30, 60), partition_name='p')
    c.get('alias').insert(PLAIN.rows(30, 60))
    c.get('moved2', c.using('db')).insert(PLAIN.rows(30, 60))
    c.drop('again')
    EVERY.ready(c('gone'), c.source, 20, wait=False)
    PLAIN.ready(c('renamed'), c.source, 20, wait=False)
    c.rename('renamed2', 'renamed3')
    utility.drop_alias(c('alias'), using=c.source)
    PLAIN.ready(c('alias'), c.source, 20, wait=False)


def flush(t, c):
    """Milvus 2.3.5 loses rows that are not when it starts several times in
    a row, one that nothing replicates to as well."""
    for using in (c.source, c.using('db')):
        for name in utility.list_collections(using=using):
            c.get(name[len(c.name) + 1:], using).flush()
    connections.connect('there', db_name=c('db'), **{
        'address': '127.0.0.1:%d' % t.bed['target'].port})
    for here, there in ((c.source, 'target'), (c.using('db'), 'there')):
        for name in utility.list_collections(using=here):
            wait_for('flush of ' + name, lambda n=name, h=here, th=there:
                     flushed(n, h) == flushed(n, th), 30)
    connections.disconnect('there')


def restart(t, sig=None):
    t.bed.restart('target', sig)
    t.bed['target'].connect()


def again(t, task):
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted')
    return t.nginx.create(t.bed['target'])


def taken_over(t, c, task, clock):
    """What is written behind the create has times before it: it is not taken
    for what the target holds already."""
    clock.set(AHEAD)
    task = again(t, task)
    c.get('renamed').insert(PLAIN.rows(100, 130))
    t.equal_case(c, 'a new task: nothing is taken for older than it is', 40)
    c.get('renamed').insert(PLAIN.rows(130, 150))
    t.equal_case(c, 'and nothing is there twice', 40)

    task = again(t, task)
    t.nginx.cdc('pause', {'task_id': task})
    c.get('renamed').insert(PLAIN.rows(200, 230))
    time.sleep(AHEAD)
    t.nginx.cdc('resume', {'task_id': task})
    t.equal_case(c, 'nor when the source has got to the time of the create',
                 40)
    return task


with Cases() as t:
    t.up({'target': {'clock': -HOUR}})
    t.ok(HOUR - 60 < lag() < HOUR + 60, 'the target is an hour behind')
    clock = Clock(os.path.join(t.bed.dir, 'jump'))
    t.start_nginx(env=clock.env())
    task = t.nginx.create(t.bed['target'])

    case = t.case('clock')
    for step, sig in ((first, None), (second, signal.SIGKILL)):
        step(case)
        t.needed(t.equal_case(case, step.__doc__, 40, ignore=('contents',))
                 is not None)
        t.passes('flushed', flush, t, case)
        restart(t, sig)
        t.equal_case(case, 'equal after the target %s and started again' % (
            'was killed' if sig else 'stopped'), 60, ignore=('contents',))

    t.bed['target'].clock = AHEAD
    restart(t)
    t.ok(abs(lag() + AHEAD) < 5, 'then it is ahead')
    t.equal_case(case, 'the rows are there', 60)
    task = taken_over(t, case, task, clock)
    t.wait_task('the task runs in the end', task, 'Running')
    t.check_logs()
