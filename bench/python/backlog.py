"""Rows that are in the log before the task is made, into the null target."""

import time

import numpy
from pymilvus import Collection, utility

from fixtures import Shape
from null_target import NullTarget


def fill(name, rows, dim, shards=2, using='source', batch_bytes=4 << 20):
    """rows of dim numbers in the source's log; their bytes as vectors."""
    if utility.has_collection(name, using=using):
        utility.drop_collection(name, using=using)
    collection = Shape(dim=dim, shards=shards).create(name, using)
    rng = numpy.random.default_rng(1)
    step = max(1, batch_bytes // (dim * 4))
    for first in range(0, rows, step):
        last = min(first + step, rows)
        collection.insert([list(range(first, last)), list(
            rng.random((last - first, dim), dtype=numpy.float32))])


def drop(name, using='source'):
    Collection(name, using=using).drop()


def run(bed, service, names, rows, figures, group, channels=16, wait=120,
        each=False, delay=0):
    """One run: a new service, a new target, and the rows of names; each:
    with a task for each name; delay: ms that the target takes to answer."""
    target = NullTarget(bed, 'null', channels, 16 if delay else 2).start()
    target.ask('delay %d' % delay)
    tested = service(bed)
    try:
        begin = time.monotonic()
        for some in [[name] for name in names] if each else [names]:
            tested.create(target, some)
        answered = time.monotonic()
        n = target.wait_rows(rows, wait)
        cpu, peak = tested.cpu(), tested.memory()
        if n['rows'] != rows:
            raise RuntimeError('%d of %d rows after %d s\n%s' % (
                n['rows'], rows, wait, tested.circumstances()))
        took = n['last_rows'] - n['first_rows']
        size = n['bytes'] / 1e9
        for name, value in (
                ('rows/s, first pack to last', rows / took),
                ('MB/s', size * 1000 / took),
                ('seconds, first pack to last', took),
                ('seconds, create sent to last', n['last_rows'] - begin),
                ('CPU-s per GB', cpu / size),
                ('CPU-s', cpu),
                ('peak memory, MB', peak),
                ('create answered, s', answered - begin),
                ('create sent to first pack, s', n['first_rows'] - begin),
                ('requests', n['requests'])):
            figures.add(group, name, value, tested.other)
    finally:
        tested.stop()
        target.stop()
