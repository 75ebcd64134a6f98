"""Live: rows that are inserted while a task runs, and when they arrive."""

import json
import os
import subprocess
import time

import numpy
from pymilvus import Collection, connections, utility
from pymilvus.grpc_gen import milvus_pb2, schema_pb2

from fixtures import Shape
from lag import measure, percentile, visible as is_visible
from nginx import BUILD
from null_target import NullTarget
from process import wait_for

INSERT, TICK = 400, 1200


class LogTimes:
    """When each message of the channels could be read, seen by a reader of
    our own beside the service."""

    def __init__(self, bed, channels, server='source'):
        server = bed[server]
        conf = {'kafka': {'brokers': bed['kafka'].uri}} \
            if server.mq == 'kafka' else {
                'rocksmq': server.rocksmq,
                'secondary_dir': os.path.join(bed.dir, 'log-times')}
        self.child = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL',
             os.path.join(BUILD, 'bench', 'log-times'), json.dumps(conf)]
            + channels, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        if self.child.stdout.readline().strip() != 'ready':
            raise RuntimeError('log-times did not start')

    def end(self):
        """(time, channel, type, timestamp, rows) of each message."""
        out, _ = self.child.communicate(timeout=30)
        found = []
        for line in out.splitlines():
            at, channel, kind, ts, rows = line.split()
            found.append((float(at), channel, int(kind), int(ts), int(rows)))
        return found


def request(name, rows, dim, seed=1):
    """An insert, made once: what the client costs is not measured."""
    vectors = numpy.random.default_rng(seed).random(
        rows * dim, dtype=numpy.float32)
    data = milvus_pb2.InsertRequest(
        collection_name=name, num_rows=rows,
        hash_keys=range(rows))
    data.fields_data.append(schema_pb2.FieldData(
        type=schema_pb2.Int64, field_name='id',
        scalars=schema_pb2.ScalarField(
            long_data=schema_pb2.LongArray(data=range(rows)))))
    data.fields_data.append(schema_pb2.FieldData(
        type=schema_pb2.FloatVector, field_name='vec',
        vectors=schema_pb2.VectorField(
            dim=dim, float_vector=schema_pb2.FloatArray(
                data=vectors.tolist()))))
    return data


def load(stub, data, seconds, pause):
    """{timestamp of the insert: when it returned}, one each pause."""
    returned = {}
    begin = due = time.monotonic()
    while time.monotonic() < begin + seconds:
        answer = stub.Insert(data, timeout=30)
        if answer.status.error_code or answer.status.code:
            raise RuntimeError('insert: %s' % answer.status)
        returned[answer.timestamp] = time.monotonic()
        due += pause
        time.sleep(max(0, due - time.monotonic()))
    return returned


def settled(target, quiet=1.0):
    """Waits until ticks come and rows do not."""
    rows, end = -1, time.monotonic() + 90
    while time.monotonic() < end:
        n = target.stats()
        if n['rows'] == rows and n['ticks'] > 0:
            return
        rows = n['rows']
        time.sleep(quiet)
    raise RuntimeError('still %d rows and %d ticks' % (n['rows'], n['ticks']))


def channels_of(name, using='source'):
    """The collection's channels of the log."""
    stub = connections._fetch_handler(using)._stub
    answer = stub.DescribeCollection(
        milvus_pb2.DescribeCollectionRequest(collection_name=name))
    return sorted(set(answer.physical_channel_names))


def new_collection(name, dim):
    if utility.has_collection(name, using='source'):
        utility.drop_collection(name, using='source')
    Shape(dim=dim, shards=2).create(name, 'source')


def received(target, returned, before=0):
    """Seconds from each insert's return to its last row's arrival."""
    last = {}
    for at, kind, ts, _ in target.trace():
        if kind == INSERT and ts in returned:
            last[ts] = max(at, last.get(ts, 0))
    return [last[ts] - returned[ts] for ts in returned if ts in last]


