"""The steps of demo/run after the packages: follow.py DIR rocksmq|kafka

Servers and the rows of the source need no module, so they come up while it is
still being built; standard input says how that ended, a line with its status.
"""

import json
import logging
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(TOP, 't', 'testbed'),
                os.path.join(TOP, 't', 'lib', 'python')]

from pymilvus import Collection, utility                     # noqa: E402

import compare                                               # noqa: E402
import nginx as nginx_part                                   # noqa: E402
from fixtures import Shape                                   # noqa: E402
from lag import measure, percentile                          # noqa: E402
from process import Ports, TestbedError, wait_for            # noqa: E402
import testbed                                               # noqa: E402

# the client logs each failed call, those that are waited out as well
logging.getLogger('pymilvus').setLevel(logging.CRITICAL)

SHAPE = Shape(dim=16)
NAME = 'demo'
SERVERS = {
    'rocksmq': 'Two Milvus, each with the etcd and the RocksMQ that it '
               'brings',
    'kafka': 'Two Milvus (source on Kafka, target on its own RocksMQ), no '
             'Docker'}
EMBEDDED = {'rocksmq': ['--embedded']}


def step(text):
    print('\n== %s' % text, flush=True)


def curl(uri, request, shown=True):
    """Runs the command that it prints."""
    body = json.dumps(request)
    print("$ curl -s -H 'Content-Type: application/json' %s/cdc -d '%s'"
          % (uri, body), flush=True)
    r = subprocess.run(['curl', '-s', '--noproxy', '*', '-H',
                        'Content-Type: application/json', uri + '/cdc',
                        '-d', body], capture_output=True, text=True,
                       check=False)
    if shown:
        print(r.stdout.strip(), flush=True)
    answer = json.loads(r.stdout or '{}')
    if answer.get('code') != 200:
        raise TestbedError('nginx did not do it (its log: demo folder, '
                           'nginx/error.log)')
    return answer['data']


def newer_build(part):
    """The module was built again since this nginx started."""
    started = os.stat('/proc/%d' % part.pid).st_mtime
    return any(os.stat(os.path.join(nginx_part.BUILD, name)).st_mtime
               > started for name in ('ngx_http_milvus_cdc_module.so',
                                      'milvus-cdc-helper'))


def start_nginx(bed):
    part = bed.parts.get('nginx')
    if part is None:
        port = 8444 if Ports.free(8444) else None
        return bed.add_nginx(port=port)
    if part.alive() and newer_build(part):
        print('the build is newer than the nginx that runs: starting it '
              'again')
        part.stop()
    if not part.alive():
        part.start()
        part.wait(30)
    return part


def check(uri, wanted):
    """The dry run of a create: of what is in order, only the names."""
    findings = curl(uri, {'request_type': 'check', 'request_data': wanted},
                    shown=False)['findings']
    print('in order: %s' % ', '.join(f['check'] for f in findings if f['ok']))
    for f in findings:
        if not f['ok']:
            print('%(level)s: %(check)s: %(text)s\n  cure: %(cure)s' % f)


def task(bed, uri):
    tasks = curl(uri, {'request_type': 'list'})['tasks']
    if tasks:
        print('there is one from an earlier run')
        return tasks[0]['task_id']
    wanted = {'milvus_connect_param': {'uri': bed['target'].uri,
                                       'connect_timeout': 10},
              'collection_infos': [{'name': '*'}]}
    check(uri, wanted)
    return curl(uri, {'request_type': 'create',
                      'request_data': wanted})['task_id']


def count(using, consistency):
    return Collection(NAME, using=using).query(
        'id >= 0', output_fields=['count(*)'],
        consistency_level=consistency)[0]['count(*)']


def source_rows():
    """A first run finds nothing: 1,000 rows, there before the task is."""
    if not utility.has_collection(NAME, using='source'):
        print('source: collection "%s", an index, 1,000 rows of %d dims'
              % (NAME, SHAPE.dim), flush=True)
        SHAPE.ready(NAME, 'source', 1000)

    # a Milvus that has just been started loads what was loaded by and by

    number = wait_for('rows on the source',
                      lambda: count('source', 'Strong'), 60, 0.1)
    print('source: %d rows' % number, flush=True)


def first_rows(begin):
    """Of those that were there before the task."""
    number = wait_for('rows on the target',
                      lambda: count('target', 'Eventually'), 60, 0.02)
    print('target: %d rows can be read after %.1f s' % (
        number, time.monotonic() - begin), flush=True)


def one_row(number):
    row = SHAPE.row(number)
    Collection(NAME, using='source').insert([row])
    inserted = time.monotonic()
    print('source: inserted  id %d, vec %s ...' % (
        number, ['%.4f' % x for x in row['vec'][:4]]), flush=True)

    def there():
        return Collection(NAME, using='target').query(
            'id == %d' % number, output_fields=['vec'],
            consistency_level='Eventually')

    (found,) = wait_for('the row on the target', there, 30, 0.01)
    print('target: read      id %d, vec %s ...   %.2f s later' % (
        number, ['%.4f' % x for x in found['vec'][:4]],
        time.monotonic() - inserted), flush=True)


def around(bed, uri):
    source, target = bed['source'], bed['target']
    step('Look around')
    print('''\
the task     curl -s %(uri)s/cdc -d '{"request_type": "list"}'
console      %(uri)s/cdc/ui/
metrics      curl -s %(uri)s/cdc/metrics
health       curl -s %(uri)s/cdc/health
its files    %(dir)s/nginx/  (nginx.conf, error.log)
servers      %(python)s %(testbed)s status --dir %(dir)s
try it       %(python)s
             >>> from pymilvus import Collection, connections
             >>> connections.connect('s', uri='%(source)s')
             >>> connections.connect('t', uri='%(target)s')
             >>> Collection('%(name)s', using='s').delete('id in [1, 2]')
             >>> Collection('%(name)s', using='t').query('id in [1, 2, 3]')
again        sh demo/run
the end      sh demo/stop''' % {
        'uri': uri, 'dir': bed.dir, 'python': sys.executable,
        'testbed': os.path.join(TOP, 't', 'testbed', 'testbed.py'),
        'source': source.uri, 'target': target.uri, 'name': NAME})


def servers(path, kind):
    testbed.main(['up', '--dir', path, '--source', kind]
                 + EMBEDDED.get(kind, []))
    bed = testbed.Testbed.load(path)
    for name in ('source', 'target'):
        bed[name].connect()
    source_rows()
    return bed


def main(path, kind):
    step('2/4  ' + SERVERS[kind])
    bed = servers(path, kind)
    status = int(sys.stdin.readline() or 1)
    if status:                                # t/run has said why
        return status

    step('3/4  nginx with the module, and a task')
    uri = start_nginx(bed).uri
    task_id = task(bed, uri)
    begin = time.monotonic()
    first_rows(begin)
    compare.wait_equal('source', 'target', 90)
    print('target: equal to the source after %.1f s, every row and field'
          % (time.monotonic() - begin))
    curl(uri, {'request_type': 'get', 'request_data': {'task_id': task_id}})

    step('4/4  A row, and how long it takes')
    number = int(time.time() * 10)         # a key that no run has used
    one_row(number)
    times, _ = measure(SHAPE, NAME, number + 1, 30)
    print('lag: 30 single inserts, from "insert returned" to "visible on '
          'the target": p50 %.0f ms, max %.0f ms' % (
              percentile(times, 50) * 1000, percentile(times, 100) * 1000))
    around(bed, uri)
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main(*sys.argv[1:]))
    except (TestbedError, compare.NotEqual) as e:
        sys.exit('demo: %s' % e)
