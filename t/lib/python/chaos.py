"""chaos.py KILLS [SEED]: kill -9 at fault points, again and again, while a
storm goes over the source; see t/chaos.

A round is one pair of clusters and one task.  Processes kill themselves
(src/helper/cdc_fault.c) by a plan that is written before they start, one
batch of lives after the other; each batch ends in a full comparison.  What a
round does depends on its seed alone, as far as servers allow.
"""

import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
SANITIZE = os.environ.get('SANITIZE') == '1'
BUILD = os.environ.get('CDC_BUILD') or os.path.join(
    TOP, 'build-faults' + ('-asan' if SANITIZE else ''))
os.environ['CDC_BUILD'] = BUILD            # for nginx.py

sys.path.insert(0, HERE)

from e2e import E2E                        # goes on in the testbed's Python

import compare                                              # noqa: E402
from nginx import Nginx                                     # noqa: E402
from process import wait_for                     # noqa: E402
from storm import Storm                                     # noqa: E402

BATCH = 50                                 # lives between two comparisons
ROUND = 200                                # kills for one pair of clusters
STALLED = 60                               # seconds without a fault

MESSAGES = ('after-read', 'before-send', 'after-send', 'before-ack',
            'after-ack', 'settling', 'settled')
CHECKPOINT = ('go', 'checkpoint-before-write', 'checkpoint-after-write',
              'checkpoint-effects')
OPERATIONS = ('operation-read', 'operation-intent', 'operation-before',
              'operation-middle', 'operation-after', 'operation-done',
              'farewell', 'farewell-acked', 'forgotten')
SURVEY = ('survey-taken', 'survey-before-write', 'survey-after-write')
STOP = ('stop-before-write', 'stop-after-write')
STORE = ('store-before-write', 'store-after-write')
CREATE = STORE + ('create-before-answer',)
# A RocksMQ's consumer takes so many messages each time that one is written:
# with 16, which it has by itself, a collection that is loaded again has its
# rows only after minutes of a quiet source.
TARGET = {'channels': 4, 'config': {'mq': {'mqBufSize': 1024}}}
LIVE = MESSAGES + CHECKPOINT + OPERATIONS
POINTS = LIVE + SURVEY + STOP + CREATE


