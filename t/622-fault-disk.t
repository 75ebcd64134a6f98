#!/usr/bin/env python3
"""The disk of the state directory is full, then read-only, while rows flow:
nothing more is acknowledged than the disk knows of, the task says why, and
goes on by itself when it can.
"""

import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from nginx import Nginx                                      # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import Collection                              # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=2, scalars=True)
WAIT = 150


class Disk:
    """A file system of its own, of a few MB."""

    def __init__(self, path):
        self.path, self.filler = path, os.path.join(path, 'filler')
        os.makedirs(path, exist_ok=True)
        self.there = subprocess.run(
            ['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=0755', 'tmpfs',
             path], stderr=subprocess.DEVNULL).returncode == 0

    def fill(self):
        with open(self.filler, 'ab', buffering=0) as f:
            for piece in (65536, 4096, 1):
                try:
                    while f.write(b'\0' * piece):
                        pass
                except OSError:
                    pass

    def free(self):
        os.unlink(self.filler)

    def remount(self, how):
        subprocess.run(['mount', '-o', 'remount,' + how, self.path],
                       check=True)

    def close(self):
        if self.there:
            subprocess.run(['umount', '-l', self.path])


def metric(t, name):
    text = t.nginx.get('/cdc/metrics')[1]
    found = re.search(r'%s\{task_id="one"\} (\d+)' % name, text)
    return int(found.group(1)) if found else None


def reason(t):
    return t.nginx.task('one').get('reason', '')


def full_while_running(t, disk):
    with Load(SHAPE, 'load', first=10 ** 6, pause=0.005) as load:
        disk.fill()
        t.passes('a full disk: the task says so', wait_for, 'the reason',
                 lambda: disk.fill() or 'no space left' in reason(t), 60)
        t.same(t.nginx.task('one').get('state'), 'Running', 'it is Running')
        t.same(t.nginx.get('/cdc/health')[0], 503, 'health is 503')
        wait_for('the reserve is used up', lambda: stands(t, load), 60)
        t.ok(True, 'what the disk does not know of is not sent')
        t.same(len(t.nginx.replicators()), 1, 'the replicator lives')
    disk.free()
    t.passes('there is room: the reason goes', wait_for, 'no reason',
             lambda: reason(t) == '', 60)
    t.equal('equal after a full disk', WAIT)
    t.same(t.nginx.get('/cdc/health')[0], 200, 'health is 200')
    return load.next


def stands(t, load):
    """Rows come and none is acknowledged for a while."""
    out, first = metric(t, 'rows_out_total'), load.next
    time.sleep(3)
    return metric(t, 'rows_out_total') == out and load.next > first


def killed_when_full(t, disk, first):
    with Load(SHAPE, 'load', first=first) as load:
        disk.fill()
        wait_for('the reason', lambda: disk.fill() or reason(t), 60)
        for _ in range(2):
            for pid in t.nginx.replicators():
                os.kill(pid, signal.SIGKILL)
            wait_for('another one', lambda: disk.fill() or
                     t.nginx.replicators(), 30)
            time.sleep(1.5)
        t.same(t.nginx.task('one').get('state'), 'Running',
               'killed on a full disk: it does not pause')
        t.passes('and says why it waits', wait_for, 'the reason',
                 lambda: re.search('[Nn]o space left', reason(t)), 30)
    disk.free()
    t.passes('there is room: the reason goes', wait_for, 'no reason',
             lambda: reason(t) == '' and t.nginx.task('one').get('state')
             == 'Running', 60)
    t.equal('killed on a full disk: equal', WAIT)
    return load.next


def read_only(t, disk, first):
    """A file system turns read-only with its files closed only, so nginx is
    started on one that is."""
    Collection('load', using=S).insert(SHAPE.rows(first, first + 50))
    t.nginx.stop()
    disk.remount('ro')
    t.nginx.start()
    status, answer = wait_for('an answer', lambda: t.nginx.cdc('list'), 30)
    t.same(status, 503, 'read-only: 503')
    with open(t.nginx.errors, errors='replace') as f:
        t.ok('Read-only file system' in f.read(), 'the log says why')
    t.ok(t.nginx.supervisor(), 'nginx goes on trying')
    disk.remount('rw')
    t.passes('writable again: the API answers', t.nginx.wait, 60)
    t.wait_task('and the task runs', 'one', 'Running')
    t.equal('read-only for a while: equal', WAIT)


with E2E() as t:
    disk = Disk(os.path.join(t.bed.dir, 'disk'))
    if not disk.there:
        print('1..0 # SKIP no file system of a few MB can be mounted here')
        t.bed.close()
        sys.exit(0)
    try:
        t.up({'target': {'channels': 4}})
        SHAPE.ready('load', S, 200)
        t.nginx = Nginx(t.bed)
        t.nginx.state_dir = os.path.join(disk.path, 'state')
        t.bed.add(t.nginx)
        t.nginx.wait(30)
        t.nginx.create(t.bed['target'], task_id='one')
        t.needed(t.equal('equal before', WAIT) is not None)
        following = full_while_running(t, disk)
        following = killed_when_full(t, disk, following)
        read_only(t, disk, following)
    finally:
        if t.nginx is not None and t.nginx.alive():
            t.nginx.power_cut()
        disk.close()
