/*
 * RocksDB, loaded when the first log in RocksMQ is opened.
 *
 * What the library takes of memory by being loaded is a quarter of an idle
 * task's, and one whose source is on Kafka has no use for it, nor has the
 * store until it looks at a source on RocksMQ.  It is never unloaded.
 */

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cdc_base.h"
#include "cdc_runtime.h"
#include "cdc_rocksdb.h"


typedef struct {
    const char  *name;
    size_t       offset;
} cdc_rocksdb_call_t;


cdc_rocksdb_t                 cdc_rocksdb;

static pthread_mutex_t        cdc_rocksdb_mutex = PTHREAD_MUTEX_INITIALIZER;
static int                    cdc_rocksdb_loaded;


#define CDC_ROCKSDB_CALL(name)                                              \
    { "rocksdb_" #name, offsetof(cdc_rocksdb_t, name) },

static const cdc_rocksdb_call_t  cdc_rocksdb_calls[] = {
    CDC_ROCKSDB_CALLS(CDC_ROCKSDB_CALL)
};


static int
cdc_rocksdb_open(char *err)
{
    void                      *lib, *call;
    size_t                     i;
    const cdc_rocksdb_call_t  *c;

    lib = dlopen(CDC_ROCKSDB_SO, RTLD_NOW|RTLD_LOCAL);

    for (i = 0;
         lib && i < sizeof(cdc_rocksdb_calls) / sizeof(cdc_rocksdb_calls[0]);
         i++)
    {
        c = &cdc_rocksdb_calls[i];
        call = dlsym(lib, c->name);

        if (call == NULL) {
            lib = NULL;
            break;
        }

        memcpy((char *) &cdc_rocksdb + c->offset, &call, sizeof(call));
    }

    if (lib == NULL) {
        (void) snprintf(err, CDC_REASON_MAX,
                        "rocksmq: RocksDB cannot be loaded: %s", dlerror());
        return CDC_ERROR;
    }

    cdc_memory_shed();                   /* most of it is its names */
    cdc_rocksdb_loaded = 1;

    return CDC_OK;
}


/* what failed may be well the next time: no memory, or a library that is not
 * installed yet, and the store lives as long as nginx */

int
cdc_rocksdb_load(char *err)
{
    int  rc;

    (void) pthread_mutex_lock(&cdc_rocksdb_mutex);
    rc = cdc_rocksdb_loaded ? CDC_OK : cdc_rocksdb_open(err);
    (void) pthread_mutex_unlock(&cdc_rocksdb_mutex);

    return rc;
}
