"""What the log of a target on Kafka says: the order of what was sent, and
which rows are there when all of it is applied.

A Milvus 2.3.5 that starts again may lose rows of its own (t/550), so after a
kill of the target its log is the witness, and a stricter one: ticks never go
back, no row is at or below a tick before it, and no two messages under one
tick have the same id, or the target would take the second for a repeat.
"""

import collections
import ctypes
import struct

from pymilvus.grpc_gen import common_pb2, msg_pb2

from kafka import ask, ends, failed, text

FETCH = 1
TICK = common_pb2.MsgType.Value('TimeTick')
INSERT = common_pb2.MsgType.Value('Insert')
DELETE = common_pb2.MsgType.Value('Delete')


def fetch(address, topic, offset):
    """The record batches from there on, as bytes."""
    r = ask(address, FETCH, 4, struct.pack(
        '>iiiibi', -1, 500, 1, 1 << 24, 0, 1) + text(topic)
        + struct.pack('>iiqi', 1, 0, offset, 1 << 24))
    r.take('i')
    r.take('i')
    r.text()
    r.take('i')
    r.take('i')
    failed(topic, r.take('h'))
    r.take('q')
    r.take('q')
    for _ in range(max(r.take('i'), 0)):
        r.take('q')
        r.take('q')
    length = r.take('i')
    return r.raw[r.at:r.at + max(length, 0)]


def varint(raw, at):
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (value >> 1) ^ -(value & 1), at


class Zstd:
    """librdkafka brings the library."""

    room = 1 << 26

    def __init__(self):
        self.buffer = ctypes.create_string_buffer(self.room)
        self.unpack = ctypes.CDLL('libzstd.so.1').ZSTD_decompress
        self.unpack.restype = ctypes.c_size_t
        self.unpack.argtypes = [ctypes.c_char_p, ctypes.c_size_t] * 2

    def __call__(self, raw):
        size = self.unpack(self.buffer, self.room, raw, len(raw))
        if size > self.room:
            raise RuntimeError('a batch that is not zstd')
        return ctypes.string_at(self.buffer, size)


zstd = Zstd()


def records(raw):
    """(offset, value) of each record; the last batch may be cut off."""
    at = 0
    while at + 61 <= len(raw):
        base, length = struct.unpack_from('>qi', raw, at)
        end = at + 12 + length
        if end > len(raw):
            return
        attributes, = struct.unpack_from('>h', raw, at + 21)
        number, = struct.unpack_from('>i', raw, at + 57)
        if attributes & 7 not in (0, 4):
            raise RuntimeError('compressed, but not by zstd')
        batch = raw[at + 61:end]
        at = 0
        if attributes & 7:
            batch = zstd(batch)
        for _ in range(0 if attributes & 32 else number):
            size, at = varint(batch, at)
            after = at + size
            _, at = varint(batch, at + 1)
            delta, at = varint(batch, at)
            key, at = varint(batch, at)
            size, at = varint(batch, at + max(key, 0))
            yield base + delta, batch[at:at + size]
            at = after
        at = end


def keys_of(message):
    if isinstance(message, msg_pb2.DeleteRequest):
        return message.primary_keys.int_id.data
    for field in message.fields_data:
        if field.field_name == 'id':
            return field.scalars.long_data.data
    return []


class TargetLog:
    """Collections have an int64 key called id."""

    def __init__(self, address, topics):
        self.address = address.split('//')[-1]
        self.at = dict.fromkeys(topics, 0)
        self.tick = dict.fromkeys(topics, 0)
        self.under = {t: set() for t in topics}      # ids under its tick
        self.inserts = collections.defaultdict(
            lambda: collections.defaultdict(list))
        self.deletes = collections.defaultdict(dict)
        self.bad = []
        self.messages = 0

    def read(self):
        """Up to where it ends now: ticks never do."""
        for topic, end in ends(self.address, list(self.at)).items():
            while self.at[topic] < end:
                first = self.at[topic]
                for offset, value in records(fetch(self.address, topic,
                                                   first)):
                    if offset >= first:
                        self.message(topic, offset, value)
                        self.at[topic] = offset + 1
                if self.at[topic] == first:
                    raise RuntimeError('%s ends at %d' % (topic, first))
        return self

    def wrong(self, topic, offset, what):
        self.bad.append('%s, message %d: %s' % (topic, offset, what))

    def message(self, topic, offset, value):
        self.messages += 1
        header = common_pb2.MsgHeader.FromString(value)
        kind, stamp = header.base.msg_type, header.base.timestamp
        if kind == TICK:
            if stamp < self.tick[topic]:
                self.wrong(topic, offset, 'a tick goes back')
            if stamp > self.tick[topic]:
                self.under[topic].clear()
            self.tick[topic] = max(stamp, self.tick[topic])
            return
        if kind not in (INSERT, DELETE):
            return
        message = (msg_pb2.InsertRequest if kind == INSERT
                   else msg_pb2.DeleteRequest).FromString(value)
        if min(message.timestamps) <= self.tick[topic]:
            self.wrong(topic, offset, 'not above the tick before it')
        if header.base.msgID in self.under[topic]:
            self.wrong(topic, offset, 'an id that is there already')
        self.under[topic].add(header.base.msgID)
        rows = self.inserts[message.shardName.rsplit('_', 1)[-1]
                            .split('v')[0]]
        dead = self.deletes[message.shardName.rsplit('_', 1)[-1]
                            .split('v')[0]]
        for key, at in zip(keys_of(message), message.timestamps):
            if kind == INSERT:
                rows[key].append(at)
            else:
                dead[key] = max(at, dead.get(key, 0))

    def rows(self, collection):
        """{key: how often}; a delete spares rows of its own stamp."""
        dead = self.deletes[str(collection)]
        found = {}
        for key, stamps in self.inserts[str(collection)].items():
            n = len([s for s in stamps if s >= dead.get(key, 0)])
            if n:
                found[key] = n
        return found
