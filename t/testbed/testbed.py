#!/usr/bin/env python3
"""Real Milvus servers, Kafka and etcd for tests and demos.

As a library: Testbed(dir).up() and what follows it.  As a command:

    testbed.py up --dir D [--target NAME[:auth][:tls][:channels=N]]...
                  [--no-target] [--source rocksmq|kafka] [--channels N]
                  [--embedded] [--etcd-auth] [--kafka-sasl]
    testbed.py status|env|down --dir D
    testbed.py kill|restart --dir D NAME [SIGNAL]

`up` leaves the parts running and says where in D/state.json; on a directory
whose parts are up already it does nothing.  `down` ends exactly those.
--source is where the source's log is, CDC_SOURCE when not given; --embedded
gives each Milvus the etcd that it brings instead of one for all.
"""

import argparse
import atexit
import json
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from process import (CACHE, Ports, TestbedError, quiet, say,  # noqa: E402
                     write_json)
from nginx import Nginx                                      # noqa: E402
from milvus import KINDS, Milvus, default_mq                 # noqa: E402
from parts import Certificates, Etcd, Kafka                   # noqa: E402


def use_venv():
    """Goes on in the Python that has the Milvus client."""
    venv = os.path.join(CACHE, 'venv')
    python = os.path.join(venv, 'bin', 'python')
    if os.path.realpath(sys.prefix) == os.path.realpath(venv):
        return
    if not os.path.exists(python):
        raise TestbedError('no client in %s: run t/testbed/install' % venv)
    os.execv(python, [python] + sys.argv)


class Testbed:
    """The parts by name, in one directory.

    own: the parts die with this process and the directory goes with close().
    """

    def __init__(self, path=None, own=True, say=say):
        self.say = say or quiet
        self.own = own
        self.temporary = path is None
        self.dir = os.path.abspath(path or tempfile.mkdtemp(
            prefix='milvus-cdc-testbed.'))
        os.makedirs(self.dir, exist_ok=True)
        self.parts = {}
        self._ports = None
        self._certs = None
        if own:
            atexit.register(self.close)

    def port(self):
        if self._ports is None:
            self._ports = Ports()
        return self._ports.take()

    @property
    def certs(self):
        if self._certs is None:
            self._certs = Certificates(os.path.join(self.dir, 'certs'))
        return self._certs

    # Adding starts the process; wait() is up to the caller, so that parts
    # that do not need each other come up side by side.

    def add(self, part):
        self.parts[part.name] = part
        part.start()
        return part

    def add_etcd(self, **options):
        part = self.add(Etcd(self, **options))
        part.wait(30)
        return part

    def add_kafka(self, **options):
        return self.add(Kafka(self, **options))

    def add_source(self, name='source', **options):
        return self.add(Milvus(self, name, 'source', **options))

    def add_target(self, name='target', **options):
        return self.add(Milvus(self, name, 'target', **options))

    def add_nginx(self, name='nginx', **options):
        part = self.add(Nginx(self, name, **options))
        part.wait(30)
        return part

    def up(self, targets=('target',), source=None, etcd=None, kafka=None):
        """Everything: targets is names, or {name: options}.  The source is
        on Kafka where options of Kafka are given."""
        targets = targets if isinstance(targets, dict) \
            else {name: {} for name in targets}
        source = dict(source or {})
        source.setdefault('mq', 'kafka' if kafka else default_mq())
        parts = ['Milvus']
        if 'kafka' in [source['mq']] + [options.get('mq')
                                        for options in targets.values()]:
            parts.insert(0, 'Kafka')
        if not all(options.get('embedded')
                   for options in [source, *targets.values()]):
            parts.insert(0, 'etcd')
        self.say('starting %s in %s' % (', '.join(parts), self.dir))
        if 'etcd' in parts:
            self.add_etcd(**etcd or {})
        if 'Kafka' in parts:
            self.add_kafka(**kafka or {})
        waiting = [self.add_target(name, **options)
                   for name, options in targets.items()]
        if 'Kafka' in parts:
            self.parts['kafka'].wait(180)
        waiting.insert(0, self.add_source(**source))
        for part in waiting:
            part.wait()
        return self

    def __getitem__(self, name):
        return self.parts[name]

    def __getattr__(self, name):
        parts = self.__dict__.get('parts', {})
        if name in parts:
            return parts[name]
        raise AttributeError(name)

    def kill(self, name, sig=signal.SIGKILL):
        self.parts[name].kill(sig)

    def restart(self, name, sig=None):
        self.parts[name].restart(sig)

    def alive(self):
        return bool(self.parts) and all(
            p.alive() for p in self.parts.values())

    def down(self, quick=False):
        """Ends what this testbed started, the last one first."""
        parts = list(reversed(list(self.parts.values())))
        for p in parts:
            if p.kind == 'nginx':          # never the master alone
                if quick:
                    p.power_cut()
                else:
                    p.stop()
        parts = [p for p in parts if p.alive()]
        if not quick:
            for p in parts:
                p.send(p.stop_signal)
            end = time.monotonic() + 5
            for p in parts:
                p.gone(max(0, end - time.monotonic()))
        for p in parts:
            p.kill()

    def close(self):
        atexit.unregister(self.close)
        self.down(quick=True)
        if self.temporary and not os.environ.get('CDC_KEEP'):
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()

    # The state file of the command.

    def save(self):
        parts = {}
        for p in self.parts.values():
            parts[p.name] = dict(p.state(), kind=p.kind, pid=p.pid,
                                 started=p.started, log=p.log)
        write_json(os.path.join(self.dir, 'state.json'),
                   {'dir': self.dir, 'parts': parts,
                    'order': list(self.parts)})

    @classmethod
    def load(cls, path, say=say):
        """The testbed that `up` left running in path."""
        bed = cls(path, own=False, say=say)
        file = os.path.join(bed.dir, 'state.json')
        if not os.path.exists(file):
            return bed
        with open(file) as f:
            state = json.load(f)
        for name in state['order']:
            s = state['parts'][name]
            if s['kind'] == 'etcd':
                part = Etcd(bed, name, s['tls'], s['users'], s['ports'])
            elif s['kind'] == 'kafka':
                part = Kafka(bed, name, s['listeners'], s['users'],
                             s['ports'])
            elif s['kind'] == 'nginx':
                part = Nginx(bed, name, s['sources'], s['ports'][0],
                             user=s['user'])
            else:
                part = Milvus(bed, name, s['role'], s['channels'], s['auth'],
                              s['tls'], s['port'], s['root_path'],
                              s['config'], s['ports'], s['mq'],
                              s['embedded'], s['clock'])
            part.attach(s['pid'], s['started'])
            bed.parts[name] = part
        return bed


