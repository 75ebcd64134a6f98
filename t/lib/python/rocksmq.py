"""What a RocksMQ holds, seen from outside by RocksDB's own library.

Opened as a secondary instance, which only reads; its own files go into a
folder that is given.  append() writes: RocksDB has one writer, so the Milvus
whose RocksMQ it is must be down.
"""

import ctypes
import ctypes.util


class RocksMQ:
    def __init__(self, path, own):
        name = ctypes.util.find_library('rocksdb')
        if name is None:
            raise RuntimeError('no librocksdb: run "sh t/run build"')
        self.lib = ctypes.CDLL(name)
        for f in ('options_create', 'readoptions_create', 'create_iterator',
                  'open_as_secondary'):
            getattr(self.lib, 'rocksdb_' + f).restype = ctypes.c_void_p
        self.lib.rocksdb_iter_key.restype = ctypes.POINTER(ctypes.c_char)
        self.lib.rocksdb_iter_valid.restype = ctypes.c_ubyte
        self.path, self.own = path.encode(), own.encode()

    def call(self, name, *args):
        args = [ctypes.c_void_p(a) if isinstance(a, int) else a
                for a in args]
        return getattr(self.lib, 'rocksdb_' + name)(*args)

    def topics(self):
        """{topic: (first id, last id, how many)} of what is there now."""
        error = ctypes.c_char_p()
        options = self.call('options_create')
        self.lib.rocksdb_options_set_max_open_files(
            ctypes.c_void_p(options), ctypes.c_int(-1))
        db = self.call('open_as_secondary', options, self.path, self.own,
                       ctypes.byref(error))
        if error.value:
            raise RuntimeError(error.value.decode())
        try:
            return self.scan(db)
        finally:
            self.call('close', db)
            self.call('options_destroy', options)

    def scan(self, db):
        found = {}
        options = self.call('readoptions_create')
        it = self.call('create_iterator', db, options)
        self.call('iter_seek_to_first', it)
        length = ctypes.c_size_t()
        while self.call('iter_valid', it):
            key = self.call('iter_key', it, ctypes.byref(length))
            topic, _, number = key[:length.value].decode().rpartition('/')
            first, _, count = found.get(topic, (int(number), 0, 0))
            found[topic] = first, int(number), count + 1
            self.call('iter_next', it)
        self.call('iter_destroy', it)
        self.call('readoptions_destroy', options)
        return found

    def append(self, topic, value):
        """A message of these bytes behind all of the topic; its id."""
        families = (ctypes.c_char_p * 2)(b'default', b'properties')
        handles = (ctypes.c_void_p * 2)()
        error = ctypes.c_char_p()
        options = self.call('options_create')
        # Milvus's RocksDB knows no Snappy, which is the default of ours
        self.call('options_set_compression', options, ctypes.c_int(0))
        self.lib.rocksdb_open_column_families.restype = ctypes.c_void_p
        self.lib.rocksdb_writeoptions_create.restype = ctypes.c_void_p
        db = self.call('open_column_families', options, self.path,
                       ctypes.c_int(2), families,
                       (ctypes.c_void_p * 2)(options, options), handles,
                       ctypes.byref(error))
        if error.value:
            raise RuntimeError(error.value.decode())
        try:
            number = self.scan(db)[topic][1] + 1
            how = self.call('writeoptions_create')
            key = b'%s/%d' % (topic.encode(), number)
            for handle, data in zip(handles, (value, b'{}')):
                self.call('put_cf', db, how, handle, key,
                          ctypes.c_size_t(len(key)), data,
                          ctypes.c_size_t(len(data)), ctypes.byref(error))
            self.call('writeoptions_destroy', how)
            if error.value:
                raise RuntimeError(error.value.decode())
        finally:
            for handle in handles:
                self.call('column_family_handle_destroy', handle)
            self.call('close', db)
            self.call('options_destroy', options)
        return number
