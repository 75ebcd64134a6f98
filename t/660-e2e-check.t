#!/usr/bin/env python3
"""check: each planted fault is found, with its cure, and nothing is changed.

One source on Kafka; a target, whose channels have a prefix of their own, so
that it can be a source on RocksMQ too; and a target with users and TLS whose
clock is wrong.  What cannot be had of a Milvus 2.3.5 is written into etcd, as
one of another version would.
"""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
from nginx import Nginx, source_lines                        # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import utility                                 # noqa: E402
from pymilvus.grpc_gen import common_pb2, milvus_pb2         # noqa: E402

import compare                                               # noqa: E402
import grpc                                                  # noqa: E402
import kafka                                                 # noqa: E402
from fixtures import PLAIN, Shape                            # noqa: E402
from truth import REPLICATE, Relay                           # noqa: E402

S, T, TLS = 'source', 'target', 'tls'
TOPICS = ['by-dev-rootcoord-dml_%d' % n for n in range(4)]
STAR = [{'name': '*'}]
USER = 'www-data'


def sources(bed):
    etcd, broker = 'etcd %s;' % bed['etcd'].uri, bed['kafka'].uri

    def lines(root='by-dev', channel='by-dev-replicate-msg', log=None,
              meta='meta', etcd=etcd):
        return '\n'.join(' ' * 8 + line for line in (
            etcd, 'root_path %s;' % root, 'meta_path %s;' % meta,
            'replicate_channel %s;' % channel,
            log or 'kafka %s;' % broker))

    return {
        'main': source_lines(bed),
        'no-etcd': lines(etcd='etcd http://127.0.0.1:1;'),
        'no-kafka': lines(log='kafka 127.0.0.1:1;'),
        'no-dir': lines(log='rocksmq %s/nowhere;' % bed.dir),
        'not-rocksmq': lines(log=bed[T].log_line),
        'rocksmq': lines(T, 'tgt-replicate-msg', bed[T].log_line),
        'not-kafka': lines(T, 'tgt-replicate-msg'),
        'root': lines('by-dve'),
        'meta': lines(meta='mata'),
        'channel': lines(channel='replicate'),
        'old': lines('old'), 'new': lines('new'), 'gone': lines('gone'),
        'echo': lines('nobody', 'tgt-replicate-msg', bed[T].log_line),
    }


class Check:
    """One check: its findings, or those of one name."""

    def __init__(self, t, source='', nginx=None, **data):
        param = {'uri': t.bed[T].uri, 'connect_timeout': 10}
        param.update(data.pop('param', {}))
        data.setdefault('collection_infos', STAR)
        self.data = dict(data, milvus_connect_param=param)
        self.nginx = nginx or t.nginx
        self.path = '/cdc' + (source and '-' + source)
        self.ask()

    def ask(self):
        begin = time.monotonic()
        self.status, self.answer = self.nginx.cdc('check', self.data,
                                                  self.path)
        self.seconds = time.monotonic() - begin
        found = self.answer.get('data', {})
        self.good, self.all = found.get('ok'), found.get('findings', [])

    def get(self, name):
        return [f for f in self.all if f['check'] == name]

    def bad(self):
        return {f['check']: f['level'] for f in self.all if not f['ok']}


def finds(t, title, found, name, level, *words, others=()):
    """One finding of that name and level with these words in its text or its
    cure; nothing else is wrong but what is named as well."""
    def right():
        hits = [f for f in found.get(name)
                if f['level'] == level and not f['ok'] and f.get('cure')
                and all(w in f['text'] + f['cure'] for w in words)]
        bad = set(found.bad()) - {name} - set(others)
        return (found.status == 200 and len(hits) == 1 and not bad
                and found.good == ('error' not in found.bad().values())
                and found.seconds < 15)

    # servers on a busy machine may be too slow for a deadline
    for _ in range(3):
        if right():
            break
        t.note('%s: again after %s' % (title, found.bad()))
        found.ask()
    t.ok(right(), '%s: %s (%.1f s)' % (title, name, found.seconds),
         json.dumps([f for f in found.all if not f['ok']], indent=1))


