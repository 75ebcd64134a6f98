"""bench/log/log_fill.c, and the messages of Milvus 2.3.5 that it writes: the
same fields in the same order and, but for the keys, of the same sizes.  (In
a column Milvus has the field's id before the values, these have it behind.)
"""

import os
import subprocess

from pymilvus import connections
from pymilvus.grpc_gen import common_pb2, milvus_pb2, msg_pb2

from live import INSERT, TICK, request
from nginx import BUILD
from process import TestbedError

# where log-fill writes a timestamp: its FILL_STAMP
STAMP = 0x0123456789abcdef
BATCH = 8                                # messages
# of equal ones in one batch Kafka's zstd would leave one
SEVERAL = 2 * BATCH
SOURCE_ID = 1                            # a server's


class LogFill:
    """Messages of so many rows each.  It learns collections while their
    source is up, and writes into their channels when that has ended."""

    def __init__(self, brokers, rows, dim):
        self.brokers, self.rows, self.dim = brokers, rows, dim
        self.child = None
        self.shards = []                 # (channel, beginning of a message)
        self.of = {}                     # name -> (first shard, last + 1)

    def learn(self, name):
        """Shards count from 0; those of two names do so one behind the
        other, as these are learned."""
        stub = connections._fetch_handler('source')._stub
        described = stub.DescribeCollection(
            milvus_pb2.DescribeCollectionRequest(collection_name=name))
        partition, = stub.ShowPartitions(milvus_pb2.ShowPartitionsRequest(
            collection_name=name)).partitionIDs
        first = len(self.shards)
        for channel, shard in zip(described.physical_channel_names,
                                  described.virtual_channel_names):
            self.shards.append((channel, self.message(
                described.collectionID, partition, shard, name)))
        self.of[name] = first, len(self.shards)

    def message(self, collection, partition, shard, name):
        """An insert, up to its columns."""
        ids = [collection + 1000 + n for n in range(self.rows)]
        return msg_pb2.InsertRequest(
            base=common_pb2.MsgBase(msg_type=INSERT, msgID=ids[0],
                                    timestamp=STAMP, sourceID=SOURCE_ID),
            shardName=shard, collection_name=name, partition_name='_default',
            collectionID=collection, partitionID=partition,
            segmentID=partition + 1, timestamps=[STAMP] * self.rows,
            rowIDs=ids).SerializeToString()

    def columns(self, seed):
        """The columns, and what is behind them."""
        fields = request('', self.rows, self.dim, seed).fields_data
        for number, field in enumerate(fields):
            field.field_id = 100 + number
        return msg_pb2.InsertRequest(
            fields_data=fields, num_rows=self.rows,
            version=msg_pb2.InsertDataVersion.ColumnBased).SerializeToString()

    def start(self):
        path = os.path.join(BUILD, 'bench', 'log-fill')
        if not os.path.exists(path):
            raise TestbedError('%s is missing: run "make bench"' % path)
        self.child = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', path, self.brokers,
             str(BATCH)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.put('tick', msg_pb2.TimeTickMsg(base=common_pb2.MsgBase(
            msg_type=TICK, timestamp=STAMP,
            sourceID=SOURCE_ID)).SerializeToString())
        for seed in range(SEVERAL):
            self.put('rows', self.columns(seed))
        for channel, message in self.shards:
            self.put('shard ' + channel, message)

    def put(self, line, data):
        self.child.stdin.write(b'%s %d\n%s' % (line.encode(), len(data),
                                               data))
        self.child.stdin.flush()

    def fill(self, names, rows):
        """About so many rows, as many into each shard of names, which were
        learned one behind the other; how many it was."""
        first, last = self.of[names[0]][0], self.of[names[-1]][1]
        times = max(1, rows // self.rows // (last - first))
        self.child.stdin.write(b'fill %d %d %d\n' % (first, last, times))
        self.child.stdin.flush()
        done = self.child.stdout.readline().split()
        if done[:1] != [b'done']:
            raise RuntimeError('log-fill has ended')
        return int(done[1]) * self.rows

    def stop(self):
        if self.child:
            self.child.kill()            # it may be within a fill
            self.child.wait()
