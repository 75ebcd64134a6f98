#!/usr/bin/env python3
"""A target whose clock is an hour behind the source's: what is created,
renamed and dropped there stays so, also when the target starts again.
"""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from cases import Cases                                      # noqa: E402
from pymilvus import connections, utility                    # noqa: E402

from fixtures import EVERY, PLAIN, TEXT_KEY                  # noqa: E402

HOUR = 3600


def behind(t):
    """The target believes that it is an hour earlier."""
    stamp = connections._fetch_handler('target').alloc_timestamp()
    lag = time.time() - (stamp >> 18) / 1000
    t.ok(HOUR - 60 < lag < HOUR + 60,
         'the target is %.0f s behind' % lag)


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


with Cases() as t:
    t.up({'target': {'clock': -HOUR}})
    behind(t)
    t.start_nginx()
    task = t.nginx.create(t.bed['target'])

    case = t.case('clock')
    for step in (first, second):
        step(case)
        t.equal_case(case, step.__doc__, 40)
        for sig in (None, signal.SIGKILL):
            t.bed.restart('target', sig)
            t.bed['target'].connect()
            t.equal_case(case, 'equal after the target %s and started again'
                         % ('was killed' if sig else 'stopped'), 60)
    t.wait_task('the task runs in the end', task, 'Running')
    t.check_logs()
