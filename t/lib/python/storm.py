"""A storm on the source: every kind of write and of operation, by seed.

A step is chosen by the seed and by what the steps before it left, never by
time, so the same seed makes the same calls in the same order.  Each key has
at most one row at a time, and so count(*) shows a row that is there twice.
No name begins with another one: Milvus 2.3.5 takes an alias out of its
metadata by prefix, "a84" with "a8".
"""

import copy
import random
import time

from pymilvus import Collection, connections, db, utility

import compare
from beside import Beside
from fixtures import AUTO_ID, EVERY, PLAIN, TEXT_KEY, Shape

THREE = Shape(shards=3)
SHAPES = (PLAIN, EVERY, TEXT_KEY, THREE, AUTO_ID)
MOST = 12                                  # rows of one small insert


class Place:
    """A collection, and what must be in it."""

    def __init__(self, storm, name, shape, database='default'):
        self.storm, self.database = storm, database
        self.shape = copy.copy(shape)
        self.using = storm.using(database)
        self.name = name
        self.next = 0
        self.version = 0
        self.aliases = set()
        self.parts = {'_default': {}}      # name: {key: number}
        self.dead = []                     # numbers that have been deleted
        self.it = shape.create(name, self.using)
        shape.build_index(self.it)
        self.it.load(_async=True)

    @property
    def keyed(self):
        """Milvus makes the keys, or finds the partition itself."""
        return self.shape.auto_id

    def one(self):
        """A partition by name and what is in it."""
        return self.storm.rng.choice(sorted(self.parts.items()))

    def into(self, part):
        return {} if self.keyed else {'partition_name': part}

    def insert(self, part, numbers):
        self.version += 1
        rows = [self.shape.row(n, self.version) for n in numbers]
        result = self.it.insert(rows, **self.into(part))
        self.storm.note('insert', self.name, part, result.timestamp,
                        result.primary_keys)
        for n, key in zip(numbers, result.primary_keys):
            self.parts[part][key] = n

    def new(self, part, number):
        first, self.next = self.next, self.next + number
        self.insert(part, range(first, self.next))

    def delete(self, part, keys, named):
        text = ', '.join(self.text(key) for key in keys)
        result = self.it.delete('id in [%s]' % text,
                                **(self.into(part) if named else {}))
        self.storm.note('delete', self.name, part if named else '*',
                        result.timestamp, keys)
        for key in keys:
            self.dead.append(self.parts[part].pop(key))

    def upsert(self, part, keys):
        self.version += 1
        result = self.it.upsert([self.shape.row(self.parts[part][key],
                                                self.version)
                                 for key in keys], partition_name=part)
        self.storm.note('upsert', self.name, part, result.timestamp, keys)

    @staticmethod
    def text(key):
        return str(key) if isinstance(key, int) else '"%s"' % key.replace(
            '\\', '\\\\').replace('"', '\\"')

    def some(self, part, most):
        keys = sorted(self.parts[part])
        return self.storm.rng.sample(keys, min(
            len(keys), self.storm.rng.randint(1, most)))


