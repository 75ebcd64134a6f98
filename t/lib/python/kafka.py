"""The requests to a Kafka broker that suites need, and no client.

    ends(address, topics)       {topic: the offset that its next message gets}
    forget(address, topics)     drops what is in these topics now, or what is
                                before an offset
    delete(address, topics)     drops the topics
    produce(address, topic, values)    the offset of the first
    deny(address, user)         may read no topic from now on
    allow(address, user)        takes that back
"""

import contextlib
import socket
import struct
import time
import zlib

PRODUCE, LIST_OFFSETS, METADATA = 0, 2, 3
DELETE_TOPICS, DELETE_RECORDS = 20, 21
CREATE_ACLS, DELETE_ACLS = 30, 31
UNKNOWN_TOPIC = 3
LATEST = HIGH_WATERMARK = -1


def text(value):
    raw = value.encode()
    return struct.pack('>h', len(raw)) + raw


def ask(address, key, version, body):
    host, port = address.rsplit(':', 1)
    request = struct.pack('>hhi', key, version, 1) + text('test') + body
    with contextlib.closing(socket.create_connection(
            (host, int(port)), timeout=20)) as s:
        s.sendall(struct.pack('>i', len(request)) + request)
        with s.makefile('rb') as f:
            (length,) = struct.unpack('>i', f.read(4))
            return Reader(f.read(length)[4:])


class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, form):
        value = struct.unpack_from('>' + form, self.raw, self.at)[0]
        self.at += struct.calcsize('>' + form)
        return value

    def text(self):
        length = self.take('h')
        self.at += length
        return self.raw[self.at - length:self.at].decode()


def one_partition(topics, value):
    """A request about partition 0 of each, with a number for it."""
    return struct.pack('>i', len(topics)) + b''.join(
        text(t) + struct.pack('>iiq', 1, 0, value) for t in topics)


def failed(topic, code):
    if code:
        raise RuntimeError('%s: error %d of the broker' % (topic, code))


def ends(address, topics):
    r = ask(address, LIST_OFFSETS, 1, struct.pack('>i', -1)
            + one_partition(topics, LATEST))
    found = {}
    for _ in range(r.take('i')):
        topic = r.text()
        for _ in range(r.take('i')):
            r.take('i')
            failed(topic, r.take('h'))
            r.take('q')
            found[topic] = r.take('q')
    return found


def forget(address, topics, before=HIGH_WATERMARK):
    r = ask(address, DELETE_RECORDS, 0,
            one_partition(topics, before)
            + struct.pack('>i', 10000))
    r.take('i')
    for _ in range(r.take('i')):
        topic = r.text()
        for _ in range(r.take('i')):
            r.take('i')
            r.take('q')
            failed(topic, r.take('h'))


def delete(address, topics):
    r = ask(address, DELETE_TOPICS, 0, struct.pack('>i', len(topics))
            + b''.join(text(t) for t in topics) + struct.pack('>i', 10000))
    for _ in range(r.take('i')):
        topic = r.text()
        failed(topic, r.take('h'))


def message(value):
    """In the form of Kafka 0.10, which each broker still takes."""
    body = struct.pack('>bbqi', 1, 0, int(time.time() * 1000), -1) \
        + struct.pack('>i', len(value)) + value
    body = struct.pack('>I', zlib.crc32(body)) + body
    return struct.pack('>qi', 0, len(body)) + body


def produce(address, topic, values):
    """One broker, partition 0; a topic that is not there is made."""
    end = time.monotonic() + 20
    batch = b''.join(message(v) for v in values)
    while True:
        r = ask(address, PRODUCE, 2, struct.pack('>hii', 1, 10000, 1)
                + text(topic) + struct.pack('>iii', 1, 0, len(batch)) + batch)
        r.take('i')
        r.text()
        r.take('i')
        r.take('i')
        code = r.take('h')
        offset = r.take('q')
        if code == UNKNOWN_TOPIC:          # who asks for it makes it
            ask(address, METADATA, 0, struct.pack('>i', 1) + text(topic))
        if not code or time.monotonic() > end:
            failed(topic, code)
            return offset
        time.sleep(0.3)


def no_topic(user):
    """The ACL: topic *, literally; from everywhere; read, deny."""
    return struct.pack('>ib', 1, 2) + text('*') + struct.pack('>b', 3) \
        + text('User:' + user) + text('*') + struct.pack('>bb', 3, 2)


def deny(address, user):
    r = ask(address, CREATE_ACLS, 1, no_topic(user))
    r.take('i')
    r.take('i')
    failed('deny', r.take('h'))


def allow(address, user):
    r = ask(address, DELETE_ACLS, 1, no_topic(user))
    r.take('i')
    r.take('i')
    failed('allow', r.take('h'))