def refused(t, title, found):
    """A create of the same says no, with the words of an error."""
    answer = t.nginx.cdc('create', found.data)[1]
    texts = [f['text'] for f in found.all if f['level'] == 'error']
    t.ok(answer['code'] != 200 and any(
        answer['message'].endswith(text) for text in texts),
        '%s: create says the same' % title, (answer, texts))


def fine(t):
    found = Check(t)
    for _ in range(3):
        if found.bad():
            t.note('again after %s' % found.bad())
            found.ask()
    t.same(found.bad(), {}, 'a good pair: nothing is wrong')
    t.ok(found.good is True,
         'and that is the verdict (%.1f s)' % found.seconds, found.answer)
    want = {'request', 'tasks.limit', 'tasks.overlap', 'state.disk',
            'target.reachable', 'target.login', 'target.version',
            'target.replicate', 'target.clock', 'target.rights',
            'source.etcd', 'source.meta', 'source.running', 'source.version',
            'source.log', 'source.replicate_channel', 'source.clock',
            'collections.matched', 'collections.schema',
            'collections.retention', 'collections.channels'}
    t.same(want - {f['check'] for f in found.all}, set(),
           'all that was looked at is listed')
    t.ok(all(f['ok'] is True and f['level'] == 'info' and f['text']
             for f in found.all), 'as fine', found.all)
    found = Check(t, 'rocksmq', param={'uri': 'http://127.0.0.1:1'})
    finds(t, 'a source on RocksMQ, which a follower is not quite: no ticks',
          found, 'source.clock', 'warning', 'clock', 'NTP',
          others=('target.reachable',))


def source(t):
    finds(t, 'etcd is down', Check(t, 'no-etcd'), 'source.etcd', 'error',
          '127.0.0.1:1', 'etcd.endpoints')
    finds(t, 'Kafka is down', Check(t, 'no-kafka'), 'source.log', 'error',
          '127.0.0.1:1', 'kafka.brokerList')
    finds(t, 'no RocksMQ is there', Check(t, 'no-dir'), 'source.log',
          'error', 'nowhere', 'rocksmq.path')
    finds(t, 'RocksMQ is configured, the source writes Kafka',
          Check(t, 'not-rocksmq'), 'source.log', 'error',
          'by-dev-rootcoord-dml_', 'mq.type', '`kafka <')
    finds(t, 'Kafka is configured, the source writes RocksMQ',
          Check(t, 'not-kafka', param={'uri': 'http://127.0.0.1:1'}),
          'source.log', 'error', 'tgt-rootcoord-dml_', 'mq.type',
          '`rocksmq <', others=('target.reachable', 'source.clock'))
    finds(t, 'wrong root_path', Check(t, 'root'), 'source.meta', 'error',
          'by-dve/meta', 'root_path by-dev; meta_path meta;')
    finds(t, 'wrong meta_path', Check(t, 'meta'), 'source.meta', 'error',
          'by-dev/mata', 'root_path by-dev; meta_path meta;')
    finds(t, 'wrong replicate channel', Check(t, 'channel'),
          'source.replicate_channel', 'error', '"replicate"',
          'replicate_channel by-dev-replicate-msg;')
    finds(t, 'a source of 2.2', Check(t, 'old'), 'source.version', 'error',
          '2.2.16', 'upgrade', others=('collections.matched',))
    finds(t, 'a source of 2.6', Check(t, 'new'), 'source.version', 'error',
          '2.6.1', 'keep the source at 2.5', others=('collections.matched',))
    finds(t, 'a source that is down', Check(t, 'gone'), 'source.running',
          'warning', 'gone/meta/session', 'start the source',
          others=('collections.matched',))


def created(t, title, path, *words):
    """A create warns of a source that its replicator could wait for."""
    status, answer = t.nginx.cdc('create', {
        'milvus_connect_param': {'uri': t.bed[T].uri},
        'collection_infos': [{'name': 'warned'}], 'task_id': 'warned'}, path)
    warned = [w for w in answer.get('data', {}).get('warnings', [])
              if all(word in w for word in words)]
    t.ok(status == 200 and len(warned) == 1, title, answer)
    t.nginx.cdc('delete', {'task_id': 'warned'}, path)


