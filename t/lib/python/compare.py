"""Full comparison of two Milvus clusters.

    differences(source, target)    list of texts, empty when they agree
    wait_equal(source, target, timeout)    seconds until they agreed, or raises

source and target are names of pymilvus connections.  Compared are all
databases, collections (schema, shards, consistency level, properties, number
of partitions), partitions, aliases, indexes, load state, replicas, and of
what is loaded on the source every row: by partition and primary key, each
field with its bytes, and count(*), which also sees a row that is there twice;
with rbac=True also users, roles, who has them, and grants.

databases (a list or a function) and skip say what of the source is looked at.
mapping says where something is on the target: {(db, None): (db, None), (db,
name): (db, name)}, the source's names on the left.

Speed matters (302,000 rows of 128 dims are 163 MB a side), so the answers
are not turned into Python objects: a column is cut into one piece of bytes
for each row, and of each row only a hash is kept.
"""

import concurrent.futures
import hashlib
import time

import numpy
from pymilvus import connections
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2

BATCH = 8192
TIMEOUT = 20
CUSTOMIZED = 4
LOADING = common_pb2.LoadState.Value('LoadStateLoading')
LOADED = common_pb2.LoadState.Value('LoadStateLoaded')

ONLY = {'source': 'missing on the target', 'target': 'only on the target'}


class NotEqual(AssertionError):
    pass


def text_of(name):
    return name if isinstance(name, str) else '.'.join(name)


def load_name(state):
    return common_pb2.LoadState.Name(state).replace('LoadState', '')


def cells_of(field):
    """One piece of bytes for each row of a column."""
    if field.WhichOneof('field') == 'vectors':
        return vector_cells(field.vectors)
    return scalar_cells(field.scalars)


def vector_cells(vectors):
    kind = vectors.WhichOneof('data')
    if kind == 'float_vector':
        # serialized, a packed list is a tag, a length and the plain bytes
        raw = vectors.float_vector.SerializeToString()
        width = vectors.dim * 4
        rows = len(vectors.float_vector.data) // vectors.dim
        skip = len(raw) - rows * width
    else:
        raw, skip = getattr(vectors, kind), 0
        width = vectors.dim // 8 if kind == 'binary_vector' \
            else vectors.dim * 2
        rows = len(raw) // width
    view = memoryview(raw)[skip:]
    return [view[i * width:(i + 1) * width] for i in range(rows)]


NUMBERS = {'bool_data': 'u1', 'int_data': '<i4', 'long_data': '<i8',
           'float_data': '<f4', 'double_data': '<f8'}


def scalar_cells(scalars):
    kind = scalars.WhichOneof('data')
    if kind is None:
        return []
    data = getattr(scalars, kind).data
    if kind in NUMBERS:
        raw = numpy.array(data, dtype=NUMBERS[kind]).tobytes()
        width = int(NUMBERS[kind][-1])
        return [raw[i * width:(i + 1) * width] for i in range(len(data))]
    if kind == 'string_data':
        return [s.encode() for s in data]
    if kind == 'array_data':
        return [a.SerializeToString(deterministic=True) for a in data]
    return list(data)                          # JSON and bytes as they are


def keys_of(field):
    kind = field.scalars.WhichOneof('data')
    return list(getattr(field.scalars, kind).data) if kind else []


