#!/usr/bin/env python3
"""The state directory: copied, put back, damaged, lost.

What an older copy does not know to be on the target is not sent twice; what
has lost its checkpoints does not begin again; the other task goes on.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import Collection, utility                     # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=2, scalars=True)
COPIED = 'they are taken for a copy'


class State:
    """The directory, and copies of it."""

    def __init__(self, t):
        self.t, self.path = t, t.nginx.state_dir

    def task(self, *names):
        return os.path.join(self.path, 'tasks', 'one', *names)

    def copy(self, name, path=None):
        """As the README says: cp -a."""
        to = os.path.join(self.t.bed.dir, name)
        subprocess.run(['cp', '-a', path or self.path, to], check=True)
        return to

    def put(self, copy, path=None):
        shutil.rmtree(path or self.path)
        subprocess.run(['cp', '-a', copy, path or self.path], check=True)

    def write_over(self, copy):
        """Without removing what is there."""
        subprocess.run(['cp', '-a', copy + '/.', self.path], check=True)


def log(t):
    with open(t.nginx.errors, errors='replace') as f:
        return f.read()


def settled(t):
    text = t.nginx.get('/cdc/metrics')[1]
    return int(re.search(r'rows_settled_total\{task_id="one"\} (\d+)',
                         text).group(1))


def up(t):
    t.nginx.start()
    t.nginx.wait(30)


def insert(name, first, n=20, shape=SHAPE):
    Collection(name, using=S).insert(shape.rows(first, first + n))
    return first + n


class Rows:
    """Now and then a load for a while."""

    def __init__(self):
        self.next = 0

    def flow(self, seconds=0.0):
        return Flow(self, seconds)


class Flow(Load):
    def __init__(self, rows, seconds):
        super().__init__(SHAPE, 'load', first=rows.next)
        self.of, self.seconds = rows, seconds

    def __exit__(self, *args):
        time.sleep(self.seconds)
        try:
            return super().__exit__(*args)
        finally:
            self.of.next = self.next


def older(t, state, rows):
    """A copy, then much that it does not know."""
    with rows.flow(1):
        t.nginx.stop()
    copy = state.copy('older')
    up(t)
    with rows.flow(2):
        unknown()
    t.equal('equal after what the copy does not know', 150)
    t.ok(COPIED not in log(t), 'a stop and a start make no copy')
    with rows.flow(2):
        t.nginx.stop()
        state.put(copy)
        up(t)
        t.passes('the copy is known to be one', wait_for, COPIED,
                 lambda: COPIED in log(t), 30)
    t.equal('an older copy put back: no row is lost, none is there twice',
            150)
    t.ok(settled(t) > 300, 'what it did not know was settled')


def unknown():
    SHAPE.ready('later', S, 300, wait=False)
    Collection('grows', using=S).create_partition('p')
    Collection('grows', using=S).insert(SHAPE.rows(500, 520),
                                        partition_name='p')
    utility.drop_collection('goes', using=S)
    utility.rename_collection('named', 'renamed', using=S)
    Collection('named2', using=S).delete('id in [1, 2, 3]')
    Collection('named2', using=S).upsert(SHAPE.rows(10, 20, version=7))


def written_over(t, state, rows):
    """nginx killed, the copy is written over what is there."""
    t.nginx.stop()
    copy = state.copy('under')
    up(t)
    with rows.flow(2):
        time.sleep(1)
    with rows.flow(1):
        t.nginx.power_cut()
        n = log(t).count(COPIED)
        state.write_over(copy)
        up(t)
        t.passes('a copy that is written over is known to be one', wait_for,
                 COPIED, lambda: log(t).count(COPIED) > n, 30)
    t.equal('a copy written over: equal', 150)


def rested(t):
    """Nothing of the task runs."""
    t.same(t.nginx.cdc('pause', {'task_id': 'one'})[1].get('code'), 200,
           'pause')
    wait_for('rest', lambda: len(t.nginx.replicators()) == 1, 10)


def garbage(path, at=0.5, n=64):
    with open(path, 'r+b') as f:
        f.seek(int(os.path.getsize(path) * at))
        f.write(b'\xa5' * n)


def cut(path, share):
    os.truncate(path, int(os.path.getsize(path) * share))


def damage_current(d):
    os.unlink(d + '/CURRENT')


def damage_dir(d):
    shutil.rmtree(d)


def damage_manifest(d):
    cut(glob.glob(d + '/MANIFEST-*')[0], 0.5)


def damage_table(d):
    for path in glob.glob(d + '/*.ldb'):
        garbage(path)


def damage_tables_gone(d):
    for path in glob.glob(d + '/*.ldb'):
        os.unlink(path)


DAMAGES = (
    ('CURRENT gone', damage_current,
     "the task's checkpoints are missing from"),
    ('directory gone', damage_dir, "the task's checkpoints are missing from"),
    ('manifest cut', damage_manifest, 'is corrupt|cannot be read'),
    ('garbage in tables', damage_table, 'is corrupt|cannot be read'),
    ('tables gone', damage_tables_gone, 'is corrupt|cannot be read'),
)


def damaged(t, state, rows):
    """One task's checkpoints; the other one goes on."""
    still = 1000
    with rows.flow(1):
        rested(t)
    whole = state.copy('whole', state.task())
    t.ok(glob.glob(whole + '/*.ldb'), 'there are tables to damage')
    for what, damage, said in DAMAGES:
        damage(state.task())
        t.nginx.cdc('resume', {'task_id': 'one'})
        t.wait_task(what + ': paused', 'one', 'Paused')
        reason = t.nginx.task('one').get('reason', '')
        t.ok(re.search(said, reason), what + ': said why', reason)
        still = insert('still', still, shape=PLAIN)
        t.passes(what + ': the other task goes on', wait_for, 'rows',
                 lambda n=still: Collection('still', using='target').query(
                     'id == %d' % (n - 1), limit=1,
                     consistency_level='Eventually'), 30, 0.1)
        t.nginx.cdc('resume', {'task_id': 'one'})
        t.wait_task(what + ': paused again, nothing began anew', 'one',
                    'Paused')
        shutil.rmtree(state.task(), ignore_errors=True)
        shutil.copytree(whole, state.task(), symlinks=True)
        shutil.copystat(whole, state.task())
    with rows.flow(1):
        t.nginx.cdc('resume', {'task_id': 'one'})
        t.wait_task('a copy put back: resumed', 'one', 'Running')
    t.equal('damaged, and a copy put back: equal', 150)


