"""The two requests to a Kafka broker that suites need, and no client.

    ends(address, topics)       {topic: the offset that its next message gets}
    forget(address, topics)     drops what is in these topics now
"""

import contextlib
import socket
import struct

LIST_OFFSETS, DELETE_RECORDS = 2, 21
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


def forget(address, topics):
    r = ask(address, DELETE_RECORDS, 0,
            one_partition(topics, HIGH_WATERMARK)
            + struct.pack('>i', 10000))
    r.take('i')
    for _ in range(r.take('i')):
        topic = r.text()
        for _ in range(r.take('i')):
            r.take('i')
            r.take('q')
            failed(topic, r.take('h'))
