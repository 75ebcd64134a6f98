"""A suite in Python that speaks TAP.

    from tap import Suite
    with Suite() as t:
        t.ok(1 + 1 == 2, 'arithmetic')

Importing this goes on in the Python of the testbed first, so a suite needs
nothing of the Python that its first line finds.  A suite that ends by an
exception, or with nothing tested, fails.
"""

import os
import signal
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', '..', 'testbed'))

from process import CACHE                                   # noqa: E402


def use_venv():
    venv = os.path.join(CACHE, 'venv')
    python = os.path.join(venv, 'bin', 'python')
    if os.path.realpath(sys.prefix) == os.path.realpath(venv):
        return
    if not os.path.exists(python):
        print('Bail out!  no Milvus client: run t/testbed/install')
        sys.exit(255)
    os.execv(python, [python] + sys.argv)


use_venv()


class Hopeless(Exception):
    pass


class Suite:
    def __init__(self):
        self.count = 0
        self.failed = 0
        self.begun = time.monotonic()
        # what a suite started must end with it, whoever ends the suite
        for sig in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, self.ended)

    def __enter__(self):
        return self

    def ended(self, number, frame):
        self.diag('ended by signal %d at\n%s' % (
            number, ''.join(traceback.format_stack(frame))))
        sys.exit(128 + number)

    def diag(self, text):
        for line in str(text).splitlines():
            sys.stderr.write('# %s\n' % line)
        sys.stderr.flush()

    def note(self, text):
        for line in str(text).splitlines():
            print('# %s' % line, flush=True)

    def ok(self, good, name, why=None):
        self.count += 1
        print('%sok %d - %s' % ('' if good else 'not ', self.count, name),
              flush=True)
        if not good:
            self.failed += 1
            self.diag('failed: %s' % name)
            if why:
                self.diag(why)
        return bool(good)

    def same(self, got, wanted, name):
        return self.ok(got == wanted, name,
                       'got    %r\nwanted %r' % (got, wanted))

    def passes(self, name, function, *args, **kwargs):
        """ok when the function returns; answers what it returned."""
        try:
            result = function(*args, **kwargs)
        except Exception as e:
            self.ok(False, name, '%s: %s' % (type(e).__name__, e))
            return None
        self.ok(True, name)
        return result

    def needed(self, good):
        """Ends the suite where going on could only fail again."""
        if not good:
            raise Hopeless('what follows needs the last test')

    def __exit__(self, kind, error, trace):
        if kind is SystemExit:
            return False
        if kind is Hopeless:
            self.ok(False, 'the suite went on to its end', str(error))
        elif kind is not None:
            self.ok(False, 'the suite went on to its end', ''.join(
                traceback.format_exception(kind, error, trace)))
        print('1..%d' % self.count, flush=True)
        self.note('%.0f s' % (time.monotonic() - self.begun))
        sys.stdout.flush()
        if self.failed or not self.count:
            sys.exit(1)
        return False
