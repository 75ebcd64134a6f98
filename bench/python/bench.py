#!/usr/bin/env python3
"""What bench/run runs, in the testbed's Python."""

import argparse
import os
import shutil
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, 't', 'lib', 'python'))
sys.path.insert(0, HERE)

import tap                                 # goes on in the testbed's Python
from process import TestbedError                             # noqa: E402
from testbed import Testbed                                  # noqa: E402

import backlog                                               # noqa: E402
import direct                                                # noqa: E402
import growth                                                # noqa: E402
import http_load                                             # noqa: E402
import live                                                  # noqa: E402
from figures import Figures                                  # noqa: E402
from goals import Goals                                      # noqa: E402
from services import Module, Reference                       # noqa: E402

assert tap


def say(text):
    sys.stderr.write('bench: %s\n' % text)
    sys.stderr.flush()


class Bench:
    """One testbed after the other, and what is measured in each."""

    TAKER = direct.OPTIONS               # the methods have names of modules

    def __init__(self, args):
        self.args, self.figures, self.failed = args, Figures(), []
        self.reference = os.environ.get('BENCH_REFERENCE')

    def services(self, kind):
        if not self.reference or kind != 'kafka':
            return [Module]
        return [Module, lambda bed: Reference(bed, self.reference)]

    def turns(self, kind, runs, alone=False):
        """Each service in turn, run after run: both meet the same machine."""
        for number in range(self.args.runs or runs):
            for service in self.services(kind)[:1 if alone else None]:
                say('run %d of %d' % (number + 1, self.args.runs or runs))
                yield service

    def attempt(self, function, bed, service, *args, **options):
        """The other service may fail; then its figure is missing."""
        try:
            function(bed, service, *args, **options)
        except (RuntimeError, OSError, TestbedError) as e:
            if service is Module:
                raise
            say('milvus-cdc: %s' % e)

    def backlog(self, kind, bed):
        rows = self.args.rows
        for rows, dim in ((rows, 128), (rows // 6, 768)):
            name = 'backlog_%d' % dim
            say('%d rows of %d dims into the source' % (rows, dim))
            backlog.fill(name, rows, dim)
            what = '%d rows x %d dims, source on %s' % (rows, dim, kind)
            for service in self.turns(kind, 5):
                self.attempt(backlog.run, bed, service, [name], rows,
                             self.figures, 'backlog, ' + what)
            if dim != 128 or kind == 'kafka':
                for service in self.turns(kind, 1, alone=True):
                    backlog.run(bed, service, [name], rows, self.figures,
                                'target takes 0.3 s a request, ' + what,
                                delay=300)
            backlog.drop(name)

    def live(self, kind, bed):
        for service in self.turns(kind, 2):
            self.attempt(live.run, bed, service, self.figures,
                         'live, 5000 rows/s x 768 dims, source on %s' % kind)

    def idle(self, kind, bed):
        for service in self.turns(kind, 3):
            self.attempt(growth.idle, bed, service, self.figures,
                         'idle on 16 channels, source on %s' % kind)

    def http(self, kind, bed):
        for service in self.turns(kind, 1, alone=True):
            http_load.run(bed, service, self.figures,
                          '100 tasks, 10 of them replicate, source on %s'
                          % kind)

    def visible(self, kind, bed):
        for service in self.turns(kind, 1, alone=True):
            live.visible(bed, service, self.figures,
                         'single rows to a real target, source on %s' % kind)

    def grow(self, kind, bed):
        growth.Grow(bed, Module, self.figures, kind,
                    self.args.rows).run(self.args.collections)

    def direct(self, kind, bed):
        direct.run(bed, self.figures, 'a real target, %d rows x 128 dims, '
                   'source on %s' % (self.args.rows, kind), self.args.rows,
                   self.args.runs or 6)

    # the cases that a testbed is good for, and how it comes up
    BEDS = (
        (('backlog', 'live', 'idle', 'http'), ('kafka', 'rocksmq'),
         {'targets': (), 'source': {'channels': 16}}),
        (('visible',), ('kafka', 'rocksmq'),
         {'source': {'channels': 16}}),
        (('direct',), ('kafka',),
         {'targets': {'target': TAKER}, 'source': {'channels': 16}}),
        (('grow',), ('kafka',),
         {'targets': (), 'source': growth.OPTIONS,
          'kafka': growth.BROKER}))
    CASES = tuple(case for bed in BEDS for case in bed[0])
    # of a source on RocksMQ, what depends on the source's log
    LESS = ('backlog', 'live', 'idle')

    def run(self):
        """By default all, and of a source on RocksMQ what depends on it."""
        for kind in self.args.source.split(','):
            wanted = self.args.cases or (
                self.CASES if kind == 'kafka' else self.LESS)
            for cases, kinds, options in self.BEDS:
                cases = [case for case in cases if case in wanted]
                if cases and kind in kinds:
                    self.bed(kind, cases, dict(options, source=dict(
                        options['source'], mq=kind)))

    def bed(self, kind, cases, options):
        with Testbed(say=say) as bed:
            bed.up(**options)
            for part in bed.parts.values():
                if part.kind == 'milvus':
                    part.connect()
            for case in cases:
                say('%s, source on %s' % (case, kind))
                began = time.monotonic()
                try:
                    getattr(self, case)(kind, bed)
                except Exception as e:     # the other cases count all the same
                    say('%s FAILED: %s: %s' % (case, type(e).__name__, e))
                    self.failed.append('%s, source on %s' % (case, kind))
                say('%s took %d s' % (case, time.monotonic() - began))


def main():
    parser = argparse.ArgumentParser(prog='bench/run')
    parser.add_argument('cases', nargs='*', metavar='case',
                        help='of %s; all, if none is named'
                        % ', '.join(Bench.CASES))
    parser.add_argument('--source', default='kafka,rocksmq')
    parser.add_argument('--runs', type=int, help='5 of a backlog, and 1 to 3 '
                        'of what takes long, if not given')
    parser.add_argument('--rows', type=int, default=302000,
                        help='of a backlog; "grow" has %d times as many'
                        % growth.TIMES)
    parser.add_argument('--collections', type=int, default=1000,
                        help='the most of "grow"')
    args = parser.parse_args()
    for case in args.cases:
        if case not in Bench.CASES:
            parser.error('%s: no such case' % case)
    bench = Bench(args)
    if bench.reference and not os.access(bench.reference, os.X_OK) \
            or os.path.isdir(bench.reference or ''):
        parser.error('BENCH_REFERENCE=%s is no binary' % bench.reference)
    if 'http' in (args.cases or bench.CASES) and not shutil.which('wrk'):
        parser.error('http needs wrk (apt-get install wrk)')
    try:
        bench.run()
    finally:
        print('\n'.join(bench.figures.table() + [''] + Goals(
            bench.figures, args.source.split(',')).lines()
            + ['FAILED: ' + case for case in bench.failed]))
    return 1 if bench.failed else 0


if __name__ == '__main__':
    sys.exit(main())
