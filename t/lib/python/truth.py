"""How far a target is behind, as its own answers say, beside what is shown.

    relay = Relay(port, target)      between the module and a real target
    relay.hold('by-dev-rootcoord-dml_1')   calls for that channel wait; hold():
                                     all calls do.  release() ends it
    with Truth(nginx, task, relay, shapes) as truth:

A probe writes a row into each collection every quarter of a second, and its
time is the source's.  The relay notes when the target has acknowledged it.  At
any moment the truth is between the age of the oldest row without that, and the
age of the row before it in the same collection: of the time between the two no
probe can tell.  Meanwhile "progress" and the metrics are asked all the time.
"""

import concurrent.futures
import re
import threading
import time

import grpc
from pymilvus import Collection
from pymilvus.grpc_gen import milvus_pb2

from targetlog import INSERT, common_pb2, keys_of, msg_pb2

STEP = 0.25
BETWEEN = 1000000                        # the rows of two collections
REPLICATE = '/milvus.proto.milvus.MilvusService/ReplicateMessage'
SIZES = [('grpc.max_receive_message_length', -1),
         ('grpc.max_send_message_length', -1)]
# a client that pings a call which hangs, to see that somebody is there
PINGS = [('grpc.http2.max_ping_strikes', 0),
         ('grpc.keepalive_permit_without_calls', 1)]


class Relay(grpc.GenericRpcHandler):
    """Calls of a client pass as they are; as a part of a testbed."""

    token = ''

    def __init__(self, port, target):
        self.uri = 'http://127.0.0.1:%d' % port
        self.acked = {}                    # row -> when
        self.delay = 0.0                   # of each replicated message
        self.held = None
        self.free = threading.Event()
        self.free.set()
        self.channel = grpc.insecure_channel(target.uri.split('//')[1],
                                             options=SIZES)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(64),
                                  handlers=[self], options=SIZES + PINGS)
        self.server.add_insecure_port('127.0.0.1:%d' % port)
        self.server.start()

    def close(self):
        self.release()
        self.server.stop(0)
        self.channel.close()

    def hold(self, channel=''):
        self.held = channel
        self.free.clear()

    def release(self):
        self.held = None
        self.free.set()

    def service(self, details):
        method = details.method
        return grpc.unary_unary_rpc_method_handler(
            lambda raw, context: self.call(method, raw, context))

    def call(self, method, raw, context):
        request = None
        if method == REPLICATE:
            request = milvus_pb2.ReplicateMessageRequest.FromString(raw)
            time.sleep(self.delay)
        held = self.held
        if held == '' or held and request \
                and held in request.channel_name:
            self.free.wait(120)
            if not context.is_active():    # it would come after what follows
                context.abort(grpc.StatusCode.CANCELLED, 'too late')
        try:
            left = context.time_remaining()
            answer = self.channel.unary_unary(method)(
                raw, timeout=left if left and left < 600 else None,
                metadata=[(k, v) for k, v in context.invocation_metadata()
                          if k in ('authorization', 'dbname')])
        except grpc.RpcError as e:
            context.abort(e.code(), e.details())
        except ValueError:                 # closed meanwhile
            context.abort(grpc.StatusCode.UNAVAILABLE, 'it ends')
        if request:
            status = milvus_pb2.ReplicateMessageResponse.FromString(
                answer).status
            if not status.code and not status.error_code:
                self.note(request)
        return answer

    def note(self, request):
        now = time.time()
        for raw in request.Msgs:
            header = common_pb2.MsgHeader.FromString(raw)
            if header.base.msg_type == INSERT:
                message = msg_pb2.InsertRequest.FromString(raw)
                for key in keys_of(message):
                    self.acked.setdefault(key, now)


class Truth:
    def __init__(self, nginx, task, relay, shape, names):
        self.nginx, self.task, self.relay = nginx, task, relay
        self.shape, self.names = shape, names
        self.written = []                  # (time by the source, row)
        self.shown = []                    # (when, lag, the whole answer)
        self.metric = []                   # (when, lag of the metrics)
        self.first = {name: BETWEEN * (n + 1) for n, name in enumerate(names)}
        self.writing = True
        self.ended = False
        self.threads = [threading.Thread(target=self.ask, daemon=True)] + [
            threading.Thread(target=self.write, args=(n,), daemon=True)
            for n in names]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *args):
        self.ended = True
        for thread in self.threads:
            thread.join(20)

    def write(self, name):
        collection, row = Collection(name, using='source'), self.first[name]
        while not self.ended:
            begin = time.monotonic()
            if self.writing:
                row += 1
                try:
                    result = collection.insert([self.shape.row(row)],
                                               timeout=5)
                    self.written.append(((result.timestamp >> 18) / 1000,
                                         row))
                except Exception:          # nobody knows: not a probe
                    pass
            time.sleep(max(0.0, STEP - (time.monotonic() - begin)))

    def ask(self):
        label = re.compile('milvus_cdc_lag_seconds{task_id="%s"} (.*)'
                           % self.task)
        while not self.ended:
            begin = time.time()
            try:
                status, answer = self.nginx.cdc('progress',
                                                {'task_id': self.task})
                between = time.time()
                text = self.nginx.get('/cdc/metrics')[1]
            except OSError:                # nginx begins anew
                time.sleep(0.1)
                continue
            if status == 200 and between - begin < 0.3:
                task = answer['data']['tasks'][0]
                self.shown.append(((begin + between) / 2,
                                   task['lag_seconds'], task))
            if time.time() - between < 0.3:
                found = label.search(text)
                self.metric.append(((between + time.time()) / 2,
                                    found and float(found.group(1))))
            time.sleep(0.15)

    def truth(self, now):
        """(least, most): what the lag may have been."""
        least = most = 0.0
        for first in self.first.values():
            before = None
            for at, row in list(self.written):
                if not first < row < first + BETWEEN or at > now:
                    continue
                if now < self.relay.acked.get(row, now + 1):
                    least = max(least, now - at)
                    most = max(most, now - (before or at))
                    break
                before = at
        return least, most

    def moments(self, now, late):
        """When the truth was another one in the last so many seconds: it
        grows all the time, and falls with each row, many in a millisecond."""
        return [now - n * late / 10 for n in range(11)] + [
            at for at in list(self.relay.acked.values())
            if now - late < at <= now]

    def between(self, begin, end, late=0.0):
        """(after, shown, the truth nearest to it) of what was shown then;
        late: it may be the truth of so many seconds ago."""
        found = []
        for at, lag in [s[:2] for s in self.shown] + self.metric:
            if begin <= at <= end:
                true = [min(max(lag or 0, least), most) for least, most in
                        map(self.truth, self.moments(at, late))]
                found.append((at - begin, lag, min(
                    true, key=lambda t: abs((lag or 0) - t))))
        return found

    def tasks(self, begin, end):
        return [s[2] for s in list(self.shown) if begin <= s[0] <= end]

    def caught_up(self):
        return self.written and all(
            row in self.relay.acked for _, row in list(self.written))
