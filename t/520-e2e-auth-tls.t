#!/usr/bin/env python3
"""User, password, token and TLS: to the target, to etcd, to Kafka.  Rights
that are taken away, and a certificate's file that is, do not pause a task.
"""

import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                                          # noqa: E402
import kafka                                                 # noqa: E402
from fixtures import EVERY, PLAIN                            # noqa: E402
from nginx import source_lines                               # noqa: E402
from process import wait_for                                 # noqa: E402
from pymilvus import Collection                              # noqa: E402

S = 'source'
EVERYTHING = [{'name': '*'}]


def sources(bed):
    """One source reached in three ways."""
    etcd, kafka, certs = bed['etcd'], bed['kafka'], bed.certs
    password = ('etcd_user cdc;', 'etcd_password "etcd secret";')
    certificate = ('etcd %s;' % etcd.uri, 'etcd_ca %s;' % certs.ca,
                   'etcd_certificate %s;' % etcd.client_pem,
                   'etcd_certificate_key %s;' % etcd.client_key)
    sasl = ('kafka_user cdc;', 'kafka_password kafka-secret;',
            'kafka_mechanism PLAIN;')
    tls = ('kafka_tls on;', 'kafka_ca %s;' % certs.ca)
    strange = certs.issue('other', 'other')[0]

    def lines(etcd_lines, listener, more):
        return source_lines(
            bed, etcd_lines,
            ('kafka %s;' % kafka.address(listener),) + more)

    return {
        'password': lines(('etcd %s;' % etcd.plain_uri,) + password,
                          'sasl_plaintext', sasl),
        'both': lines(certificate + password, 'sasl_ssl', sasl + tls),
        'certificate': lines(certificate, 'ssl', tls),
        'wrong-etcd': lines(
            ('etcd %s;' % etcd.plain_uri, 'etcd_user cdc;',
             'etcd_password wrong;'), 'sasl_plaintext', sasl),
        'wrong-kafka': lines(
            certificate, 'sasl_plaintext',
            ('kafka_user cdc;', 'kafka_password wrong;')),
        'no-kafka-tls': lines(certificate, 'sasl_ssl', sasl),
        'strange-kafka': lines(
            certificate, 'ssl',
            ('kafka_tls on;', 'kafka_ca %s;' % strange)),
    }


def refused(t, name, answer, *secrets):
    code, text = answer[1].get('code'), str(answer[1])
    t.ok(code in (400, 500), name, answer)
    t.note(answer[1].get('message'))
    t.ok(not any(s in text for s in secrets),
         '%s: no secret in the answer' % name, text)


def wrong_ones(t, nginx, param, tls):
    """What must not become a task."""
    auth = t.bed['auth']
    refused(t, 'a wrong password', nginx.cdc('create', {
        'milvus_connect_param': dict(param, password='not this one'),
        'collection_infos': EVERYTHING}), 'not this one')
    refused(t, 'no password', nginx.cdc('create', {
        'milvus_connect_param': {'uri': auth.uri, 'connect_timeout': 5},
        'collection_infos': EVERYTHING}))
    refused(t, 'a wrong token', nginx.cdc('create', {
        'milvus_connect_param': {'uri': auth.uri, 'token': 'root:guess',
                                 'connect_timeout': 5},
        'collection_infos': EVERYTHING}), 'guess')
    other = t.bed.certs.issue('stranger', 'stranger')[0]
    refused(t, 'TLS with the certificate of another authority',
            nginx.cdc('create', {
                'milvus_connect_param': dict(tls, dial_config={
                    'server_name': 'localhost', 'server_pem_path': other}),
                'collection_infos': EVERYTHING}), 'root:Milvus')
    refused(t, 'TLS with another server name', nginx.cdc('create', {
        'milvus_connect_param': dict(tls, dial_config={
            'server_name': 'example.org',
            'server_pem_path': t.bed.certs.ca}),
        'collection_infos': EVERYTHING}), 'root:Milvus')
    refused(t, 'TLS spoken to a plain port', nginx.cdc('create', {
        'milvus_connect_param': dict(
            param, enable_tls=True, connect_timeout=5),
        'collection_infos': EVERYTHING}), 'root:Milvus')
    refused(t, 'plain spoken to a TLS port', nginx.cdc('create', {
        'milvus_connect_param': {
            'uri': 'http://localhost:%d' % t.bed['tls'].port,
            'token': 'root:Milvus', 'connect_timeout': 5},
        'collection_infos': EVERYTHING}), 'root:Milvus')
    t.same(nginx.cdc('list')[1]['data']['tasks'], [],
           'none of them became a task')


def checked(t, nginx, param):
    """What a check says of the source's logins and certificates."""
    for source, check, level, words in (
            ('wrong-etcd', 'source.etcd', 'error', 'etcd_password'),
            ('wrong-kafka', 'source.log', 'error', 'kafka_password'),
            ('no-kafka-tls', 'source.log', 'error', 'kafka_tls'),
            ('strange-kafka', 'source.kafka.tls', 'error', 'kafka_ca'),
            ('both', 'source.etcd.tls', 'warning', 'ends in'),
            ('both', 'source.kafka.tls', 'warning', 'ends in')):
        hits = []
        for _ in range(3):                 # a busy machine
            hits = hits or [f for f in nginx.cdc('check', {
                'milvus_connect_param': param,
                'collection_infos': EVERYTHING}, '/cdc-' + source)[1].get(
                    'data', {}).get('findings', [])
                    if f['check'] == check and f['level'] == level
                    and words in f['text'] + f.get('cure', '')]
        t.ok(hits, 'check: %s, %s' % (source, check), hits)
        t.note(hits)


