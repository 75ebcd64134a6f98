"""What goes on beside a suite, in a thread of its own."""

import threading
import time


class Beside:
    """Takes turns while its block runs; what goes wrong ends the block."""

    running = False
    error = None
    thread = None

    def turn(self):
        """One; answers how long to wait for the next."""
        raise NotImplementedError

    def run(self):
        try:
            while self.running:
                time.sleep(self.turn())
        except Exception as e:
            self.error = e

    def __enter__(self):
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.running = False
        self.thread.join()
        if self.error is not None and args[0] is None:
            raise self.error
        return False
