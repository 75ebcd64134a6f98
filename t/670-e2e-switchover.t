#!/usr/bin/env python3
"""The README's switchover, step by step: to the second cluster, back, and
once without the first one."""

import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                # goes on in the Python that has pymilvus
from pymilvus import Collection, connections, utility        # noqa: E402

from cases import flushed                                    # noqa: E402
from fixtures import EVERY, PLAIN, TEXT_KEY                  # noqa: E402
from load import Load                                        # noqa: E402
from nginx import source_lines                               # noqa: E402
from process import wait_for                                 # noqa: E402


def lines_of(bed, name):
    """milvus_cdc_source for a cluster that is the target at first."""
    part = bed.parts[name]
    text = source_lines(bed, log=(part.log_line,))
    return text.replace('root_path %s;' % bed.parts['source'].root_path,
                        'root_path %s;' % part.root_path)


def fill(using):
    for n, shape in enumerate((EVERY, TEXT_KEY, PLAIN)):
        collection = shape.ready('c%d' % n, using, 300, wait=False)
        collection.create_partition('more')
        collection.insert(shape.rows(300, 350), partition_name='more')
    utility.create_alias('c0', 'books', using=using)
    EVERY.create('empty', using)


def work(using, first):
    """What comes in while this cluster serves; first: of numbers."""
    every = Collection('books', using=using)
    every.insert(EVERY.rows(first, first + 100))
    every.delete(EVERY.expression(range(first, first + 20)))
    every.upsert(EVERY.rows(first - 1000, first - 950, version=first))
    # of those that were there from the start
    every.delete(EVERY.expression(range(first // 100, first // 100 + 5)))
    Collection('c1', using=using).insert(
        TEXT_KEY.rows(first, first + 30), partition_name='more')
    PLAIN.ready('made%d' % first, using, 40, wait=False)
    if first == 1000:
        utility.create_alias('c0', 'books2', using=using)
    else:
        utility.alter_alias('c2' if using == 'target' else 'c0', 'books2',
                            using=using)


def metric(t, name, task):
    text = t.nginx.get('/cdc/metrics')[1]
    found = re.search(r'^milvus_cdc_%s\{task_id="%s"\} (\S+)$'
                      % (name, task), text, re.M)
    return float(found.group(1)) if found else None


def caught_up(t, task):
    """What the README says that one waits for."""
    def now():
        lag = metric(t, 'lag_seconds', task)
        return lag is not None and lag < 1 \
            and metric(t, 'buffered_bytes', task) == 0 \
            and metric(t, 'degraded', task) == 0

    wait_for('lag below 1 s, nothing buffered', now, 30, 0.5)
    time.sleep(2)
    if not now():
        wait_for('lag below 1 s, nothing buffered', now, 30, 0.5)


def flush(source, target):
    """On both sides.  A segment counts deleted rows as well, until either
    cluster compacts it, when it likes to."""
    def there(name):
        rows = flushed(name, target)
        return rows >= flushed(name, source) or rows >= int(Collection(
            name, using=target).query('', output_fields=['count(*)'])[0][
                'count(*)'])

    names = [n for n in utility.list_collections(using=source)
             if n != 'empty']
    for name in names:
        Collection(name, using=source).flush()
    for name in names:
        wait_for('the flush of ' + name, lambda n=name: there(n), 60)


def follow(t, **follows):
    """common.ttMsgEnabled of the clusters, and a restart of them."""
    for name, value in follows.items():
        t.bed[name].config = {'common': {'ttMsgEnabled': not value}}
        t.bed[name].stop()
    for name in follows:
        t.bed[name].start()
    for name in follows:
        t.bed[name].wait()
        t.bed[name].connect()


def serves(t, name):
    """Takes writes, and reads with the strongest consistency see them."""
    def seen():
        collection = Collection('c2', using=name)
        collection.insert(PLAIN.rows(100000, 100010))
        found = collection.query('id >= 100000', timeout=10,
                                 consistency_level='Strong')
        collection.delete(PLAIN.expression(range(100000, 100010)))
        return len(found) == 10

    t.passes('%s serves: a row is there right after its insert' % name,
             wait_for, 'a Strong read', seen, 60, 1)


def switch(t, task, source, target, path):
    """Writes have stopped; answers the task that goes the other way."""
    t.passes('every row is flushed on both sides', flush, source, target)
    t.passes('the metrics say that the target has everything',
             caught_up, t, task)
    t.needed(t.equal('and it has', 10, source=source, target=target)
             is not None)
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted')
    follow(t, **{source: True, target: False})
    task = t.nginx.create(t.bed[source], path=path)
    serves(t, target)
    t.equal('both are equal before %s is written to: nothing twice' % target,
            40, source=target, target=source)
    return task


def promote(t, task):
    """The first cluster is lost."""
    t.bed.kill('source', signal.SIGKILL)
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'the task is deleted while its source is down')
    follow(t, target=False)
    serves(t, 'target')
    # flushed at the last switch; Milvus 2.3.5 may lose what was not
    rows = Collection('books', using='target').query(
        'id >= 2050 and id < 2100', consistency_level='Strong')
    t.same(len(rows), 50, 'with what was written before')


with E2E() as t:
    t.up()
    t.start_nginx(sources={'main': source_lines(t.bed),
                           'second': lines_of(t.bed, 'target')})
    fill('source')
    task = t.nginx.create(t.bed['target'])
    work('source', 1000)
    with Load(PLAIN, 'c2', first=10000):
        time.sleep(2)

    task = switch(t, task, 'source', 'target', '/cdc-second')
    work('target', 2000)
    with Load(PLAIN, 'c2', using='target', first=20000):
        time.sleep(2)
    t.needed(t.equal('the first cluster follows the second', 40,
                     source='target', target='source') is not None)

    task = switch(t, task, 'target', 'source', '/cdc')
    work('source', 3000)
    t.equal('and back: the second follows the first', 40)

    promote(t, task)
    connections.disconnect('source')
    t.check_logs()
