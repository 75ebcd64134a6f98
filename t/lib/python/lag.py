"""How long a row takes from the source's answer to the target's."""

import time

from pymilvus import Collection, connections
from pymilvus.grpc_gen import milvus_pb2

POLL = 0.004


def percentile(values, percent):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * percent / 100))]


def visible(stub, name, row_id):
    request = milvus_pb2.QueryRequest(
        collection_name=name, expr='id == %d' % row_id,
        output_fields=['id'], guarantee_timestamp=1, consistency_level=3)
    response = stub.Query(request, timeout=10)
    return not response.status.code and not response.status.error_code \
        and bool(response.fields_data) \
        and bool(response.fields_data[0].scalars.long_data.data)


def measure(shape, name, first, number, source='source', target='target',
            timeout=30, gap=0.05):
    """(seconds of each insert that became visible, seconds of each poll)"""
    collection = Collection(name, using=source)
    stub = connections._fetch_handler(target)._stub
    times, polls = [], []
    for n in range(first, first + number):
        collection.insert([shape.row(n)])
        begin = time.monotonic()
        while True:
            asked = time.monotonic()
            there = visible(stub, name, n)
            now = time.monotonic()
            polls.append(now - asked)
            if there:
                times.append(now - begin)
                break
            if now - begin > timeout:
                break
            time.sleep(POLL)
        time.sleep(gap)
    return times, polls
