#!/usr/bin/env python3
"""docker/: its files agree with each other, its nginx starts and its health
check tells the truth, and Milvus takes the setting that makes a target of it.

There may be no Docker where this runs: t/soak/docker builds the image's stages
in chroots.
"""

import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib', 'python'))

from e2e import E2E                # goes on in the Python that has yaml
import yaml                                                  # noqa: E402

from milvus import Milvus                                    # noqa: E402
from nginx import BUILD, REPO                                # noqa: E402
from process import connects, wait_for                       # noqa: E402

DOCKER = os.path.join(REPO, 'docker')


def read(name):
    with open(os.path.join(DOCKER, name)) as f:
        return f.read()


def instructions():
    text = re.sub(r'(?m)^\s*#.*\n', '', read('Dockerfile'))
    return [line.split(None, 1)
            for line in text.replace('\\\n', ' ').splitlines() if line]


def dockerfile(t):
    lines = instructions()
    images = [rest.split()[0] for word, rest in lines if word == 'FROM']
    t.same(images, ['debian:bookworm-slim'] * 2, 'two stages of one Debian')
    missing = [source for word, rest in lines if word == 'COPY'
               and '--from' not in rest
               for source in [w for w in rest.split() if w[0] != '-'][:-1]
               if not os.path.exists(os.path.join(REPO, source))]
    t.same(missing, [], 'what is copied is there')
    last = dict(lines)
    user = last['USER'].split(':')[0]
    t.ok(user.isdigit() and int(user) > 0, 'it does not run as root', user)
    t.same(last['STOPSIGNAL'], 'SIGQUIT', 'it is stopped gracefully')
    t.ok('milvus-cdc-health' in last['HEALTHCHECK'], 'it has a health check')
    # what t/run installs for a build is what the image's build has
    with open(os.path.join(REPO, 'debian', 'control')) as f:
        needed = set(re.findall(r'(?m)^ +(lib[\w-]+-dev|proto[\w-]+)', f.read()))
    t.ok(needed and not needed - set(last_run(lines)),
         'it has what the package needs', needed - set(last_run(lines)))


def last_run(lines):
    return next(rest for word, rest in lines if word == 'RUN').split()


def compose(t):
    services = yaml.safe_load(read('compose.yaml'))['services']
    t.same(sorted(services), ['cdc', 'source', 'target'], 'three services')
    cdc, source, target = (services[n] for n in ('cdc', 'source', 'target'))
    t.same(source['image'], target['image'], 'one version of Milvus')
    t.same([s['environment'].get('COMMON_TTMSGENABLED')
            for s in (source, target)], [None, 'false'],
           'the target takes replicated messages, the source has its own')
    public = [p for s in services.values() for p in s['ports']
              if not p.startswith('127.0.0.1:')]
    t.same(public, [], 'nothing is open to other machines')

    files = [v.split(':')[0] for s in services.values()
             for v in s['volumes'] if v.startswith('.')]
    t.ok(files and all(os.path.exists(os.path.join(DOCKER, f))
                       for f in files), 'mounted files are there', files)
    t.ok(os.path.exists(os.path.join(DOCKER, cdc['build']['context'],
                                     cdc['build']['dockerfile'])),
         'the Dockerfile is there')

    conf = read('source.conf')
    host, port = re.search(r'etcd\s+http://(\w+):(\d+);', conf).groups()
    etcd = yaml.safe_load(read('embedEtcd.yaml'))
    t.same((host, port), ('source', etcd['listen-client-urls'].rsplit(
        ':', 1)[1]), 'the etcd is that of the source')
    rocksmq = re.search(r'rocksmq\s+(\S+);', conf).group(1)
    mounts = dict(v.split(':')[:2] for v in cdc['volumes'])
    own = dict(v.split(':')[:2] for v in source['volumes'])
    t.ok(mounts['source'] == own['source']
         and rocksmq.startswith(mounts['source'] + '/')
         and 'source:%s:ro' % mounts['source'] in cdc['volumes'],
         'the RocksMQ is that of the source, to be read only', cdc['volumes'])
    run = os.path.dirname(re.search(r'pid\s+(\S+);', read('nginx.conf'))
                          .group(1))
    t.ok(cdc['read_only'] and any(m.startswith(run + ':')
                                  for m in cdc['tmpfs']),
         'the file system is read only, but for nginx\'s own')


