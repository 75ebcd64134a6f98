"""Many rows, or large ones, into a collection of Shape(dim=...), fast: the
vectors go into the request as the bytes that they are."""

import numpy
from pymilvus import connections
from pymilvus.grpc_gen import milvus_pb2, schema_pb2


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def packed(array):
    """One repeated field, number 1."""
    raw = array.tobytes()
    return b'\x0a' + varint(len(raw)) + raw


def request(name, first, rows, dim):
    rng = numpy.random.default_rng(first)
    vectors = rng.random(rows * dim, dtype=numpy.float32)
    keys = schema_pb2.FieldData(
        type=schema_pb2.DataType.Int64, field_name='id',
        scalars=schema_pb2.ScalarField(long_data=schema_pb2.LongArray(
            data=range(first, first + rows))))
    field = schema_pb2.FieldData(
        type=schema_pb2.DataType.FloatVector, field_name='vec',
        vectors=schema_pb2.VectorField(
            dim=dim, float_vector=schema_pb2.FloatArray.FromString(
                packed(vectors))))
    return milvus_pb2.InsertRequest(collection_name=name, num_rows=rows,
                                    fields_data=[keys, field])


def insert(name, first, rows, dim, using='source', timeout=180):
    """The bytes of the request; an error of the server is an exception."""
    stub = connections._fetch_handler(using)._stub
    message = request(name, first, rows, dim)
    answer = stub.Insert(message, timeout=timeout)
    if answer.status.code or answer.status.error_code:
        raise RuntimeError(answer.status.reason)
    return message.ByteSize()


def fill(name, rows, dim, each, using='source', first=0):
    for at in range(first, first + rows, each):
        insert(name, at, min(each, first + rows - at), dim, using)
