#!/usr/bin/env python3
"""t/510-e2e-restart.t once more, the testbed's source on Kafka."""

import os
import runpy

os.environ['CDC_SOURCE'] = 'kafka'
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            '510-e2e-restart.t'), run_name='__main__')
