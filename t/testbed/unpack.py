"""unpack.py WHEELS DIR: the server of the milvus wheel, ready to run.

The wheel carries every file of the server compressed by lzma.  The Kafka
client library among them is what the server is linked with.
"""

import glob
import lzma
import os
import shutil
import sys
import zipfile


def main(wheels, out):
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
    main(*sys.argv[1:])
