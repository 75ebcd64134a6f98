/*
 * What Milvus 2.3.5 wrote into etcd (below by-dev/meta/, by revision):
 *
 * rbac_events: users, a new password, roles, memberships, grants (for one
 * collection, all, one database, all databases), revokes, a role dropped and
 * users deleted; then what stayed; at the end grants of public.
 *
 * life_events: a database; collections c1 and c2; the alias al on c1, moved
 * to c2, dropped after c2b; properties of c1 set twice (the first time it
 * writes what was before), c1 renamed, and moved into the database; c2
 * renamed and dropped under its alias; al2 on c1c, dropped after it; the
 * database dropped.
 *
 * swap_events: r1 with everything that 2.3 has, and r2, each loaded into the
 * resource group rg1; then their names are swapped.
 */

#ifndef SOURCE_RBAC_SAMPLES_H_INCLUDED
#define SOURCE_RBAC_SAMPLES_H_INCLUDED

#include "source_sample.h"


static const sample_t  rbac_events[] = {
    { 37, 0,
      "root-coord/credential/users/alice",
      85, "{\042encrypted_password\042:\042$2a$04$JkY0w7nh1adnK2SIE"
          "NMr8eT9EmHW2EAvdZLxjkXMEZbJeWcm3/QBy\042}" },
    { 38, 0,
      "root-coord/credential/users/bob",
      85, "{\042encrypted_password\042:\042$2a$04$o54NwkRO4hxe7cZfV"
          "Zi4HuxuJsd6BpPXC9v3Cz2L2Gx2W0J6jcvmy\042}" },
    { 39, 0,
      "root-coord/credential/users/alice",
      85, "{\042encrypted_password\042:\042$2a$04$kkh9sWApxX81mXXDi"
          "/w36.GrJBDe2g3.NqYjKANSw.hUZD.9HGEIe\042}" },
    { 40, 0,
      "root-coord/credential/roles/reader",
      0, "" },
    { 41, 0,
      "root-coord/credential/roles/other",
      0, "" },
    { 42, 0,
      "root-coord/credential/user-role-mapping/alice/reader",
      0, "" },
    { 44, 0,
      "root-coord/credential/user-role-mapping/alice/other",
      0, "" },
    { 45, 0,
      "root-coord/credential/grantee-privileges/reader/Collection"
      "/default.*",
      16, "06a8a0982cd65dd1" },
    { 46, 0,
      "root-coord/credential/grantee-id/06a8a0982cd65dd1/Privileg"
      "eSearch",
      4, "root" },
    { 47, 0,
      "root-coord/credential/grantee-privileges/reader/Collection"
      "/default.books",
      16, "ef5e1c295ab2421d" },
    { 48, 0,
      "root-coord/credential/grantee-id/ef5e1c295ab2421d/Privileg"
      "eInsert",
      4, "root" },
    { 49, 0,
      "root-coord/credential/grantee-privileges/reader/Global/def"
      "ault.*",
      16, "95af47186b4f3047" },
    { 50, 0,
      "root-coord/credential/grantee-id/95af47186b4f3047/*",
      4, "root" },
    { 51, 0,
      "root-coord/credential/grantee-id/95af47186b4f3047/Privileg"
      "eCreateCollection",
      4, "root" },
    { 52, 0,
      "root-coord/credential/grantee-privileges/reader/User/defau"
      "lt.*",
      16, "93ef246bbc3dfb20" },
    { 53, 0,
      "root-coord/credential/grantee-id/93ef246bbc3dfb20/Privileg"
      "eUpdateUser",
      4, "root" },
    { 55, 0,
      "root-coord/credential/grantee-privileges/reader/Collection"
      "/d1.books",
      16, "6168c56ae5cb413b" },
    { 56, 0,
      "root-coord/credential/grantee-id/6168c56ae5cb413b/Privileg"
      "eQuery",
      4, "root" },
    { 57, 0,
      "root-coord/credential/grantee-privileges/reader/Collection"
      "/*.*",
      16, "8ee574c5f020ce44" },
    { 58, 0,
      "root-coord/credential/grantee-id/8ee574c5f020ce44/Privileg"
      "eDelete",
      4, "root" },
    { 60, 1,
      "root-coord/credential/grantee-id/06a8a0982cd65dd1/Privileg"
      "eSearch",
      0, "" },
    { 61, 1,
      "root-coord/credential/grantee-id/ef5e1c295ab2421d/Privileg"
      "eInsert",
      0, "" },
    { 62, 1,
      "root-coord/credential/user-role-mapping/alice/reader",
      0, "" },
    { 63, 1,
      "root-coord/credential/grantee-id/95af47186b4f3047/*",
      0, "" },
    { 64, 1,
      "root-coord/credential/grantee-id/95af47186b4f3047/Privileg"
      "eCreateCollection",
      0, "" },
    { 65, 1,
      "root-coord/credential/grantee-id/93ef246bbc3dfb20/Privileg"
      "eUpdateUser",
      0, "" },
    { 67, 1,
      "root-coord/credential/grantee-id/6168c56ae5cb413b/Privileg"
      "eQuery",
      0, "" },
    { 68, 1,
      "root-coord/credential/grantee-id/8ee574c5f020ce44/Privileg"
      "eDelete",
      0, "" },
    { 69, 1,
      "root-coord/credential/roles/reader",
      0, "" },
    { 70, 1,
      "root-coord/credential/users/bob",
      0, "" },
    { 71, 1,
      "root-coord/credential/users/alice",
      0, "" },
    { 71, 1,
      "root-coord/credential/user-role-mapping/alice/other",
      0, "" },
    { 111, 0,
      "root-coord/credential/users/carol",
      85, "{\042encrypted_password\042:\042$2a$04$FgKn51zeKOUDxO4ho"
          "TllN.DqfiR9iFXiCqzmrcQjJmpIFlD/hEh.W\042}" },
    { 112, 0,
      "root-coord/credential/roles/writer",
      0, "" },
    { 113, 0,
      "root-coord/credential/user-role-mapping/carol/writer",
      0, "" },
    { 114, 0,
      "root-coord/credential/grantee-privileges/writer/Collection"
      "/default.books",
      16, "924488875083fa98" },
    { 115, 0,
      "root-coord/credential/grantee-id/924488875083fa98/Privileg"
      "eInsert",
      4, "root" },
    { 116, 0,
      "root-coord/credential/grantee-privileges/writer/Collection"
      "/*.*",
      16, "a91dc973a84fdbe8" },
    { 117, 0,
      "root-coord/credential/grantee-id/a91dc973a84fdbe8/Privileg"
      "eSearch",
      4, "root" },
    { 118, 0,
      "root-coord/credential/grantee-privileges/writer/Global/def"
      "ault.*",
      16, "43905c411649423d" },
    { 119, 0,
      "root-coord/credential/grantee-id/43905c411649423d/*",
      4, "root" },
    { 120, 0,
      "root-coord/credential/user-role-mapping/carol/admin",
      0, "" },
    { 266, 0,
      "root-coord/credential/grantee-privileges/public/Collection"
      "/default.books",
      16, "823fa397ede96720" },
    { 267, 0,
      "root-coord/credential/grantee-id/823fa397ede96720/Privileg"
      "eLoad",
      4, "root" },
    { 268, 1,
      "root-coord/credential/grantee-id/250dd41b686083b0/Privileg"
      "eShowCollections",
      0, "" },
    { 269, 0,
      "root-coord/credential/user-role-mapping/root/writer",
      0, "" },
};

