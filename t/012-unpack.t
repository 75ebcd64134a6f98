#!/usr/bin/env python3
"""t/testbed/unpack.py puts what a wheel holds where Python finds it, and the
server of the milvus wheel where it can be started."""

import lzma
import os
import subprocess
import sys
import tempfile
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from tap import Suite                                        # noqa: E402

UNPACK = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'testbed', 'unpack.py')
CLIENT = {
    'one/__init__.py': 'from one.deep import answer\n',
    'one/deep/__init__.py': 'answer = 42\n',
    'one-1.0.dist-info/METADATA': 'Name: one\nVersion: 1.0\n',
    'one-1.0.data/purelib/pure.py': '',
    'one-1.0.data/platlib/plat/__init__.py': '',
    'one-1.0.data/scripts/command': '#!python\n',
    'one-1.0.data/data/share/one.txt': ''}
LOOK = '''
import importlib.metadata, one, plat, pure
print(one.answer, importlib.metadata.version('one'))
'''


def wheel(path, files):
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, content in files.items():
            z.writestr(name, content)


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def client(t, path):
    wheels, venv = (os.path.join(path, n) for n in ('wheels', 'venv'))
    os.mkdir(wheels)
    wheel(os.path.join(wheels, 'one-1.0-py3-none-any.whl'), CLIENT)
    wheel(os.path.join(wheels, 'two-1.0-py3-none-any.whl'), {'two.py': ''})
    run(sys.executable, '-m', 'venv', '--without-pip', venv)
    python = os.path.join(venv, 'bin', 'python')
    r = run(python, UNPACK, 'client', wheels)
    t.same(r.returncode, 0, 'wheels are unpacked')
    r = run(python, '-c', LOOK)
    t.same(r.stdout, '42 1.0\n', 'and loaded, with their versions')
    t.same(run(python, '-c', 'import two').returncode, 0, 'all of them')
    found = sorted(f for _, _, files in os.walk(venv) for f in files
                   if f in ('command', 'one.txt'))
    t.same(found, [], 'what is no module is left out')


def server(t, path):
    wheels, out = (os.path.join(path, n) for n in ('milvus', 'server'))
    os.mkdir(wheels)
    wheel(os.path.join(wheels, 'milvus-2.3.5-py3-none-any.whl'), {
        'milvus/__init__.py': '',
        'milvus/data/config.yaml.template': 'a: 1\n',
        'milvus/data/bin/milvus.lzma': lzma.compress(
            b'#!/bin/sh\necho started\n')})
    t.same(run(sys.executable, UNPACK, 'server', wheels, out).returncode, 0,
           'the server is unpacked')
    t.same(run(os.path.join(out, 'bin', 'milvus')).stdout, 'started\n',
           'it starts')
    with open(os.path.join(out, 'config.yaml.template')) as f:
        t.same(f.read(), 'a: 1\n', 'its configuration lies beside it')


with Suite() as t, tempfile.TemporaryDirectory() as temp:
    client(t, temp)
    server(t, temp)
