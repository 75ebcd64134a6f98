#!/usr/bin/env python3
"""kill -9 at fault points under a storm: nothing lost, nothing twice.

CHAOS_KILLS and CHAOS_SEED say otherwise; sh t/chaos for many more.
"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, 'lib', 'python'))

import chaos                                                # noqa: E402

KILLS = int(os.environ.get('CHAOS_KILLS') or 200)
SEED = int(os.environ.get('CHAOS_SEED') or 600)


def symbols(build):
    """What an executable has of the fault points."""
    names = subprocess.run(['nm', '-a', os.path.join(
        build, 'milvus-cdc-helper')], stdout=subprocess.PIPE,
        check=True).stdout.decode().split('\n')
    return sorted(n.split()[-1] for n in names if 'cdc_fault' in n)


def points():
    """The points in the sources."""
    found = []
    for path in glob.glob(os.path.join(chaos.TOP, 'src', '*', '*.c')):
        with open(path) as f:
            found += re.findall(r'CDC_FAULT\("([^"]*)"\)', f.read())
    return sorted(found)


chaos.build()

with chaos.Chaos() as t:
    t.ok(symbols(chaos.BUILD), 'a build with FAULTS=1 has fault points')
    plain = os.path.join(chaos.TOP, 'build')
    if os.path.exists(plain):
        t.same(symbols(plain), [], 'any other has nothing of them')
    t.same(points(), sorted(set(chaos.POINTS)),
           'the plan knows each point in the sources')
    t.begin()
    t.round(SEED, KILLS)
