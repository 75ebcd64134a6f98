"""list, get and metrics, asked for as fast as wrk can while tasks replicate."""

import http.client
import json
import os
import re
import subprocess

from null_target import NullTarget

SCRIPT = '''\
wrk.method = "%(method)s"
wrk.body = %(body)s
wrk.headers["Content-Type"] = "application/json"
done = function(summary, latency, requests)
    local e = summary.errors
    io.write(string.format("bench %%d %%d %%d %%d\\n", summary.requests,
        summary.duration, latency:percentile(99.0),
        e.connect + e.read + e.write + e.status + e.timeout))
end
'''


def wrk(nginx, path, body, folder, seconds=4, connections=16):
    """(requests a second, p99 in ms, errors)"""
    script = os.path.join(folder, 'wrk.lua')
    with open(script, 'w') as f:
        f.write(SCRIPT % {'method': 'POST' if body else 'GET',
                          'body': json.dumps(json.dumps(body))
                          if body else 'nil'})
    out = subprocess.run(
        ['wrk', '-t1', '-c%d' % connections, '-d%ds' % seconds, '-s', script,
         nginx.uri + path], capture_output=True, text=True, check=True,
        stdin=subprocess.DEVNULL).stdout
    n, micros, p99, errors = map(int, re.search(
        r'bench (\d+) (\d+) (\d+) (\d+)', out).groups())
    return n / (micros / 1e6), p99 / 1000, errors


def run(bed, service, figures, group, tasks=100, running=10):
    """Tasks follow collections that come later; ten of them run."""
    target = NullTarget(bed, 'null').start()
    tested = service(bed)
    nginx = tested.nginx
    try:
        for n in range(tasks):
            task = nginx.create(target, collection_infos=[
                {'name': 'later_%d' % n}])
            if n >= running:
                nginx.cdc('pause', {'task_id': task})
        for name, path, body in (
                ('list', '/cdc', {'request_type': 'list'}),
                ('get', '/cdc', {'request_type': 'get',
                                 'request_data': {'task_id': task}}),
                ('metrics', '/cdc/metrics', None),
                ('health', '/cdc/health', None)):
            size = len(nginx.post(path, json.dumps(body).encode())[1]
                       if body else nginx.get(path)[1])
            rate, p99, errors = wrk(nginx, path, body, bed.dir)
            figures.add(group, '%s (%d bytes), requests/s' % (name, size),
                        rate)
            figures.add(group, '%s, p99, ms' % name, p99)
            figures.add(group, '%s, errors' % name, errors)
    finally:
        tested.stop()
        target.stop()


def ask(nginx, path, body, times):
    """Asks over one connection, without wrk; how many of them failed."""
    connection = http.client.HTTPConnection('127.0.0.1', nginx.port)
    text, bad = json.dumps(body), 0
    for _ in range(times):
        connection.request('POST', path, text)
        answer = connection.getresponse()
        bad += answer.status != 200 or not answer.read()
    connection.close()
    return bad
