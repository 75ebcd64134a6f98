"""Channels of other numbers on the two sides, and tasks that share them.

A target channel is fed by several source channels, and by several tasks, each
in a process of its own: a live one, one in a backlog, one that is killed.

The target is on Kafka, where its log can be read: it is the witness after a
kill of the target.  A Milvus 2.3.5 that starts again loses rows of its own
when two collections share a channel and a slow start lets their consumers
become one before either has read a tick.  That what was sent stands a seek
is shown by a release and a load, which make the query node seek.
"""

import os
import signal
import threading
import time

from e2e import E2E
from pymilvus import Collection, utility

import compare
from fixtures import Shape
from lag import measure, percentile
from load import Load
from process import wait_for
from targetlog import TargetLog

S = 'source'
TICK = 200                         # milliseconds from one to the next: rows
                                   # behind one of the other task's wait so
                                   # long for their own
FOUR = Shape(dim=16, shards=4)
WIDE = Shape(dim=128, shards=4)
BACKLOG = 50000


def up(t, source, target):
    t.up({'target': {'channels': target, 'mq': 'kafka'}},
         {'channels': source, 'mq': 'rocksmq'})


def topics(t):
    return ['by-dev-rootcoord-dml_%d' % n
            for n in range(t.bed['target'].channels)]


def in_log(t, log, names, what, timeout=60):
    """The target's log holds each row of the source once, in order."""
    wanted, ids = {}, {}
    for name in names:
        wanted[name] = dict.fromkeys(compare.Cluster(S, True).rows(
            'default', name, None, 'id', False), 1)
        ids[name] = compare.Cluster('target').describe(
            'default', name).collectionID
    end = time.monotonic() + timeout
    while True:
        log.read()
        found = {name: log.rows(ids[name]) for name in names}
        if found == wanted or time.monotonic() > end:
            break
        time.sleep(1)
    t.ok(found == wanted, '%s: its log holds each row once' % what,
         ['%s: missing %s, more %s, twice %s' % (
             name, sorted(set(wanted[name]) - set(found[name]))[:20],
             sorted(set(found[name]) - set(wanted[name]))[:20],
             [k for k, n in found[name].items() if n > 1][:20])
          for name in names])
    t.ok(log.messages and not log.bad, '%s: ticks and rows are in order, ids '
         'apart (%d messages)' % (what, log.messages), log.bad[:20])


def seek(names):
    """Makes the query node of the target read them anew."""
    for name in names:
        Collection(name, using=S).release()
    for name in names:
        Collection(name, using=S).load()


def fill(t, wide):
    """Collections over all channels, rows, deletes, one that goes."""
    names = ['c%d' % n for n in range(wide)]
    for name in names:
        FOUR.ready(name, S, 100, wait=False)
    for name in names:
        utility.wait_for_loading_complete(name, using=S)
    used = {p for name in names for p in compare.Cluster(S).describe(
        'default', name).physical_channel_names}
    return names, used


def numbers(source, target, collections):
    """One task; there are source channels that meet on one of the target,
    and the other way round."""
    with E2E() as t:
        up(t, source, target)
        names, used = fill(t, collections)
        t.same(len(used), source, '%d source channels in use' % source)
        t.start_nginx().create(t.bed['target'])
        t.equal('%d channels to %d: what was there' % (source, target), 90)

        loads = [Load(FOUR, name, first=1000, pause=0.05)
                 for name in names[:3]]
        for load in loads:
            load.__enter__()
        time.sleep(4)
        utility.drop_collection(names[-1], using=S)
        FOUR.ready('later', S, 50, wait=False)
        time.sleep(2)
        seek(names[:2])
        time.sleep(2)
        for load in loads:
            load.__exit__(None)
        t.equal('rows in three at once, one dropped, one created, two '
                'loaded anew: equal', 90)
        in_log(t, TargetLog(t.bed['kafka'].uri, topics(t)), names[:-1],
               'the target')
        if target < source:
            feeders = {}
            for name in names[:-1]:
                pairs = zip(*(compare.Cluster(side).describe('default', name)
                              .physical_channel_names
                              for side in (S, 'target')))
                for one, other in pairs:
                    feeders.setdefault(other, set()).add(one)
            t.ok(max(map(len, feeders.values())) > 1,
                 'several source channels fed one of the target', feeders)
        t.check_logs()


def times(name, first, number, what, t):
    """Over gaps of several lengths: rows and ticks must not go in step."""
    seconds, polls = [], []
    for n, gap in enumerate((0.03, 0.11, 0.17)):
        more = measure(FOUR, name, first + n * number, number, gap=gap)
        seconds += more[0]
        polls += more[1]
    t.same(len(seconds), 3 * number, '%s: all rows become visible' % what)
    p50, p90 = (percentile(seconds, p) * 1000 for p in (50, 90))
    t.note('insert returned to visible, %s: p50 %.0f ms, p90 %.0f ms (a poll '
           'takes %.0f ms)' % (what, p50, p90, percentile(polls, 50) * 1000))
    return p50


