"""A steady load on the source, and what must be there when it ends."""

from pymilvus import Collection

from beside import Beside


class Load(Beside):
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
        self.turns = 0

    def step(self, turn):
        first, self.next = self.next, self.next + self.rows
        self.collection.insert(self.shape.rows(first, self.next))
        if self.deletes and turn % 7 == 3:
            self.collection.delete(self.shape.expression(
                range(first, first + 2)))
        if self.deletes and turn % 11 == 5:
            self.collection.upsert(self.shape.rows(
                first + 4, first + 7, version=turn))

    def turn(self):
        try:
            self.step(self.turns)
        except Exception:
            self.failures += 1
            if not self.hardy:
                raise
        self.turns += 1
        return self.pause
