/*
 * Schemas of two sides (src/wire/cdc_schema.c).
 */

#include <stdlib.h>

#include "milvus_schema.pb-c.h"

#include "cdc_wire.h"
#include "tap.h"


typedef Milvus__Schema__FieldSchema     field_t;
typedef Milvus__Schema__FunctionSchema  function_t;

typedef struct {
    Milvus__Schema__CollectionSchema  schema;
    field_t                           f[8], *fields[8];
    function_t                        fn, *functions[1];
    Milvus__Common__KeyValuePair      kv[8], *params[8];
} schema_t;


static schema_t  mine, theirs;
static char      diff[CDC_REASON_MAX];


static void
param(schema_t *s, int i, const char *key, const char *value)
{
    milvus__common__key_value_pair__init(&s->kv[i]);
    s->kv[i].key = (char *) key;
    s->kv[i].value = (char *) value;
    s->params[i] = &s->kv[i];
    s->f[i].n_type_params = 1;
    s->f[i].type_params = &s->params[i];
}


/* id, name max_length 64, v dim 4, tags Array of VarChar max_capacity 8 */

static void
make(schema_t *s)
{
    int  i;

    static const char    *names[] = { "id", "name", "v", "tags" };
    static const int32_t  types[] = { 5, 21, 101, 22 };

    memset(s, 0, sizeof(schema_t));
    milvus__schema__collection_schema__init(&s->schema);
    milvus__schema__function_schema__init(&s->fn);

    for (i = 0; i < 8; i++) {
        milvus__schema__field_schema__init(&s->f[i]);
        s->fields[i] = &s->f[i];
    }

    for (i = 0; i < 4; i++) {
        s->f[i].fieldid = 100 + i;
        s->f[i].name = (char *) names[i];
        s->f[i].data_type = types[i];
    }

    s->f[0].is_primary_key = 1;
    s->f[3].element_type = 21;
    param(s, 1, "max_length", "64");
    param(s, 2, "dim", "4");
    param(s, 3, "max_capacity", "8");

    s->schema.name = (char *) "books";
    s->schema.n_fields = 4;
    s->schema.fields = s->fields;
}


static int
compare(void)
{
    int       rc;
    size_t    n, m;
    uint8_t   a[1024], b[1024];

    n = milvus__schema__collection_schema__pack(&mine.schema, a);
    m = milvus__schema__collection_schema__pack(&theirs.schema, b);
    rc = cdc_schema_compare(cdc_span_n(a, n), cdc_span_n(b, m), diff);

    make(&mine);
    make(&theirs);

    return rc;
}


static void
same(const char *what)
{
    is_int(compare(), CDC_OK, what);
    is_str(diff, "", "nothing said");
}


static void
differs(const char *what, const char *want)
{
    is_int(compare(), CDC_DECLINED, what);
    is_str(diff, want, "named");
}


static void
test_same(void)
{
    int  i;

    same("the same");

    theirs.schema.name = (char *) "other";
    theirs.schema.description = (char *) "a text";
    theirs.f[1].description = (char *) "a text";
    same("names and descriptions do not count");

    theirs.fields[1] = &theirs.f[2];
    theirs.fields[2] = &theirs.f[1];
    same("nor does the order");

    for (i = 0; i < 4; i++) {
        theirs.f[i].fieldid = 0;
    }

    same("nor ids that one side does not know");

    theirs.kv[1].value = (char *) "65535";
    theirs.kv[3].value = (char *) "9";
    same("larger limits on the target");

    mine.schema.n_fields = 7;
    mine.f[4].name = (char *) "RowID";
    mine.f[5].name = (char *) "Timestamp";
    mine.f[5].fieldid = 1;
    mine.f[6].name = (char *) "$meta";
    mine.f[6].fieldid = 104;
    mine.f[6].is_dynamic = 1;
    same("nor what Milvus adds");
}