class Behind:
    """Rows of a backlog keep coming until it is over."""

    def __init__(self, name, shape, first, step=2000):
        self.collection = Collection(name, using=S)
        self.shape, self.first, self.step = shape, first, step

    def fill(self, number):
        for first in range(self.first, self.first + number, self.step):
            self.collection.insert(self.shape.columns(
                first, first + self.step))
        self.first += number
        return self


def replicator(nginx, task):
    """Its process: the task's id is in the arguments."""
    for pid in nginx.replicators():
        with open('/proc/%d/cmdline' % pid) as f:
            if task in f.read():
                return [pid]
    return []


def killed(t, nginx, task, what):
    t.passes('there is a replicator of ' + what, wait_for, what,
             lambda: replicator(nginx, task), 20)
    before = set(replicator(nginx, task))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    t.passes('replicator of %s killed, another one is there' % what,
             wait_for, what, lambda: set(replicator(nginx, task)) - before,
             20)


def shared():
    """Two tasks, one target, the same channels."""
    with E2E() as t:
        up(t, 4, 4)
        nginx = t.start_nginx()
        FOUR.ready('live', S, 100)
        live = nginx.create(t.bed['target'],
                            collection_infos=[{'name': 'live'}])
        t.needed(t.equal('the live task', 60) is not None)
        alone = times('live', 1000, 14, 'alone', t)

        WIDE.ready('second', S)
        behind = Behind('second', WIDE, 0).fill(BACKLOG)
        t.stays_different('nobody follows the backlog yet')
        begin = time.monotonic()
        second = nginx.create(
            collection_infos=[{'name': 'second'}], milvus_connect_param={
                'uri': 'http://localhost:%d' % t.bed['target'].port,
                'connect_timeout': 10})
        more = threading.Thread(target=lambda: behind.fill(BACKLOG // 5))
        more.start()
        both = times('live', 2000, 14, 'beside a backlog', t)
        more.join()
        t.ok(both < alone + TICK * 1.25,
             'the live task keeps its latency beside a backlog',
             '%.0f ms, alone %.0f ms' % (both, alone))
        t.equal('both tasks: equal', 120)
        t.note('%d rows of dim %d arrived within %.1f s' % (
            BACKLOG + BACKLOG // 5, WIDE.dim, time.monotonic() - begin))
        t.same(len(os.listdir(os.path.join(nginx.state_dir, 'targets'))), 1,
               'one server, whatever its name')
        t.same([t.nginx.task(x).get('state') for x in (live, second)],
               ['Running', 'Running'], 'both run')
        two = times('live', 3000, 14, 'beside an idle task', t)
        t.ok(two < alone + TICK * 1.25, 'and beside an idle one',
             '%.0f ms, alone %.0f ms' % (two, alone))

        # both have rows all the time now
        with Load(FOUR, 'live', first=10 ** 5) as a, \
                Load(WIDE, 'second', first=10 ** 6) as b:
            time.sleep(3)
            killed(t, nginx, live, 'the live task')
            time.sleep(3)
            killed(t, nginx, second, 'the second')
            time.sleep(4)
        t.ok(a.next > 10 ** 5 + 500 and b.next > 10 ** 6 + 500,
             'there was load', (a.next, b.next))
        t.equal('both replicators killed: equal', 120)

        with Load(FOUR, 'live', first=a.next) as a, \
                Load(WIDE, 'second', first=b.next) as b:
            seek(['live'])
            seek(['second'])
            nginx.reload()
            time.sleep(2)
        t.equal('loaded anew, nginx reloaded: equal', 120)

        t.same(nginx.cdc('pause', {'task_id': second})[1].get('code'), 200,
               'pause of the second')
        behind.first = 2 * 10 ** 6
        behind.fill(BACKLOG // 5)
        times('live', 4000, 4, 'with the other one paused', t)
        t.same(nginx.cdc('resume', {'task_id': second})[1].get('code'), 200,
               'resume: it is behind')
        killed(t, nginx, second, 'the one in a backlog')
        t.equal('killed in a backlog: equal', 120)
        seek(['live', 'second'])
        t.equal('the same when the target has read it all anew', 60)
        log = TargetLog(t.bed['kafka'].uri, topics(t))
        in_log(t, log, ['live', 'second'], 'the target')

        for what in ('while both have rows', 'once more'):
            with Load(FOUR, 'live', first=a.next) as a, \
                    Load(WIDE, 'second', first=b.next) as b:
                time.sleep(3)
                t.bed.restart('target', signal.SIGKILL)
                t.bed['target'].connect()
                time.sleep(4)
            in_log(t, log, ['live', 'second'],
                   'the target is killed ' + what)
        t.check_logs(kills=True)