def plant(t):
    """Other clusters, as their metadata shows them."""
    put = t.bed['etcd'].etcdctl
    for root, version in (('old', '2.2.16'), ('new', '2.6.1'),
                          ('gone', None)):
        put('put', root + '/meta/root-coord/credential/users/root', '{}')
        if version:
            put('put', root + '/meta/session/rootcoord', json.dumps(
                {'ServerName': 'rootcoord', 'Version': version}))


class Ended:
    """A TLS server whose certificate has ended."""

    def __init__(self, path):
        os.mkdir(path)
        for argv in (
                ['req', '-newkey', 'rsa:2048', '-nodes', '-subj',
                 '/CN=localhost', '-keyout', 'key', '-out', 'csr'],
                ['x509', '-req', '-days', '0', '-in', 'csr', '-signkey',
                 'key', '-out', 'pem']):
            subprocess.run(['openssl'] + argv, cwd=path, check=True,
                           capture_output=True, stdin=subprocess.DEVNULL)
        time.sleep(2)
        self.pem = os.path.join(path, 'pem')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.pem, os.path.join(path, 'key'))
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.uri = 'https://localhost:%d' % self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                with self.listener.accept()[0] as s:
                    s.settimeout(5)
                    with self.context.wrap_socket(s, server_side=True) as c:
                        c.recv(1)
            except OSError:
                if self.listener.fileno() == -1:
                    return


class Other(Relay):
    """The target, as a Milvus of another version: the rest passes through.
    replicate: the answer to a replicated message; None: the target's own."""

    def __init__(self, bed, version, replicate=None):
        self.version, self.replicate = version, replicate
        super().__init__(bed.port(), bed[T])

    def call(self, method, raw, context):
        if method.endswith('/GetVersion'):
            return milvus_pb2.GetVersionResponse(
                version=self.version).SerializeToString()
        if method == REPLICATE and self.replicate:
            return self.replicate(context)
        return super().call(method, raw, context)


def unknown(context):
    context.abort(grpc.StatusCode.UNIMPLEMENTED, 'unknown method '
                  'ReplicateMessage for service '
                  'milvus.proto.milvus.MilvusService')


def denied(_):
    return milvus_pb2.ReplicateMessageResponse(status=common_pb2.Status(
        error_code=1, code=2, reason='not supported by this version')
    ).SerializeToString()


def versions(t):
    """A target that is too old or too new."""
    for what, version, replicate in (
            ('a target of 2.2, which has no such call', 'v2.2.16', unknown),
            ('a target of 2.6, which refuses it', '2.6.1', denied)):
        with contextlib.closing(Other(t.bed, version, replicate)) as other:
            found = Check(t, param={'uri': other.uri})
            finds(t, what, found, 'target.version', 'error',
                  'runs Milvus ' + version, 'take a target of Milvus 2.3, 2.4')
            refused(t, what, found)
    with contextlib.closing(Other(t.bed, '2.6.1')) as other:
        found = Check(t, param={'uri': other.uri})
        finds(t, 'one of 2.6 that takes it', found, 'target.version',
              'warning', 'runs Milvus 2.6.1', 'take a target of Milvus 2.3')
    with contextlib.closing(Other(t.bed, 'v2.5.27')) as other:
        found = Check(t, param={'uri': other.uri})
        t.same(found.bad(), {}, 'one of 2.5: nothing is wrong')