def parse_target(text):
    name, *words = text.split(':')
    options = {}
    for word in words:
        if word in ('auth', 'tls'):
            options[word] = True
        elif word.startswith('channels='):
            options['channels'] = int(word[9:])
        else:
            raise TestbedError('target %s: what is "%s"?' % (name, word))
    return name, options


def environment(bed):
    """What the suites take from their environment, as shell assignments."""
    source = bed.parts['source']
    out = {'TEST_CDC_ETCD': source.etcd_uri, 'TEST_CDC_DIR': bed.dir}
    if source.mq == 'kafka':
        out['TEST_CDC_KAFKA'] = bed.parts['kafka'].uri
    else:
        out['TEST_CDC_ROCKSMQ'] = source.rocksmq
    for p in bed.parts.values():
        if p.kind != 'milvus':
            continue
        name = 'SOURCE' if p.role == 'source' else p.name.upper()
        out['TEST_CDC_' + name] = p.uri
        if p.token:
            out['TEST_CDC_%s_TOKEN' % name] = p.token
    return ''.join("%s='%s'; export %s\n" % (k, v, k)
                   for k, v in out.items())


def command_up(bed, args):
    if args.source and bed.parts and bed['source'].mq != args.source:
        raise TestbedError('%s holds a source on %s: take another folder'
                           % (bed.dir, bed['source'].mq))
    if bed.alive():
        bed.say('already up in %s' % bed.dir)
        return
    if bed.parts:
        bed.say('some parts ended: starting those again')
        # an nginx waits for its module: demo/run is building it meanwhile
        parts = [p for p in bed.parts.values() if p.kind != 'nginx']
        for part in parts:
            if not part.alive():
                part.start()
                if part.kind != 'milvus':
                    part.wait()
        for part in parts:
            part.wait()
        return
    etcd = {'tls': True, 'users': {'cdc': 'etcd secret'}} \
        if args.etcd_auth else {}
    kafka = {'listeners': ['sasl_plaintext', 'sasl_ssl', 'ssl'],
             'users': {'cdc': 'kafka-secret'}} if args.kafka_sasl else {}
    targets = {} if args.no_target else dict(
        parse_target(t) for t in args.target or ['target'])
    for options in targets.values():
        options['embedded'] = args.embedded
    source = {'channels': args.channels, 'embedded': args.embedded}
    if args.source:
        source['mq'] = args.source
    bed.up(targets, source, etcd, kafka)
    bed.say('all is up; %s/state.json says where' % bed.dir)


def main(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('command', choices=['up', 'down', 'status', 'env',
                                            'kill', 'restart'])
    parser.add_argument('--dir', required=True)
    parser.add_argument('--target', action='append')
    parser.add_argument('--no-target', action='store_true')
    parser.add_argument('--source', choices=KINDS)
    parser.add_argument('--channels', type=int, default=4)
    parser.add_argument('--embedded', action='store_true')
    parser.add_argument('--etcd-auth', action='store_true')
    parser.add_argument('--kafka-sasl', action='store_true')
    parser.add_argument('name', nargs='?')
    parser.add_argument('signal', nargs='?')
    args = parser.parse_intermixed_args(argv)

    bed = Testbed.load(args.dir)
    if args.command == 'up':
        command_up(bed, args)
    elif args.command == 'down':
        bed.down()
    elif args.command == 'env':
        sys.stdout.write(environment(bed))
    elif args.command == 'status':
        for p in bed.parts.values():
            print('%-12s %-5s pid %-7s %s' % (
                p.name, 'up' if p.alive() else 'DOWN', p.pid, p.where()))
        return 0 if bed.alive() else 3
    else:
        sig = getattr(signal, 'SIG' + args.signal) if args.signal else None
        if args.command == 'kill':
            bed.kill(args.name, sig or signal.SIGKILL)
        else:
            bed.restart(args.name, sig)
    return 0


if __name__ == '__main__':
    try:
        use_venv()
        sys.exit(main())
    except TestbedError as e:
        say(str(e))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
