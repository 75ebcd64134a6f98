"""bench/null as one more part of a testbed, and its commands."""

import json
import os
import subprocess

from nginx import BUILD
from process import Process, TestbedError


class NullTarget(Process):
    """uri and token as a Milvus of the testbed has them."""

    kind = 'null'
    token = ''

    def __init__(self, bed, name='null', channels=16, threads=2,
                 distributed=False):
        super().__init__(bed, name)
        self.channels, self.threads = channels, threads
        self.distributed = distributed
        self.port = None

    def command(self):
        path = os.path.join(BUILD, 'bench', 'null-target')
        if not os.path.exists(path):
            raise TestbedError('%s is missing: run "make bench"' % path)
        return [path, '-c', str(self.channels), '-t', str(self.threads)] + (
            ['-D'] if self.distributed else [])

    def start(self):
        """Its commands come by its standard input."""
        with open(self.log, 'ab') as log:
            self.child = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL'] + self.command(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, cwd=self.dir)
        self.attach(self.child.pid, None)
        line = self.child.stdout.readline().split()
        if line[:1] != ['port']:
            raise TestbedError('null-target ended; its log is %s' % self.log)
        self.port = int(line[1])
        return self

    @property
    def uri(self):
        return 'http://127.0.0.1:%d' % self.port

    def alive(self):
        return self.child is not None and self.child.poll() is None

    def stop(self, timeout=None):
        if self.alive():
            self.child.stdin.close()
            self.child.wait(10)

    kill = stop

    def ask(self, line):
        self.child.stdin.write(line + '\n')
        self.child.stdin.flush()
        return self.child.stdout.readline()

    def stats(self):
        return json.loads(self.ask('stats'))

    def wait_rows(self, rows, seconds):
        return json.loads(self.ask('wait %d %g' % (rows, seconds)))

    def reset(self):
        self.ask('reset')

    def trace(self):
        """(time, type, timestamp, rows) of each message so far."""
        found = []
        line = self.ask('trace')
        while line.strip() != '.':
            at, kind, ts, rows = line.split()
            found.append((float(at), int(kind), int(ts), int(rows)))
            line = self.child.stdout.readline()
        return found
