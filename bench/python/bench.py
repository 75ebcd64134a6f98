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
from figures import Figures                                  # noqa: E402
from services import Module, Reference, build_reference      # noqa: E402

assert tap


def say(text):
    sys.stderr.write('bench: %s\n' % text)
    sys.stderr.flush()


def services(kind, checkout, folder):
    if not checkout or kind != 'kafka':
        return [Module]
    say('building milvus-cdc of %s' % checkout)
    binary = checkout if os.path.isfile(checkout) \
        else build_reference(checkout, folder)
    return [Module, lambda bed: Reference(bed, binary)]


def backlogs(bed, kind, args, figures):
    tested = services(kind, os.environ.get('BENCH_REFERENCE'), bed.dir)
    for rows, dim in ((args.rows, 128), (args.rows // 6, 768)):
        name = 'backlog_%d' % dim
        say('%d rows of %d dims into the source (%s)' % (rows, dim, kind))
        backlog.fill(name, rows, dim)
        for number in range(args.runs):
            for service in tested:
                say('run %d of %d' % (number + 1, args.runs))
                backlog.run(bed, service, [name], rows, figures,
                            'backlog of %d rows x %d dims, source on %s' % (
                                rows, dim, kind))
        backlog.drop(name)


CASES = {'backlog': backlogs}


def main():
    parser = argparse.ArgumentParser(prog='bench/run')
    parser.add_argument('cases', nargs='*', default=list(CASES))
    parser.add_argument('--source', default='kafka,rocksmq')
    parser.add_argument('--runs', type=int, default=5)
    parser.add_argument('--rows', type=int, default=302000)
    args = parser.parse_args()
    figures = Figures()
    try:
        for kind in args.source.split(','):
            with Testbed(say=say) as bed:
                bed.up(targets=(), source={'mq': kind})
                bed['source'].connect()
                for case in args.cases or list(CASES):
                    CASES[case](bed, kind, args, figures)
    finally:
        print('\n'.join(figures.table()))


if __name__ == '__main__':
    main()