class Storm(Beside):
    """Makes steps while its block runs."""

    def __init__(self, bed, seed, pause=0.03, without=()):
        self.bed, self.pause = bed, pause
        self.weights = {k: 0 if k in without else v
                        for k, v in self.WEIGHTS.items()}
        self.rng = random.Random(seed)
        self.places = []
        self.number = 0                    # of names that were given
        self.steps = {}
        self.count = 0
        self.connected = set()
        self.journal = []                  # what was done, for a failure

    def note(self, *what):
        self.journal.append((time.time(), self.count) + what)

    def using(self, database):
        if database == 'default':
            return 'source'
        if database not in self.connected:
            self.bed['source'].connect(database, db_name=database)
            self.connected.add(database)
        return database

    def prepare(self):
        """What is there before the task."""
        db.create_database('storm', using='source')
        for n, shape in enumerate(SHAPES):
            self.places.append(Place(self, 'c%d' % n, shape))
        self.places.append(Place(self, 'c0', THREE, 'storm'))
        for place in self.places:
            place.new('_default', 40)

    # ---- rows

    def step_insert(self, place):
        place.new(place.one()[0], self.rng.randint(1, MOST))

    def step_large(self, place):
        place.new(place.one()[0], self.rng.randint(100, 300))

    def step_burst(self, place):
        """More messages than one read of the target's log takes."""
        part = place.one()[0]
        for _ in range(self.rng.randint(17, 40)):
            place.new(part, 1)

    def step_delete(self, place):
        part, rows = place.one()
        if rows:
            place.delete(part, place.some(part, MOST),
                         self.rng.random() < 0.5)

    def step_upsert(self, place):
        part, rows = place.one()
        if place.keyed or not rows:
            return
        place.upsert(part, place.some(part, MOST))

    def step_again(self, place):
        """Keys that were deleted, wherever they were before."""
        if place.keyed or not place.dead:
            return
        self.rng.shuffle(place.dead)
        numbers, place.dead = place.dead[:MOST], place.dead[MOST:]
        place.insert(place.one()[0], numbers)

    def step_hot(self, place):
        """One key, again and again, with nothing between."""
        if place.keyed:
            return
        part, rows = place.one()
        if not rows:
            return
        (key,) = place.some(part, 1)
        number = rows[key]
        for _ in range(self.rng.randint(2, 6)):
            place.delete(part, [key], self.rng.random() < 0.5)
            place.dead.remove(number)
            part = place.one()[0] if self.rng.random() < 0.3 else part
            place.insert(part, [number])
            if self.rng.random() < 0.3:
                place.upsert(part, [key])

    # ---- operations

    def step_partition(self, place):
        if place.keyed or len(place.parts) > 3:
            return
        name = 'p%d' % self.rng.randrange(4)
        if name in place.parts:
            return
        place.it.create_partition(name)
        place.parts[name] = {}
        place.it.load(_async=True)         # 2.3.5 does not by itself
        place.new(name, 5)

    def step_drop_partition(self, place):
        names = sorted(set(place.parts) - {'_default'})
        if place.keyed or not names:
            return
        name = self.rng.choice(names)
        place.new(name, 3)
        place.it.partition(name).release()
        place.it.drop_partition(name)
        place.dead += place.parts.pop(name).values()

    def step_recreate(self, place):
        """The name lives on, with another schema."""
        self.drop(place)
        again = Place(self, place.name, self.rng.choice(SHAPES),
                      place.database)
        again.new('_default', 10)
        self.places.append(again)

    def step_come_and_go(self, place):
        name = 'n%04d' % self.number
        self.number += 1
        new = Place(self, name, self.rng.choice(SHAPES), place.database)
        new.new('_default', 20)
        if len(self.places) < 8 and self.rng.random() < 0.5:
            self.places.append(new)
        else:
            self.drop(new)

    def drop(self, place):
        if place in self.places:
            self.places.remove(place)
        for alias in sorted(place.aliases):    # in 2.3.5 they would outlive
            self.note('drop alias', alias)     # the collection
            utility.drop_alias(alias, using=place.using)
        utility.drop_collection(place.name, using=place.using)

    def step_alias(self, place):
        if not place.aliases:
            alias = 'a%04d' % self.number
            self.number += 1
            self.note('create alias', alias)
            utility.create_alias(place.name, alias, using=place.using)
            place.aliases.add(alias)
            return
        alias = self.rng.choice(sorted(place.aliases))
        place.aliases.remove(alias)
        others = [p for p in self.places if p is not place
                  and p.database == place.database]
        if others and self.rng.random() < 0.7:
            other = self.rng.choice(others)
            self.note('alter alias', alias, other.name)
            utility.alter_alias(other.name, alias, using=place.using)
            other.aliases.add(alias)
        else:
            self.note('drop alias', alias)
            utility.drop_alias(alias, using=place.using)

    def step_rename(self, place):
        name = 'r%04d' % self.number
        self.number += 1
        self.note('new name', name)
        utility.rename_collection(place.name, name, using=place.using,
                                  new_db_name=place.database)
        place.name = name
        place.it = Collection(name, using=place.using)
        place.new('_default', 3)

    def step_index(self, place):
        shape = place.shape
        place.it.release()
        place.it.drop_index()
        if not shape.binary:
            shape.index = self.rng.choice(('HNSW', 'FLAT', 'IVF_FLAT'))
        shape.build_index(place.it)
        place.it.load(_async=True)

    def step_load(self, place):
        place.it.release()
        place.new('_default', 3)
        place.it.load(_async=True)

    def step_database(self, place):
        name = 'd%04d' % self.number
        self.number += 1
        db.create_database(name, using='source')
        inside = Place(self, 'inside', PLAIN, name)
        inside.new('_default', 5)
        self.drop(inside)
        connections.disconnect(name)
        self.connected.remove(name)
        db.drop_database(name, using='source')

    WEIGHTS = {
        'insert': 30, 'large': 1, 'burst': 3, 'delete': 14, 'upsert': 14,
        'again': 10, 'hot': 12, 'partition': 4, 'drop_partition': 3,
        'recreate': 1, 'come_and_go': 2, 'alias': 4, 'rename': 2, 'index': 1,
        'load': 1, 'database': 0.5,
    }

    def turn(self):
        name = self.rng.choices(list(self.weights),
                                list(self.weights.values()))[0]
        place = self.rng.choice(self.places)
        self.note(name, place.database, place.name)
        try:
            getattr(self, 'step_' + name)(place)
        except Exception as e:
            raise RuntimeError('step %d, %s on %s.%s: %s: %s' % (
                self.count, name, place.database, place.name,
                type(e).__name__, e)) from e
        self.count += 1
        self.steps[name] = self.steps.get(name, 0) + 1
        return self.rng.uniform(0, self.pause)

    def rows(self):
        return sum(len(rows) for place in self.places
                   for rows in place.parts.values())

    def wrong(self, side):
        """(place, text) for each count(*) that is not what was written."""
        cluster = compare.Cluster(side)
        for place in self.places:
            counts = {None: sum(len(rows) for rows in place.parts.values())} \
                if place.keyed else {name: len(rows) for name, rows
                                     in place.parts.items()}
            for part, number in sorted(counts.items()):
                found = cluster.count(place.database, place.name, part)
                if found != number:
                    yield place, '%s.%s/%s: %d rows are written, the %s ' \
                        'shows %d' % (place.database, place.name, part or '',
                                      number, side, found)
