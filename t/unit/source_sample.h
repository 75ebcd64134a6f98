/*
 * One key and its value, as a Milvus wrote them into etcd.
 */

#ifndef SOURCE_SAMPLE_H_INCLUDED
#define SOURCE_SAMPLE_H_INCLUDED

#include <stddef.h>


#define N(a)  (sizeof(a) / sizeof((a)[0]))

#define TOMBSTONE  3, "\342\233\274"


typedef struct {
    int           revision;
    int           deleted;
    const char   *key;                   /* below by-dev/meta/ */
    size_t        len;
    const char   *value;
} sample_t;


#endif /* SOURCE_SAMPLE_H_INCLUDED */
