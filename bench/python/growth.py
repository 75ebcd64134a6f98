"""What it costs when nothing happens, and when there is more of everything."""

import contextlib
import os
import signal
import time

from pymilvus import Collection, utility

from fixtures import Shape
from live import settled
from log_fill import LogFill
from null_target import NullTarget
from process import wait_for

DIM, MESSAGE = 128, 100                  # rows of each message
TIMES = 4                                # the rows of a backlog
ROUNDS = 5
SETTLED = 7                              # s, more than CDC_ADOPT_MS
REST = 0.5                               # s, for the last ticks, checkpoints
# a run writes 30 GB; what is read is kept for minutes, not for a week
BROKER = {'config': {
    'log.segment.bytes': 64 << 20, 'log.retention.ms': 120000,
    'log.retention.check.interval.ms': 5000}}
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
    """More channels, more collections, more tasks, and the same rows in the
    same messages and batches.

    log-fill writes them, in the place of a source that has made the
    collections and is ended.  A real one packs what comes for a channel
    within 2 ms: 3 messages of an insert's 100 rows where it is one channel,
    1.05 where 64 have a part of each insert.  And for 302,000 rows it takes 5
    to 40 s, with five ticks a second of each channel among them.  On 64
    channels batches of one message took 14 % more CPU time than those of
    eight, 6 s of ticks 9 %, both 29 %; on one channel hardly any.  With 100
    collections of one channel each, whose batches were of 3, it was the ticks
    alone: 14 %.

    What happens once is not what grows with the rows.  The collections are
    on the target already, from a replicator before: a new one takes them over
    as they are, where one that makes them repeats its ticks for half a minute
    (cdc_lane.c, "Hurry").  And a task is stopped by a signal when it is up to
    date, and goes on when the rows are in the log.

    The ticks that came meanwhile, its waking and what an idle task costs do
    not grow with the rows: behind each round comes one without rows that is
    as long.  For the same reason there are TIMES the rows of a backlog: over
    50 tasks 302,000 are 3 MB for each, or 5 ms, and 2.5 ms to wake it.
    """

    def __init__(self, bed, service, figures, kind, rows):
        self.bed, self.service, self.figures = bed, service, figures
        self.kind, self.rows = kind, rows * TIMES
        self.log = LogFill(bed['kafka'].uri, MESSAGE, DIM)
        self.filled_at = 0
        self.target = NullTarget(bed, 'null', 64, distributed=True)

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

    def point(self, group, label, names, tasks=1):
        """names, in so many tasks"""
        self.bed.say(label)
        # rows of the last seconds would be settled
        time.sleep(max(0, self.filled_at + SETTLED - time.monotonic()))
        tested = self.service(self.bed)
        try:
            per = len(names) // tasks
            for n in range(tasks):
                tested.create(self.target, names[n * per:(n + 1) * per])
            self.live(tested)
            figures = []
            for _ in range(ROUNDS):
                full = self.round(tested, names)
                figures += self.compared(full, self.empty(tested, full))
            figures.append(('peak memory of each task, MB',
                            tested.memory() / tasks))
        finally:
            tested.stop()
        for name, value in figures:
            self.figures.add(group, '%s: %s' % (label, name), value)

    def round(self, tested, names):
        with self.asleep(tested):
            self.target.ask('forget')
            before, began = tested.cpu(), time.monotonic()
            rows = self.log.fill(names, self.rows)
            self.filled_at = time.monotonic()
        woken = time.monotonic()
        n = self.target.wait_rows(rows, 60)
        cpu = tested.cpu() - before
        if n['rows'] != rows:
            raise RuntimeError('%d of %d rows\n%s' % (
                n['rows'], rows, tested.circumstances()))
        return {'cpu': cpu, 'took': self.filled_at - began, 'sent': n,
                'ran': n['last_rows'] - woken}

    def empty(self, tested, like):
        """CPU time of a round as long as another, in which ticks come."""
        with self.asleep(tested):
            before = tested.cpu()
            time.sleep(like['took'])
        time.sleep(like['ran'])
        return tested.cpu() - before

    @staticmethod
    @contextlib.contextmanager
    def asleep(tested):
        """Its tasks stopped by a signal, as long as the block takes, when
        they have done what a round leaves behind: ticks, checkpoints."""
        time.sleep(REST)
        pids = tested.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

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
        """most collections; each: of how many one task has one at last"""
        group = 'grow, %d rows, source on %s' % (self.rows, self.kind)
        on = {shards: 'wide_%d' % shards for shards in channels}
        for shards, name in on.items():
            self.make(name, shards)
        names = self.make_many(max(most, each), each)
        self.bed.kill('source')
        self.log.start()
        self.target.start()
        try:
            self.prepare([*on.values(), *names])
            for shards, name in on.items():
                self.point(group, '%d channels' % shards, [name])
            for tasks in (1, each // 5, each):
                self.point(group, '%d collections, %d tasks' % (each, tasks),
                           names[:each], tasks)
            most = min(most, len(names))
            for number in sorted({min(n, most) for n in (1, 10, 100, most)}):
                self.point(group, '%d collections' % number, names[:number])
        finally:
            self.target.stop()
            self.log.stop()

    def make(self, name, shards):
        wide(name, shards)
        self.log.learn(name)

    def make_many(self, most, least, seconds=120):
        """Collections of one shard; fewer than most where the source is
        slow."""
        names, end = [], time.monotonic() + seconds
        while len(names) < most and (len(names) < least
                                     or time.monotonic() < end):
            names.append('grow_%d' % len(names))
            self.make(names[-1], 1)
        return names
