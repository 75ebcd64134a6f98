"""What it costs when nothing happens, and when there is more of everything."""

import time

from pymilvus import Collection, utility

import backlog
from fixtures import Shape
from live import settled
from null_target import NullTarget


def wide(name, shards, dim=128):
    if utility.has_collection(name, using='source'):
        utility.drop_collection(name, using='source')
    Shape(dim=dim, shards=shards).create(name, 'source')


def idle(bed, service, figures, group, seconds=20):
    """A task whose collection is on 16 channels; ticks alone come."""
    wide('idle_16', 16)
    target = NullTarget(bed, 'null').start()
    tested = service(bed)
    try:
        tested.create(target, ['idle_16'])
        settled(target)
        time.sleep(32)          # a new collection's ticks are hurried 30 s
        before, requests = tested.cpu(), target.stats()['requests']
        time.sleep(seconds)
        figures.add(group, '% of a core',
                    (tested.cpu() - before) / seconds * 100, tested.other)
        figures.add(group, 'requests to the target/s',
                    (target.stats()['requests'] - requests) / seconds,
                    tested.other)
        figures.add(group, 'memory, MB', tested.memory('VmRSS'),
                    tested.other)
    finally:
        tested.stop()
        target.stop()
        Collection('idle_16', using='source').drop()


def run(bed, service, figures, kind, rows):
    """The same rows over 1 to 16 shards, 1 to 50 collections; by one task
    or by as many as there are collections."""
    for shards in (1, 4, 16):
        backlog.fill('grow', rows, 128, shards)
        backlog.run(bed, service, ['grow'], rows, figures,
                    '%d rows over %d channels, source on %s' % (
                        rows, shards, kind))
        backlog.drop('grow')
    names = ['grow_%d' % n for n in range(50)]
    for name in names:
        backlog.fill(name, rows // len(names), 128)
    rows = rows // len(names) * len(names)
    backlog.run(bed, service, names, rows, figures,
                '%d rows in 50 collections, one task, source on %s' % (
                    rows, kind))
    backlog.run(bed, service, names, rows, figures,
                '%d rows in 50 collections, 50 tasks, source on %s' % (
                    rows, kind), each=True)
    for name in names:
        backlog.drop(name)
