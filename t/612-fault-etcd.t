#!/usr/bin/env python3
"""The source's etcd fails: it is away while the source goes on, and when it
is back it has been compacted.

Rows 7 and 8 of the faults: see t/FAULTS.md.  Between etcd and the helpers is
a proxy, so that the source keeps its etcd and can go on.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from pymilvus import Collection, utility                     # noqa: E402

from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from nginx import source_lines                               # noqa: E402
from process import wait_for                                 # noqa: E402
from proxy import Proxy                                      # noqa: E402

S, T = 'source', 'target'
SHAPE = Shape(dim=16, shards=2, scalars=True)


def count(name, expression='id >= 0', using=T):
    return len(Collection(name, using=using).query(
        expression, output_fields=['id'], consistency_level='Eventually'))


def away(t, proxy):
    proxy.refuse(True)
    proxy.cut()
    t.passes('etcd is away: the task says so', wait_for, 'reason',
             lambda: 'etcd' in t.nginx.task(t.task).get('reason', ''), 30)
    t.note(t.nginx.task(t.task).get('reason'))
    t.same(t.nginx.get('/cdc/health')[0], 503, 'health: 503')


def back(t, proxy):
    proxy.refuse(False)
    t.passes('etcd is back: no complaint is left', wait_for, 'reason',
             lambda: 'etcd' not in t.nginx.task(t.task).get('reason', ''), 30)


def compact(t):
    """Nothing of what was is left in etcd but the newest."""
    etcd = t.bed['etcd']
    etcd.etcdctl('put', 'a-key-of-nobody', 'x')
    for line in etcd.etcdctl('get', 'a-key-of-nobody', '-w',
                             'fields').splitlines():
        if line.startswith('"Revision"'):
            revision = line.split(':')[1].strip()
    etcd.etcdctl('compaction', revision, '--physical')


def known_go_on(t):
    first = 10 ** 6
    Collection('known', using=S).insert(SHAPE.rows(first, first + 20))
    t.passes('rows of a known collection go on without etcd', wait_for,
             'rows', lambda: count('known', 'id >= %d' % first) == 20, 20)


def changes():
    """What only the metadata tell, of each kind."""
    PLAIN.ready('fresh', S, 40, wait=False)
    utility.drop_collection('doomed', using=S)
    utility.rename_collection('moves', 'moved', using=S)
    utility.drop_alias('called', using=S)
    utility.create_alias('known', 'calls', using=S)
    stays = Collection('stays', using=S)
    stays.create_partition('p')
    stays.insert(PLAIN.rows(50, 70), partition_name='p')
    utility.drop_collection('again', using=S)
    Shape(dim=16).ready('again', S, 25, wait=False)


with E2E() as t:
    t.up()
    for name in ('doomed', 'moves', 'stays', 'again'):
        PLAIN.ready(name, S, 30, wait=False)
    SHAPE.ready('known', S, 100)
    utility.create_alias('stays', 'called', using=S)
    proxy = Proxy(t.bed.port(), t.bed['etcd'].port)
    t.start_nginx(sources={'main': source_lines(
        t.bed, etcd=('etcd %s;' % proxy.uri,))})
    t.task = t.nginx.create(t.bed[T])
    t.needed(t.equal('equal before', 60) is not None)

    away(t, proxy)
    known_go_on(t)
    changes()
    time.sleep(1)
    t.ok(not utility.has_collection('fresh', using=T),
         'a new collection waits')
    t.wait_task('the task runs', t.task, 'Running')
    back(t, proxy)
    t.equal('and comes when etcd is back', 60)

    away(t, proxy)
    with Load(SHAPE, 'known', first=1000, pause=0.05):
        for name in ('fresh', 'moved', 'stays', 'again'):
            utility.drop_collection(name, using=S) if name != 'stays' \
                else utility.drop_alias('calls', using=S)
        for name in ('doomed', 'moves', 'again', 'fresh'):
            PLAIN.ready(name, S, 30, wait=False)
        compact(t)
        time.sleep(1)
        back(t, proxy)
    t.equal('compacted meanwhile: what was missed is listed and made up for',
            60)

    # nothing comes from etcd and nothing is closed: it must be noticed
    proxy.freeze('down')
    PLAIN.ready('silent', S, 30, wait=False)
    t.passes('etcd stands still: the task says so', wait_for, 'reason',
             lambda: 'etcd' in t.nginx.task(t.task).get('reason', ''), 60)
    t.note(t.nginx.task(t.task).get('reason'))
    proxy.thaw()
    t.equal('and goes on when it does', 60)
    t.check_logs()
    proxy.close()