def refuses(t, what, said):
    """nginx starts, its store does not."""
    n = len(log(t))
    t.nginx.start()
    status, answer = wait_for(what, lambda: t.nginx.cdc('list'), 15)
    t.same(status, 503, what + ': no list, and no empty one')
    t.ok(re.search(said, log(t)[n:]), what + ': said in the log',
         log(t)[n:][-2000:])
    t.ok(os.path.exists(State(t).task('CURRENT')),
         what + ': checkpoints are left as they are')
    t.nginx.stop()


def tasks_lost(t, state):
    """The tasks' own store."""
    t.nginx.stop()
    meta = os.path.join(state.path, 'meta')
    whole = state.copy('meta', meta)
    for what, damage, said in (
            ('task store gone', damage_dir, 'task store .* is missing'),
            ('CURRENT of the task store gone', damage_current,
             'CURRENT is missing'),
            ('manifest of the task store cut', damage_manifest,
             'is corrupt')):
        damage(meta)
        refuses(t, what, said)
        state.put(whole, meta)
    up(t)
    t.same(sorted((task['task_id'], task['state'])
                  for task in t.nginx.cdc('list')[1]['data']['tasks']),
           [('one', 'Running'), ('two', 'Running')],
           'a copy of it put back: both tasks run')


with E2E() as t:
    t.up({'target': {'channels': 4}})
    SHAPE.ready('load', S, wait=False)
    for name in ('grows', 'goes', 'named', 'named2'):
        SHAPE.ready(name, S, 100, wait=False)
    PLAIN.ready('still', S, 200)
    t.start_nginx()
    state = State(t)
    t.nginx.create(t.bed['target'], task_id='two',
                   collection_infos=[{'name': 'still'}])
    t.nginx.create(t.bed['target'], task_id='one')
    t.needed(t.equal('equal before', 150) is not None)

    rows = Rows()
    older(t, state, rows)
    written_over(t, state, rows)
    damaged(t, state, rows)
    tasks_lost(t, state)
    insert('load', rows.next)
    t.equal('equal in the end', 150)