class Cluster:
    """What one side says of itself, with as little done to it as possible."""

    def __init__(self, alias, wait=False):
        self.stub = connections._fetch_handler(alias)._stub
        # wait: reads see all that was written before now.  One time for all
        # of them: the first one waits for it, the others do not.  A target's
        # time goes on only with the replication, so there one takes what
        # there is.
        self.time = int(time.time() * 1000) << 18 if wait else 1

    def call(self, method, request):
        response = getattr(self.stub, method)(request, timeout=TIMEOUT)
        status = getattr(response, 'status', response)
        if status.error_code or status.code:
            raise RuntimeError('%s: %s' % (method, status.reason))
        return response

    def databases(self):
        return set(self.call('ListDatabases',
                             milvus_pb2.ListDatabasesRequest()).db_names)

    def collections(self, db):
        return set(self.call('ShowCollections',
                             milvus_pb2.ShowCollectionsRequest(
                                 db_name=db)).collection_names)

    def describe(self, db, name):
        return self.call('DescribeCollection',
                         milvus_pb2.DescribeCollectionRequest(
                             db_name=db, collection_name=name))

    def partitions(self, db, name):
        return set(self.call('ShowPartitions',
                             milvus_pb2.ShowPartitionsRequest(
                                 db_name=db,
                                 collection_name=name)).partition_names)

    def indexes(self, db, name):
        r = self.stub.DescribeIndex(
            milvus_pb2.DescribeIndexRequest(db_name=db,
                                            collection_name=name),
            timeout=TIMEOUT)
        if r.status.code == 700:               # there is none
            return {}
        if r.status.error_code or r.status.code:
            raise RuntimeError('DescribeIndex: %s' % r.status.reason)
        return {(d.field_name, d.index_name):
                sorted((p.key, p.value) for p in d.params)
                for d in r.index_descriptions}

    def load_state(self, db, name, partition=None):
        return self.call('GetLoadState', milvus_pb2.GetLoadStateRequest(
            db_name=db, collection_name=name,
            partition_names=[partition] if partition else [])).state

    def replicas(self, db, name):
        number = self.describe(db, name).collectionID
        return sorted(r.resource_group_name for r in self.call(
            'GetReplicas', milvus_pb2.GetReplicasRequest(
                collectionID=number, db_name=db)).replicas)

    # The built-in user and roles are not ours to carry.

    def users(self):
        return set(self.call('ListCredUsers',
                             milvus_pb2.ListCredUsersRequest()).usernames) \
            - {'root'}

    def roles(self):
        """{role: users that have it}"""
        results = self.call('SelectRole', milvus_pb2.SelectRoleRequest(
            include_user_info=True)).results
        return {r.role.name: sorted(u.name for u in r.users
                                    if u.name != 'root') for r in results}

    def grants(self, role):
        """Who granted it is not compared: on the target it is the task."""
        if role == 'admin':
            return set()
        found = set()
        for db in self.databases():            # "*" is not all of them
            entities = self.call('SelectGrant', milvus_pb2.SelectGrantRequest(
                entity=milvus_pb2.GrantEntity(
                    role=milvus_pb2.RoleEntity(name=role),
                    db_name=db))).entities
            found.update((e.db_name, e.object.name, e.object_name,
                          e.grantor.privilege.name) for e in entities)
        return found

    def query(self, db, name, expr, fields, partition, **params):
        params.setdefault('reduce_stop_for_best', 'True')
        request = milvus_pb2.QueryRequest(
            db_name=db, collection_name=name, expr=expr,
            output_fields=fields,
            partition_names=[partition] if partition else [],
            consistency_level=CUSTOMIZED, guarantee_timestamp=self.time)
        for k, v in params.items():
            request.query_params.add(key=k, value=str(v))
        return self.call('Query', request).fields_data

    def count(self, db, name, partition):
        fields = self.query(db, name, '', ['count(*)'], partition)
        return fields[0].scalars.long_data.data[0]

    def rows(self, db, name, partition, pk, text):
        """{primary key: hash of all fields}"""
        found, last = {}, None
        while True:
            if last is None:
                expr = '%s != ""' % pk if text else \
                    '%s >= -9223372036854775807' % pk
            else:
                # in a string only these two have a meaning of their own
                expr = '%s > "%s"' % (pk, last.replace('\\', '\\\\')
                                      .replace('"', '\\"')) if text \
                    else '%s > %d' % (pk, last)
            fields = sorted(self.query(db, name, expr, ['*'], partition,
                                       limit=BATCH),
                            key=lambda f: f.field_name)
            (keys,) = [keys_of(f) for f in fields if f.field_name == pk]
            if not keys:
                return found
            names = [f.field_name.encode() or b'$meta' for f in fields]
            columns = [cells_of(f) for f in fields]
            for column in columns:
                if len(column) != len(keys):
                    raise RuntimeError('a column of another length')
            for key, cells in zip(keys, zip(*columns)):
                h = hashlib.blake2b(digest_size=12)
                for field, cell in zip(names, cells):
                    h.update(b'%s:%d:' % (field, len(cell)))
                    h.update(cell)
                found[key] = h.digest()
            # A page may be short without being the last: the server stops
            # where one of its segments ends.
            last = max(keys)