def secrets_hidden(t, nginx):
    texts = {'the error log': open(nginx.errors).read(),
             'list': str(nginx.cdc('list')), 'health':
             nginx.get('/cdc/health')[1],
             'metrics': nginx.get('/cdc/metrics')[1]}
    from process import cmdline, descendants
    texts['process titles'] = ' '.join(
        cmdline(p) for p in descendants(nginx.pid))
    for where, text in texts.items():
        found = [s for s in ('root:Milvus', 'kafka-secret', 'etcd secret')
                 if s in text]
        t.same(found, [], 'no secret in %s' % where)


def follows(t, name, target):
    Collection('every', using=S).insert(EVERY.rows(t.next, t.next + 50))
    t.next += 50
    t.equal(name, target=target)


def says(t, name, task, words):
    t.passes(name, wait_for, words, lambda: words in t.nginx.task(task).get(
        'reason', ''), 60)
    t.note(t.nginx.task(task).get('reason'))
    t.wait_task('and the task runs', task, 'Running')


def rights(t, one, two):
    kafka.deny(t.bed['kafka'].uri, 'cdc')
    for task in (one, two):
        says(t, 'topics may not be read any more', task, 'may not be read')
    Collection('every', using=S).insert(EVERY.rows(t.next, t.next + 50))
    t.next += 50
    kafka.allow(t.bed['kafka'].uri, 'cdc')
    for target in ('auth', 'tls'):
        t.equal('they may: it goes on', 60, target)

    os.rename(t.ca, t.ca + '.away')
    t.bed['etcd'].etcdctl('user', 'revoke-role', 'cdc', 'root')
    for pid in t.nginx.replicators():
        os.kill(pid, signal.SIGKILL)
    says(t, 'started without rights in etcd', one, 'permission denied')
    says(t, 'started without the file of a certificate', two,
         'cannot open certificate')
    os.rename(t.ca + '.away', t.ca)
    says(t, 'the file is back', two, 'permission denied')
    t.bed['etcd'].etcdctl('user', 'grant-role', 'cdc', 'root')
    for target, task in (('auth', one), ('tls', two)):
        t.passes('the rights are back', wait_for, 'no reason',
                 lambda k=task: not t.nginx.task(k).get('reason'), 60)
        follows(t, 'and it goes on', target)


with E2E() as t:
    t.next = 300
    t.up({'auth': {'auth': True}, 'tls': {'auth': True, 'tls': True}},
         etcd={'tls': True, 'users': {'cdc': 'etcd secret'}},
         kafka={'listeners': ['sasl_plaintext', 'sasl_ssl', 'ssl'],
                'users': {'cdc': 'kafka-secret'}})
    EVERY.ready('every', S, 300, wait=False)
    PLAIN.ready('plain', S, 100)
    nginx = t.start_nginx(sources=sources(t.bed))

    auth, tls = t.bed['auth'], t.bed['tls']
    by_password = {'host': '127.0.0.1', 'port': auth.port,
                   'username': 'root', 'password': 'Milvus',
                   'enable_tls': False, 'connect_timeout': 10}
    t.ca = shutil.copy(t.bed.certs.ca, os.path.join(t.bed.dir, 'copy.pem'))
    by_tls = {'uri': tls.uri, 'token': 'root:Milvus', 'connect_timeout': 10,
              'dial_config': {'server_name': 'localhost',
                              'server_pem_path': t.ca}}
    wrong_ones(t, nginx, by_password, by_tls)
    checked(t, nginx, by_tls)

    one = nginx.create(milvus_connect_param=by_password,
                       rpc_channel_info={'name': 'by-dev-replicate-msg'})
    t.equal('user and password; etcd by password, Kafka by SASL', 60,
            'auth')
    two = nginx.create(path='/cdc-both', milvus_connect_param=by_tls)
    t.equal('token over TLS; etcd by TLS and password, Kafka by SASL '
            'over TLS', 60, 'tls')
    follows(t, 'rows for the first', 'auth')
    follows(t, 'rows for the second', 'tls')
    rights(t, one, two)
    secrets_hidden(t, nginx)

    # On from here by certificates alone: what the targets hold already
    # is not sent again.
    for task in (one, two):
        t.same(nginx.cdc('delete', {'task_id': task})[1].get('code'), 200,
               'delete')
    nginx.create(path='/cdc-certificate', milvus_connect_param={
        'host': 'localhost', 'port': tls.port, 'username': 'root',
        'password': 'Milvus', 'enable_tls': True, 'connect_timeout': 10,
        'dial_config': {'server_name': 'localhost',
                        'server_pem_path': t.bed.certs.ca}})
    follows(t, 'enable_tls; etcd and Kafka by TLS alone', 'tls')
    t.check_logs(kills=True)
