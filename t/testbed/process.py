"""Processes and ports of a testbed.

A process is named by its id *and* its start time, so a recycled id is never
signalled.  In library use a child dies with its parent (setpriv sets
PR_SET_PDEATHSIG); the kernel ties that to the thread that forked, so parts
are started from the main thread only.  As a command the parts stay behind
and a later command finds them by state.json.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

CACHE = os.environ.get('MILVUS_CDC_CACHE') or os.path.join(
    os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'),
    'milvus-cdc')


class TestbedError(Exception):
    pass


def say(text):
    sys.stderr.write('testbed: %s\n' % text)
    sys.stderr.flush()


def quiet(text):
    del text


def proc_stat(pid):
    """(state, parent, start time) of a process, None when there is none."""
    try:
        with open('/proc/%d/stat' % pid) as f:
            rest = f.read().rsplit(')', 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return rest[0], int(rest[1]), int(rest[19])


def descendants(pid):
    """Every process below pid, in no special order."""
    children = {}
    for name in os.listdir('/proc'):
        if name.isdigit():
            stat = proc_stat(int(name))
            if stat and stat[0] != 'Z':
                children.setdefault(stat[1], []).append(int(name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def cmdline(pid):
    try:
        with open('/proc/%d/cmdline' % pid, 'rb') as f:
            return f.read().rstrip(b'\0').replace(b'\0', b' ').decode(
                errors='replace')
    except (FileNotFoundError, ProcessLookupError):
        return ''


def wait_for(what, check, timeout, step=0.1):
    """Calls check until it answers something true; its last error when not."""
    end = time.monotonic() + timeout
    error = None
    while True:
        try:
            result = check()
            if result:
                return result
        except TestbedError:
            raise
        except Exception as e:                # any failure means "not yet"
            error = e
        if time.monotonic() >= end:
            raise TestbedError('%s: not within %g s%s' % (
                what, timeout, ' (%s)' % error if error else ''))
        time.sleep(step)


class Ports:
    """A block of a hundred ports below the kernel's range for clients.

    The first port of the block is held while this object lives, so that two
    testbeds that start at the same time take different blocks; a block with
    anything listening in it belongs to a testbed that a command left behind.
    """

    SIZE = 100

    def __init__(self):
        blocks = list(range(10000, 32000, self.SIZE))
        random.shuffle(blocks)
        for base in blocks:
            hold = self.bound(base)
            if hold is None:
                continue
            if all(self.free(p) for p in range(base + 1, base + self.SIZE)):
                self.hold, self.next, self.end = hold, base, base + self.SIZE
                return
            hold.close()
        raise TestbedError('no free block of ports')

    @staticmethod
    def bound(port):
        s = socket.socket()
        # passes by TIME_WAIT, as the servers themselves do
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('127.0.0.1', port))
            s.listen(1)
        except OSError:
            s.close()
            return None
        return s

    @classmethod
    def free(cls, port):
        s = cls.bound(port)
        if s is None:
            return False
        s.close()
        return True

    def take(self):
        while self.next + 1 < self.end:
            self.next += 1
            if self.free(self.next):
                return self.next
        raise TestbedError('the block of ports is used up')


def connects(port, host='127.0.0.1'):
    with socket.create_connection((host, port), timeout=2):
        return True


class Process:
    """One server: its command, its log, its ports, and its way to stop."""

    kind = 'process'
    stop_signal = signal.SIGTERM
    stop_timeout = 10
    death_signal = 'KILL'              # when who has started it is gone

    def __init__(self, bed, name):
        self.bed = bed
        self.name = name
        self.dir = os.path.join(bed.dir, name)
        self.log = os.path.join(self.dir, name + '.log')
        self.pid = None
        self.started = None
        self.child = None
        self.begun = None
        os.makedirs(self.dir, exist_ok=True)

    # What a part must say of itself.

    def command(self):
        raise NotImplementedError

    def ready(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def state(self):
        return {}

    # What is the same for all of them.

    def start(self):
        argv = self.command()
        if self.bed.own:
            argv = ['setpriv', '--pdeathsig', self.death_signal] + argv
        env = {k: v for k, v in os.environ.items()
               if not k.lower().endswith('_proxy')}
        env.update(self.environment())
        with open(self.log, 'ab') as log:
            self.child = subprocess.Popen(
                argv, cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True)
        self.begun = time.monotonic()
        self.pid = self.child.pid
        self.started = proc_stat(self.pid)[2]
        self.bed.save()

    def attach(self, pid, started):
        self.pid, self.started = pid, started

    def alive(self):
        if self.pid is None:
            return False
        if self.child is not None and self.child.poll() is not None:
            return False
        stat = proc_stat(self.pid)
        return stat is not None and stat[2] == self.started \
            and stat[0] != 'Z'

    def tail(self, lines=15):
        try:
            with open(self.log, 'rb') as f:
                f.seek(max(0, os.path.getsize(self.log) - 16384))
                text = f.read().decode(errors='replace').splitlines()
        except OSError:
            return ''
        return '\n'.join('    | ' + t[:300] for t in text[-lines:])

    def wait(self, timeout=180):
        def check():
            if not self.alive():
                raise TestbedError('%s ended while starting; its log (%s) '
                                   'ends with\n%s'
                                   % (self.name, self.log, self.tail()))
            return self.ready()

        begin = self.begun or time.monotonic()
        try:
            wait_for(self.name, check, timeout)
        except TestbedError as e:
            if 'its log' in str(e):
                raise
            raise TestbedError('%s; its log (%s) ends with\n%s' % (
                e, self.log, self.tail())) from None
        self.bed.say('%s is up, %s (%.1f s)' % (
            self.name, self.where(), time.monotonic() - begin))

    def where(self):
        return 'pid %d' % self.pid

    def send(self, sig):
        if self.alive():
            os.kill(self.pid, sig)

    def gone(self, timeout):
        end = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)
        return True

    def kill(self, sig=signal.SIGKILL):
        self.send(sig)
        if sig == signal.SIGKILL:
            self.gone(10)

    def stop(self, timeout=None):
        self.send(self.stop_signal)
        if not self.gone(self.stop_timeout if timeout is None else timeout):
            self.kill()

    def restart(self, sig=None):
        if sig is None:
            self.stop()
        else:
            self.kill(sig)
        self.start()
        self.wait()


def write_json(path, value):
    with open(path + '.tmp', 'w') as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write('\n')
    os.replace(path + '.tmp', path)
