"""nginx with the module, as one more part of a testbed."""

import contextlib
import json
import os
import pwd
import re
import shutil
import signal
import time
import urllib.error
import urllib.request

from process import (Process, TestbedError, cmdline, connects, descendants,
                     proc_stat)

REPO = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
BUILD = os.environ.get('CDC_BUILD') or os.path.join(REPO, 'build')


def members(pairs):
    """An object of an answer, none of whose members is there twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise TestbedError('twice in an answer: %s' % [k for k, _ in pairs])
    return found


CONFIG = '''\
load_module %(module)s;
%(user)sdaemon %(daemon)s;
%(env)sworker_processes 2;
worker_shutdown_timeout 5s;
pid %(dir)s/nginx.pid;
error_log %(dir)s/error.log %(level)s;

events {
    worker_connections 256;
}

http {
    access_log %(dir)s/access.log;
    client_body_temp_path %(dir)s/tmp/body;
    proxy_temp_path %(dir)s/tmp/proxy;
    fastcgi_temp_path %(dir)s/tmp/fastcgi;
    uwsgi_temp_path %(dir)s/tmp/uwsgi;
    scgi_temp_path %(dir)s/tmp/scgi;

    milvus_cdc_path %(state)s;
    milvus_cdc_zone milvus_cdc:8m;
    milvus_cdc_helper %(helper)s;
%(more)s
%(sources)s
    server {
        listen 127.0.0.1:%(port)d;
%(locations)s
        location = /cdc/metrics { milvus_cdc_metrics; }
        location = /cdc/health  { milvus_cdc_health; }
        location /cdc/ui/       { milvus_cdc_console; }
    }
}
'''


def source_lines(bed, etcd=None, log=None):
    """The lines of a milvus_cdc_source block for the testbed's source;
    etcd and log: other lines about those."""
    source = bed.parts['source']
    etcd = etcd or ('etcd %s;' % source.etcd_uri,)
    log = log or (source.log_line,)
    lines = etcd + ('root_path %s;' % source.root_path, 'meta_path meta;',
                    'replicate_channel by-dev-replicate-msg;') + log
    return '\n'.join(' ' * 8 + line for line in lines)


class Nginx(Process):
    """sources: {name: lines of its milvus_cdc_source block}; the first one
    answers at /cdc, each other one at /cdc-<name>.  user: of workers and
    helpers, when root starts it.  daemon: as in production; nginx upgrades
    itself (USR2) only then.  more: lines for the http block.  env: for nginx
    and its helpers.
    """

    kind = 'nginx'
    stop_timeout = 20
    death_signal = 'TERM'              # a master that is killed leaves workers

    def __init__(self, bed, name='nginx', sources=None, port=None,
                 level='info', user=None, daemon=False, more='',
                 env=()):
        super().__init__(bed, name)
        self.daemon, self.more, self.env = daemon, more, dict(env)
        self.user = user or pwd.getpwuid(os.geteuid()).pw_name
        self.port = port or bed.port()
        self.level = level
        self.sources = sources or {'main': source_lines(bed)}
        self.state_dir = os.path.join(self.dir, 'state')
        self.errors = os.path.join(self.dir, 'error.log')
        self.conf = os.path.join(self.dir, 'nginx.conf')

    @property
    def uri(self):
        return 'http://127.0.0.1:%d' % self.port

    def command(self):
        module = os.path.join(BUILD, 'ngx_http_milvus_cdc_module.so')
        helper = os.path.join(BUILD, 'milvus-cdc-helper')
        for path in (module, helper):
            if not os.path.exists(path):
                raise TestbedError('%s is missing: run "sh t/run build"'
                                   % path)
        os.makedirs(os.path.join(self.dir, 'tmp'), exist_ok=True)
        if pwd.getpwnam(self.user).pw_uid != os.geteuid():
            # the build may lie where that user cannot look
            helper = shutil.copy(helper, self.dir)
            os.chmod(self.bed.dir, 0o711)
        paths = ['/cdc'] + ['/cdc-' + n for n in list(self.sources)[1:]]
        values = {
            'module': module, 'helper': helper, 'dir': self.dir,
            'state': self.state_dir, 'port': self.port, 'level': self.level,
            'daemon': 'on' if self.daemon else 'off', 'more': self.more,
            'env': ''.join('env %s;\n' % name for name in self.env),
            'user': 'user %s;\n' % self.user if os.geteuid() == 0 else '',
            'sources': '\n'.join(
                '    milvus_cdc_source %s {\n%s\n    }\n' % s
                for s in self.sources.items()),
            'locations': '\n'.join(
                '        location = %s { milvus_cdc %s; }' % p
                for p in zip(paths, self.sources)),
        }
        with open(self.conf, 'w') as f:
            f.write(CONFIG % values)
        nginx = '/usr/sbin/nginx'
        return [nginx if os.path.exists(nginx) else 'nginx',
                '-p', self.dir, '-e', self.errors, '-c', self.conf]

    def environment(self):
        preload = os.environ.get('TEST_NGINX_LD_PRELOAD')     # t/run asan
        more = {'LD_PRELOAD': preload} if preload else {}
        return dict(more, **self.env, ASAN_OPTIONS='detect_leaks=0:' +
                    os.environ.get('ASAN_OPTIONS', ''))

    def start(self):
        super().start()
        if self.daemon:
            self.child.wait()
            self.follow(self.master())

    def master(self):
        """Who says in the pid file that it is."""
        with open(os.path.join(self.dir, 'nginx.pid')) as f:
            return int(f.read())

    def follow(self, pid):
        self.child = None
        self.attach(pid, proc_stat(pid)[2])

    def ready(self):
        connects(self.port)
        return self.cdc('list')[1].get('code') == 200

    def where(self):
        return self.uri + '/cdc'

    def state(self):
        return {'uri': self.uri, 'ports': [self.port], 'conf': self.conf,
                'state_dir': self.state_dir, 'sources': self.sources,
                'errors': self.errors, 'user': self.user}

    def tail(self, lines=15):
        out = super().tail(lines)
        try:
            with open(self.errors, errors='replace') as f:
                text = f.read().splitlines()[-lines:]
        except OSError:
            text = []
        return '\n'.join([out] + ['    | ' + t[:400] for t in text])

    def reload(self):
        self.send(signal.SIGHUP)

    def stop(self, timeout=None):
        """As nginx -s stop; answers how long it took, says who was left."""
        family = [(p, proc_stat(p)) for p in self.family() if p != self.pid]
        begin = time.monotonic()
        super().stop(timeout)
        left = self.left(family)
        if left:
            time.sleep(1)              # death by PDEATHSIG is not at once
            left = self.left(left)
        self.orphans = [p for p, _ in left]
        took = time.monotonic() - begin
        self.power_cut()
        return took

    def family(self):
        """The master first; when it is gone, those that it has left behind:
        they work in its directory."""
        found = [self.pid] + descendants(self.pid) if self.alive() else []
        for name in os.listdir('/proc'):
            if name.isdigit() and int(name) not in found:
                try:
                    here = os.readlink('/proc/%s/cwd' % name) == self.dir
                except OSError:                # gone, or somebody else's
                    continue
                if here and re.match(r'nginx: |\S*milvus-cdc-helper ',
                                     cmdline(int(name))):
                    found.append(int(name))
        return found

    @staticmethod
    def left(family):
        found = []
        for pid, stat in family:
            now = proc_stat(pid)
            if stat and now and now[2] == stat[2] and now[0] != 'Z':
                found.append((pid, stat))
        return found

    def power_cut(self):
        """kill -9 of all processes at once."""
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in self.family():      # none may react to another's end
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sig)
        end = time.monotonic() + 10
        while self.family() and time.monotonic() < end:
            time.sleep(0.01)

    # The processes, found by walking down from the master.

    def find(self, text):
        return [p for p in descendants(self.pid) if text in cmdline(p)]

    def store(self):
        return self.find('milvus-cdc-helper store')

    def replicators(self):
        return self.find('milvus-cdc-helper replicate')

    def supervisor(self):
        return self.find('cache manager')

    def workers(self):
        return self.find('nginx: worker process')

    # The API.

    def post(self, path, body, timeout=30):
        request = urllib.request.Request(
            self.uri + path, data=body,
            headers={'Content-Type': 'application/json'})
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as r:
                return r.status, r.read()
        except urllib.error.HTTPError as e:
            return e.code, e.read()

    def get(self, path):
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}))
        try:
            with opener.open(self.uri + path, timeout=30) as r:
                return r.status, r.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def cdc(self, kind, data=None, path='/cdc'):
        """(HTTP status, answer) of one request."""
        body = {'request_type': kind}
        if data is not None:
            body['request_data'] = data
        status, text = self.post(path, json.dumps(body).encode())
        try:
            return status, json.loads(text, object_pairs_hook=members)
        except ValueError:
            return status, {'code': status, 'message': text.decode(
                errors='replace')}

    def create(self, target=None, path='/cdc', **data):
        """A task for the whole cluster; its id."""
        if target is not None:
            param = {'uri': target.uri, 'connect_timeout': 10}
            if target.token:
                param['token'] = target.token
            data.setdefault('milvus_connect_param', param)
        data.setdefault('collection_infos', [{'name': '*'}])
        status, answer = self.cdc('create', data, path)
        if answer.get('code') != 200:
            raise TestbedError('create: HTTP %d, %s' % (status, answer))
        return answer['data']['task_id']

    def task(self, task_id):
        answer = self.cdc('get', {'task_id': task_id})[1]
        return answer.get('data', {}).get('task', answer)
