"""A whole Milvus 2.3.5 in one process, the third kind of server here."""

import os
import re
import shutil
import subprocess
import urllib.request

from process import CACHE, Process, TestbedError

MILVUS_HOME = os.path.join(CACHE, 'milvus-2.3.5')
KINDS = ('kafka', 'rocksmq')


def default_mq():
    """Where a source keeps its log unless a suite says so: CDC_SOURCE."""
    mq = os.environ.get('CDC_SOURCE') or 'rocksmq'
    if mq not in KINDS:
        raise TestbedError('CDC_SOURCE=%s: one of %s is wanted'
                           % (mq, ', '.join(KINDS)))
    return mq


def retention(seconds, page, check=1, compact=86400):
    """What makes a RocksMQ forget soon, for Milvus(config=...).

    It drops whole pages (of so many bytes) that its own readers are past
    since so many seconds, and looks for such every `check` seconds.
    """
    return {'rocksmq': {
        'retentionTimeInMinutes': seconds / 60, 'retentionSizeInMB': -1,
        'rocksmqPageSize': page, 'timtickerInterval': check,
        'compactionInterval': compact}}


def deep_update(into, more):
    for k, v in more.items():
        if isinstance(v, dict) and isinstance(into.get(k), dict):
            deep_update(into[k], v)
        else:
            into[k] = v
    return into


