"""The cases of one order: operations that must not overtake each other.

Each is a class: prepare() makes what is there before, act() yields where a
process may be killed.  What must hold afterwards is that both sides are
equal; a drop, a name that lives again, and rows that went under one name and
then another are all in that.
"""

import time

from pymilvus import utility

from beside import Beside
from fixtures import AUTO_ID, EVERY, PLAIN, TEXT_KEY, Shape

THREE = Shape(shards=3)
ONE = Shape(shards=1, dim=16)


class Order:
    """c is the Case."""

    def __init__(self, case):
        self.c = case

    def prepare(self):
        pass

    def act(self):
        raise NotImplementedError

    def text(self):
        return ' '.join(self.__doc__.split())


class ReleaseDropLoad(Order):
    """release, drop partition, load, in quick order"""

    def prepare(self):
        x = PLAIN.create(self.c('x'), self.c.source)
        PLAIN.build_index(x)
        for name in ('p1', 'p2', 'p3'):
            x.create_partition(name)
            x.insert(PLAIN.rows(0, 20), partition_name=name)
        x.load(_async=True)

    def act(self):
        x = self.c.get('x')
        for n, name in enumerate(('p1', 'p2', 'p3')):
            x.insert(PLAIN.rows(100 + n * 20, 120 + n * 20),
                     partition_name=name)
            x.release()
            yield
            x.drop_partition(name)
            x.load(_async=True)
            yield
        x.insert(PLAIN.rows(200, 220))


class Again(Order):
    """one name dropped and created four times, other schemas"""

    def prepare(self):
        THREE.ready(self.c('x'), self.c.source, 50, wait=False)

    def act(self):
        for n, shape in enumerate((TEXT_KEY, PLAIN, EVERY, AUTO_ID)):
            self.c.drop('x')
            yield
            shape.ready(self.c('x'), self.c.source, 60 + n, wait=False)
            yield


class IndexLoad(Order):
    """create, index, load at once"""

    def act(self):
        for name in ('x', 'y', 'z'):
            x = PLAIN.create(self.c(name), self.c.source)
            PLAIN.build_index(x)
            x.load(_async=True)
            yield
            x.insert(PLAIN.rows(0, 30))


class DropDatabase(Order):
    """drop of a database after its collections, and the name again"""

    def prepare(self):
        using = self.c.make_db('db')
        PLAIN.ready(self.c('x'), using, 30, wait=False)
        EVERY.ready(self.c('y'), using, 30, wait=False)

    def act(self):
        using = self.c.using('db')
        self.c.get('x', using).insert(PLAIN.rows(30, 60))
        self.c.drop('x', using)
        self.c.drop('y', using)
        yield
        self.c.drop_db('db')
        yield
        self.c.make_db('db')
        TEXT_KEY.ready(self.c('x'), using, 40, wait=False)
        yield
        self.c.drop('x', using)
        self.c.drop_db('db')


class Flow(Beside):
    """Rows through an alias, as fast as they go, until the block ends."""

    def __init__(self, name, using, shape=PLAIN, first=1000):
        from pymilvus import Collection

        self.shape, self.next = shape, first
        self.to = Collection(name, using=using)

    def turn(self):
        self.to.insert(self.shape.rows(self.next, self.next + 5))
        self.next += 5
        return 0.01

    def __exit__(self, *args):
        time.sleep(0.1)                # some rows behind the last operation
        return super().__exit__(*args)


class Rename(Order):
    """renamed twice, and two names swapped, while rows flow"""

    def prepare(self):
        for name in ('x', 'y'):
            PLAIN.ready(self.c(name), self.c.source, 20, wait=False)
        utility.create_alias(self.c('x'), self.c('alias'),
                             using=self.c.source)

    def act(self):
        with Flow(self.c('alias'), self.c.source):
            time.sleep(0.1)
            self.c.rename('x', 'x1')
            yield
            self.c.get('x1').insert(PLAIN.rows(20, 40))
            self.c.rename('x1', 'x2')
            self.c.get('x2').insert(PLAIN.rows(40, 60))
            yield
            # x2 is y and y is x2
            self.c.rename('y', 'tmp')
            self.c.rename('x2', 'y')
            yield
            self.c.rename('tmp', 'x2')
        self.c.get('x2').insert(PLAIN.rows(100, 120))
        self.c.get('y').insert(PLAIN.rows(120, 140))