def target(t):
    tls, ca = t.bed[TLS], t.bed.certs.ca
    dial = {'server_name': 'localhost', 'ca_pem_path': ca}
    param = {'uri': tls.uri, 'token': 'root:Milvus', 'dial_config': dial}
    soon = ('target.tls', 'target.clock')

    found = Check(t, param={'uri': 'http://127.0.0.1:1'})
    finds(t, 'the target is down', found, 'target.reachable', 'error',
          'refused', 'port')
    finds(t, 'a wrong password', Check(t, param=dict(
        param, token='root:guess')), 'target.login', 'error', 'token',
        others=soon)
    finds(t, 'no TLS to a port that wants it', Check(t, param={
        'uri': 'http://localhost:%d' % tls.port}), 'target.tls', 'error',
        'https://', others=('target.reachable',))
    finds(t, 'TLS to a port without', Check(t, param={
        'uri': t.bed[T].uri.replace('http:', 'https:')}), 'target.tls',
        'error', 'does not speak TLS', 'http://',
        others=('target.reachable',))
    finds(t, 'an authority that is not known', Check(t, param=dict(
        param, dial_config={'server_name': 'localhost'})), 'target.tls',
        'error', 'testbed CA', 'ca_pem_path',
        others=('target.reachable',))
    finds(t, 'a name that the certificate is not for', Check(t, param=dict(
        param, dial_config=dict(dial, server_name='example.org'))),
        'target.tls', 'error', '"localhost"', 'example.org', 'server_name',
        others=('target.reachable',))
    found = Check(t, param=dict(param, dial_config=dict(
        dial, ca_pem_path='/nowhere.pem')))
    finds(t, "an authority's file that is not there", found, 'target.tls',
          'error', '/nowhere.pem', 'No such file',
          others=('request.target', 'target.reachable'))

    ended = Ended(os.path.join(t.bed.dir, 'ended'))
    finds(t, 'a certificate that has ended', Check(t, param={
        'uri': ended.uri, 'dial_config': {'ca_pem_path': ended.pem}}),
        'target.tls', 'error', 'of the target', 'has ended', 'renew',
        others=('target.reachable',))
    ended.listener.close()

    found = Check(t, param=param)
    finds(t, 'a clock that is wrong', found, 'target.clock', 'warning',
          ' s ahead', 'NTP', others=('target.tls',))
    t.same(found.good, True, 'warnings alone do not make it bad')
    soon = [f for f in found.get('target.tls') if f['level'] == 'warning']
    t.ok(soon and all('29 days' in f['text'] and 'renew' in f['cure']
                      for f in soon), 'a certificate that ends soon', soon)

    finds(t, 'a user without rights', Check(t, param=dict(
        param, token='plain:Sesame-1')), 'target.rights', 'error',
        'CreateCollection', 'DropCollection', 'admin',
        others=('target.tls', 'target.clock'))

    found = Check(t, 'no-etcd', param={'uri': t.bed[S].uri})
    finds(t, 'ttMsgEnabled is still true', found, 'target.replicate',
          'error', 'common.ttMsgEnabled: false', others=('source.etcd',))
    found = Check(t, param={'uri': t.bed[S].uri})
    finds(t, 'the target is the source', found, 'target.other', 'error',
          'source cluster itself', 'other cluster')
    refused(t, 'the target is the source', found)


