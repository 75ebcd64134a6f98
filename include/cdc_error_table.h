/*
 * What a client sees for each failure: X(name, code, HTTP status, format).
 *
 * "code" and the text are those of the existing service wherever it has the
 * case (zilliztech/milvus-cdc 3a4af3b), misspellings included: clients
 * compare them.  The HTTP status is the code: an unknown task is 400 and a
 * body that is no JSON is 500, as clients of that service know them, rather
 * than the 404 and 400 that one would choose today.  Cases that the existing
 * service does not have use the status that fits.
 *
 * The rows from EMPTY_ADDRESS on are failures of a handler: the worker puts
 * "fail to handle the <type> request, error: " before the text.  The store
 * sends the text alone (cdc_frame.h, ANSWER).
 *
 * Formats take %s (C string) and %d (int) in the order of the comment.
 */

#ifndef CDC_ERROR_TABLE_H_INCLUDED
#define CDC_ERROR_TABLE_H_INCLUDED


#define CDC_ERROR_TABLE(X)                                                    \
                                                                              \
    X(OK, 200, 200, "")                                                       \
                                                                              \
    /* ---- the envelope: made by the worker, the text goes out as it is */   \
                                                                              \
    X(METHOD, 405, 405, "only support the POST method")                       \
    X(CROSS_SITE, 403, 403,                                                   \
      "the request was sent by a page of another site, says Origin or "       \
      "Sec-Fetch-Site; a proxy in front has to pass the Host on")             \
    X(BODY_READ, 500, 500, "fail to read the request body, error: %s")        \
    X(BODY_TOO_LARGE, 413, 413,                                               \
      "the request body is larger than 1 MB")                                 \
    X(BODY_NOT_JSON, 500, 500,                                                \
      "fail to unmarshal the request, error: %s")                             \
    X(REQUEST_TYPE, 400, 400,                                                 \
      "invalid 'request_type' param, can be set [create delete pause resume " \
      "get list position maintenance check progress parked parked_retry "     \
      "parked_drop]")                                                         \
    /* type of the request, text of the mapping error */                      \
    X(DECODE, 500, 500, "fail to decode the %s request, error: %s")           \
    X(STARTING, 503, 503,                                                     \
      "the task table is not ready yet, try again shortly")                   \
    X(STORE_GONE, 503, 503,                                                   \
      "the task store does not answer, try again shortly")                    \
                                                                              \
    /* ---- handlers: stateless checks of a create, in their order */         \
                                                                              \
    X(EMPTY_ADDRESS, 400, 400, "the downstream address is empty")             \
    X(MILVUS_AND_KAFKA, 400, 400,                                             \
      "don't support milvus and kafka at the same time now")                  \
    X(EMPTY_HOST, 400, 400, "the milvus host is empty")                       \
    X(BAD_PORT, 400, 400, "the milvus port is less or equal zero")            \
    X(ONE_CREDENTIAL, 400, 400,                                               \
      "cannot set only one of the milvus username and password")              \
    X(CONNECT_TIMEOUT, 400, 400, "the milvus connect timeout is less zero")   \
    X(EMPTY_TOPIC, 400, 400, "the kafka topic is empty")                      \
    X(BUFFER_PERIOD, 400, 400, "the cache period is less zero")               \
    X(BUFFER_SIZE, 400, 400, "the cache size is less zero")                   \
    X(NO_COLLECTION, 400, 400, "the collection info is empty")                \
    X(ONE_SELECTION, 400, 400,                                                \
      "the collection info and db collection info should be only one")        \
    /* limit, name */                                                         \
    X(DB_NAME_LENGTH, 400, 400,                                               \
      "the db name length exceeds %d characters, %s")                         \
    X(EMPTY_COLLECTIONS, 400, 400, "empty collection info")                   \
    /* names, separated by spaces */                                          \
    X(STAR_COLLECTION, 400, 400,                                              \
      "make sure the only one collection if you want to use the '*' "         \
      "collection param, current param: [%s]")                                \
    /* the same of databases: the existing service takes only one */          \
    X(STAR_DATABASE, 400, 400,                                                \
      "make sure the only one database if you want to use the '*' db param, " \
      "current param: [%s]")                                                  \
    /* "db.collection" */                                                     \
    X(GIVEN_TWICE, 400, 400, "the collection name is given twice, [%s]")      \
    X(STAR_POSITIONS, 400, 400,                                               \
      "the collection name is `*`, the positions should be empty")            \
    /* channel */                                                             \
    X(NOT_VCHANNEL, 400, 400,                                                 \
      "the position channel name is not virtual channel, %s")                 \
    /* "there is a collection name that is empty. " and/or                    \
     * "there are some collection names whose length exceeds N characters,    \
     * [..]", put together by the caller */                                   \
    X(COLLECTION_NAMES, 400, 400, "%s")                                       \
    X(RPC_CHANNEL, 400, 400,                                                  \
      "the rpc channel is invalid, the channel name should be the same as "   \
      "the source config")                                                    \
    /* what was given */                                                      \
    X(LOG_GAP_POLICY, 400, 400,                                               \
      "`log_gap` cannot be \"%s\", it should be \"refuse\" or \"earliest\"")  \
    /* what was given */                                                      \
    X(POISON_POLICY, 400, 400,                                                \
      "`on_poison` cannot be \"%s\", it should be \"stop\" or \"skip\"")      \
    /* why */                                                                 \
    X(BAD_EXCLUDE, 400, 400, "`exclude_collections` is invalid, %s")          \
    X(BAD_MAPPING, 400, 400, "`name_mapping` is invalid, %s")                 \
    X(MAPPING_OUTSIDE, 400, 400,                                              \
      "the collection name in the name mapping is not in the collection "     \
      "info, checkout it")                                                    \
    /* channel, why */                                                        \
    X(BAD_VCHANNEL, 400, 400, "the vchannel is invalid, %s, err: %s")         \
    X(MIXED_POSITIONS, 400, 400,                                              \
      "the channel position info should be in the same collection")           \
    /* why */                                                                 \
    X(BAD_POSITION, 500, 500, "fail to decode the position data: %s")         \
    X(BAD_RPC_POSITION, 500, 500,                                             \
      "fail to decode the rpc position data: %s")                             \
                                                                              \
    /* ---- handlers: what this version refuses by name */                    \
                                                                              \
    /* field, what to do instead */                                           \
    X(NOT_SUPPORTED, 400, 400, "`%s` is not supported yet: %s")               \
    X(BAD_URI, 400, 400,                                                      \
      "the milvus uri is invalid, it should be http(s)://host:port, %s")      \
    X(BAD_TASK_ID, 400, 400,                                                  \
      "the task_id is invalid, it should be 1 to 255 characters of "          \
      "[A-Za-z0-9_.-], and not \".\" or \"..\"")                              \
    /* host:port */                                                           \
    X(TARGET_NOT_ALLOWED, 400, 400,                                           \
      "the target %s is not in milvus_cdc_allow_target")                      \
    /* name */                                                                \
    X(UNKNOWN_SOURCE, 500, 500,                                               \
      "the source \"%s\" is not declared by milvus_cdc_source")               \
                                                                              \
    /* ---- handlers: checks against the target (the store's probe) */        \
                                                                              \
    /* text of the gRPC status: "rpc error: code = DeadlineExceeded desc =    \
     * context deadline exceeded" */                                          \
    X(CONNECT_FAILED, 500, 500, "fail to connect the milvus: %s")             \
    X(TARGET_IS_SOURCE, 400, 400,                                             \
      "the target %s is the source cluster itself")                           \
    X(TARGET_DENIES, 400, 400,                                                \
      "the target %s refuses replicated messages: set common.ttMsgEnabled: "  \
      "false in its milvus.yaml and restart it (a source cluster refuses "    \
      "them as well: check that the target is not the source)")               \
    /* target, version */                                                     \
    X(TARGET_VERSION, 400, 400,                                               \
      "the target %s runs Milvus %s, which does not take replicated "         \
      "messages: use a target of version 2.3 to 2.5")                         \
    X(TARGET_AUTH, 400, 400,                                                  \
      "the target %s refuses the user, password or token")                    \
    /* target, id of the other task, collection on the target */              \
    X(TARGET_IN_USE, 400, 400,                                                \
      "the target %s is already fed by the task %s with %s: leave that out "  \
      "by `exclude_collections`, give it another name by `name_mapping`, or " \
      "delete that task first")                                               \
    /* what differs, and the cure */                                          \
    X(SCHEMA_DIFFERS, 400, 400, "%s")                                         \
    /* collections, since when, and the cure */                               \
    X(LOG_GAP, 400, 400, "%s")                                                \
                                                                              \
    /* ---- handlers: checks against the other tasks (the store) */           \
                                                                              \
    X(DUPLICATE_ROLE, 400, 400, "the enable user role param is duplicate")    \
    /* "db.collection", several separated by a space */                       \
    X(DUPLICATE_COLLECTION, 400, 400,                                         \
      "the collection name is duplicate with existing task, [%s]")            \
    /* task id, field */                                                      \
    X(TASK_EXISTS, 409, 409,                                                  \
      "there is a task %s already, which was created with another `%s`: "     \
      "delete it first, or take another `task_id`")                           \
    X(TASK_LIMIT, 500, 500, "the task num has reach the limit, %d")           \
    X(EMPTY_TASK_ID, 400, 400, "task_id is empty")                            \
    /* task id */                                                             \
    X(NOT_FOUND, 400, 400, "not found the task, task_id: %s")                 \
    X(GET_NOT_FOUND, 400, 400, "not found: [%s]")                             \
    X(HAS_PAUSED, 400, 400, "the task has paused, task_id: %s")               \
    X(HAS_RUNNING, 400, 400, "the task has running, task_id: %s")             \
    /* task id */                                                             \
    X(PARKED_RUNNING, 400, 400,                                               \
      "the task is running: pause it, try again, then resume it, task_id: %s")\
    /* id */                                                                  \
    X(PARKED_NOT_FOUND, 400, 400, "not found the parked message, id: %s")     \
    /* what LevelDB says */                                                   \
    X(PARKED_FAILED, 500, 500, "fail to look at the parked messages: %s")     \
    /* size, limit */                                                         \
    X(DOC_TOO_LARGE, 400, 400,                                                \
      "the task is too large to be kept, %d bytes of at most %d")             \
    /* which file, and what LevelDB or the system says */                     \
    X(STORE_FAILED, 500, 500, "fail to write the task store: %s")             \
    X(START_FAILED, 500, 500, "fail to start the task: %s")                   \
    X(INTERNAL, 500, 500, "internal error")


#endif /* CDC_ERROR_TABLE_H_INCLUDED */
