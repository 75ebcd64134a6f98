"""CPU time, memory and files of processes while something is measured."""

import os
import threading
import time

TICKS = os.sysconf('SC_CLK_TCK')


def sample(pid):
    """(CPU seconds, peak memory in bytes)"""
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    with open('/proc/%d/status' % pid) as f:
        peak = [line.split()[1] for line in f if line.startswith('VmHWM')]
    return ((int(fields[11]) + int(fields[12])) / TICKS,
            int(peak[0]) * 1024 if peak else 0)


def memory(pid):
    """Resident memory now, in words."""
    with open('/proc/%d/status' % pid) as f:
        kb = {line.split(':')[0]: int(line.split()[1]) for line in f
              if line.startswith(('VmRSS', 'RssAnon', 'RssFile', 'VmHWM'))}
    return '%.1f MB resident (%.1f of it our own), %.1f MB at the peak' % (
        kb['VmRSS'] / 1024, kb['RssAnon'] / 1024, kb['VmHWM'] / 1024)


class Usage:
    """Samples what find() names; a process that ends keeps its last one."""

    def __init__(self, find, step=0.2):
        self.find, self.step = find, step
        self.seen = {}
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stop.wait(self.step):
            for pid in self.find():
                try:
                    self.seen[pid] = sample(pid)
                except (OSError, ValueError):
                    pass

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.stop.set()
        self.thread.join()

    def __str__(self):
        return ', '.join('%.2f CPU-seconds, %.0f MB at the peak' % (
            cpu, peak / 1e6) for cpu, peak in self.seen.values()) or 'none'


class Footprint:
    """Memory and open files of one process, sample after sample.

    What grows without end shows between the first and the last part of a
    steady run; what only fills a buffer has filled it in the first part.
    """

    def __init__(self, pid):
        self.pid = pid
        self.begun = time.monotonic()
        self.samples = []                  # (seconds, bytes, files, deleted)

    def take(self):
        with open('/proc/%d/status' % self.pid) as f:
            (rss,) = [line.split()[1] for line in f
                      if line.startswith('VmRSS')]
        files = deleted = 0
        where = '/proc/%d/fd' % self.pid
        for name in os.listdir(where):
            try:
                path = os.readlink(os.path.join(where, name))
            except OSError:                # closed since
                continue
            files += 1
            deleted += path.endswith(' (deleted)')
        self.samples.append((time.monotonic() - self.begun,
                             int(rss) * 1024, files, deleted))
        return self.samples[-1]

    def highest(self, column, first, last):
        """The highest value between two shares of the run, 0 to 1."""
        n = len(self.samples)
        part = self.samples[int(n * first):max(int(n * last),
                                               int(n * first) + 1)]
        return max(sample[column] for sample in part)

    def flat(self, slack=6 << 20, files=8):
        """Nothing when the last third needs no more than the second one,
        else what grew."""
        grew = []
        for column, what, more in ((1, 'bytes of memory', slack),
                                   (2, 'open files', files),
                                   (3, 'deleted files held open', files)):
            before = self.highest(column, 1 / 3, 2 / 3)
            after = self.highest(column, 2 / 3, 1)
            if after > before + more:
                grew.append('%s: %d, then %d' % (what, before, after))
        return grew

    def __str__(self):
        return '; '.join(
            '%d to %d s: at most %.1f MB, %d files, %d of them deleted' % (
                self.samples[int(len(self.samples) * first)][0],
                self.samples[min(int(len(self.samples) * last),
                                 len(self.samples) - 1)][0],
                self.highest(1, first, last) / 1e6,
                self.highest(2, first, last), self.highest(3, first, last))
            for first, last in ((0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)))