def nginx_runs(t):
    """docker/nginx.conf in a folder of this test."""
    here = os.path.join(t.bed.dir, 'docker')
    os.makedirs(os.path.join(here, 'run'))
    port = t.bed.port()
    change = [('include /etc/nginx/modules-enabled/*.conf;',
               'load_module %s/ngx_http_milvus_cdc_module.so; daemon off;'
               % BUILD),
              ('http {', 'http {\n    milvus_cdc_helper %s/milvus-cdc-helper;'
               % BUILD),
              ('/run/nginx', here + '/run'),
              ('/var/lib/nginx/milvus-cdc;', here + '/state;'),
              ('/etc/nginx/milvus-cdc/', here + '/'),
              ('listen 8444', 'listen 127.0.0.1:%d' % port)]
    text = read('nginx.conf')
    for old, new in change:
        t.needed(old in text)
        text = text.replace(old, new)
    if os.geteuid() == 0:
        text = 'user root;\n' + text
    for name, content in (('nginx.conf', text), (
            'source.conf', read('source.conf').replace(
                'source:2379', '127.0.0.1:1'))):
        with open(os.path.join(here, name), 'w') as f:
            f.write(content)
    argv = ['nginx', '-p', here, '-e', 'stderr', '-c', here + '/nginx.conf']
    env = dict(os.environ, MILVUS_CDC_PORT=str(port), PATH=os.environ['PATH']
               + ':/usr/sbin')

    def health():
        return subprocess.run([os.path.join(DOCKER, 'health')], env=env,
                              capture_output=True, text=True, check=False)

    t.same(health().returncode, 1, 'health: 1 when nothing answers')
    with open(here + '/log', 'w') as log:
        nginx = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                 stdout=log, stderr=log)
    try:
        wait_for('nginx', lambda: connects(port), 20)
        t.passes('health: 0 when all is well', wait_for, 'health',
                 lambda: health().returncode == 0, 15)
        t.ok('"status":"ok"' in health().stdout, 'and says so',
             health().stdout)
        nginx.send_signal(signal.SIGQUIT)
        t.same(nginx.wait(15), 0, 'SIGQUIT ends it')
    finally:
        if nginx.poll() is None:
            nginx.terminate()              # killed, it leaves its workers
            nginx.wait()


class ByEnvironment(Milvus):
    """A Milvus whose milvus.yaml knows nothing of being a target."""

    def environment(self):
        env = yaml.safe_load(read('compose.yaml'))['services']['target'][
            'environment']
        return dict(super().environment(), COMMON_TTMSGENABLED=env[
            'COMMON_TTMSGENABLED'])


def setting(t):
    t.bed.add_etcd()
    t.bed.add_source()
    on = {'common': {'ttMsgEnabled': True}}
    t.bed.add(ByEnvironment(t.bed, 'target', 'target', config=on))
    t.bed.add_target('other', config=on)
    for name in ('source', 'target', 'other'):
        t.bed[name].wait()
    t.start_nginx()
    answers = [t.nginx.cdc('create', {
        'milvus_connect_param': {'uri': t.bed[name].uri},
        'collection_infos': [{'name': '*'}]})[1] for name in (
            'other', 'target')]
    t.ok('common.ttMsgEnabled' in answers[0].get('message', ''),
         'a Milvus without the setting is refused', answers[0])
    t.same(answers[1]['code'], 200,
           'one with the setting of compose.yaml is a target')


with E2E() as t:
    dockerfile(t)
    compose(t)
    nginx_runs(t)
    setting(t)
