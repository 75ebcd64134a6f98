"""List, get and metrics, asked for as fast as wrk can while tasks work.

Metrics are asked for as Prometheus does, which takes them compressed, and as
plain text; beside the latter nginx serves a file of the same bytes, for that
many bytes are a matter of the machine.
"""

import http.client
import json
import os
import re
import subprocess
import threading

from pymilvus import connections

from backlog import drop
from live import new_collection, request
from null_target import NullTarget

SCRIPT = '''\
wrk.method = "%(method)s"
wrk.body = %(body)s
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept-Encoding"] = %(coding)s
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("bench %%d %%d %%d %%d\\n", summary.requests,
        summary.duration, latency:percentile(99.0),
        e.connect + e.read + e.write + e.status + e.timeout))
end
'''


def wrk(nginx, path, body, folder, gzip=False, seconds=4, connections=16):
    """(requests a second, p99 in ms, errors)"""
    script = os.path.join(folder, 'wrk.lua')
    with open(script, 'w') as f:
        f.write(SCRIPT % {'method': 'POST' if body else 'GET',
                          'body': json.dumps(json.dumps(body))
                          if body else 'nil',
                          'coding': '"gzip"' if gzip else 'nil'})
    out = subprocess.run(
        ['wrk', '-t1', '-c%d' % connections, '-d%ds' % seconds, '-s', script,
         nginx.uri + path], capture_output=True, text=True, check=True,
        stdin=subprocess.DEVNULL).stdout
    n, micros, p99, errors = map(int, re.search(
        r'bench (\d+) (\d+) (\d+) (\d+)', out).groups())
    return n / (micros / 1e6), p99 / 1000, errors


def length(nginx, path, body, gzip):
    """Of the answer, on the wire."""
    connection = http.client.HTTPConnection('127.0.0.1', nginx.port)
    connection.request('POST' if body else 'GET', path,
                       json.dumps(body) if body else None,
                       {'Accept-Encoding': 'gzip'} if gzip else {})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if (answer.getheader('Content-Encoding') == 'gzip') != gzip:
        raise RuntimeError('%s: compressed or not' % path)
    return len(text)


def load(stub, requests, stop):
    while not stop.wait(0.02):
        stub.Insert(requests[0], timeout=30)
        requests.append(requests.pop(0))


def run(bed, service, figures, group, tasks=100, running=10):
    """Ten of the tasks follow collections that are inserted into, about 50
    times 20 rows of 128 dims a second; the others are paused."""
    names = ['asked_%d' % n for n in range(tasks)]
    for name in names[:running]:
        new_collection(name, 128)
    target = NullTarget(bed, 'null').start()
    tested = service(bed)
    nginx, stop = tested.nginx, threading.Event()
    loader = threading.Thread(target=load, args=(
        connections._fetch_handler('source')._stub,
        [request(name, 20, 128) for name in names[:running]], stop))
    try:
        for n, name in enumerate(names):
            task = nginx.create(target, collection_infos=[{'name': name}])
            if n >= running:
                nginx.cdc('pause', {'task_id': task})
        loader.start()
        target.wait_rows(1, 30)
        plain = nginx.get('/cdc/metrics')[1].encode()
        os.makedirs(os.path.join(nginx.dir, 'html'))
        with open(os.path.join(nginx.dir, 'html', 'text'), 'wb') as f:
            f.write(plain)
        rates = {}
        for name, path, body, gzip in (
                ('list', '/cdc', {'request_type': 'list'}, False),
                ('get', '/cdc', {'request_type': 'get',
                                 'request_data': {'task_id': task}}, False),
                ('metrics, gzip', '/cdc/metrics', None, True),
                ('metrics, plain', '/cdc/metrics', None, False),
                ('a file of that size', '/text', None, False),
                ('health', '/cdc/health', None, False)):
            size = length(nginx, path, body, gzip)
            before = target.stats()['rows']
            rates[name], p99, errors = wrk(nginx, path, body, bed.dir, gzip)
            if target.stats()['rows'] == before:
                raise RuntimeError('nothing was replicated meanwhile')
            what = '%s (%.0f kB)' % (name, max(1, size / 1000))
            figures.add(group, what + ', requests/s', rates[name])
            figures.add(group, what + ', p99, ms', p99)
            figures.add(group, what + ', errors', errors)
        figures.add(group, 'metrics, plain, % of the file\'s requests/s',
                    100 * rates['metrics, plain']
                    / rates['a file of that size'])
    finally:
        stop.set()
        if loader.is_alive():
            loader.join()
        tested.stop()
        target.stop()
        for name in names[:running]:
            drop(name)


def ask(nginx, path, body, times):
    """Asks over one connection, without wrk; how many of them failed."""
    connection = http.client.HTTPConnection('127.0.0.1', nginx.port)
    text, bad = json.dumps(body) if body else None, 0
    for _ in range(times):
        connection.request('POST' if body else 'GET', path, text)
        answer = connection.getresponse()
        bad += answer.status != 200 or not answer.read()
    connection.close()
    return bad