def build():
    command = ['make', '-C', TOP, '-s', '-j2', 'FAULTS=1', 'BUILD=' + BUILD]
    if SANITIZE:
        command.append('SANITIZE=1')
    run = subprocess.run(command, stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise RuntimeError(run.stdout.decode(errors='replace')[-4000:])


class FaultyNginx(Nginx):
    """Its helpers read the plan in faults/."""

    @property
    def faults(self):
        return os.path.join(self.dir, 'faults')

    def command(self):
        os.makedirs(self.faults, exist_ok=True)
        words = super().command()
        with open(self.conf) as f:
            text = f.read()
        with open(self.conf, 'w') as f:
            f.write('env CDC_FAULT;\n' + text)
        return words

    def environment(self):
        more = {'CDC_FAULT': self.faults}
        if SANITIZE:                       # nginx itself is built without
            more['LD_PRELOAD'] = subprocess.run(
                ['cc', '-print-file-name=libasan.so'], check=True,
                stdout=subprocess.PIPE).stdout.decode().strip()
        return dict(super().environment(), **more)

    def plan(self, rng, lives):
        """lives: (role, from, to, points)"""
        path = os.path.join(self.faults, 'plan')
        with open(path + '.new', 'w') as f:
            for role, first, last, points in lives:
                f.write('lives %s %d %d %d %s\n' % (
                    role, first, last, rng.randrange(2 ** 32),
                    ' '.join(points)))
        os.rename(path + '.new', path)

    def deaths(self):
        """(role, life, point, how, us, ms, wanted)"""
        try:
            with open(os.path.join(self.faults, 'deaths')) as f:
                return [line.split() for line in f]
        except FileNotFoundError:
            return []

    def life(self, role):
        """The number that the next life of that role gets."""
        try:
            with open(os.path.join(self.faults, 'life.' + role)) as f:
                return int(f.read())
        except FileNotFoundError:
            return 0


class Chaos(E2E):
    def __init__(self, **options):
        super().__init__(**options)
        self.task = 'chaos'
        self.bad = collections.Counter()
        self.outside = 0
        self.end = None
        self.seed = self.rng = self.storm = None

    # ---- the API, which may lose a store in the middle of anything

    def insist(self, kind, data, *done):
        """Until it has succeeded, or has been done by an earlier try."""
        end = time.monotonic() + 30
        tries = 0
        while True:
            tries += 1
            try:
                answer = self.nginx.cdc(kind, data)[1]
            except OSError as e:
                answer = {'message': str(e)}
            if answer.get('code') == 200:
                return answer
            if tries > 1 and any(d in answer.get('message', '')
                                 for d in done):
                return answer
            if time.monotonic() > end:
                raise RuntimeError('%s: %s' % (kind, answer))
            time.sleep(0.05)

    def create(self):
        target = self.bed['target']
        self.insist('create', {
            'task_id': self.task,
            'milvus_connect_param': {'uri': target.uri,
                                     'connect_timeout': 10},
            'collection_infos': [{'name': '*'}]})

    def stop_and_go(self):
        time.sleep(1)                      # one that has begun to send
        self.insist('pause', {'task_id': self.task}, 'has paused')
        self.insist('resume', {'task_id': self.task}, 'has running',
                    'is running')

    # ---- lives and deaths

    def dead(self, role):
        return sum(1 for d in self.nginx.deaths() if d[0] == role)

    def expect(self, role, number, doing=None):
        """Until so many of that role have died in this round."""
        last = -1
        while True:
            dead = self.dead(role)
            if dead >= number:
                return
            if dead != last:
                last, since = dead, time.monotonic()
            if self.storm.error is not None:
                raise self.storm.error
            task = self.nginx.task(self.task)
            if task.get('state') == 'Paused' and doing is None:
                raise RuntimeError('the task has paused: %s'
                                   % task.get('reason'))
            if time.monotonic() - since > STALLED:
                raise RuntimeError('%s: %d of %d faults came, then none for '
                                   '%d s' % (role, dead, number, STALLED))
            if doing is not None:
                doing()
            time.sleep(0.1)

    def reborn(self):
        """The replicator is killed from outside, at no special point: the
        next life reads the new plan."""
        pids = self.nginx.replicators()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.outside += len(pids)
        wait_for('another replicator', lambda: set(
            self.nginx.replicators()) - set(pids), 20, 0.02)

    def compare(self, name):
        """One more than equal(): counts what was wrong."""
        before = self.failed
        try:
            compare.wait_equal('source', 'target', 60)
        except compare.NotEqual:
            self.mend_source()
        seconds = self.equal(name, 90)
        if seconds is not None:
            self.same([text for _, text in self.storm.wrong('target')], [],
                      'the target shows as many rows as were written')
        if self.failed > before:
            for line in compare.differences('source', 'target'):
                self.diag(line)
                self.count_bad(line)
        return seconds

    def mend_source(self):
        """Milvus 2.3.5 may show a part of a collection that was released
        and loaded.  What the source's clients wrote is the measure: where the
        source shows something else, it is made to look again."""
        mended = set()
        for place, text in list(self.storm.wrong('source')):
            self.note(text + ': it is released and loaded')
            if place not in mended:
                mended.add(place)
                place.it.release()
                place.it.load()

    def count_bad(self, line):
        for what, pattern in (('missing', r'(\d+) rows missing'),
                              ('extra', r'(\d+) rows only on the target'),
                              ('different', r'(\d+) rows differ')):
            found = re.search(pattern, line)
            if found:
                self.bad[what] += int(found.group(1))
                return
        found = re.search(r'count\(\*\): source (\d+), target (\d+)', line)
        if found:
            self.bad['count'] += int(found.group(2)) \
                - int(found.group(1))
        else:
            self.bad['other'] += 1

    # ---- one round

    def first(self):
        """The task is created while its store dies, and the first look is
        taken while its replicator dies."""
        self.nginx.plan(self.rng, (
            ('store', 1, 2, STORE[:1]), ('store', 2, 3, CREATE[1:]),
            ('replicate', 0, 4, SURVEY[:2]), ('replicate', 4, 5, SURVEY[2:]),
            ('replicate', 5, 12, OPERATIONS + CHECKPOINT)))
        # a store without a task has nothing to write: it began before this
        for pid in self.nginx.store():
            os.kill(pid, signal.SIGKILL)
        self.create()
        self.expect('replicate', 12)
        return 12

    def batch(self, done, kills):
        """So many more deaths, the last two while it stops."""
        life = self.nginx.life('replicate')
        store = self.nginx.life('store')
        self.nginx.plan(self.rng, (
            ('replicate', life, life + kills - 2, LIVE),
            ('replicate', life + kills - 2, life + 10 ** 6, STOP),
            ('store', store, store + 2, STORE)))
        self.reborn()
        self.expect('replicate', done + kills - 2)
        for pid in self.nginx.store():     # this one has the former plan
            os.kill(pid, signal.SIGKILL)
            self.outside += 1
        self.expect('replicate', done + kills, self.stop_and_go)
        return done + kills

    def begin(self):
        """Several source channels feed one of the target."""
        self.up({'target': TARGET}, {'channels': 6})

    def round(self, seed, kills):
        self.seed = seed
        self.rng = random.Random(seed)     # of the plans, not of the storm
        done = 0
        begin = time.monotonic()
        self.storm = Storm(self.bed, seed, without=os.environ.get(
            'CHAOS_WITHOUT', '').split())
        self.storm.prepare()
        self.nginx = self.bed.add(FaultyNginx(self.bed, level='info'))
        self.nginx.wait(30)
        batch = 0
        while done < kills:
            with self.storm:
                if done == 0:
                    done = self.first()
                else:
                    done = self.batch(done, min(BATCH, max(
                        4, kills - done)))
            batch += 1
            self.needed(self.compare(
                'seed %d, batch %d: equal after %d kills, %d steps, %d rows'
                % (seed, batch, done, self.storm.count, self.storm.rows()))
                is not None)
        tasks = self.nginx.cdc('list')[1]['data']['tasks']
        self.same([(t['task_id'], t['state']) for t in tasks],
                  [(self.task, 'Running')],
                  'seed %d: one task, and it runs' % seed)
        self.note('seed %d: %.0f s for %d kills; steps: %s' % (
            seed, time.monotonic() - begin, len(self.nginx.deaths()),
            dict(sorted(self.storm.steps.items()))))
        self.check_logs(kills=True)

    def tally(self):
        deaths = self.nginx.deaths() if self.nginx is not None else []
        return {'points': collections.Counter(d[2] for d in deaths),
                'kills': len(deaths), 'outside': self.outside,
                'bad': self.bad}

    def __exit__(self, kind, error, trace):
        keep = os.environ.get('CHAOS_KEEP')
        if keep and self.nginx is not None and (self.failed or kind):
            folder = os.path.join(keep, 'seed-%s' % self.seed)
            shutil.copytree(self.nginx.dir, folder, dirs_exist_ok=True,
                            ignore=shutil.ignore_patterns('*.sock',
                                                          'rocksmq'))
            for name in ('source', 'target'):
                shutil.copy(self.bed[name].log, folder)
            with open(os.path.join(folder, 'journal'), 'w') as f:
                f.writelines('%s\n' % (line,) for line in
                             self.storm.journal)
        self.end = self.tally()            # the files go with the testbed
        for line in report(self.end):
            self.note(line)
        return super().__exit__(kind, error, trace)


def report(tally):
    bad = tally['bad']
    yield '%d kills by themselves, %d from outside' % (tally['kills'],
                                                       tally['outside'])
    for point in POINTS:
        yield '%6d  %s' % (tally['points'].get(point, 0), point)
    yield 'rows: %d missing, %d extra, %d different, %+d by count(*)' % tuple(
        bad.get(b, 0) for b in ('missing', 'extra', 'different', 'count'))
    yield 'other differences: %d' % bad.get('other', 0)


def one_round(seed, kills, tally=None):
    t = Chaos()
    try:
        with t:
            t.begin()
            t.round(seed, kills)
    finally:
        if tally:
            with open(tally, 'w') as f:
                json.dump(t.end, f)


def rounds(kills, seed):
    """Each in a process of its own; the failed seeds."""
    total = {'points': collections.Counter(), 'kills': 0, 'outside': 0,
             'bad': collections.Counter()}
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        tally = os.path.join(folder, 'tally')
        while total['kills'] < kills:
            number = min(ROUND, max(20, kills - total['kills']))
            print('# round of seed %d, %d kills' % (seed, number),
                  flush=True)
            run = subprocess.run([sys.executable, os.path.abspath(__file__),
                                  'round', str(seed), str(number), tally])
            with open(tally) as f:
                got = json.load(f)
            if run.returncode or not got['kills']:
                failed.append((seed, number))
            if not got['kills']:
                break                      # it would go on for ever
            for key, value in got.items():
                total[key] += value if isinstance(value, int) \
                    else collections.Counter(value)
            seed += 1
    print('\n'.join('# ' + line for line in report(total)))
    for seed, number in failed:
        print('# failed; again: sh t/chaos %d %d' % (number, seed))
    return failed


def main(args):
    if args[:1] == ['round']:
        one_round(int(args[1]), int(args[2]), args[3])
        return 0
    seed = int(args[1]) if len(args) > 1 else int(time.time())
    build()
    return 1 if rounds(int(args[0]), seed) else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
