"""What is measured: this module in an nginx of its own, or the existing
service (zilliztech/milvus-cdc), whose binary BENCH_REFERENCE names."""

import itertools
import json
import os
import shutil
import time
import urllib.request

from process import Process, connects
from process_usage import cpu, memory

NUMBERS = itertools.count(1)


class Module:
    """A new nginx with an empty state directory."""

    name = 'this module'
    other = False

    def __init__(self, bed):
        self.nginx = bed.add_nginx(level='warn', name='nginx%d-%d' % (
            os.getpid(), next(NUMBERS)))
        self.pid = None

    def create(self, target, names):
        # a task has room for some hundred names
        self.nginx.create(target, collection_infos=[
            {'name': name} for name in (names if len(names) <= 200
                                        else ['*'])])

    def pids(self):
        return self.nginx.replicators()

    def cpu(self):
        return sum(cpu(pid) for pid in self.pids())

    def memory(self, what='VmHWM'):
        return sum(memory(pid, what) for pid in self.pids())

    def circumstances(self):
        return '%s\n%s' % (self.nginx.cdc('list')[1], self.nginx.tail(5))

    def stop(self):
        self.nginx.stop()
        shutil.rmtree(self.nginx.dir, ignore_errors=True)


class Reference(Process):
    """The existing service; its source has to be on Kafka.

    The peak of its memory is that of the whole process, which is one for all
    tasks; so is its CPU time, from which that before the task is taken off.
    """

    kind = 'milvus-cdc'
    other = True

    def __init__(self, bed, binary):
        number = next(NUMBERS)
        super().__init__(bed, 'milvus-cdc%d-%d' % (os.getpid(), number))
        self.number, self.binary = number, binary
        self.port = bed.port()
        self.base = 0
        self.start()
        self.wait(60)
        time.sleep(1)
        self.base = cpu(self.pid)

    def command(self):
        import yaml

        os.makedirs(os.path.join(self.dir, 'configs'), exist_ok=True)
        etcd = self.bed.parts['etcd'].uri
        with open(os.path.join(self.dir, 'configs', 'cdc.yaml'), 'w') as f:
            yaml.safe_dump({
                'address': '127.0.0.1:%d' % self.port, 'maxTaskNum': 100,
                'metaStoreConfig': {
                    'storeType': 'etcd', 'etcd': {'address': [etcd]},
                    'rootPath': 'cdc-%d-%d' % (os.getpid(), self.number)},
                'sourceConfig': {
                    'etcd': {'address': [etcd], 'rootPath': 'by-dev',
                             'metaSubPath': 'meta'},
                    'readChanLen': 4, 'defaultPartitionName': '_default',
                    'replicateChan': 'by-dev-replicate-msg',
                    'channelNum': self.bed.parts['source'].channels,
                    'kafka': {'address': self.bed.parts['kafka'].uri}},
                'maxNameLength': 256, 'logLevel': 'info',
                'detectDeadLock': False, 'batchMode': True}, f)
        return [self.binary]

    def ready(self):
        return connects(self.port)

    def create(self, target, names):
        """A task for each: it takes no more than one name in each."""
        for name in names:
            self.ask({'milvus_connect_param': {
                'uri': target.uri, 'token': 'root:Milvus',
                'connect_timeout': 10, 'channel_num': target.channels},
                'collection_infos': [{'name': name,
                                      'use_start_position': True}],
                'rpc_channel_info': {'name': 'by-dev-replicate-msg'}})

    def ask(self, data):
        body = {'request_type': 'create', 'request_data': data}
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(urllib.request.Request(
                'http://127.0.0.1:%d/cdc' % self.port,
                json.dumps(body).encode(),
                {'Content-Type': 'application/json'}), timeout=60) as r:
            answer = json.loads(r.read())
        if answer.get('code') != 200:
            raise RuntimeError('milvus-cdc: create: %s' % answer)

    def circumstances(self):
        return self.tail(5)

    def pids(self):
        return [self.pid]

    def cpu(self):
        return cpu(self.pid) - self.base

    def memory(self, what='VmHWM'):
        return memory(self.pid, what)
