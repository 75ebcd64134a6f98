#!/usr/bin/env python3
"""A source on RocksMQ: its files are only read, its end is survived.

Where root runs this, nginx's workers and helpers are another user, to whom
the source's directory is read-only.
"""

import hashlib
import os
import platform
import pwd
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from nginx import BUILD                                      # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'
SHAPE = Shape(dim=32, shards=2, scalars=True)
USER = 'www-data' if os.geteuid() == 0 else None


def lends(t):
    """RocksDB, loaded and not linked, finds our checksum in the helper: half
    of a backlog's CPU time, and nothing else would tell."""
    names = subprocess.run(
        ['nm', '-D', '--defined-only',
         os.path.join(BUILD, 'milvus-cdc-helper')],
        stdout=subprocess.PIPE, check=True).stdout.split()
    t.ok(platform.machine() != 'x86_64'
         or b'_ZN7rocksdb6crc32c6ExtendEjPKcm' in names,
         'the helper lends RocksDB a checksum')


def permission(t, path):
    """The directory is closed to the worker's user; its answer, the task."""
    os.chmod(path, 0o700 if USER else 0)
    try:
        task = t.nginx.create(t.bed['target'])
        name = USER or pwd.getpwuid(os.geteuid()).pw_name

        def names_them():
            reason = t.nginx.task(task).get('reason', '')
            return path in reason and name in reason

        t.passes('the task names the directory and the user who may not '
                 'read it', wait_for, 'reason', names_them, 15)
        t.note(t.nginx.task(task).get('reason'))
    finally:
        os.chmod(path, 0o755)
    t.needed(t.equal('readable: the task goes on by itself', 60) is not None)
    t.same(t.nginx.task(task).get('reason'), None, 'and has no complaint')
    return task


def files(path):
    """{name: size, time, contents} of a directory."""
    found = {}
    for folder in (path, path + '_meta_kv'):
        for name in sorted(os.listdir(folder)):
            file = os.path.join(folder, name)
            stat = os.stat(file)
            with open(file, 'rb') as f:
                found[file] = (stat.st_size, stat.st_mtime_ns,
                               hashlib.sha256(f.read()).hexdigest())
        found[folder] = os.stat(folder).st_mtime_ns
    return found


def untouched(t, path):
    """Nothing is written while the source is down and a replicator opens
    its log anew."""
    t.bed['source'].stop()
    before = files(path)
    old = t.nginx.replicators()
    for pid in old:
        os.kill(pid, signal.SIGKILL)
    t.passes('another replicator while the source is down', wait_for,
             'replicator', lambda: set(t.nginx.replicators()) - set(old), 15)
    opened = t.passes('it has opened the log', wait_for, 'open files',
                      lambda: opens(t.nginx.replicators(), path), 15)
    if opened:
        t.same([name for name, mode in opened if mode & os.O_ACCMODE], [],
               'each of its %d files for reading only' % len(opened))
    time.sleep(1)
    t.same(files(path), before, 'the source\'s directory is as it was')


def opens(pids, path):
    """(name, mode) of what these processes hold open below path."""
    found = []
    for pid in pids:
        for fd in os.listdir('/proc/%d/fd' % pid):
            try:
                name = os.readlink('/proc/%d/fd/%s' % (pid, fd))
                with open('/proc/%d/fdinfo/%s' % (pid, fd)) as f:
                    (flags,) = [line.split()[1] for line in f
                                if line.startswith('flags')]
            except FileNotFoundError:
                continue
            if name.startswith(path):
                found.append((name, int(flags, 8)))
    return found


def source_again(t):
    t.bed['source'].start()
    t.bed['source'].wait()
    t.bed['source'].connect()


def killed(t, first):
    """kill -9 of the source under load."""
    with Load(SHAPE, 'load', first=first, hardy=True) as load:
        for n in range(2):
            time.sleep(2)
            t.bed['source'].kill()
            time.sleep(1)
            status = t.nginx.get('/cdc/health')[0]
            t.ok(status in (200, 503), 'health answers (%d)' % status)
            source_again(t)
            reached = load.next
            t.passes('kill %d: the source takes rows again' % n, wait_for,
                     'rows', lambda: load.next > reached + 50, 60)
    t.note('%d calls failed while the source was down' % load.failures)
    t.equal('source killed twice under load: equal, count(*) too', 60)


with E2E() as t:
    t.up(source={'mq': 'rocksmq'})
    source = t.bed['source']
    path = source.rocksmq
    SHAPE.ready('load', S, 1000)
    lends(t)
    t.start_nginx(user=USER)

    task = permission(t, path)
    untouched(t, path)
    source_again(t)
    t.equal('the source is back', 60)
    killed(t, 1000)

    own = os.path.join(t.nginx.state_dir, 'rocksmq')
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'delete')
    t.passes('nothing of it is left in the state directory', wait_for,
             'files', lambda: not os.path.exists(own)
             or not os.listdir(own), 10)
    t.check_logs(kills=True)
