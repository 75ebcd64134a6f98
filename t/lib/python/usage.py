"""CPU time and memory of processes while something is measured."""

import os
import threading

TICKS = os.sysconf('SC_CLK_TCK')


def sample(pid):
    """(CPU seconds, peak memory in bytes)"""
    with open('/proc/%d/stat' % pid) as f:
        fields = f.read().rsplit(')', 1)[1].split()
    with open('/proc/%d/status' % pid) as f:
        peak = [line.split()[1] for line in f if line.startswith('VmHWM')]
    return ((int(fields[11]) + int(fields[12])) / TICKS,
            int(peak[0]) * 1024 if peak else 0)


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
