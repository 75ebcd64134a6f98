"""A steady load on the source, and what must be there when it ends."""

import threading
import time

from pymilvus import Collection


class Load:
    """Inserts a few rows at a time, now and then deletes or upserts some.

    Every row goes in once, so count(*) of the source is exact and a row
    that is sent twice shows on the target.  hardy: a call that fails is
    left behind, whether the source did it or not; the next rows follow.
    """

    def __init__(self, shape, name, using='source', rows=10, pause=0.02,
                 first=0, deletes=True, hardy=False):
        self.shape, self.rows, self.pause = shape, rows, pause
        self.collection = Collection(name, using=using)
        self.next = first
        self.deletes, self.hardy, self.failures = deletes, hardy, 0
        self.running = False
        self.error = None
        self.thread = None

    def step(self, turn):
        first, self.next = self.next, self.next + self.rows
        self.collection.insert(self.shape.rows(first, self.next))
        if self.deletes and turn % 7 == 3:
            self.collection.delete(self.shape.expression(
                range(first, first + 2)))
        if self.deletes and turn % 11 == 5:
            self.collection.upsert(self.shape.rows(
                first + 4, first + 7, version=turn))

    def run(self):
        turn = 0
        while self.running:
            try:
                self.step(turn)
            except Exception as e:
                self.failures += 1
                if not self.hardy:
                    self.error = e
                    return
            turn += 1
            time.sleep(self.pause)

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
