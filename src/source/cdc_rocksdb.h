/*
 * RocksDB's calls, each of its own type: cdc_rocksdb.close() is
 * rocksdb_close().  Valid once cdc_rocksdb_load() has returned CDC_OK.
 */

#ifndef CDC_ROCKSDB_H_INCLUDED
#define CDC_ROCKSDB_H_INCLUDED

#include <rocksdb/c.h>


#define CDC_ROCKSDB_CALLS(call)                                             \
    call(approximate_sizes)                                                 \
    call(block_based_options_create)                                        \
    call(block_based_options_destroy)                                       \
    call(block_based_options_set_block_cache)                               \
    call(cache_create_lru_opts)                                             \
    call(cache_destroy)                                                     \
    call(close)                                                             \
    call(create_iterator)                                                   \
    call(free)                                                              \
    call(iter_destroy)                                                      \
    call(iter_get_error)                                                    \
    call(iter_key)                                                          \
    call(iter_next)                                                         \
    call(iter_seek)                                                         \
    call(iter_seek_for_prev)                                                \
    call(iter_seek_to_first)                                                \
    call(iter_seek_to_last)                                                 \
    call(iter_valid)                                                        \
    call(iter_value)                                                        \
    call(lru_cache_options_create)                                          \
    call(lru_cache_options_destroy)                                         \
    call(lru_cache_options_set_capacity)                                    \
    call(lru_cache_options_set_num_shard_bits)                              \
    call(open_as_secondary)                                                 \
    call(options_create)                                                    \
    call(options_destroy)                                                   \
    call(options_set_block_based_table_factory)                             \
    call(options_set_info_log_level)                                        \
    call(options_set_keep_log_file_num)                                     \
    call(options_set_max_file_opening_threads)                              \
    call(options_set_max_log_file_size)                                     \
    call(options_set_max_open_files)                                        \
    call(options_set_skip_stats_update_on_db_open)                          \
    call(options_set_stats_dump_period_sec)                                 \
    call(options_set_stats_persist_period_sec)                              \
    call(options_set_wal_dir)                                               \
    call(readoptions_create)                                                \
    call(readoptions_destroy)                                               \
    call(readoptions_set_fill_cache)                                        \
    call(readoptions_set_iterate_lower_bound)                               \
    call(readoptions_set_iterate_upper_bound)                               \
    call(try_catch_up_with_primary)

#define CDC_ROCKSDB_MEMBER(name)  __typeof__(rocksdb_##name)  *name;

typedef struct {
    CDC_ROCKSDB_CALLS(CDC_ROCKSDB_MEMBER)
} cdc_rocksdb_t;

extern cdc_rocksdb_t  cdc_rocksdb;

/* any thread; CDC_ERROR with err (CDC_REASON_MAX): it can be tried again */
int cdc_rocksdb_load(char *err);


#endif /* CDC_ROCKSDB_H_INCLUDED */