def collections(t):
    names = {'collection_infos': [{'name': n} for n in (
        'here', 'other', 'heer', 'alias')]}
    found = Check(t, **names)
    finds(t, 'a name taken with another schema', found, 'collections.schema',
          'error', '"default.other"', 'another schema', 'name_mapping',
          others=('collections.names',))
    refused(t, 'a name taken with another schema', found)
    finds(t, 'a name taken with another number of channels', Check(
        t, collection_infos=[{'name': 'wide'}]), 'collections.schema',
        'error', '"default.wide"', '1 shards on the source, 2 on',
        'name_mapping')
    text = {f['text']: f['cure'] for f in found.get('collections.names')}
    t.ok(len(text) == 2 and any('"default.heer"' in k and '"here"' in v
                                for k, v in text.items())
         and any('alias of "here"' in k for k in text),
         'a name that is not there, and an alias', text)
    answer = t.nginx.cdc('create', {
        'milvus_connect_param': {'uri': t.bed['target'].uri},
        'collection_infos': [{'name': 'heer'}, {'name': 'alias'}],
        'db_collections': {}, 'task_id': 'slip'})[1]
    said = answer['data'].get('warnings', [])
    t.ok(len(said) == 2 and sorted(said) == sorted(text),
         'a create warns of both', answer)
    t.nginx.cdc('delete', {'task_id': 'slip'})
    finds(t, 'names that match nothing', Check(
        t, db_collections={'nix': STAR}, collection_infos=[]),
        'collections.matched', 'warning', 'see the names',
        others=('collections.names',))
    found = Check(t, collection_infos=[{'name': 'here'}, {'name': 'fresh'}],
                  name_mapping=[{
                      'source_db': 'default', 'target_db': 'default',
                      'collection_mapping': {'fresh': 'here'}}])
    finds(t, 'two that would have one name', found, 'request.name_mapping',
          'error', 'both be "default.here"', 'a name of its own')

    utility.create_user('ann', 'Sesame-1', using=S)
    finds(t, 'a user whose password cannot be carried', Check(
        t, collection_infos=[{'name': 'here'}],
        extra_info={'enable_user_role': True}), 'users.passwords', 'warning',
        '"ann"', 'same password')

    for name in ('lost', 'lost2'):
        PLAIN.create(name, S).insert(PLAIN.rows(0, 10))
    time.sleep(0.5)
    kafka.forget(t.bed['kafka'].uri, TOPICS)
    time.sleep(0.5)
    lost = [{'name': 'lost'}, {'name': 'lost2'}, {'name': 'here'}]
    found = Check(t, collection_infos=lost)
    finds(t, 'retention', found, 'collections.retention', 'error',
          '"default.lost"', '"default.lost2"', 'backup', 'log_gap')
    refused(t, 'retention', found)
    found = Check(t, collection_infos=lost, log_gap='earliest')
    t.ok(found.good and len(found.get('collections.retention')) == 2
         and set(found.bad().values()) == {'warning'},
         'log_gap earliest: two warnings', found.answer)


def several(t):
    """All at once, and the same words as a create's first."""
    found = Check(t, 'no-etcd', param={'uri': 'http://127.0.0.1:1'},
                  rpc_channel_info={'name': 'x'}, log_gap='y')
    t.same(set(found.bad()), {'source.etcd', 'target.reachable',
                              'request.replicate_channel',
                              'request.log_gap'}, 'all faults at once')


def tasks(t):
    nginx = t.nginx
    task = nginx.create(t.bed[T], collection_infos=[{'name': 'here'}])
    found = Check(t, collection_infos=[{'name': 'here'}])
    finds(t, 'another task follows it', found, 'tasks.overlap', 'error',
          'default.here', 'exclude_collections')
    refused(t, 'another task follows it', found)
    t.same(Check(t, collection_infos=[{'name': 'fresh'}]).get(
        'tasks.overlap')[0]['ok'], True, 'nobody follows that')
    found = Check(t, task_id=task, collection_infos=[{'name': 'fresh'}])
    finds(t, 'an id that is taken', found, 'tasks.id', 'error', task,
          'collection_infos')
    t.same([x['task_id'] for x in nginx.cdc('list')[1]['data']['tasks']],
           [task], 'a check makes no task')
    t.same(nginx.cdc('delete', {'task_id': task})[1]['code'], 200, 'delete')


def place(t):
    """A disk that is full, and a RocksMQ that may not be read."""
    if os.geteuid() != 0:
        return t.note('not root: no disk, no other user')
    disk = os.path.join(t.bed.dir, 'disk')
    os.mkdir(disk)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m,mode=0777',
                       'tmpfs', disk], capture_output=True,
                      check=False).returncode:
        return t.note('no file system of a few MB can be mounted here')
    closed = os.path.join(t.bed.dir, 'closed')
    shutil.copytree(t.bed[T].rocksmq, closed, ignore=lambda *_: {'LOCK'})
    os.chmod(closed, 0o700)
    nginx = Nginx(t.bed, 'small', sources={'main': source_lines(
        t.bed, log=('rocksmq %s;' % closed,))}, user=USER)
    nginx.state_dir = os.path.join(disk, 'state')
    try:
        t.bed.add(nginx).wait(30)
        found = Check(t, nginx=nginx, collection_infos=[{'name': 'here'}])
        finds(t, 'a disk that is full', found, 'state.disk', 'error',
              ' MB', 'make room', others=('source.log',))
        finds(t, 'a RocksMQ that may not be read', found, 'source.log',
              'error', USER, 'setfacl',
              others=('state.disk',))
        nginx.stop()
    finally:
        nginx.power_cut()
        subprocess.run(['umount', '-l', disk], check=False)
    return None


