"""The servers of a testbed that Milvus needs: etcd, Kafka."""

import os
import subprocess
import uuid

from process import CACHE, Process, TestbedError, connects

KAFKA_HOME = os.path.join(CACHE, 'kafka-3.7.1')


class Certificates:
    """A certificate authority of the testbed's own, and what it signed."""

    def __init__(self, path):
        self.dir = path
        self.ca = os.path.join(path, 'ca.pem')
        self.ca_key = os.path.join(path, 'ca.key')
        if not os.path.exists(self.ca):
            os.makedirs(path, exist_ok=True)
            self.openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes',
                         '-days', '30', '-subj', '/CN=testbed CA',
                         '-keyout', self.ca_key, '-out', self.ca)

    def openssl(self, *args):
        r = subprocess.run(('openssl',) + args, cwd=self.dir,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, check=False)
        if r.returncode:
            raise TestbedError('openssl %s: %s' % (args[0], r.stderr))

    def issue(self, name, cn='localhost'):
        """(certificate, key): good for a server on loopback and a client."""
        pem = os.path.join(self.dir, name + '.pem')
        key = os.path.join(self.dir, name + '.key')
        if os.path.exists(pem):
            return pem, key
        ext = os.path.join(self.dir, name + '.ext')
        with open(ext, 'w') as f:
            f.write('subjectAltName=DNS:localhost,IP:127.0.0.1\n'
                    'extendedKeyUsage=serverAuth,clientAuth\n')
        self.openssl('req', '-newkey', 'rsa:2048', '-nodes',
                     '-subj', '/CN=' + cn, '-keyout', key,
                     '-out', name + '.csr')
        self.openssl('x509', '-req', '-days', '30', '-in', name + '.csr',
                     '-CA', self.ca, '-CAkey', self.ca_key,
                     '-CAcreateserial', '-extfile', ext, '-out', pem)
        return pem, key


class Etcd(Process):
    """tls: clients speak TLS and show a certificate of the testbed's CA.
    users: {name: password}; authentication is then on, root included.

    Milvus 2.3.5 knows no user name for etcd.  With tls and users it enters
    by its certificate, whose common name is root.  As etcd cannot leave the
    certificate to the client's choice, there is a second, plain listener
    (plain_uri) where nothing but user and password counts.
    """

    kind = 'etcd'

    def __init__(self, bed, name='etcd', tls=False, users=None, ports=None):
        super().__init__(bed, name)
        self.tls = tls
        self.users = users or {}
        self.port, self.peer, self.plain = ports or [
            bed.port() for _ in range(3)]
        if self.users and not self.tls:
            raise TestbedError('Milvus 2.3.5 enters an etcd with users only '
                               'by a certificate: say tls too')
        if tls:
            self.pem, self.key = bed.certs.issue('etcd')
            self.client_pem, self.client_key = bed.certs.issue(
                'etcd-client', 'root')

    @property
    def uri(self):
        return '%s://127.0.0.1:%d' % ('https' if self.tls else 'http',
                                      self.port)

    @property
    def plain_uri(self):
        return 'http://127.0.0.1:%d' % self.plain

    def command(self):
        urls = self.uri + (',' + self.plain_uri if self.tls else '')
        argv = ['etcd', '--name', 'testbed', '--data-dir',
                os.path.join(self.dir, 'data'),
                '--listen-client-urls', urls,
                '--advertise-client-urls', urls]
        peer = 'http://127.0.0.1:%d' % self.peer
        argv += ['--listen-peer-urls', peer,
                 '--initial-advertise-peer-urls', peer,
                 '--initial-cluster', 'testbed=' + peer,
                 '--logger', 'zap', '--log-level', 'warn']
        if self.tls:
            argv += ['--cert-file', self.pem, '--key-file', self.key,
                     '--client-cert-auth',
                     '--trusted-ca-file', self.bed.certs.ca]
        return argv

    def etcdctl(self, *args):
        argv = ['etcdctl', '--endpoints', self.uri]
        if self.tls:
            argv += ['--cacert', self.bed.certs.ca,
                     '--cert', self.client_pem, '--key', self.client_key]
        r = subprocess.run(argv + list(args), capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, check=False, timeout=30,
                           env=dict(os.environ, ETCDCTL_API='3'))
        if r.returncode:
            raise TestbedError('etcdctl %s: %s' % (
                args[0], r.stderr.strip()[-300:]))
        return r.stdout

    def ready(self):
        connects(self.port)
        try:
            self.etcdctl('endpoint', 'health')
        except TestbedError as e:
            raise OSError(str(e)) from None
        if self.users and 'auth-on' not in os.listdir(self.dir):
            everyone = dict(self.users)
            everyone.setdefault('root', uuid.uuid4().hex)
            for user, password in everyone.items():
                self.etcdctl('user', 'add', '%s:%s' % (user, password))
                self.etcdctl('user', 'grant-role', user, 'root')
            self.etcdctl('auth', 'enable')
            with open(os.path.join(self.dir, 'auth-on'), 'w'):
                pass
        return True

    def where(self):
        return self.uri

    def state(self):
        return {'uri': self.uri, 'tls': self.tls, 'users': self.users,
                'ports': [self.port, self.peer, self.plain],
                'plain_uri': self.plain_uri if self.tls else None}


