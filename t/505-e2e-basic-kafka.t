#!/usr/bin/env python3
"""t/500-e2e-basic.t once more, the testbed's source on Kafka."""

import os
import runpy

os.environ['CDC_SOURCE'] = 'kafka'
runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                            '500-e2e-basic.t'), run_name='__main__')