static const sample_t  life_events[] = {
    { 54, 0,
      "root-coord/database/db-info/470621674258563284",
      26, "\022\002d1\030\324\201\240\256\265\375\376\303\006 \001("
          "\266\321\332\232\212\237\207\365\030" },
    { 54, 0,
      "snapshots/root-coord/database/db-info/470621674258563284_t"
      "s470621685188919298",
      26, "\022\002d1\030\324\201\240\256\265\375\376\303\006 \001("
          "\266\321\332\232\212\237\207\365\030" },
    { 72, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      139, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002h\001x\001" },
    { 72, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621686565437448",
      139, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002h\001x\001" },
    { 73, 0,
      "root-coord/partitions/470621674258563315/47062167425856331"
      "6",
      40, "\010\364\201\240\256\265\375\376\303\006\022\010_default"
          "\030\210\200\320\232\343\375\376\303\006 \363\201\240"
          "\256\265\375\376\303\006" },
    { 73, 0,
      "root-coord/fields/470621674258563315/101",
      17, "\010e\022\001v(e2\010\012\003dim\022\0014" },
    { 73, 0,
      "root-coord/fields/470621674258563315/100",
      10, "\010d\022\002id\030\001(\005" },
    { 73, 0,
      "root-coord/fields/470621674258563315/0",
      17, "\022\005RowID\042\006row id(\005" },
    { 73, 0,
      "root-coord/fields/470621674258563315/1",
      27, "\010\001\022\011Timestamp\042\012time stamp(\005" },
    { 76, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      137, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002x\001" },
    { 76, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621686565437448",
      137, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002x\001" },
    { 77, 0,
      "root-coord/database/collection-info/1/470621674258563320",
      139, "\010\370\201\240\256\265\375\376\303\006\022\004\012\002"
          "c2\030\205\200\340\240\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dml"
          "_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002h\001x\001" },
    { 77, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563320_ts470621686578282501",
      139, "\010\370\201\240\256\265\375\376\303\006\022\004\012\002"
          "c2\030\205\200\340\240\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dml"
          "_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002h\001x\001" },
    { 78, 0,
      "root-coord/fields/470621674258563320/101",
      17, "\010e\022\001v(e2\010\012\003dim\022\0014" },
    { 78, 0,
      "root-coord/fields/470621674258563320/0",
      17, "\022\005RowID\042\006row id(\005" },
    { 78, 0,
      "root-coord/fields/470621674258563320/1",
      27, "\010\001\022\011Timestamp\042\012time stamp(\005" },
    { 78, 0,
      "root-coord/partitions/470621674258563320/47062167425856332"
      "1",
      40, "\010\371\201\240\256\265\375\376\303\006\022\010_default"
          "\030\205\200\340\240\343\375\376\303\006 \370\201\240"
          "\256\265\375\376\303\006" },
    { 78, 0,
      "root-coord/fields/470621674258563320/100",
      10, "\010d\022\002id\030\001(\005" },
    { 81, 0,
      "root-coord/database/collection-info/1/470621674258563320",
      137, "\010\370\201\240\256\265\375\376\303\006\022\004\012\002"
          "c2\030\205\200\340\240\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dml"
          "_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002x\001" },
    { 81, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563320_ts470621686578282501",
      137, "\010\370\201\240\256\265\375\376\303\006\022\004\012\002"
          "c2\030\205\200\340\240\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dml"
          "_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002x\001" },
    { 84, 0,
      "root-coord/database/aliases/1/al",
      26, "\012\002al\020\363\201\240\256\265\375\376\303\006\030"
          "\202\200\240\306\343\375\376\303\006(\001" },
    { 84, 0,
      "snapshots/root-coord/database/aliases/1/al_ts4706216866569"
      "25698",
      26, "\012\002al\020\363\201\240\256\265\375\376\303\006\030"
          "\202\200\240\306\343\375\376\303\006(\001" },
    { 87, 0,
      "root-coord/database/aliases/1/al",
      26, "\012\002al\020\370\201\240\256\265\375\376\303\006\030"
          "\202\200\240\221\344\375\376\303\006(\001" },
    { 87, 0,
      "snapshots/root-coord/database/aliases/1/al_ts4706216868142"
      "12098",
      26, "\012\002al\020\370\201\240\256\265\375\376\303\006\030"
          "\202\200\240\221\344\375\376\303\006(\001" },
    { 89, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      137, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002x\001" },
    { 89, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621686893117442",
      137, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002x\001" },
    { 90, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      167, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\034\012\026collection.tt"
          "l.seconds\022\00299x\001" },
    { 90, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621686971498498",
      167, "\010\363\201\240\256\265\375\376\303\006\022\004\012\002"
          "c1\030\210\200\320\232\343\375\376\303\006:+by-dev-rootc"
          "oord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dml"
          "_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\034\012\026collection.tt"
          "l.seconds\022\00299x\001" },
    { 91, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      191, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1b\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\035\012\026collection.tt"
          "l.seconds\022\003100r\024\012\014mmap.enabled\022\004tru"
          "ex\001" },
    { 91, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621687063248897",
      191, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1b\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\035\012\026collection.tt"
          "l.seconds\022\003100r\024\012\014mmap.enabled\022\004tru"
          "ex\001" },
    { 92, 0,
      "root-coord/database/collection-info/1/470621674258563315",
      TOMBSTONE },
    { 92, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563315_ts470621687142154242",
      TOMBSTONE },
    { 92, 0,
      "root-coord/database/collection-info/470621674258563284/470"
      "621674258563315",
      199, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1c\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\035\012\026collection.tt"
          "l.seconds\022\003100r\024\012\014mmap.enabled\022\004tru"
          "ex\324\201\240\256\265\375\376\303\006" },
    { 92, 0,
      "snapshots/root-coord/database/collection-info/470621674258"
      "563284/470621674258563315_ts470621687142154242",
      199, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1c\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002r\035\012\026collection.tt"
          "l.seconds\022\003100r\024\012\014mmap.enabled\022\004tru"
          "ex\324\201\240\256\265\375\376\303\006" },
    { 93, 0,
      "root-coord/database/collection-info/1/470621674258563320",
      138, "\010\370\201\240\256\265\375\376\303\006\022\005\012\003"
          "c2b\030\205\200\340\240\343\375\376\303\006:+by-dev-root"
          "coord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dm"
          "l_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002x\001" },
    { 93, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563320_ts470621687220535298",
      138, "\010\370\201\240\256\265\375\376\303\006\022\005\012\003"
          "c2b\030\205\200\340\240\343\375\376\303\006:+by-dev-root"
          "coord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dm"
          "l_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002x\001" },
    { 94, 0,
      "root-coord/database/collection-info/1/470621674258563320",
      140, "\010\370\201\240\256\265\375\376\303\006\022\005\012\003"
          "c2b\030\205\200\340\240\343\375\376\303\006:+by-dev-root"
          "coord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dm"
          "l_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002h\002x\001" },
    { 94, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58563320_ts470621687299440644",
      140, "\010\370\201\240\256\265\375\376\303\006\022\005\012\003"
          "c2b\030\205\200\340\240\343\375\376\303\006:+by-dev-root"
          "coord-dml_1_470621674258563320v0B\026by-dev-rootcoord-dm"
          "l_1P\001Z\042\012\026by-dev-rootcoord-dml_1\022\010\003"
          "\000\234U\353\373\207\006`\002h\002x\001" },
    { 95, 0,
      "root-coord/database/aliases/1/al",
      TOMBSTONE },
    { 95, 0,
      "snapshots/root-coord/database/aliases/1/al_ts4706216873780"
      "83843",
      TOMBSTONE },
    { 101, 0,
      "root-coord/database/aliases/470621674258563284/al2",
      35, "\012\003al2\020\363\201\240\256\265\375\376\303\006\030"
          "\205\200\200\351\346\375\376\303\006(\324\201\240\256"
          "\265\375\376\303\006" },
    { 101, 0,
      "snapshots/root-coord/database/aliases/470621674258563284/a"
      "l2_ts470621687535108101",
      35, "\012\003al2\020\363\201\240\256\265\375\376\303\006\030"
          "\205\200\200\351\346\375\376\303\006(\324\201\240\256"
          "\265\375\376\303\006" },
    { 102, 0,
      "root-coord/database/collection-info/470621674258563284/470"
      "621674258563315",
      201, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1c\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002h\002r\035\012\026collecti"
          "on.ttl.seconds\022\003100r\024\012\014mmap.enabled\022"
          "\004truex\324\201\240\256\265\375\376\303\006" },
    { 102, 0,
      "snapshots/root-coord/database/collection-info/470621674258"
      "563284/470621674258563315_ts470621687626858499",
      201, "\010\363\201\240\256\265\375\376\303\006\022\005\012\003"
          "c1c\030\210\200\320\232\343\375\376\303\006:+by-dev-root"
          "coord-dml_0_470621674258563315v0B\026by-dev-rootcoord-dm"
          "l_0P\001Z\042\012\026by-dev-rootcoord-dml_0\022\010\002"
          "\000\234U\353\373\207\006`\002h\002r\035\012\026collecti"
          "on.ttl.seconds\022\003100r\024\012\014mmap.enabled\022"
          "\004truex\324\201\240\256\265\375\376\303\006" },
    { 104, 0,
      "root-coord/database/aliases/470621674258563284/al2",
      TOMBSTONE },
    { 104, 0,
      "snapshots/root-coord/database/aliases/470621674258563284/a"
      "l2_ts470621687705501698",
      TOMBSTONE },
    { 110, 0,
      "root-coord/database/db-info/470621674258563284",
      TOMBSTONE },
    { 110, 0,
      "snapshots/root-coord/database/db-info/470621674258563284_t"
      "s470621687862788100",
      TOMBSTONE },
};

static const sample_t  swap_events[] = {
    { 227, 0,
      "root-coord/database/collection-info/1/470621674258564966",
      200, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r1\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006h\001r\033"
          "\012\026collection.ttl.seconds\022\0015r\024\012\014mmap"
          ".enabled\022\004truex\001" },
    { 227, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58564966_ts470621771119722503",
      200, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r1\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006h\001r\033"
          "\012\026collection.ttl.seconds\022\0015r\024\012\014mmap"
          ".enabled\022\004truex\001" },
    { 228, 0,
      "root-coord/fields/470621674258564966/103",
      17, "\010g\022\001v(e2\010\012\003dim\022\0014" },
    { 228, 0,
      "root-coord/fields/470621674258564966/100",
      19, "\010d\022\002id\030\001\042\007the key(\005" },
    { 228, 0,
      "root-coord/fields/470621674258564966/1",
      27, "\010\001\022\011Timestamp\042\012time stamp(\005" },
    { 228, 0,
      "root-coord/fields/470621674258564966/104",
      29, "\010h\022\005$meta\042\016dynamic schema(\027`\001" },
    { 228, 0,
      "root-coord/partitions/470621674258564966/47062167425856496"
      "9",
      42, "\010\351\216\240\256\265\375\376\303\006\022\012_default"
          "_2\030\207\200\240\231\236\200\377\303\006 \346\216\240"
          "\256\265\375\376\303\006" },
    { 228, 0,
      "root-coord/partitions/470621674258564966/47062167425856496"
      "8",
      42, "\010\350\216\240\256\265\375\376\303\006\022\012_default"
          "_1\030\207\200\240\231\236\200\377\303\006 \346\216\240"
          "\256\265\375\376\303\006" },
    { 228, 0,
      "root-coord/fields/470621674258564966/0",
      17, "\022\005RowID\042\006row id(\005" },
    { 228, 0,
      "root-coord/fields/470621674258564966/102",
      29, "\010f\022\003pk2(\0252\020\012\012max_length\022\00230h"
          "\001" },
    { 228, 0,
      "root-coord/fields/470621674258564966/101",
      30, "\010e\022\003arr(\0262\021\012\014max_capacity\022\0017P"
          "\004" },
    { 228, 0,
      "root-coord/partitions/470621674258564966/47062167425856496"
      "7",
      42, "\010\347\216\240\256\265\375\376\303\006\022\012_default"
          "_0\030\207\200\240\231\236\200\377\303\006 \346\216\240"
          "\256\265\375\376\303\006" },
    { 231, 0,
      "root-coord/database/collection-info/1/470621674258564966",
      198, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r1\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
    { 231, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58564966_ts470621771119722503",
      198, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r1\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
    { 232, 0,
      "field-index/470621674258564966/470621674258564973",
      139, "\012\177\010\346\216\240\256\265\375\376\303\006\020g"
          "\032\001v \355\216\240\256\265\375\376\303\006*\010\012"
          "\003dim\022\00142\022\012\012index_type\022\004FLAT2\021"
          "\012\013metric_type\022\002L2b\022\012\012index_type\022"
          "\004FLATb\021\012\013metric_type\022\002L2b\014\012\006p"
          "arams\022\002{}\030\213\200\240\231\236\200\377\303\006" },
    { 235, 0,
      "root-coord/database/aliases/1/ra",
      26, "\012\002ra\020\346\216\240\256\265\375\376\303\006\030"
          "\203\200\340\327\236\200\377\303\006(\001" },
    { 235, 0,
      "snapshots/root-coord/database/aliases/1/ra_ts4706217712507"
      "94499",
      26, "\012\002ra\020\346\216\240\256\265\375\376\303\006\030"
          "\203\200\340\327\236\200\377\303\006(\001" },
    { 238, 0,
      "querycoord-replica/470621674258564966/470621674607738881",
      28, "\010\201\200\340\324\266\375\376\303\006\020\346\216\240"
          "\256\265\375\376\303\006\032\001\001\042\003rg1" },
    { 244, 0,
      "querycoord-partition-loadinfo/470621674258564966/470621674"
      "258564967",
      38, "\010\346\216\240\256\265\375\376\303\006\020\347\216\240"
          "\256\265\375\376\303\006\030\001 \002*\014\010g\020\355"
          "\216\240\256\265\375\376\303\006" },
    { 245, 0,
      "querycoord-partition-loadinfo/470621674258564966/470621674"
      "258564968",
      38, "\010\346\216\240\256\265\375\376\303\006\020\350\216\240"
          "\256\265\375\376\303\006\030\001 \002*\014\010g\020\355"
          "\216\240\256\265\375\376\303\006" },
    { 246, 0,
      "querycoord-partition-loadinfo/470621674258564966/470621674"
      "258564969",
      38, "\010\346\216\240\256\265\375\376\303\006\020\351\216\240"
          "\256\265\375\376\303\006\030\001 \002*\014\010g\020\355"
          "\216\240\256\265\375\376\303\006" },
    { 247, 0,
      "querycoord-collection-loadinfo/470621674258564966",
      30, "\010\346\216\240\256\265\375\376\303\006\030\001 \002*"
          "\014\010g\020\355\216\240\256\265\375\376\303\0060\002" },
    { 248, 0,
      "root-coord/database/collection-info/1/470621674258565006",
      139, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r2\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002h\001x\001" },
    { 248, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58565006_ts470621772325584897",
      139, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r2\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002h\001x\001" },
    { 249, 0,
      "root-coord/partitions/470621674258565006/47062167425856500"
      "7",
      40, "\010\217\217\240\256\265\375\376\303\006\022\010_default"
          "\030\201\200\240\330\242\200\377\303\006 \216\217\240"
          "\256\265\375\376\303\006" },
    { 249, 0,
      "root-coord/fields/470621674258565006/100",
      12, "\010d\022\002id\030\001(\005@\001" },
    { 249, 0,
      "root-coord/fields/470621674258565006/101",
      17, "\010e\022\001v(e2\010\012\003dim\022\0014" },
    { 249, 0,
      "root-coord/fields/470621674258565006/0",
      17, "\022\005RowID\042\006row id(\005" },
    { 249, 0,
      "root-coord/fields/470621674258565006/1",
      27, "\010\001\022\011Timestamp\042\012time stamp(\005" },
    { 252, 0,
      "root-coord/database/collection-info/1/470621674258565006",
      137, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r2\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002x\001" },
    { 252, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58565006_ts470621772325584897",
      137, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r2\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002x\001" },
    { 253, 0,
      "field-index/470621674258565006/470621674258565011",
      139, "\012\177\010\216\217\240\256\265\375\376\303\006\020e"
          "\032\001v \223\217\240\256\265\375\376\303\006*\010\012"
          "\003dim\022\00142\022\012\012index_type\022\004FLAT2\021"
          "\012\013metric_type\022\002L2b\022\012\012index_type\022"
          "\004FLATb\021\012\013metric_type\022\002L2b\014\012\006p"
          "arams\022\002{}\030\205\200\240\330\242\200\377\303\006" },
    { 256, 0,
      "querycoord-replica/470621674258565006/470621674607738882",
      28, "\010\202\200\340\324\266\375\376\303\006\020\216\217\240"
          "\256\265\375\376\303\006\032\001\001\042\003rg1" },
    { 260, 0,
      "querycoord-partition-loadinfo/470621674258565006/470621674"
      "258565007",
      38, "\010\216\217\240\256\265\375\376\303\006\020\217\217\240"
          "\256\265\375\376\303\006\030\001 \002*\014\010e\020\223"
          "\217\240\256\265\375\376\303\006" },
    { 261, 0,
      "querycoord-collection-loadinfo/470621674258565006",
      30, "\010\216\217\240\256\265\375\376\303\006\030\001 \002*"
          "\014\010e\020\223\217\240\256\265\375\376\303\0060\002" },
    { 262, 0,
      "root-coord/database/collection-info/1/470621674258564966",
      199, "\010\346\216\240\256\265\375\376\303\006\022\021\012\003"
          "tmp\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
    { 262, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58564966_ts470621773361053698",
      199, "\010\346\216\240\256\265\375\376\303\006\022\021\012\003"
          "tmp\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
    { 263, 0,
      "root-coord/database/collection-info/1/470621674258565006",
      137, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r1\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002x\001" },
    { 263, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58565006_ts470621773439696900",
      137, "\010\216\217\240\256\265\375\376\303\006\022\004\012\002"
          "r1\030\201\200\240\330\242\200\377\303\006:+by-dev-rootc"
          "oord-dml_3_470621674258565006v0B\026by-dev-rootcoord-dml"
          "_3P\001Z\042\012\026by-dev-rootcoord-dml_3\022\010M\000"
          "\234U\353\373\207\006`\002x\001" },
    { 265, 0,
      "root-coord/database/collection-info/1/470621674258564966",
      198, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r2\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
    { 265, 0,
      "snapshots/root-coord/database/collection-info/1/4706216742"
      "58564966_ts470621773518340098",
      198, "\010\346\216\240\256\265\375\376\303\006\022\020\012\002"
          "r2\022\010about r1(\001\030\207\200\240\231\236\200\377"
          "\303\006:+by-dev-rootcoord-dml_2_470621674258564966v0B"
          "\026by-dev-rootcoord-dml_2P\001Z\042\012\026by-dev-rootc"
          "oord-dml_2\022\0103\000\234U\353\373\207\006r\033\012"
          "\026collection.ttl.seconds\022\0015r\024\012\014mmap.ena"
          "bled\022\004truex\001" },
};


#endif /* SOURCE_RBAC_SAMPLES_H_INCLUDED */