class Kafka(Process):
    """One broker in KRaft mode.

    listeners: any of sasl_plaintext, sasl_ssl and ssl beside the plain one,
    which is what the source itself uses; users: {name: password} of SASL,
    mechanism PLAIN; config: anything else of server.properties.
    """

    kind = 'kafka'

    def __init__(self, bed, name='kafka', listeners=(), users=None,
                 ports=None, config=None):
        super().__init__(bed, name)
        self.listeners = list(listeners)
        self.users = users or {}
        self.config = config or {}
        self.ports = ports or [bed.port()
                               for _ in range(2 + len(self.listeners))]
        self.port = self.ports[0]

    @property
    def uri(self):
        return '127.0.0.1:%d' % self.port

    def address(self, listener):
        return '127.0.0.1:%d' % self.ports[2 + self.listeners.index(listener)]

    def environment(self):
        return {'LC_ALL': 'C.UTF-8'}

    def java(self, heap, main, *args):
        # the client compiler alone: less memory and CPU for a small broker
        return ['java', '-Xmx' + heap, '-XX:+UseSerialGC',
                '-XX:TieredStopAtLevel=1',
                '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
                '-cp', os.path.join(KAFKA_HOME, 'libs', '*'), main] \
            + list(args)

    def properties(self):
        names = ['PLAINTEXT', 'CONTROLLER'] + [
            n.upper() for n in self.listeners]
        lines = {
            'process.roles': 'broker,controller',
            'node.id': 1,
            'controller.quorum.voters': '1@127.0.0.1:%d' % self.ports[1],
            'controller.listener.names': 'CONTROLLER',
            'inter.broker.listener.name': 'PLAINTEXT',
            'listeners': ','.join('%s://127.0.0.1:%d' % (n, p)
                                  for n, p in zip(names, self.ports)),
            'advertised.listeners': ','.join(
                '%s://127.0.0.1:%d' % (n, p)
                for n, p in zip(names, self.ports) if n != 'CONTROLLER'),
            'listener.security.protocol.map': ','.join(
                '%s:%s' % (n, 'PLAINTEXT' if n == 'CONTROLLER' else n)
                for n in names),
            'log.dirs': os.path.join(self.dir, 'data'),
            'auto.create.topics.enable': 'true',
            'num.partitions': 1,
            'offsets.topic.num.partitions': 1,
            'offsets.topic.replication.factor': 1,
            'transaction.state.log.replication.factor': 1,
            'transaction.state.log.min.isr': 1,
            'group.initial.rebalance.delay.ms': 0,
            'message.max.bytes': 10485760,
            'replica.fetch.max.bytes': 10485760,
            'num.network.threads': 2,
            'num.io.threads': 4,
            'log.cleaner.enable': 'false',
        }
        if {'ssl', 'sasl_ssl'} & set(self.listeners):
            pem, key = self.bed.certs.issue('kafka')
            both = os.path.join(self.dir, 'kafka.pem')
            with open(both, 'w') as out:
                for path in (key, pem):
                    with open(path) as f:
                        out.write(f.read())
            lines.update({'ssl.keystore.type': 'PEM',
                          'ssl.keystore.location': both,
                          'ssl.truststore.type': 'PEM',
                          'ssl.truststore.location': self.bed.certs.ca})
        if self.users:                     # all may do all, till kafka.deny()
            lines.update({
                'authorizer.class.name': 'org.apache.kafka.metadata.'
                                         'authorizer.StandardAuthorizer',
                'super.users': 'User:ANONYMOUS',
                'allow.everyone.if.no.acl.found': 'true'})
        for n in self.listeners:
            if n.startswith('sasl_'):
                lines['listener.name.%s.sasl.enabled.mechanisms' % n] = \
                    'PLAIN'
                lines['listener.name.%s.plain.sasl.jaas.config' % n] = (
                    'org.apache.kafka.common.security.plain.'
                    'PlainLoginModule required %s;' % ' '.join(
                        'user_%s="%s"' % up for up in self.users.items()))
        lines.update(self.config)
        return ''.join('%s=%s\n' % kv for kv in lines.items())

    def command(self):
        conf = os.path.join(self.dir, 'server.properties')
        with open(conf, 'w') as f:
            f.write(self.properties())
        if not os.path.exists(os.path.join(self.dir, 'data',
                                           'meta.properties')):
            r = subprocess.run(
                self.java('128m', 'kafka.tools.StorageTool', 'format', '-t',
                          'bWlsdnVzLWNkYy10ZXN0Yg', '-c', conf),
                cwd=self.dir, stdin=subprocess.DEVNULL, capture_output=True,
                text=True, check=False)
            if r.returncode:
                raise TestbedError('kafka: format: %s%s' % (r.stdout,
                                                            r.stderr))
        return self.java('512m', 'kafka.Kafka', conf)

    def ready(self):
        return all(connects(p) for p in self.ports)

    def where(self):
        return self.uri

    def state(self):
        return {'uri': self.uri, 'ports': self.ports, 'users': self.users,
                'listeners': self.listeners,
                'addresses': {n: self.address(n) for n in self.listeners}}
