"""How far a target is behind, as its rows say, beside what is shown.

A probe writes a row every half second and notes its time by the source's
clock; a reader notes when the row is in the target's log, on Kafka, so that a
target that is down or slow to load tells as well; a third asks nginx.  At any
moment the truth is the age of the oldest row that the target does not have.
"""

import threading
import time

from pymilvus import Collection

import compare
from targetlog import TargetLog

STEP = 0.5


class Truth:
    def __init__(self, bed, nginx, task, shape, name):
        self.nginx, self.task, self.shape, self.name = \
            nginx, task, shape, name
        self.log = TargetLog(bed['kafka'].uri, [
            'by-dev-rootcoord-dml_%d' % n
            for n in range(bed['target'].channels)])
        self.id = compare.Cluster('target').describe(
            'default', name).collectionID
        self.written = []                # (time by the source, row)
        self.seen = {}                   # row -> when the target had it
        self.shown = []                  # (when, lag, the whole answer)
        self.writing = True
        self.ended = False
        self.threads = [threading.Thread(target=f, daemon=True)
                        for f in (self.write, self.read, self.ask)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self.ended = True
        for thread in self.threads:
            thread.join(20)

    def write(self):
        collection = Collection(self.name, using='source')
        row = 1000
        while not self.ended:
            begin = time.monotonic()
            if self.writing:
                try:
                    result = collection.insert([self.shape.row(row)],
                                               timeout=5)
                    self.written.append(((result.timestamp >> 18) / 1000,
                                         row))
                except Exception:        # nobody knows: not a probe
                    pass
                row += 1
            time.sleep(max(0.0, STEP - (time.monotonic() - begin)))

    def read(self):
        at = 0
        while not self.ended:
            if at < len(self.written):
                there = self.log.read().rows(self.id)
                while at < len(self.written) and self.written[at][1] in there:
                    self.seen[self.written[at][1]] = time.time()
                    at += 1
            time.sleep(0.05)

    def ask(self):
        while not self.ended:
            try:
                status, answer = self.nginx.cdc('progress',
                                                {'task_id': self.task})
                if status == 200:
                    task = answer['data']['tasks'][0]
                    self.shown.append((time.time(), task['lag_seconds'],
                                       task))
            except OSError:
                pass
            time.sleep(0.1)

    def truth(self, now):
        for at, row in self.written:
            if at <= now < self.seen.get(row, now + 1):
                return now - at
        return 0.0

    def between(self, begin, end):
        """(when, lag, truth) of what was shown then."""
        return [(at - begin, lag, self.truth(at))
                for at, lag, _ in self.shown if begin <= at <= end]

    def wrong(self, begin, end, tolerance=1.0):
        """Of these, those that are not the truth."""
        return [s for s in self.between(begin, end)
                if s[1] is None or abs(s[1] - s[2]) > tolerance]

    def caught_up(self):
        return self.written and self.written[-1][1] in self.seen
