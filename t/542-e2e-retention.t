#!/usr/bin/env python3
"""A source on RocksMQ that forgets soon: behind a task, and before it."""

import glob
import json
import os
import re
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from clock import Clock                                      # noqa: E402
from e2e import E2E                                          # noqa: E402
from pymilvus import Collection                              # noqa: E402

from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402
from milvus import retention                                 # noqa: E402
from process import wait_for                                 # noqa: E402
from rocksmq import RocksMQ                                  # noqa: E402
from usage import Footprint                                  # noqa: E402

SHAPE = Shape(dim=32, shards=2, scalars=True)
OTHER = 20                                 # rows of the other collection


def steady(t, log, first=0):
    """Load while the source forgets: what the replicator holds stays."""
    (pid,) = t.nginx.replicators()
    begin = log.topics()
    with Load(SHAPE, 'load', first=first, rows=20) as load:
        time.sleep(5)
        footprint = Footprint(pid)
        for _ in range(25):
            time.sleep(1)
            footprint.take()
    t.note(footprint)
    t.same(footprint.flat(), [], 'memory and open files are flat')
    t.ok(forgotten(begin, log.topics()),
         'what was there before has been forgotten by the source')
    t.equal('retention behind the replicator: equal', 60)
    return load.next


def forgotten(before, now, how=any):
    """The source has dropped all that one (all) of its data channels held."""
    return how(now[topic][0] > last for topic, (_, last, _) in before.items()
               if 'dml' in topic and topic in now)


def gap(t, log, task, first):
    """Retention passes the place where a paused task stands."""
    t.same(t.nginx.cdc('pause', {'task_id': task})[1].get('code'), 200,
           'pause')
    t.wait_task('paused', task, 'Paused')
    before = log.topics()
    with Load(SHAPE, 'load', first=first) as load:
        t.passes('the source forgets what the task has not read', wait_for,
                 'retention', lambda: forgotten(before, log.topics()), 60,
                 0.5)
    for n in range(2):
        t.same(t.nginx.cdc('resume', {'task_id': task})[1].get('code'), 200,
               'resume')
        text = t.passes('it stops again and says why', wait_for, 'reason',
                        lambda: stopped(t, task), 20)
        t.note(text)
        t.ok(text and re.search(r'by-dev-rootcoord-dml_.*\d{18}.*\d{18}',
                                text),
             'the reason names the channel, the place and what is left')
    t.stays_different('rows behind the gap do not arrive')
    return load.next


def taken_over(t, log, task, first, clock):
    """What came since the create is gone when the target is looked at.  At
    one of the creates nginx's clock is ahead."""
    t.same(t.nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
           'delete')
    before = log.topics()
    lenient = late(t, 'other', log_gap='earliest')
    clock.set(3600)
    strict = late(t, 'load')
    clock.set(0)
    places = [noted(t, task) for task in (lenient, strict)]
    t.ok(all(places), 'the creates have noted how new the source\'s log is')
    after = log.topics()
    t.ok(all(len(p) == SHAPE.shards and all(
        before[topic][1] < end <= after[topic][1] + 1
        for topic, (_, end) in p.items()) for p in places),
         'and where its channels ended', str([places, before, after]))
    with Load(SHAPE, 'load', first=first), \
            Load(SHAPE, 'other', first=OTHER, deletes=False) as other:
        time.sleep(3)                      # all of it after the create
        before = log.topics()
        wait_for('retention', lambda: forgotten(before, log.topics(), all),
                 60, 0.5)
    resume(t, strict)
    text = t.passes('it stops', wait_for, 'reason',
                    lambda: stopped(t, strict), 20)
    t.ok(text and re.search(r'by-dev-rootcoord-dml_.*after the task was '
                            r'created', text),
         'and says that the log begins after its create', text)
    goes_on(t, lenient, other.next)


def late(t, name, **more):
    task = t.nginx.create(t.bed['target'], collection_infos=[{'name': name}],
                          **more)
    t.same(t.nginx.cdc('pause', {'task_id': task})[1].get('code'), 200,
           'a new task is paused at once')
    t.wait_task('paused', task, 'Paused')
    return task


def noted(t, task):
    """In the record of the task, as LevelDB's log has it."""
    text = b''
    for path in glob.glob(os.path.join(t.nginx.state_dir, 'meta', '*.log')):
        with open(path, 'rb') as f:
            text += f.read()
    found = re.search(rb'task/%s.{1,9}[^\0]*"source_ms":\d{13},'
                      rb'"source_ends":({[^}]*})' % task.encode(), text, re.S)
    return found and json.loads(found.group(1))


def resume(t, task):
    t.same(t.nginx.cdc('resume', {'task_id': task})[1].get('code'), 200,
           'resume')


def goes_on(t, task, end):
    """By the request's own word, with what the log still has."""
    resume(t, task)
    t.passes('with "log_gap": "earliest" it says where it goes on', wait_for,
             'reason', lambda: re.search(
                 r'"default\.other" goes on with the earliest message .*'
                 r'by-dev-rootcoord-dml_', cause(t, task)), 20)
    Collection('other', using='source').insert(SHAPE.rows(end, end + 1))
    t.passes('what is new arrives', wait_for, 'rows',
             lambda: end in keys_of('other'), 40)
    keys = keys_of('other')
    t.same(sorted(keys), sorted(set(keys)), 'nothing is there twice')
    t.same(set(range(OTHER)) - set(keys), set(),
           'what the target held is there')
    left = [key for key in keys if OTHER <= key < end]
    t.ok(left and OTHER not in left, 'of what came meanwhile, what is left: '
         '%d of %d rows, not the first' % (len(left), end - OTHER))
    t.wait_task('the task runs', task, 'Running')


def cause(t, task):
    (found,) = t.nginx.cdc('progress', {'task_id': task})[1]['data']['tasks']
    return (found['degraded'] or {}).get('cause', '')


def keys_of(name):
    rows = Collection(name, using='target').query(
        'id >= 0', output_fields=['id'], consistency_level='Eventually')
    return [row['id'] for row in rows]


def stopped(t, task):
    found = t.nginx.task(task)
    return found.get('state') == 'Paused' and found.get('reason')


with E2E() as t:
    t.up(source={'mq': 'rocksmq', 'config': retention(
        5, 128 << 10, compact=7)})
    log = RocksMQ(t.bed['source'].rocksmq, os.path.join(t.bed.dir, 'look'))
    clock = Clock(os.path.join(t.bed.dir, 'jump'))
    task = t.start_nginx(env=clock.env()).create(t.bed['target'])
    SHAPE.ready('load', 'source', wait=False)
    SHAPE.ready('other', 'source', OTHER, wait=False)
    t.needed(t.equal('an empty collection, and a small one', 60) is not None)
    following = steady(t, log)
    following = gap(t, log, task, following)
    taken_over(t, log, task, following, clock)
    t.check_logs()