def tick_times(target, log):
    """Seconds from each tick that was read to the target's receipt of it,
    of those that the target got as they were."""
    first = {}
    for at, kind, ts, _ in target.trace():
        if kind == TICK:
            first.setdefault(ts, at)
    read = {}
    for at, _, kind, ts, _ in log:
        if kind == TICK:
            read.setdefault(ts, at)
    return [first[ts] - read[ts] for ts in read if ts in first]


def add_percentiles(figures, group, name, values, other=False):
    for percent in (50, 99):
        figures.add(group, '%s, p%d, ms' % (name, percent),
                    percentile(values, percent) * 1000, other)


def run(bed, service, figures, group, dim=768, rows=250, rate=5000,
        seconds=8):
    name = 'live_%d' % dim
    new_collection(name, dim)
    stub = connections._fetch_handler('source')._stub
    one, many = request(name, 1, dim), request(name, rows, dim)
    target = NullTarget(bed, 'null').start()
    tested = service(bed)
    try:
        tested.create(target, [name])
        stub.Insert(one, timeout=30)
        target.wait_rows(1, 60)
        settled(target)
        returned = load(stub, one, 4, 0.1)
        time.sleep(6 if tested.other else 1)
        lags = received(target, returned)
        if len(lags) != len(returned):
            raise RuntimeError('%d of %d single inserts arrived' % (
                len(lags), len(returned)))
        add_percentiles(figures, group, 'single insert returned to received',
                        lags, tested.other)
        log = LogTimes(bed, channels_of(name))
        before, bytes_before = tested.cpu(), target.stats()['bytes']
        begin = time.monotonic()
        returned = load(stub, many, seconds, rows / rate)
        took = time.monotonic() - begin
        time.sleep(6 if tested.other else 1)
        lags = received(target, returned)
        ticks = tick_times(target, log.end())
        cpu = tested.cpu() - before
        size = (target.stats()['bytes'] - bytes_before) / 1e9
        figures.add(group, 'rows/s that the source took',
                    len(returned) * rows / took, tested.other)
        figures.add(group, 'inserts that arrived, of all',
                    len(lags) / len(returned), tested.other)
        add_percentiles(figures, group, 'insert returned to received', lags,
                        tested.other)
        if ticks:
            add_percentiles(figures, group, 'tick read to received', ticks,
                            tested.other)
        figures.add(group, 'CPU-s per GB, live', cpu / size, tested.other)
        figures.add(group, 'peak memory, MB', tested.memory(), tested.other)
    finally:
        tested.stop()
        target.stop()
        Collection(name, using='source').drop()


def visible(bed, service, figures, group, number=60):
    """Single inserts into a real target, until a query there answers them."""
    shape = Shape(dim=128)
    shape.ready('seen', 'source', 100)
    tested = service(bed)
    try:
        tested.create(bed['target'], ['seen'])
        stub = connections._fetch_handler('target')._stub
        wait_for('a row on the target', lambda: is_visible(stub, 'seen', 99),
                 60)
        log = LogTimes(bed, channels_of('seen'))
        times, polls = measure(shape, 'seen', 1000, number)
        waits, open_rows = [], {}
        for at, channel, kind, ts, _ in log.end():
            if kind == INSERT:
                open_rows.setdefault(channel, []).append((ts, at))
            elif kind == TICK:
                rest = []
                for row_ts, row_at in open_rows.get(channel, []):
                    if row_ts <= ts:
                        waits.append(at - row_at)
                    else:
                        rest.append((row_ts, row_at))
                open_rows[channel] = rest
        figures.add(group, 'inserts that became visible, of all',
                    len(times) / number, tested.other)
        add_percentiles(figures, group, 'insert returned to visible', times,
                        tested.other)
        add_percentiles(figures, group, 'row to tick in the source\'s log',
                        waits, tested.other)
        figures.add(group, 'visible, more than row to tick, p50, ms',
                    (percentile(times, 50) - percentile(waits, 50)) * 1000,
                    tested.other)
        figures.add(group, 'a poll, p50, ms', percentile(polls, 50) * 1000,
                    tested.other)
    finally:
        tested.stop()
        for using in ('source', 'target'):
            if utility.has_collection('seen', using=using):
                utility.drop_collection('seen', using=using)
