"""What it costs when nothing happens, and when there is more of everything."""

import contextlib
import itertools
import os
import signal
import time

from pymilvus import Collection, connections, utility

from fixtures import Shape
from live import request, settled
from null_target import NullTarget
from process import wait_for

DIM, MESSAGE = 128, 100                  # rows of each message
ROUNDS = 3
SETTLED = 7                              # s, more than CDC_ADOPT_MS
TICKED = 1                               # s, several ticks of the source
STILL = 20                               # s; the source's lease in etcd: 30
OPTIONS = {'channels': 64, 'config': {'proxy': {'maxShardNum': 64}}}


def wide(name, shards, dim=DIM):
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


class Grow:
    """More channels, more collections, more tasks, and the same rows in
    messages of the same size.

    What happens once is not what grows with the rows.  The collections are
    on the target already, from a replicator before: a new one takes them over
    as they are, where one that makes them repeats its ticks for half a minute
    (cdc_lane.c, "Hurry").  And a task is stopped by a signal when it is up to
    date, and goes on when the rows are in the log.

    With them it finds five ticks of each channel for each second that the
    source took for the rows: a slow source makes many channels look dear.
    These, its waking and what an idle task costs do not grow with the rows:
    behind each round comes one without rows that is as long.

    What is not ours is the same for all of them.  Rows come collection by
    collection: Milvus packs what arrives for a channel at the same time, and
    small packs cost more than large ones.  And the source stands still while
    tasks run, or they would have what it leaves of the cores.
    """

    def __init__(self, bed, service, figures, kind, rows):
        self.bed, self.service, self.figures = bed, service, figures
        self.kind, self.rows = kind, rows
        self.inserts = {}                # channels of each -> some to repeat
        self.inserted_at = 0
        self.stub = connections._fetch_handler('source')._stub

    def fill(self, names, shards):
        """rows over names, MESSAGE rows for each shard at once: how many it
        was, and s."""
        step = MESSAGE * shards
        times = max(1, self.rows // step // len(names))
        some = itertools.cycle(self.different(shards, times * len(names)))
        under_way, began = [], time.monotonic()
        for n in range(times * len(names)):
            data = next(some)
            data.collection_name = names[n // times]
            under_way.append(self.stub.Insert.future(data, timeout=300))
            if len(under_way) == 8:
                self.inserted(under_way.pop(0).result())
        for insert in under_way:
            self.inserted(insert.result())
        self.inserted_at = time.monotonic()
        return times * step * len(names), self.inserted_at - began

    def different(self, shards, times):
        """Inserts.  Of equal ones in one batch Kafka's zstd would leave one:
        batches are of 1 MB, and of what is under way at once."""
        number = min(times, max(16, 40 // shards))
        found = self.inserts.setdefault(shards, [])
        while len(found) < number:
            found.append(request('', MESSAGE * shards, DIM, len(found)))
        return found[:number]

    @staticmethod
    def inserted(answer):
        if answer.status.error_code or answer.status.code:
            raise RuntimeError('insert: %s' % answer.status)

    def live(self, tested):
        """Until each task has nothing left to send, and says so."""
        def all_live():
            tasks = tested.nginx.cdc('progress')[1]['data']['tasks']
            return all(t['helper'] and t['live'] for t in tasks)

        wait_for('tasks that are up to date', all_live, 300)

    def prepare(self, names):
        """All of them on the target."""
        tested = self.service(self.bed)
        try:
            tested.create(self.target, names)
            self.live(tested)
        finally:
            tested.stop()

    def point(self, group, label, names, tasks=1, shards=1):
        """names, in so many tasks, with so many channels each"""
        self.bed.say(label)
        # rows of the last seconds would be settled
        time.sleep(max(0, self.inserted_at + SETTLED - time.monotonic()))
        tested = self.service(self.bed)
        try:
            per = len(names) // tasks
            for n in range(tasks):
                tested.create(self.target, names[n * per:(n + 1) * per])
            self.live(tested)
            figures = []
            for _ in range(ROUNDS):
                full = self.round(tested, names, shards)
                figures += self.compared(full, self.empty(tested, full))
            figures.append(('peak memory of each task, MB',
                            tested.memory() / tasks))
        finally:
            tested.stop()
        for name, value in figures:
            self.figures.add(group, '%s: %s' % (label, name), value)

    def round(self, tested, names, shards):
        self.target.ask('forget')
        pids, before = tested.pids(), tested.cpu()
        with self.asleep(pids):
            rows, took = self.fill(names, shards)
            time.sleep(TICKED)           # rows that wait for their tick go
        with self.asleep([self.bed['source'].pid]):
            woken = time.monotonic()
            n = self.target.wait_rows(rows, STILL)
        if n['rows'] != rows:
            raise RuntimeError('%d of %d rows\n%s' % (
                n['rows'], rows, tested.circumstances()))
        return {'cpu': tested.cpu() - before, 'took': took, 'sent': n,
                'ran': n['last_rows'] - woken}

    @staticmethod
    @contextlib.contextmanager
    def asleep(pids):
        """Stopped by a signal, as long as the block takes."""
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def empty(self, tested, like):
        """CPU time of a round as long as another, in which ticks come."""
        pids, before = tested.pids(), tested.cpu()
        with self.asleep(pids):
            time.sleep(like['took'] + TICKED)
        with self.asleep([self.bed['source'].pid]):
            time.sleep(like['ran'])
        return tested.cpu() - before

    @staticmethod
    def compared(full, empty):
        n = full['sent']
        gb = n['bytes'] / 1e9
        found = []
        if n['last_rows'] > n['first_rows']:         # in several requests
            found.append(('rows/s', n['rows'] / (n['last_rows']
                                                 - n['first_rows'])))
        return found + [('CPU-s per GB', full['cpu'] / gb),
                        ('CPU-s per GB, less a round without rows',
                         (full['cpu'] - empty) / gb),
                        ('s that the ticks among them are of', full['took'])]

    def run(self, most, channels=(1, 4, 16, 64), each=50):
        """most collections; each: of how many one task has one at last

        What makes a real Milvus slow comes last: with 1,000 collections it
        takes seconds for an insert.
        """
        group = 'grow, %d rows, source on %s' % (self.rows, self.kind)
        for shards in channels:
            wide('wide_%d' % shards, shards)
        self.target = NullTarget(self.bed, 'null', 64).start()
        try:
            self.prepare(['wide_%d' % n for n in channels])
            for shards in channels:
                self.point(group, '%d channels' % shards,
                           ['wide_%d' % shards], shards=shards)
            names = self.make([], each, each)
            self.prepare(names)
            for tasks in (1, each // 5, each):
                self.point(group, '%d collections, %d tasks' % (each, tasks),
                           names, tasks)
            for number in (1, 10, 100, most):
                names = self.make(names, number, 0)
                self.prepare(names)
                self.point(group, '%d collections' % min(number, len(names)),
                           names[:number])
        finally:
            self.target.stop()

    def make(self, names, most, least, seconds=120):
        """The collections, with those that are there already; fewer than
        wanted where the source is slow."""
        names, end = list(names), time.monotonic() + seconds
        while len(names) < most and (len(names) < least
                                     or time.monotonic() < end):
            names.append('grow_%d' % len(names))
            wide(names[-1], 1)
        return names
