"""A backlog into a real target: the replicator, and beside it a loader of
the same messages (bench/direct) that does nothing else.

Both are timed by what the target wrote to its own log, which is in Kafka:
from the first message with rows to the last.  A collection is renamed when
its run is over, so that each run has channels of the target for itself;
ticks of another run on a channel would go back in time.

What is compared are the two runs of a pair.  Each begins when source, target
and Kafka have worked off what the last one left; who is first in a pair is
last in the next, so their number is to be even; and the first pair, in which
the target grows its heap and Kafka's code gets warm, is thrown away.
"""

import json
import os
import subprocess
import time

from pymilvus import utility

import backlog
from live import INSERT, LogTimes
from nginx import BUILD
from null_target import NullTarget
from process import wait_for
from process_usage import cpu
from services import Module

NAME = 'direct'
CHANNELS = 32
PAIRS = CHANNELS // 4                    # of collections with two channels
# prefix: two on one Kafka
OPTIONS = {'mq': 'kafka', 'channels': CHANNELS, 'config': {
    'common': {'chanNamePrefix': {'cluster': 'taker'}}}}


def record(bed, rows):
    """The file of what a replicator sends to a target that takes a while."""
    path = os.path.join(bed.dir, 'record')
    target = NullTarget(bed, 'null').start()
    target.ask('delay 50')
    if target.ask('record ' + path).strip() != 'ok':
        raise RuntimeError('null-target cannot write ' + path)
    tested = Module(bed)
    try:
        tested.create(target, [NAME])
        if target.wait_rows(rows, 180)['rows'] != rows:
            raise RuntimeError(tested.circumstances())
        time.sleep(0.5)                 # the last tick
        if target.ask('record').strip() != 'ok':
            raise RuntimeError('%s is not whole' % path)
    finally:
        tested.stop()
        target.stop()
    return path


def written(log, rows):
    """Seconds from the first rows in the target's log to the last."""
    found = [(at, n) for at, _, kind, _, n in log.end() if kind == INSERT]
    if sum(n for _, n in found) != rows:
        raise RuntimeError('%d of %d rows are in the target\'s log' % (
            sum(n for _, n in found), rows))
    return found[-1][0] - found[0][0]


def follow(bed):
    return LogTimes(bed, ['taker-rootcoord-dml_%d' % n
                          for n in range(CHANNELS)], 'target')


def replicated(bed, target, rows):
    tested, log = Module(bed), follow(bed)
    try:
        task = tested.nginx.create(target, collection_infos=[{'name': NAME}])

        def all_sent():
            answer = tested.nginx.cdc('progress', {'task_id': task})[1]
            return answer['data']['tasks'][0]['rows_out'] >= rows

        wait_for('the backlog on the target', all_sent, 300)
        time.sleep(0.3)
        return written(log, rows), tested.cpu()
    finally:
        tested.stop()


def loaded(bed, target, rows, path, like, name):
    log = follow(bed)
    answer = json.loads(subprocess.run(
        ['setpriv', '--pdeathsig', 'KILL',
         os.path.join(BUILD, 'bench', 'direct-load'),
         json.dumps({'uri': target.uri}), path, like, name],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
        timeout=300).stdout)
    time.sleep(0.3)
    return written(log, rows), answer


def quiet(bed, seconds=10):
    """Until source, target and Kafka have less and less to do no more."""
    pids = [bed.parts[name].pid for name in ('source', 'target', 'kafka')]
    last, end = float('inf'), time.monotonic() + seconds
    while time.monotonic() < end:
        before = sum(map(cpu, pids))
        time.sleep(1)
        now = sum(map(cpu, pids)) - before
        if now > 0.8 * last:
            return
        last = now


class Pairs:
    """The replicator and the loader in turn."""

    def __init__(self, bed, rows, dim):
        self.bed, self.rows = bed, rows
        backlog.fill(NAME, rows, dim)
        self.target, self.path = bed['target'], record(bed, rows)
        self.like = None                 # a collection on the target

    def replicator(self, number):
        took, used = replicated(self.bed, self.target, self.rows)
        self.like = 'replicated_%d' % number
        utility.rename_collection(NAME, self.like, using='target')
        return took, used

    def loader(self, number):
        return loaded(self.bed, self.target, self.rows, self.path, self.like,
                      'loaded_%d' % number)

    def pair(self, number):
        """((seconds, CPU-s), (seconds, the loader's answer))"""
        order = [self.replicator, self.loader]
        found = []
        for one in reversed(order) if number % 2 else order:
            quiet(self.bed)
            found.append(one(number))
        return found[::-1] if number % 2 else found


def run(bed, figures, group, rows, runs, dim=128):
    pairs = Pairs(bed, rows, dim)
    pairs.pair(0)
    for n in range(1, min(runs, PAIRS - 1) + 1):
        (mine, used), (theirs, answer) = pairs.pair(n)
        for name, value in (
                ('rows/s, the replicator', rows / mine),
                ('rows/s, the direct loader', rows / theirs),
                ('replicator\'s rate, % of the loader\'s',
                 100 * theirs / mine),
                ('MB/s, the direct loader', answer['bytes'] / 1e6 / theirs),
                ('replicator, CPU-s per GB',
                 used / (answer['bytes'] / 1e9)),
                ('direct loader, requests', answer['requests']),
                ('direct loader, waits', answer['waits'])):
            figures.add(group, name, value)
    backlog.drop(NAME)
