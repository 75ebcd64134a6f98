#!/usr/bin/env python3
"""t/614-fault-huge.t once more, the testbed's source on Kafka."""

import os
import runpy

os.environ['CDC_SOURCE'] = 'kafka'
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            '614-fault-huge.t'), run_name='__main__')
