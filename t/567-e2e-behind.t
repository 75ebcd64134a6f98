#!/usr/bin/env python3
"""One order over all channels and the metadata with 100,000 rows behind, and
with the replicator killed while it makes up for them; what is done in which
order is that of 561-e2e-order.t, and this needs a testbed as that does.
"""

import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SUITE = os.path.join(HERE, '561-e2e-order.t')

os.execv(sys.executable, [sys.executable, SUITE, 'backlog', 'again']
         + sys.argv[1:])