static void
test_differs(void)
{
    theirs.kv[2].value = (char *) "8";
    differs("a dimension", "field \"v\" is FloatVector dim 4 on the source "
            "and FloatVector dim 8 on the target");

    theirs.kv[1].value = (char *) "63";
    differs("a smaller limit", "field \"name\" is VarChar max_length 64 on "
            "the source and VarChar max_length 63 on the target");

    theirs.f[1].n_type_params = 0;
    differs("no limit", "field \"name\" is VarChar max_length 64 on the "
            "source and VarChar on the target");

    theirs.f[1].data_type = 5;
    theirs.f[1].n_type_params = 0;
    theirs.f[2].name = (char *) "w";
    differs("several", "field \"name\" is VarChar max_length 64 on the source "
            "and Int64 on the target; field \"v\" (FloatVector dim 4) is not "
            "on the target; field \"w\" (FloatVector dim 4) is on the target "
            "only");

    theirs.f[3].element_type = 5;
    differs("an element type", "field \"tags\" is Array of VarChar "
            "max_capacity 8 on the source and Array of Int64 max_capacity 8 "
            "on the target");

    mine.f[0].autoid = 1;
    differs("auto ids", "field \"id\" is Int64 primary key auto id on the "
            "source and Int64 primary key on the target");

    mine.f[1].nullable = 1;
    mine.f[1].is_partition_key = 1;
    differs("nulls and a partition key", "field \"name\" is VarChar "
            "max_length 64 partition key nullable on the source and VarChar "
            "max_length 64 on the target");

    theirs.f[2].fieldid = 103;
    theirs.f[3].fieldid = 102;
    differs("ids", "field \"v\" has id 102 on the source and 103 on the "
            "target; field \"tags\" has id 103 on the source and 102 on the "
            "target");

    mine.schema.enable_dynamic_field = 1;
    differs("dynamic fields", "dynamic fields are allowed on the source "
            "only");

    mine.f[2].data_type = 4711;
    differs("a type of later versions", "field \"v\" is type 4711 dim 4 on "
            "the source and FloatVector dim 4 on the target");
}


static void
function(schema_t *s, const char *name, const char *input)
{
    static char  *in[2], *out[] = { (char *) "sparse" };
    char        **slot;

    slot = s == &mine ? &in[0] : &in[1];
    *slot = (char *) input;

    s->functions[0] = &s->fn;
    s->fn.name = (char *) name;
    s->fn.type = 1;
    s->fn.n_input_field_names = 1;
    s->fn.input_field_names = slot;
    s->fn.n_output_field_names = 1;
    s->fn.output_field_names = out;
    s->schema.n_functions = 1;
    s->schema.functions = s->functions;
}


static void
test_functions(void)
{
    function(&mine, "bm25", "name");
    function(&theirs, "bm25", "name");
    theirs.fn.id = 5;
    same("a function");

    function(&mine, "bm25", "name");
    differs("no function", "function \"bm25\" is not on the target");

    function(&mine, "bm25", "name");
    function(&theirs, "bm25", "tags");
    differs("another input", "function \"bm25\" is another on the target");

    function(&theirs, "bm25", "name");
    differs("one more", "function \"bm25\" is on the target only");
}


static void
test_edges(void)
{
    int       i;
    char      names[8][201];
    size_t    n;
    uint8_t   a[4096];

    is_int(cdc_schema_compare(cdc_span("\x22\x7f"), cdc_span(""), diff),
           CDC_ERROR, "damaged, the source's");
    is_int(cdc_schema_compare(cdc_span(""), cdc_span("\x22\x7f"), diff),
           CDC_ERROR, "damaged, the target's");

    mine.schema.n_fields = 8;

    for (i = 0; i < 8; i++) {
        memset(names[i], 'a' + i, 200);
        names[i][200] = '\0';
        mine.f[i].name = names[i];
        mine.f[i].fieldid = 100 + i;
    }

    n = milvus__schema__collection_schema__pack(&mine.schema, a);
    is_int(cdc_schema_compare(cdc_span_n(a, n), cdc_span(""), diff),
           CDC_DECLINED, "more than there is room to say");
    is_int((int64_t) strlen(diff), CDC_REASON_MAX - 1, "filled");
    is_str(diff + CDC_REASON_MAX - 4, "...", "it says so");
}


int
main(void)
{
    make(&mine);
    make(&theirs);

    test_same();
    test_differs();
    test_functions();
    test_edges();

    return done_testing();
}
