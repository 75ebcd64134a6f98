#!/usr/bin/env python3
"""What bench/run runs, in the testbed's Python."""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, 't', 'lib', 'python'))
sys.path.insert(0, HERE)

import tap                                 # goes on in the testbed's Python
from testbed import Testbed                                  # noqa: E402

import backlog                                               # noqa: E402
import growth                                                # noqa: E402
import http_load                                             # noqa: E402
import live                                                  # noqa: E402
from figures import Figures                                  # noqa: E402
from services import Module, Reference, build_reference      # noqa: E402

assert tap


def say(text):
    sys.stderr.write('bench: %s\n' % text)
    sys.stderr.flush()


class Bench:
    """One testbed after the other, and what is measured in each."""

    def __init__(self, args):
        self.args, self.figures = args, Figures()
        self.binary = None

    def services(self, kind, bed):
        checkout = os.environ.get('BENCH_REFERENCE')
        if not checkout or kind != 'kafka':
            return [Module]
        if self.binary is None:
            say('building milvus-cdc of %s' % checkout)
            self.binary = checkout if os.path.isfile(checkout) \
                else build_reference(checkout, bed.dir)
        return [Module, lambda bed: Reference(bed, self.binary)]

    def turns(self, kind, bed):
        """Each service in turn, run after run: both meet the same machine."""
        for number in range(self.args.runs):
            for service in self.services(kind, bed):
                say('run %d of %d' % (number + 1, self.args.runs))
                yield service

    def backlog(self, kind, bed):
        rows = self.args.rows
        for rows, dim in ((rows, 128), (rows // 6, 768)):
            name = 'backlog_%d' % dim
            say('%d rows of %d dims into the source' % (rows, dim))
            backlog.fill(name, rows, dim)
            for service in self.turns(kind, bed):
                what = '%d rows x %d dims, source on %s' % (rows, dim, kind)
                backlog.run(bed, service, [name], rows, self.figures,
                            'backlog, ' + what)
                backlog.run(bed, service, [name], rows, self.figures,
                            'target takes 0.3 s a request, ' + what,
                            delay=300)
            backlog.drop(name)

    def live(self, kind, bed):
        for service in self.turns(kind, bed):
            live.run(bed, service, self.figures,
                     'live, 5000 rows/s x 768 dims, source on %s' % kind)

    def idle(self, kind, bed):
        for service in self.turns(kind, bed):
            growth.idle(bed, service, self.figures,
                        'idle on 16 channels, source on %s' % kind)

    def growth(self, kind, bed):
        for service in self.turns(kind, bed):
            if service is Module:
                growth.run(bed, service, self.figures, kind,
                           self.args.rows // 10)

    def http(self, kind, bed):
        for service in self.turns(kind, bed):
            if service is Module:
                http_load.run(bed, service, self.figures,
                              '100 tasks, 10 of them replicate, source on %s'
                              % kind)

    def visible(self, kind, bed):
        for service in self.turns(kind, bed):
            live.visible(bed, service, self.figures,
                         'single rows to a real target, source on %s' % kind)

    CASES = ('backlog', 'live', 'idle', 'growth', 'http', 'visible')

    def run(self):
        cases = self.args.cases or self.CASES
        for kind in self.args.source.split(','):
            with Testbed(say=say) as bed:
                bed.up(targets=('target',) if 'visible' in cases else (),
                       source={'mq': kind, 'channels': 16})
                for part in bed.parts.values():
                    if part.kind == 'milvus':
                        part.connect()
                for case in cases:
                    say('%s, source on %s' % (case, kind))
                    getattr(self, case)(kind, bed)


def main():
    parser = argparse.ArgumentParser(prog='bench/run')
    parser.add_argument('cases', nargs='*', choices=[[], *Bench.CASES],
                        help='all, if none is named')
    parser.add_argument('--source', default='kafka,rocksmq')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--rows', type=int, default=302000)
    bench = Bench(parser.parse_args())
    try:
        bench.run()
    finally:
        print('\n'.join(bench.figures.table()))


if __name__ == '__main__':
    main()
