#!/usr/bin/env python3
"""What a testbed has started ends with it, however that comes about."""

import os
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from tap import Suite                                        # noqa: E402

from process import wait_for                                 # noqa: E402
from testbed import Testbed                                  # noqa: E402

SOURCE = 'etcd http://127.0.0.1:1; kafka 127.0.0.1:1;'


def testbed(path):
    bed = Testbed(path, say=None)
    bed.add_nginx(sources={'main': SOURCE})
    return bed


def inside(path):
    """Who works in a directory, or below."""
    found = []
    for name in os.listdir('/proc'):
        try:
            where = os.readlink('/proc/%s/cwd' % name)
        except OSError:
            continue
        if (where + '/').startswith(path + '/'):
            found.append(int(name))
    return found


def killed(t, path):
    """The suite itself is."""
    with subprocess.Popen([sys.executable, __file__, path],
                          stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        t.ok(len(inside(path)) > 4, 'an nginx of another suite: master, '
             'workers, supervisor, store')
        child.kill()
    t.passes('that is killed: nobody is left', wait_for, 'end',
             lambda: not inside(path), 30)


def master_killed(t, path):
    bed = testbed(path)
    workers = bed.nginx.workers()
    bed.nginx.kill(signal.SIGKILL)
    t.ok(set(workers) <= set(inside(path)),
         'a master that is killed leaves its workers')
    bed.close()
    t.same(inside(path), [], 'close() does not')


def deaf(t, path):
    """A master that does not end in time is killed."""
    bed = testbed(path)
    workers = bed.nginx.workers()
    os.kill(bed.nginx.pid, signal.SIGSTOP)
    bed.nginx.stop(0.2)
    t.ok(set(workers) <= set(bed.nginx.orphans), 'one that does not listen: '
         'stop() says who was left')
    t.same(inside(path), [], 'and nobody is')
    bed.close()


if len(sys.argv) > 1:
    testbed(sys.argv[1])
    print('up', flush=True)
    sys.stdin.read()
    sys.exit()

with Suite() as t, tempfile.TemporaryDirectory() as top:
    top = os.path.realpath(top)
    killed(t, os.path.join(top, 'one'))
    master_killed(t, os.path.join(top, 'two'))
    deaf(t, os.path.join(top, 'three'))
