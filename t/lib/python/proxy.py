"""A TCP proxy in front of a server, to break what goes through it.

    proxy = Proxy(port_to_listen_at, port_of_the_server)
    proxy.swallow(3)     the next 3 answers to calls do not get through: each
                         ends its connection, so the call was done and the
                         client cannot know it
    proxy.freeze('up')   what goes to the server stands still, 'down': what
                         comes from it; connections stay.  thaw() ends it
    proxy.cut()          ends all connections, by RST
    proxy.refuse(True)   takes no new ones
    proxy.rate = n       bytes a second to the server, all together
    proxy.delay = s      each answer comes that late

What stood still when its connection ended is gone, as with TCP_USER_TIMEOUT,
which gRPC sets on a connection that has a keepalive.
"""

import collections
import contextlib
import selectors
import socket
import struct
import threading
import time

RESET = struct.pack('ii', 1, 0)
CHUNK = 65536
HEADERS, END_STREAM = 1, 1


class Frames:
    """Counts the answers to calls in HTTP/2 as it goes by: gRPC ends each
    with HEADERS that end their stream."""

    def __init__(self):
        self.head, self.skip, self.answers = b'', 0, 0

    def feed(self, data):
        at = 0
        while at < len(data):
            if self.skip:
                n = min(self.skip, len(data) - at)
                self.skip -= n
                at += n
                continue
            more = data[at:at + 9 - len(self.head)]
            self.head += more
            at += len(more)
            if len(self.head) == 9:
                self.skip = int.from_bytes(self.head[:3], 'big')
                if self.head[3] == HEADERS and self.head[4] & END_STREAM:
                    self.answers += 1
                self.head = b''


class Way:
    """One direction of a connection: bytes that wait until a time."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.queue = collections.deque()   # (time, bytes)
        self.size = 0
        self.ended = False


class Proxy:
    LIMIT = 1 << 18                        # held here in one direction

    def __init__(self, port, server):
        self.port, self.server = port, server
        self.rate = None
        self.delay = 0
        self.swallowed = 0                 # answers
        self.wanted = 0
        self.frozen = set()
        self.refusing = False
        self.up = self.down = 0            # bytes that went through
        self.taken = 0                     # connections
        self.cutting = False
        self.allowed, self.refilled = 0.0, time.monotonic()
        self.pairs = {}                    # socket: (its way, the other way)
        self.frames = {}                   # server's socket: Frames
        self.lock = threading.Lock()
        self.listener = self.listen()
        self.running = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    @property
    def uri(self):
        return 'http://127.0.0.1:%d' % self.port

    token = ''                             # as a part of a testbed

    def listen(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(('127.0.0.1', self.port))
        s.listen(64)
        s.setblocking(False)
        return s

    # What a test asks for.

    def swallow(self, answers=1):
        with self.lock:
            self.wanted += answers

    def freeze(self, *ways):
        self.frozen = set(ways)

    def thaw(self):
        self.frozen = set()

    def cut(self):
        self.cutting = True

    def refuse(self, refusing):
        self.refusing = refusing

    def close(self):
        self.running = False
        self.thread.join()

    # The thread.

    def run(self):
        while self.running:
            if self.cutting:
                self.cutting = False
                for s in list(self.pairs):
                    self.drop(s)
            try:
                self.turn()
            except OSError:
                time.sleep(0.01)
        for s in list(self.pairs):
            self.drop(s)
        self.listener.close()

    def turn(self):
        now = time.monotonic()
        if self.rate:
            self.allowed = min(self.allowed + (now - self.refilled)
                               * self.rate, self.rate / 4)
        else:
            self.allowed = 0.0         # what went through is no debt
        self.refilled = now
        with selectors.DefaultSelector() as select:
            waits = self.interest(select, now)
            events = select.select(0.005 if waits else 0.05)
        for key, mask in events:
            if key.fileobj is self.listener:
                self.accept()
                continue
            if mask & selectors.EVENT_READ and key.fileobj in self.pairs:
                self.read(key.fileobj)
            if mask & selectors.EVENT_WRITE and key.fileobj in self.pairs:
                self.write(key.fileobj)

    def name(self, way):
        return 'down' if way.source in self.frames else 'up'

    def may_write(self, way, now):
        return way.queue and way.queue[0][0] <= now \
            and self.name(way) not in self.frozen \
            and (not self.rate or self.allowed > 0
                 or self.name(way) == 'down')

    def interest(self, select, now):
        """Registers what may go on; true when something waits for a time."""
        waits = False
        select.register(self.listener, selectors.EVENT_READ)
        for s, (way, back) in self.pairs.items():
            mask = 0
            if way.size < self.LIMIT and not way.ended:
                mask |= selectors.EVENT_READ
            if self.may_write(back, now):
                mask |= selectors.EVENT_WRITE
            elif back.queue:
                waits = True
            if mask:
                select.register(s, mask)
        return waits

    def accept(self):
        client, _ = self.listener.accept()
        if self.refusing:
            self.reset(client)
            return
        server = None
        try:
            server = socket.create_connection(('127.0.0.1', self.server),
                                              timeout=2)
        except OSError:
            self.reset(client)
            return
        self.taken += 1
        for s in (client, server):
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up, down = Way(client, server), Way(server, client)
        self.frames[server] = Frames()
        self.pairs[client] = (up, down)
        self.pairs[server] = (down, up)

    @staticmethod
    def reset(s):
        with contextlib.suppress(OSError):
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        s.close()

    def drop(self, s):
        if s not in self.pairs:
            return
        way, _ = self.pairs[s]
        for one in (way.source, way.sink):
            self.pairs.pop(one, None)
            self.frames.pop(one, None)
            self.reset(one)

    def read(self, s):
        way, _ = self.pairs[s]
        try:
            data = s.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b''
        if not data:
            # what the other one has sent goes first, if it can
            if way.queue and self.name(way) not in self.frozen:
                way.ended = True
            else:
                self.drop(s)
            return
        frames = self.frames.get(s)
        if frames is not None:
            frames.feed(data)
            with self.lock:
                swallowed = frames.answers and self.wanted
                if swallowed:
                    self.wanted -= 1
                    self.swallowed += 1
            frames.answers = 0
            if swallowed:
                self.drop(s)
                return
        late = self.delay if frames is not None else 0
        way.queue.append((time.monotonic() + late, data))
        way.size += len(data)

    def write(self, s):
        _, way = self.pairs[s]
        when, data = way.queue[0]
        room = len(data)
        if self.rate and self.name(way) == 'up':
            room = max(1, min(room, int(self.allowed)))
        try:
            n = s.send(data[:room])
        except BlockingIOError:
            return
        except OSError:
            self.drop(s)
            return
        if self.name(way) == 'up':
            self.up += n
            self.allowed -= n
        else:
            self.down += n
        way.size -= n
        if n == len(data):
            way.queue.popleft()
        else:
            way.queue[0] = (when, data[n:])
        if way.ended and not way.queue:
            self.drop(s)
