#!/usr/bin/env python3
"""Two tasks on one target, a live one and one in a backlog."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from channels import shared                                 # noqa: E402

shared()