class RenameDatabase(Order):
    """renamed into another database and dropped there, rows before and
    after"""

    def prepare(self):
        self.c.make_db('db')
        for name in ('x', 'y'):
            PLAIN.ready(self.c(name), self.c.source, 20, wait=False)

    def act(self):
        there = self.c.using('db')
        for name in ('x', 'y'):
            self.c.get(name).insert(PLAIN.rows(20, 40))
            self.c.rename(name, name + '1', new_db_name=self.c('db'))
            yield
            self.c.get(name + '1', there).insert(PLAIN.rows(40, 60))
        # the name that it left lives again
        TEXT_KEY.ready(self.c('x'), self.c.source, 30, wait=False)
        yield
        self.c.drop('y1', there)


class AliasMoved(Order):
    """alias moved between two collections while rows flow through it"""

    def prepare(self):
        for name in ('x', 'y'):
            PLAIN.ready(self.c(name), self.c.source, 20, wait=False)
        utility.create_alias(self.c('x'), self.c('alias'),
                             using=self.c.source)

    def act(self):
        with Flow(self.c('alias'), self.c.source):
            for n in range(5):
                time.sleep(0.05)
                utility.alter_alias(self.c('xy'[(n + 1) % 2]),
                                    self.c('alias'), using=self.c.source)
                yield


class DropAliased(Order):
    """drop of a collection that has an alias, and a collection of the
    alias's name after that"""

    def prepare(self):
        for name in ('x', 'y'):
            PLAIN.ready(self.c(name), self.c.source, 20, wait=False)
        for alias in ('one', 'two'):
            utility.create_alias(self.c('x'), self.c(alias),
                                 using=self.c.source)

    def act(self):
        self.c.get('one').insert(PLAIN.rows(20, 40))
        self.c.drop('x')
        yield
        # in 2.3.5 the aliases stay until the collection's data is gone
        utility.drop_alias(self.c('one'), using=self.c.source)
        utility.alter_alias(self.c('y'), self.c('two'), using=self.c.source)
        PLAIN.ready(self.c('one'), self.c.source, 30, wait=False)
        yield
        self.c.get('two').insert(PLAIN.rows(40, 60))


class Shards(Order):
    """drops of collections whose shards are seen at different times"""

    def prepare(self):
        for name in ('x', 'y', 'z'):
            THREE.ready(self.c(name), self.c.source, 40, wait=False)

    def act(self):
        for name in ('x', 'y', 'z'):
            x = self.c.get(name)
            # one key goes to one shard: the others have nothing to say
            for n in range(100, 110):
                x.insert(THREE.rows(n, n + 1))
            self.c.drop(name)
            yield
        THREE.ready(self.c('x'), self.c.source, 70, wait=False)


class DropEmptied(Order):
    """rows, flush, delete, drop of a partition, drop"""

    def prepare(self):
        x = PLAIN.ready(self.c('x'), self.c.source, 200, wait=False)
        PLAIN.ready(self.c('stays'), self.c.source, 20, wait=False)
        x.create_partition('p')

    def act(self):
        x = self.c.get('x')
        x.insert(PLAIN.rows(200, 300), partition_name='p')
        x.delete(PLAIN.expression(range(0, 100)))
        yield
        x.release()
        x.drop_partition('p')
        yield
        self.c.get('stays').insert(PLAIN.rows(20, 40))
        self.c.drop('x')


ALL = (ReleaseDropLoad, Again, IndexLoad, DropDatabase, Rename,
       RenameDatabase, AliasMoved, DropAliased, Shards, DropEmptied)
