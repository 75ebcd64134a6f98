/*
 * Operations of the replicate channel.  One more operation is one more row.
 */

#include <string.h>

#include "cdc_wire_int.h"


#define CDC_OP_BASE          1
#define CDC_OP_BASE_TYPE     1
#define CDC_OP_BASE_INFO     7
#define CDC_OP_INFO_IS       1
#define CDC_OP_INFO_TS       2

#define CDC_OP_RENAME_NAME   4
#define CDC_OP_RENAME_DB     5

#define CDC_OP_METHOD(name)  "/milvus.proto.milvus.MilvusService/" name
#define cdc_op(name)         CDC_OP_METHOD(name), name


/* type, method and name, db_name, name(s), the source's id, repeated names,
 * nested status */

static const cdc_op_row_t  cdc_op_rows[] = {
    { CDC_MSG_LOAD_COLLECTION,        cdc_op("LoadCollection"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_RELEASE_COLLECTION,     cdc_op("ReleaseCollection"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_CREATE_ALIAS,           cdc_op("CreateAlias"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_DROP_ALIAS,             cdc_op("DropAlias"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_ALTER_ALIAS,            cdc_op("AlterAlias"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_ALTER_COLLECTION,       cdc_op("AlterCollection"),
      2, 3, 4, 0, 0 },
    { CDC_MSG_RENAME_COLLECTION,      cdc_op("RenameCollection"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_ALTER_COLLECTION_FIELD, cdc_op("AlterCollectionField"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_LOAD_PARTITIONS,        cdc_op("LoadPartitions"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_RELEASE_PARTITIONS,     cdc_op("ReleasePartitions"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_CREATE_INDEX,           cdc_op("CreateIndex"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_DROP_INDEX,             cdc_op("DropIndex"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_ALTER_INDEX,            cdc_op("AlterIndex"),
      2, 3, 0, 0, 0 },
    { CDC_MSG_FLUSH,                  cdc_op("Flush"),
      2, 3, 0, 1, 1 },
    { CDC_MSG_CREATE_DATABASE,        cdc_op("CreateDatabase"),
      2, 0, 0, 0, 0 },
    { CDC_MSG_DROP_DATABASE,          cdc_op("DropDatabase"),
      2, 0, 0, 0, 0 },
    { CDC_MSG_ALTER_DATABASE,         cdc_op("AlterDatabase"),
      2, 0, 3, 0, 0 },
};


static int cdc_wire_op_rename(cdc_op_envelope_t *op, const cdc_field_t *f);
static int cdc_wire_op_fields(cdc_chain_t *out, const cdc_op_envelope_t *op,
    const cdc_op_row_t *row, uint64_t ts, cdc_span_t db_name,
    const cdc_span_t *names, unsigned nnames);
static int cdc_wire_op_base(cdc_chain_t *out, int32_t type, uint64_t ts);


const cdc_op_row_t *
cdc_wire_op_row(int32_t type)
{
    size_t  i;

    for (i = 0; i < sizeof(cdc_op_rows) / sizeof(cdc_op_rows[0]); i++) {
        if (cdc_op_rows[i].type == type) {
            return &cdc_op_rows[i];
        }
    }

    return NULL;
}


int
cdc_wire_op_envelope(cdc_span_t msg, cdc_op_envelope_t *op)
{
    int                  rc;
    cdc_field_t          f;
    const cdc_op_row_t  *row;

    memset(op, 0, sizeof(cdc_op_envelope_t));
    op->raw = msg;

    if (cdc_wire_base(msg, &op->type, &op->ts) != CDC_OK) {
        return CDC_ERROR;
    }

    row = cdc_wire_op_row(op->type);
    if (row == NULL) {
        return CDC_OK;
    }

    op->known = 1;

    while ((rc = cdc_wire_next(&msg, &f)) == CDC_OK) {

        if (f.number != row->db_field && f.number != row->name_field) {

            if (op->type == CDC_MSG_RENAME_COLLECTION
                && cdc_wire_op_rename(op, &f) != CDC_OK)
            {
                return CDC_ERROR;
            }

            continue;
        }

        if (f.wire_type != CDC_WIRE_LEN) {
            return CDC_ERROR;
        }

        if (f.number == row->db_field) {
            op->db_name = f.body;

        } else if (!row->names_repeated) {
            op->names[0] = f.body;
            op->nnames = 1;

        } else if (op->nnames < CDC_OP_NAMES_MAX) {
            op->names[op->nnames++] = f.body;

        } else {
            return CDC_DECLINED;
        }
    }

    return rc == CDC_DONE ? CDC_OK : CDC_ERROR;
}


static int
cdc_wire_op_rename(cdc_op_envelope_t *op, const cdc_field_t *f)
{
    if (f->number != CDC_OP_RENAME_NAME && f->number != CDC_OP_RENAME_DB) {
        return CDC_OK;
    }

    if (f->wire_type != CDC_WIRE_LEN) {
        return CDC_ERROR;
    }

    if (f->number == CDC_OP_RENAME_NAME) {
        op->new_name = f->body;

    } else {
        op->new_db = f->body;
    }

    return CDC_OK;
}


int
cdc_wire_op_rewrite(cdc_chain_t *out, const cdc_op_envelope_t *op,
    uint64_t ts, cdc_span_t db_name, const cdc_span_t *names, unsigned nnames)
{
    cdc_chain_pos_t      pos;
    const cdc_op_row_t  *row;

    row = cdc_wire_op_row(op->type);
    if (row == NULL) {
        return CDC_DECLINED;
    }

    if (row->name_field == 0) {
        names = NULL;
    }

    if (names && !row->names_repeated && nnames != 1) {
        return CDC_ERROR;
    }

    cdc_chain_save(out, &pos);

    if (cdc_wire_op_fields(out, op, row, ts, db_name, names, nnames)
        != CDC_OK)
    {
        cdc_chain_rollback(out, &pos);
        return CDC_ERROR;
    }

    return CDC_OK;
}


static int
cdc_wire_op_fields(cdc_chain_t *out, const cdc_op_envelope_t *op,
    const cdc_op_row_t *row, uint64_t ts, cdc_span_t db_name,
    const cdc_span_t *names, unsigned nnames)
{
    unsigned  i;
    uint64_t  drop;

    drop = cdc_wire_bit(CDC_OP_BASE) | cdc_wire_bit(row->db_field)
           | cdc_wire_bit(row->id_field);

    if (cdc_wire_op_base(out, op->type, ts) != CDC_OK
        || cdc_wire_set_bytes(out, row->db_field, db_name) != CDC_OK)
    {
        return CDC_ERROR;
    }

    if (names) {

        drop |= cdc_wire_bit(row->name_field);

        for (i = 0; i < nnames; i++) {
            if (cdc_chain_bytes_field(out, row->name_field, names[i])
                != CDC_OK)
            {
                return CDC_ERROR;
            }
        }
    }

    return cdc_wire_splice(out, op->raw, drop);
}


static int
cdc_wire_op_base(cdc_chain_t *out, int32_t type, uint64_t ts)
{
    size_t  base, info;

    if (cdc_chain_open(out, CDC_OP_BASE, &base) != CDC_OK
        || cdc_chain_varint_field(out, CDC_OP_BASE_TYPE, (uint32_t) type)
           != CDC_OK
        || cdc_chain_open(out, CDC_OP_BASE_INFO, &info) != CDC_OK
        || cdc_chain_varint_field(out, CDC_OP_INFO_IS, 1) != CDC_OK
        || cdc_wire_set_varint(out, CDC_OP_INFO_TS, ts) != CDC_OK)
    {
        return CDC_ERROR;
    }

    cdc_chain_close(out, info);
    cdc_chain_close(out, base);

    return CDC_OK;
}
