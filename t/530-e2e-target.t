#!/usr/bin/env python3
"""The target is killed and started again under load: rows are equal after."""

import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import Shape                                   # noqa: E402
from load import Load                                        # noqa: E402

with E2E() as t:
    t.up()
    shape = Shape(dim=8, scalars=True)
    shape.ready('load', 'source')
    nginx = t.start_nginx()
    nginx.create(t.bed['target'])
    t.equal('equal before', 60)

    with Load(shape, 'load', rows=20, pause=0.05):
        for n in range(2):
            time.sleep(3)
            t.bed.kill('target', signal.SIGKILL)
            time.sleep(4)
            status, health = nginx.get('/cdc/health')
            t.same(status, 503, 'health while the target is down')
            t.ok('"degraded"' in health and '"Running"' in health,
                 'degraded, and running')
            t.bed.restart('target')
            time.sleep(3)

    t.equal('equal after: rows, each field, count(*)', 120)
    t.check_logs()
