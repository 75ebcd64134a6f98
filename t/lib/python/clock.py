"""A clock of nginx and its helpers that a suite sets."""

import os
import struct
import subprocess

TESTBED = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                       '..', '..', 'testbed')


class Clock:
    """That of nginx and its helpers, by t/testbed/jump.c."""

    def __init__(self, path):
        self.path, self.library = path, path + '.so'
        subprocess.run(
            ['cc', '-O1', '-shared', '-fPIC', '-o', self.library,
             os.path.join(TESTBED, 'jump.c'), '-ldl'], check=True)
        with open(path, 'wb') as f:
            f.write(struct.pack('<q', 0))

    def env(self):
        return {'LD_PRELOAD': self.library, 'JUMP_FILE': self.path}

    def set(self, seconds):
        with open(self.path, 'r+b', buffering=0) as f:
            f.write(struct.pack('<q', seconds))
