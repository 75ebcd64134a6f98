#!/usr/bin/env python3
"""A stock standalone Milvus is followed: its own RocksMQ, its own etcd.

Both end with it at a kill -9, and both come back with it.
"""

import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from load import Load                                        # noqa: E402
from process import wait_for                                 # noqa: E402

S = 'source'
SHAPE = Shape(dim=16, shards=2)

with E2E() as t:
    t.up({'target': {'embedded': True}}, {'mq': 'rocksmq', 'embedded': True})
    source = t.bed['source']
    t.same(sorted(t.bed.parts), ['source', 'target'],
           'two Milvus and nothing else')
    SHAPE.ready('load', S, 300)
    task = t.start_nginx().create(t.bed['target'])
    t.needed(t.equal('what was there before', 60) is not None)
    PLAIN.ready('new', S, 50)
    t.equal('a collection created, indexed, loaded, filled')

    with Load(SHAPE, 'load', first=300, hardy=True) as load:
        time.sleep(2)
        source.kill()
        time.sleep(2)
        t.wait_task('source and etcd killed: the task runs', task, 'Running')
        t.passes('and says what is out of reach', wait_for, 'reason',
                 lambda: t.nginx.task(task).get('reason'), 40)
        t.note(t.nginx.task(task).get('reason'))
        source.start()
        source.wait()
        source.connect()
        reached = load.next
        t.passes('the source takes rows again', wait_for, 'rows',
                 lambda: load.next > reached + 50, 60)
    t.equal('equal after it', 60)
    PLAIN.ready('newer', S, 50)
    t.equal('a collection created after it')
    t.check_logs()
