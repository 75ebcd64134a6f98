"""What pip downloaded, without pip.

unpack.py client WHEELS      into the environment of the Python that runs this
unpack.py server WHEELS DIR  the server of the milvus wheel, ready to run

A wheel is a zip file of what goes into an environment.  pip would take the
checksum of each file again, and seconds to come up.  The wheel of the server
carries every file compressed by lzma; the Kafka client library among them is
what the server is linked with.
"""

import glob
import lzma
import os
import shutil
import sys
import sysconfig
import zipfile


def client(wheels):
    out = sysconfig.get_path('purelib')
    for wheel in glob.glob(os.path.join(wheels, '*.whl')):
        with zipfile.ZipFile(wheel) as z:
            for entry in z.infolist():
                # NAME.data/ holds what belongs elsewhere: modules, which
                # belong here, and commands and headers, which nobody uses
                top, _, rest = entry.filename.partition('/')
                if top.endswith('.data'):
                    where, _, rest = rest.partition('/')
                    if where not in ('purelib', 'platlib') or not rest:
                        continue
                    entry.filename = rest
                z.extract(entry, out)


def server(wheels, out):
    (wheel,) = glob.glob(os.path.join(wheels, 'milvus-*.whl'))
    os.makedirs(os.path.join(out, 'bin'))
    with zipfile.ZipFile(wheel) as z:
        for name in z.namelist():
            if not name.startswith('milvus/data/'):
                continue
            base = os.path.basename(name)
            if name.endswith('.lzma'):
                path = os.path.join(out, 'bin', base[:-len('.lzma')])
                with z.open(name) as src, lzma.open(src) as plain, \
                        open(path, 'wb') as dst:
                    shutil.copyfileobj(plain, dst, 1 << 20)
                os.chmod(path, 0o755)
            else:
                with open(os.path.join(out, base), 'wb') as dst:
                    dst.write(z.read(name))


if __name__ == '__main__':
    {'client': client, 'server': server}[sys.argv[1]](*sys.argv[2:])
