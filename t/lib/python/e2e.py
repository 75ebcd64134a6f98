"""What the end-to-end suites share: a suite with a testbed and an nginx."""

import json
import logging
import os
import time

from tap import Suite                      # goes on in the testbed's Python

import compare                                              # noqa: E402
from testbed import Testbed                                 # noqa: E402

# the client logs each failed call, those that a suite waits out as well
logging.getLogger('pymilvus').setLevel(logging.CRITICAL)


class E2E(Suite):
    """up() starts the parts; source and target are pymilvus connections of
    those names."""

    def __init__(self, verbose=bool(os.environ.get('CDC_VERBOSE'))):
        super().__init__()
        self.bed = Testbed(say=self.diag if verbose else None)
        self.nginx = None
        self.unequal = 0

    def up(self, targets=('target',), source=None, **options):
        self.bed.up(targets, source, **options)
        for part in self.bed.parts.values():
            if part.kind == 'milvus':
                part.connect()
        self.source = self.bed['source']
        return self

    def start_nginx(self, **options):
        self.nginx = self.bed.add_nginx(**options)
        return self.nginx

    def errors(self, task):
        """The last error of each collection of a task."""
        found, = self.nginx.cdc('progress', {
            'task_id': task})[1]['data']['tasks']
        return {c['name']: (c['last_error'] or {}).get('text') or ''
                for c in found['collections']}

    def equal(self, name, timeout=40, target='target', source='source',
              **options):
        """ok when source and target become equal; seconds, or None."""
        begin = time.monotonic()
        # one that never becomes equal would cost each later test its time
        timeout = timeout if not self.unequal else 5
        try:
            seconds = compare.wait_equal(source, target, timeout, **options)
        except compare.NotEqual as e:
            self.ok(False, name, 'after %d s still:\n%s\n%s' % (
                time.monotonic() - begin, e, self.circumstances()))
            self.unequal += 1
            self.needed(self.unequal < 4)
            return None
        self.unequal = 0
        self.ok(True, '%s (%.1f s)' % (name, seconds))
        return seconds

    def stays_different(self, name, seconds=2.0, target='target'):
        """ok when what was just done does not arrive."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not compare.differences('source', target):
                return self.ok(False, name, 'it arrived')
            time.sleep(0.3)
        return self.ok(True, name)

    def wait_task(self, name, task_id, state, timeout=15):
        end = time.monotonic() + timeout
        while True:
            task = self.nginx.task(task_id)
            if task.get('state') == state or time.monotonic() > end:
                return self.same(task.get('state'), state, name)
            time.sleep(0.1)

    def circumstances(self):
        """What one would look at first."""
        out = []
        if self.nginx is not None:
            try:
                out.append(json.dumps(self.nginx.cdc('list')[1]))
                out.append(self.nginx.get('/cdc/health')[1])
            except OSError as e:
                out.append('nginx does not answer: %s' % e)
            with open(self.nginx.errors, errors='replace') as f:
                out += [line[:400] for line in f.read().splitlines()[-25:]]
        return '\n'.join(out)

    def check_logs(self, kills=False):
        """nginx and its helpers said nothing worse than an error; kills:
        the suite killed processes, which nginx reports as an alert."""
        with open(self.nginx.errors, errors='replace') as f:
            bad = [line for line in f if any(
                w in line for w in ('[alert]', '[emerg]', '[crit]',
                                    'AddressSanitizer', 'runtime error:'))
                   and not (kills and 'exited on signal 9' in line)]
        return self.same(bad, [], 'no alert in the error log')

    def __exit__(self, kind, error, trace):
        try:
            if kind not in (None, SystemExit) and self.nginx is not None:
                self.diag(self.circumstances())
            if self.nginx is not None and self.nginx.alive():
                took = self.nginx.stop()
                self.ok(not self.nginx.orphans,
                        'nginx stops and leaves no process behind '
                        '(%.1f s)' % took, self.nginx.orphans)
        finally:
            self.bed.close()
        return super().__exit__(kind, error, trace)