class Milvus(Process):
    """role source: its log is in Kafka or in RocksMQ, root path by-dev.
    role target: on a RocksMQ of its own (or, beside a source that is on
    one, on Kafka), with common.ttMsgEnabled off.

    channels is dmlChannelNum.  embedded: with the etcd that Milvus brings,
    on ports of its own.  clock: by how many seconds its clock is wrong.
    config: anything else of milvus.yaml, as nested
    dicts.
    """

    kind = 'milvus'
    PORTS = ('proxy', 'internal', 'metrics', 'rootCoord', 'queryCoord',
             'dataCoord', 'queryNode', 'indexNode', 'dataNode', 'indexCoord',
             'etcd', 'etcdPeer')

    def __init__(self, bed, name, role, channels=4, auth=False, tls=False,
                 port=None, root_path=None, config=None, ports=None,
                 mq=None, embedded=False, clock=0):
        super().__init__(bed, name)
        self.role = role
        self.channels = channels
        self.auth = auth
        self.tls = tls
        self.mq = mq or ('rocksmq' if role == 'target' else default_mq())
        self.embedded = embedded
        self.clock = clock
        self.root_path = root_path or (
            'by-dev' if role == 'source' else name)
        self.config = config or {}
        self.ports = ports or {p: bed.port() for p in self.PORTS}
        if port:
            self.ports['proxy'] = port
        self.port = self.ports['proxy']
        self.host = 'localhost' if tls else '127.0.0.1'
        self.token = 'root:Milvus' if auth else ''
        self.rocksmq = os.path.join(self.dir, 'rocksmq')
        if tls:
            self.pem, self.key = bed.certs.issue(name)

    @property
    def uri(self):
        return '%s://%s:%d' % ('https' if self.tls else 'http', self.host,
                               self.port)

    @property
    def etcd_uri(self):
        return 'http://127.0.0.1:%d' % self.ports['etcd'] if self.embedded \
            else self.bed.parts['etcd'].uri

    @property
    def log_line(self):
        """The line of milvus_cdc_source about the log."""
        return 'rocksmq %s;' % self.rocksmq if self.mq == 'rocksmq' \
            else 'kafka %s;' % self.bed.parts['kafka'].uri

    def environment(self):
        env = {'DEPLOY_MODE': 'STANDALONE',
               'METRICS_PORT': str(self.ports['metrics']),
               'MILVUS_RUN_DIR': os.path.join(self.dir, 'run'),
               'LD_LIBRARY_PATH': os.path.join(MILVUS_HOME, 'bin')}
        if self.clock:
            env.update(LD_PRELOAD=self.wrong_clock(),
                       CLOCK_OFFSET=str(self.clock))
        return env

    def wrong_clock(self):
        """What makes the clock wrong, built here."""
        library = os.path.join(self.dir, 'clock.so')
        if not os.path.exists(library):
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                  'clock.c')
            subprocess.run(['cc', '-O2', '-shared', '-fPIC', '-o', library,
                            source], check=True, stdin=subprocess.DEVNULL)
        return library

    def embedded_etcd(self):
        """The file that gives the etcd inside its ports."""
        import yaml

        client = self.etcd_uri
        peer = 'http://127.0.0.1:%d' % self.ports['etcdPeer']
        path = os.path.join(self.dir, 'etcd.yaml')
        with open(path, 'w') as f:
            yaml.safe_dump({
                'name': 'testbed', 'listen-client-urls': client,
                'advertise-client-urls': client, 'listen-peer-urls': peer,
                'initial-advertise-peer-urls': peer,
                'initial-cluster': 'testbed=' + peer}, f)
        return path

    def settings_etcd(self):
        conf = {'rootPath': self.root_path, 'use': {'embed': self.embedded},
                'endpoints': self.etcd_uri.split('//')[1],
                'log': {'level': 'warn'}}
        if self.embedded:
            conf['config'] = {'path': self.embedded_etcd()}
            conf['data'] = {'dir': os.path.join(self.dir, 'etcd')}
            return conf
        etcd = self.bed.parts['etcd']
        if etcd.tls:
            conf['ssl'] = {
                'enabled': True, 'tlsCert': etcd.client_pem,
                'tlsKey': etcd.client_key, 'tlsCACert': self.bed.certs.ca,
                'tlsMinVersion': '1.2'}
        return conf

    def settings(self):
        """What differs from the configuration that the wheel brings."""
        ports = self.ports
        data = os.path.join(self.dir, 'data')
        grpc = {k: {'ip': '127.0.0.1', 'port': ports[k]}
                for k in ('rootCoord', 'queryCoord', 'dataCoord',
                          'queryNode', 'indexNode', 'dataNode')}
        grpc['rootCoord']['dmlChannelNum'] = self.channels
        conf = {
            'etcd': self.settings_etcd(),
            'localStorage': {'path': data},
            'proxy': {'ip': '127.0.0.1', 'port': self.port,
                      'internalPort': ports['internal']},
            'indexCoord': {'bindIndexNodeMode': {
                'address': 'localhost:%d' % ports['indexCoord']}},
            'log': {'level': 'warn', 'file': {'rootPath': ''}},
            'mq': {'type': self.mq},
            'rocksmq': {'path': self.rocksmq},
            'common': {'security': {'authorizationEnabled': self.auth,
                                    'tlsMode': 1 if self.tls else 0}},
        }
        conf.update(grpc)
        if self.tls:
            conf['tls'] = {'serverPemPath': self.pem,
                           'serverKeyPath': self.key,
                           'caPemPath': self.bed.certs.ca}
        if self.mq == 'kafka':
            conf['kafka'] = {'brokerList': self.bed.parts['kafka'].uri,
                             'readTimeout': 10}
        if self.role == 'target':
            conf['common']['ttMsgEnabled'] = False
        if self.embedded:
            conf['common']['session'] = {'ttl': 10}
        return deep_update(conf, self.config)

    def command(self):
        import yaml

        with open(os.path.join(MILVUS_HOME, 'config.yaml.template')) as f:
            text = f.read()
        conf = yaml.safe_load(re.sub(r'\{\{[^}]*\}\}', '0', text))
        configs = os.path.join(self.dir, 'configs')
        os.makedirs(configs, exist_ok=True)
        os.makedirs(os.path.join(self.dir, 'run'), exist_ok=True)
        with open(os.path.join(configs, 'milvus.yaml'), 'w') as f:
            yaml.safe_dump(deep_update(conf, self.settings()), f)
        shutil.copy(os.path.join(MILVUS_HOME, 'glog.conf'), configs)

        # A killed instance leaves its sessions behind until their lease
        # ends (30 s); the next one would wait for that.  In an etcd of its
        # own it must wait, so the lease is short there.
        if not self.embedded:
            self.bed.parts['etcd'].etcdctl(
                'del', '--prefix', self.root_path + '/meta/session/')
        return [os.path.join(MILVUS_HOME, 'bin', 'milvus'), 'run',
                'standalone']

    def connect(self, alias=None, timeout=20, **more):
        """Registers a pymilvus connection, named after the part."""
        from pymilvus import connections

        alias = alias or self.name
        param = {'host': self.host, 'port': str(self.port)}
        if self.auth:
            param.update(user='root', password='Milvus')
        if self.tls:
            param.update(secure=True, server_pem_path=self.bed.certs.ca,
                         server_name='localhost')
        param.update(more)
        if connections.has_connection(alias):
            connections.disconnect(alias)
        connections.connect(alias, timeout=timeout, **param)
        return alias

    def ready(self):
        url = 'http://127.0.0.1:%d/healthz' % self.ports['metrics']
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as r:
            if r.read().strip() != b'OK':
                return False
        from pymilvus import utility

        # its own alias: a test may hold a connection of the usual name
        alias = self.connect('%s-ready' % self.name, timeout=5)
        utility.list_collections(using=alias, timeout=5)
        return True

    def where(self):
        return self.uri

    def state(self):
        return {'uri': self.uri, 'host': self.host, 'port': self.port,
                'token': self.token, 'ports': self.ports, 'role': self.role,
                'channels': self.channels, 'auth': self.auth,
                'tls': self.tls, 'root_path': self.root_path,
                'config': self.config, 'mq': self.mq,
                'embedded': self.embedded, 'rocksmq': self.rocksmq,
                'etcd_uri': self.etcd_uri, 'clock': self.clock,
                'ca': self.bed.certs.ca if self.tls else None}