def describe_field(f):
    return {
        'id': f.fieldID, 'type': schema_pb2.DataType.Name(f.data_type),
        'element': schema_pb2.DataType.Name(f.element_type),
        'primary': f.is_primary_key, 'auto id': f.autoID,
        'partition key': f.is_partition_key, 'dynamic': f.is_dynamic,
        'description': f.description,
        'default': f.default_value.SerializeToString().hex(),
        'type params': sorted((p.key, p.value) for p in f.type_params),
        'index params': sorted((p.key, p.value) for p in f.index_params),
    }


def describe_collection(d, ignore):
    out = {
        'description': d.schema.description, 'shards': d.shards_num,
        'dynamic fields': d.schema.enable_dynamic_field,
        'consistency level': d.consistency_level,
        'number of partitions': d.num_partitions,
        'properties': sorted((p.key, p.value) for p in d.properties),
        'aliases': sorted(d.aliases),
    }
    return {k: v for k, v in out.items() if k not in ignore}


def keyed(schema):
    """With a partition key, Milvus lets nobody name a partition."""
    return any(f.is_partition_key for f in schema.fields)


class Comparison:
    def __init__(self, source, target, databases=None, skip=None,
                 ignore=(), rows=True, ordinary=False, mapping=None,
                 rbac=False):
        self.source = Cluster(source, True)
        self.target = Cluster(target, ordinary)
        self.wanted = databases if callable(databases) else \
            lambda db: databases is None or db in databases
        self.skip = skip or (lambda db, name: False)
        self.ignore = ignore
        self.rows = rows
        self.rbac = rbac
        self.mapping = mapping or {}
        self.found = []
        self.rows_compared = 0
        self.pool = concurrent.futures.ThreadPoolExecutor(2)

    def there(self, db, name=None):
        """Where it is on the target."""
        return self.mapping.get((db, name)) \
            or (self.mapping.get((db, None), (db,))[0], name)

    def differ(self, where, text):
        self.found.append('%s: %s' % (where, text))

    def both(self, method, *args):
        """The same question to both; None, noted, where one cannot answer.
        Two arguments and more begin with a database and a collection."""
        there = self.there(*args[:2]) + args[2:] if args[1:] else args
        futures = [self.pool.submit(getattr(side, method), *a)
                   for side, a in ((self.source, args),
                                   (self.target, there))]
        answers = []
        for name, future in zip(('source', 'target'), futures):
            try:
                answers.append(future.result())
            except Exception as e:
                text = e.details() if hasattr(e, 'details') else str(e)
                self.differ('.'.join(str(a) for a in args[:2]) or 'cluster',
                            '%s: %s: %s' % (name, method, text))
                answers.append(None)
        return answers

    def names(self, where, what, source, target):
        """The names that both have; notes those that only one has."""
        if source is None or target is None:
            return []
        for name in sorted(source - target):
            self.differ(where, '%s "%s" is %s' % (what, text_of(name),
                                                  ONLY['source']))
        for name in sorted(target - source):
            self.differ(where, '%s "%s" is %s' % (what, text_of(name),
                                                  ONLY['target']))
        return sorted(source & target)

    def items(self, where, what, source, target):
        if source is None or target is None:
            return
        for key in sorted(set(source) | set(target), key=str):
            s, t = source.get(key), target.get(key)
            if s != t:
                self.differ(where, '%s%s: source %s, target %s' % (
                    what, key, s, t))

    def run(self):
        try:
            source, target = self.both('databases')
            if None not in (source, target):
                self.databases(source, target)
            if self.rbac:
                self.users_and_roles()
        finally:
            self.pool.shutdown()
        return self.found

    def databases(self, source, target):
        source = {db for db in source if self.wanted(db)}
        wanted = {self.there(db)[0] for db in source}
        target = {db for db in target if db in wanted or self.wanted(db)}
        if 'default' not in wanted:            # it cannot not be there
            target -= {'default'}
        self.names('cluster', 'database', wanted, target)

        wanted = {}
        for db in source:
            for name in self.listed('source', self.source, db):
                if not self.skip(db, name):
                    wanted[self.there(db, name)] = db, name
        have = {(db, name) for db in target
                for name in self.listed('target', self.target, db)
                if (db, name) in wanted or not self.skip(db, name)}
        for there in self.names('cluster', 'collection', set(wanted), have):
            self.collection(*wanted[there])

    def listed(self, side, cluster, db):
        try:
            return cluster.collections(db)
        except Exception as e:
            self.differ(db, '%s: collections: %s' % (side, e))
            return ()

    def users_and_roles(self):
        self.names('cluster', 'user', *self.both('users'))
        roles = self.both('roles')
        self.items('cluster', 'users of role ', *roles)
        if None in roles:
            return
        for role in sorted(set(roles[0]) & set(roles[1])):
            self.names('role ' + role, 'grant', *self.both('grants', role))

    def collection(self, db, name):
        where = '%s.%s' % (db, name)
        source, target = self.both('describe', db, name)
        if source is None or target is None:
            return
        self.items(where, '', describe_collection(source, self.ignore),
                   describe_collection(target, self.ignore))
        fields = [{f.name: describe_field(f) for f in side.schema.fields}
                  for side in (source, target)]
        for field in self.names(where, 'field', *map(set, fields)):
            self.items('%s: field %s' % (where, field), '',
                       *(side[field] for side in fields))
        if 'indexes' not in self.ignore:
            self.items(where, 'index ', *self.both('indexes', db, name))
        states = self.both('load_state', db, name)
        self.compare_load(where, states)
        if states == [LOADED, LOADED]:
            replicas = self.both('replicas', db, name)
            if None not in replicas and replicas[0] != replicas[1]:
                self.differ(where, 'replicas in resource groups: source %s, '
                            'target %s' % tuple(replicas))
        common = self.names(where, 'partition',
                            *self.both('partitions', db, name))
        if None in states:
            return
        for partition in common:
            self.partition(db, name, partition, source.schema)
        if states == [LOADED, LOADED] and keyed(source.schema):
            self.contents(where, db, name, None, source.schema)

    def compare_load(self, where, states):
        if None in states:
            return
        if states[0] != states[1] or states[0] == LOADING:
            self.differ(where, 'load state: source %s, target %s' % tuple(
                load_name(s) for s in states))

    def partition(self, db, name, partition, schema):
        where = '%s.%s/%s' % (db, name, partition)
        states = self.both('load_state', db, name, partition)
        self.compare_load(where, states)
        if states == [LOADED, LOADED] and not keyed(schema):
            self.contents(where, db, name, partition, schema)

    def contents(self, where, db, name, partition, schema):
        if 'contents' in self.ignore:
            return
        source, target = self.both('count', db, name, partition)
        if source != target and None not in (source, target):
            self.differ(where, 'count(*): source %d, target %d' % (
                source, target))
        if not self.rows or not (source or target):
            return
        (pk,) = [f for f in schema.fields if f.is_primary_key]
        source, target = self.both(
            'rows', db, name, partition, pk.name,
            pk.data_type == schema_pb2.DataType.Value('VarChar'))
        if source is None or target is None:
            return
        self.rows_compared += len(source)
        missing = [k for k in source if k not in target]
        extra = [k for k in target if k not in source]
        changed = [k for k, v in source.items()
                   if k in target and target[k] != v]
        for what, keys in (('rows missing on the target', missing),
                           ('rows only on the target', extra),
                           ('rows differ', changed)):
            if keys:
                self.differ(where, '%d %s, such as %s' % (
                    len(keys), what, sorted(keys)[:5]))


def differences(source, target, **options):
    return Comparison(source, target, **options).run()


def wait_equal(source, target, timeout=60, **options):
    """Seconds until all of it was equal; NotEqual with what differs.

    Looks at counts first and at rows when those agree.  A last look at the
    counts sees what came while the rows were read, a second copy of one say.
    """
    begin = time.monotonic()
    step = 0.1
    while True:
        equal_at = time.monotonic()
        for rows in (False, True, False):
            found = differences(source, target, rows=rows, **options)
            if found:
                break
        else:
            return equal_at - begin
        if time.monotonic() - begin > timeout:
            raise NotEqual('\n'.join(found))
        time.sleep(step)
        step = min(1, step * 1.5)
