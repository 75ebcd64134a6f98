#!/usr/bin/env python3
"""4 source channels to 16 target channels."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from channels import numbers                                # noqa: E402

numbers(4, 16, 5)
