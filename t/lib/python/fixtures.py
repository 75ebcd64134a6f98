"""Collections and rows for the end-to-end suites.

A row depends on its key and on a version alone, so that any process can say
what must be there, and an upsert changes every field.
"""

import random

import numpy
from pymilvus import (Collection, CollectionSchema, DataType, FieldSchema,
                      utility)

VARCHAR = DataType.VARCHAR
ARRAY_TYPES = (('a_bool', DataType.BOOL), ('a_i8', DataType.INT8),
               ('a_i16', DataType.INT16), ('a_i32', DataType.INT32),
               ('a_i64', DataType.INT64), ('a_float', DataType.FLOAT),
               ('a_double', DataType.DOUBLE), ('a_text', VARCHAR))
TEXTS = ('', 'plain', 'déjà vu', '日本語', '😀 emoji', 'tab\tand\nline',
         'quote " and \\ backslash', ' ' * 3)


def scalar_fields():
    """Every scalar type that Milvus 2.3.5 has."""
    fields = [FieldSchema('f_bool', DataType.BOOL),
              FieldSchema('f_i8', DataType.INT8),
              FieldSchema('f_i16', DataType.INT16),
              FieldSchema('f_i32', DataType.INT32),
              FieldSchema('f_i64', DataType.INT64),
              FieldSchema('f_float', DataType.FLOAT),
              FieldSchema('f_double', DataType.DOUBLE),
              FieldSchema('f_text', VARCHAR, max_length=400,
                          description='any Unicode'),
              FieldSchema('f_json', DataType.JSON)]
    for name, kind in ARRAY_TYPES:
        more = {'max_length': 50} if kind == VARCHAR else {}
        fields.append(FieldSchema(name, DataType.ARRAY, element_type=kind,
                                  max_capacity=8, **more))
    return fields


def scalar_values(rng):
    n = rng.randrange(0, 6)
    return {
        'f_bool': rng.random() < 0.5, 'f_i8': rng.randrange(-128, 128),
        'f_i16': rng.randrange(-2 ** 15, 2 ** 15),
        'f_i32': rng.randrange(-2 ** 31, 2 ** 31),
        'f_i64': rng.randrange(-2 ** 62, 2 ** 62),
        'f_float': rng.choice((0.0, -0.0, 1e-38, rng.random())),
        'f_double': rng.choice((-1e300, 5e-324, rng.random())),
        'f_text': rng.choice(TEXTS) * rng.randrange(1, 5),
        'f_json': {'n': rng.randrange(99), 'deep': {'list': [1, 'two', None]},
                   'text': rng.choice(TEXTS)},
        'a_bool': [rng.random() < 0.5 for _ in range(n)],
        'a_i8': [rng.randrange(-128, 128) for _ in range(n)],
        'a_i16': [rng.randrange(-999, 999) for _ in range(n)],
        'a_i32': [rng.randrange(2 ** 31) for _ in range(n)],
        'a_i64': [rng.randrange(2 ** 62) for _ in range(n)],
        'a_float': [rng.random() for _ in range(n)],
        'a_double': [rng.random() for _ in range(n)],
        'a_text': [rng.choice(TEXTS) for _ in range(n)],
    }


class Shape:
    """A kind of collection: its schema, its rows, its index."""

    def __init__(self, pk=DataType.INT64, auto_id=False, dim=8, binary=False,
                 scalars=False, dynamic=False, partition_key=None, shards=2,
                 index='HNSW', description=''):
        self.pk, self.auto_id, self.dim = pk, auto_id, dim
        self.binary, self.scalars, self.dynamic = binary, scalars, dynamic
        self.partition_key = partition_key
        self.shards, self.description = shards, description
        self.index = 'BIN_IVF_FLAT' if binary else index

    def schema(self):
        more = {'max_length': 100} if self.pk == VARCHAR else {}
        fields = [FieldSchema('id', self.pk, is_primary=True,
                              auto_id=self.auto_id, **more),
                  FieldSchema('vec', DataType.BINARY_VECTOR if self.binary
                              else DataType.FLOAT_VECTOR, dim=self.dim)]
        if self.scalars:
            fields += scalar_fields()
        if self.partition_key:
            fields.append(FieldSchema('tenant', VARCHAR, max_length=50,
                                      is_partition_key=True))
        return CollectionSchema(fields, description=self.description,
                                enable_dynamic_field=self.dynamic)

    def create(self, name, using, **more):
        if self.partition_key:
            more['num_partitions'] = self.partition_key
        return Collection(name, self.schema(), using=using,
                          num_shards=self.shards, **more)

    def key(self, n):
        return 'key "%d" \\ é' % n if self.pk == VARCHAR else n

    def row(self, n, version=0):
        rng = random.Random('%d/%d' % (n, version))
        row = {} if self.auto_id else {'id': self.key(n)}
        if self.binary:
            row['vec'] = rng.randbytes(self.dim // 8)
        else:
            row['vec'] = [rng.random() for _ in range(self.dim)]
        if self.scalars:
            row.update(scalar_values(rng))
        if self.partition_key:
            row['tenant'] = 'tenant %d' % rng.randrange(9)
        if self.dynamic:
            row['dyn_version'] = version
            if n % 3:
                row['dyn %d' % (n % 3)] = [n, {'x': rng.choice(TEXTS)}]
        return row

    def rows(self, first, last, version=0):
        return [self.row(n, version) for n in range(first, last)]

    def columns(self, first, last):
        """Many plain rows, made fast."""
        rng = numpy.random.default_rng(first)
        return [list(range(first, last)),
                rng.random((last - first, self.dim)).tolist()]

    def expression(self, numbers):
        keys = (str(n) if self.pk != VARCHAR else '"%s"' % self.key(n)
                .replace('\\', '\\\\').replace('"', '\\"')
                for n in numbers)
        return 'id in [%s]' % ', '.join(keys)

    def build_index(self, collection):
        params = {'HNSW': {'M': 8, 'efConstruction': 32}, 'FLAT': {},
                  'IVF_FLAT': {'nlist': 16}, 'BIN_IVF_FLAT': {'nlist': 16}}
        collection.create_index('vec', {
            'index_type': self.index, 'params': params[self.index],
            'metric_type': 'HAMMING' if self.binary else 'L2'})

    def ready(self, name, using, rows=0, wait=True, **more):
        """Created, indexed, loaded, and filled; a load takes 3 s."""
        collection = self.create(name, using, **more)
        self.build_index(collection)
        collection.load(_async=not wait)
        if rows:
            collection.insert(self.rows(0, rows))
        return collection


PLAIN = Shape()
EVERY = Shape(scalars=True, dynamic=True, description='every type')
TEXT_KEY = Shape(pk=VARCHAR, binary=True, dim=64, dynamic=True)
AUTO_ID = Shape(auto_id=True, partition_key=4, shards=1, index='IVF_FLAT')


def drop_all(using):
    for name in utility.list_collections(using=using):
        utility.drop_collection(name, using=using)