def points_to(t, source, old, new):
    """That source's root_path in nginx.conf, and a reload, to its end: the
    supervisor before it would start a task with what was there before."""
    lines = t.nginx.sources[source]
    former = set(t.nginx.supervisor())
    t.nginx.sources[source] = lines.replace('root_path %s;' % old,
                                            'root_path %s;' % new)
    t.nginx.command()
    t.nginx.reload()
    wait_for('the reload', lambda: set(t.nginx.supervisor()) - former
             and not set(t.nginx.supervisor()) & former, 60)


def refuses(t, title, task, text):
    t.wait_task(title, task, 'Paused', 60)
    reason = t.nginx.task(task).get('reason', '')
    t.ok(text in reason, 'and says why', reason)


def mistaken(t):
    """nginx.conf is corrected, or made wrong, when the task is there."""
    here = {'collection_infos': [{'name': 'here'}]}
    task = t.nginx.create(t.bed[T], '/cdc-echo', **here)
    points_to(t, 'echo', 'nobody', T)
    refuses(t, 'a cluster does not follow itself', task,
            'is the source cluster itself')
    t.nginx.cdc('delete', {'task_id': task})

    task = t.nginx.create(t.bed[T], **here)
    wait_for('the task', lambda: t.nginx.cdc('progress', {'task_id': task})[
        1]['data']['tasks'][0]['live'], 60)
    points_to(t, 'main', 'by-dev', T)
    refuses(t, 'another cluster is no source to go on with', task,
            'another Milvus')
    points_to(t, 'main', T, 'by-dev')
    t.nginx.cdc('resume', {'task_id': task})
    wait_for('the task', lambda: t.nginx.cdc('progress', {'task_id': task})[
        1]['data']['tasks'][0]['live'], 60)
    t.wait_task('its own one is', task, 'Running')
    t.nginx.cdc('delete', {'task_id': task})


def traces(t):
    """What a check must leave as it is."""
    keys = t.bed['etcd'].etcdctl('get', '--prefix', '--keys-only', '')
    return (sorted(k for k in keys.split() if '/root-coord/' in k),
            {d: compare.Cluster(T).collections(d) for d in
             compare.Cluster(T).databases()},
            [n for n in os.listdir(t.nginx.state_dir) if n != 'look'],
            os.listdir(os.path.join(t.nginx.state_dir, 'look')))


def settle(t):
    """A look is closed after its answer."""
    look = os.path.join(t.nginx.state_dir, 'look')
    end = time.monotonic() + 10
    while os.listdir(look) and time.monotonic() < end:
        time.sleep(0.1)


with E2E() as t:
    t.up({T: {'config': {'common': {'chanNamePrefix': {'cluster': 'tgt'}}}},
          TLS: {'auth': True, 'tls': True, 'clock': 90}},
         source={'mq': 'kafka'})
    plant(t)
    for name in ('here', 'fresh', 'other'):
        PLAIN.create(name, S)
    utility.create_alias('here', 'alias', using=S)
    PLAIN.create('here', T)
    utility.create_user('plain', 'Sesame-1', using=TLS)
    t.start_nginx(sources=sources(t.bed))
    fine(t)
    settle(t)
    before = traces(t)
    source(t)
    target(t)
    versions(t)
    several(t)
    settle(t)
    t.same(traces(t), before, 'nothing has been changed anywhere')
    created(t, 'a create warns of a source of 2.6', '/cdc-new', '2.6.1',
            'keep the source at 2.5')
    tasks(t)
    Shape(dim=16, scalars=True).create('other', T)
    Shape(shards=1).create('wide', S)
    Shape(shards=2).create('wide', T)
    collections(t)
    place(t)
    mistaken(t)
    with open(t.nginx.errors, errors='replace') as f:
        log = f.read()
    t.ok(not any(s in log for s in ('root:Milvus', 'Sesame-1', 'guess')),
         'no secret in the log')
    t.check_logs()
