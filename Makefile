# make             build/ngx_http_milvus_cdc_module.so, build/milvus-cdc-helper
# make helper      the helper alone
# make module      the module alone
# make check       C unit tests (t/unit/test_*.c), TAP under prove, JOBS at a
#                  time
# make fuzz        fuzz targets (t/fuzz/*.c), FUZZ_SECONDS each; FUZZ=<names>
# make bench       what bench/run needs: null-target, micro-benchmarks
# make install     into nginx's modules folder and HELPER_PATH
# make SANITIZE=1  the same with ASan and UBSan, in build-asan/
# make FAULTS=1    with fault points for t/chaos, in build-faults/
#
# BUILD=<folder> builds elsewhere, so that several builds can go side by side.

NGINX         ?= nginx
# that of nginx-dev: installed, or brought by t/run
NGINX_SRC     ?= $(patsubst %/configure,%,$(firstword $(wildcard \
                     /usr/share/nginx/src/configure \
                     $(TOP)/build-nginx/usr/share/nginx/src/configure)))
HELPER_PATH   ?= /usr/lib/nginx/milvus-cdc-helper
DESTDIR       ?=

# V=1 shows the commands
ifeq ($(V),1)
say            =
Q             :=
else
say            = @echo "  $(1)"
Q             := @
endif

FUZZ_SECONDS  ?= 10

CC            ?= cc
PKG_CONFIG    ?= pkg-config
PROTOC_C      ?= protoc-c
PROVE         ?= prove

TOP           := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

OPT           := -O2 -g
HARDEN        := -fstack-protector-strong -Wformat -Werror=format-security

# never for an installation: processes that may end by themselves, and are
# started again without a back-off
ifeq ($(FAULTS),1)
FAULT_DEFS    := -DCDC_FAULTS
BUILD         ?= $(TOP)/build-faults$(if $(filter 1,$(SANITIZE)),-asan)
endif

ifeq ($(SANITIZE),1)
BUILD         ?= $(TOP)/build-asan
SAN           := -fsanitize=address,undefined -fno-sanitize-recover=undefined \
                 -fno-omit-frame-pointer
OPT           := -O1 -g
else
BUILD         ?= $(TOP)/build
SAN           :=
HARDEN        += -D_FORTIFY_SOURCE=2
endif

# set by the "fuzz" target for its own build
ifeq ($(FUZZ_BUILD),1)
SAN           := -fsanitize=address,undefined,fuzzer-no-link \
                 -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT           := -O1 -g
HARDEN        :=
endif

B             := $(abspath $(BUILD))
MODULE        := $(B)/ngx_http_milvus_cdc_module.so
HELPER        := $(B)/milvus-cdc-helper

.PHONY: all module helper objects check bench fuzz fuzz-bins install clean
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:

all: module helper


# ---- helper ----------------------------------------------------------

PKGS          := grpc libprotobuf-c rdkafka jansson rocksdb openssl

ifneq ($(filter-out clean module,$(or $(MAKECMDGOALS),all)),)
PKG_CFLAGS    := $(shell $(PKG_CONFIG) --cflags $(PKGS))
PKG_LIBS      := $(shell $(PKG_CONFIG) --libs $(PKGS))
# loaded when it is needed, by the name that a link would give it
ROCKSDB_SO    := $(shell objdump -p "$$($(CC) -print-file-name=librocksdb.so)" \
                     | awk '$$1 == "SONAME" { print $$2 }')
ifeq ($(and $(PKG_LIBS),$(ROCKSDB_SO)),)
$(error a library is missing ($(PKGS)): run "sh t/run build")
endif
endif

PROTOS        := $(wildcard $(TOP)/proto/*.proto)
PROTO_C       := $(PROTOS:$(TOP)/proto/%.proto=$(B)/proto/%.pb-c.c)
PROTO_H       := $(PROTO_C:.c=.h)
PROTO_O       := $(PROTO_C:.c=.o)

ROLES         := helper store replicator source target wire
HELPER_C      := $(sort $(foreach r,$(ROLES),$(wildcard $(TOP)/src/$(r)/*.c))) \
                 $(wildcard $(TOP)/src/http/cdc_*.c)
HELPER_O      := $(HELPER_C:$(TOP)/%.c=$(B)/obj/%.o)
MAIN_O        := $(B)/obj/src/helper/cdc_main.o
LIB_O         := $(filter-out $(MAIN_O),$(HELPER_O)) $(PROTO_O)
LIB           := $(B)/libcdc.a

INCS          := -I$(TOP)/include -I$(B)/proto $(PKG_CFLAGS)
DEFS          := -D_GNU_SOURCE $(FAULT_DEFS) $(EXTRA_DEFS)
CFLAGS_ALL    := -std=gnu11 $(OPT) $(HARDEN) $(SAN) -pthread $(CFLAGS)
WARN          := -Wall -Wextra -Werror -Wno-unused-parameter
LIBS          := $(PKG_LIBS) -lleveldb -lpthread

helper: $(HELPER)

objects: $(LIB) $(MAIN_O)

# RocksDB, which is not linked, finds this function here: cdc_rocksmq_crc.c
LEND          := -Wl,--export-dynamic-symbol=_ZN7rocksdb6crc32c6ExtendEjPKcm

$(HELPER): $(MAIN_O) $(LIB)
	$(call say,LINK $(@F))
	$(Q)$(CC) $(SAN) -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(LEND) \
	    $(LDFLAGS) -o $@.tmp $^ $(LIBS)
	@mv -f $@.tmp $@

$(LIB): $(LIB_O)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

# all generated headers come first: sources include them by bare name
$(B)/obj/%.o: $(TOP)/%.c $(TOP)/Makefile | $(PROTO_H)
	@mkdir -p $(@D)
	$(call say,CC $(<:$(TOP)/%=%))
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -MMD -MP -c -o $@ $<

# the proto files import each other by bare name: one change makes all anew
$(B)/proto/%.pb-c.c $(B)/proto/%.pb-c.h &: $(TOP)/proto/%.proto $(PROTOS)
	@mkdir -p $(@D)
	$(call say,PROTOC $(<F))
	$(Q)$(PROTOC_C) --proto_path=$(TOP)/proto --c_out=$(B)/proto $<

$(B)/proto/%.pb-c.o: $(B)/proto/%.pb-c.c | $(PROTO_H)
	$(call say,CC $(<F))
	$(Q)$(CC) $(CFLAGS_ALL) -Wall -Werror $(INCS) -c -o $@ $<

$(B)/obj/src/source/cdc_rocksdb.o: \
    DEFS += -DCDC_ROCKSDB_SO='"$(ROCKSDB_SO)"'

-include $(HELPER_O:.o=.d)


# ---- module ----------------------------------------------------------

# nginx's own build does it (config, config.make), in a folder of its own so
# that the installed sources stay as they are

NGX_OBJS      := $(B)/nginx
NGX_MAKE      := $(NGX_OBJS)/Makefile
NGX_CC_OPT    := $(OPT) $(HARDEN) $(SAN) $(FAULT_DEFS) $(CFLAGS) -fPIC
NGX_LD_OPT    := $(SAN) $(LDFLAGS) -Wl,-z,relro -Wl,-z,now -fPIC

# a new source file has to be known to nginx's configure
MODULE_C      := $(sort $(wildcard $(TOP)/*.c $(TOP)/src/http/*.c \
                     $(TOP)/src/table/*.c $(TOP)/src/supervisor/*.c \
                     $(TOP)/src/http/console/*))
ifneq ($(MODULE_C),$(shell cat $(B)/module.list 2>/dev/null))
$(shell mkdir -p $(B) && echo $(MODULE_C) > $(B)/module.list)
endif

module: $(NGX_MAKE)
	$(call say,NGINX ngx_http_milvus_cdc_module.so)
	+$(Q)$(MAKE) -C $(NGINX_SRC) -f $(NGX_MAKE) modules MILVUS_CDC_HELPER=no \
	    $(if $(Q),> $(B)/module.log || { cat $(B)/module.log; exit 1; })
	@cmp -s $(NGX_OBJS)/$(notdir $(MODULE)) $(MODULE) || \
	    { cp -f $(NGX_OBJS)/ngx_http_milvus_cdc_module.so $(MODULE).tmp && \
	      mv -f $(MODULE).tmp $(MODULE); }

$(NGX_MAKE): $(TOP)/config $(TOP)/config.make $(TOP)/Makefile $(B)/module.list
	@test -f $(NGINX_SRC)/configure || \
	    { echo 'nginx-dev is missing: run "sh t/run build"' >&2; exit 1; }
	@mkdir -p $(B)
	cd $(NGINX_SRC) && \
	    MILVUS_CDC_HELPER_PATH=$(HELPER_PATH) sh ./configure \
	        --with-compat --with-debug --builddir=$(NGX_OBJS) \
	        --with-cc-opt='$(NGX_CC_OPT)' --with-ld-opt='$(NGX_LD_OPT)' \
	        --add-dynamic-module=$(TOP) > $(B)/configure.log 2>&1 || \
	    { tail -n 20 $(B)/configure.log >&2; rm -f $@; exit 1; }


# ---- tests -----------------------------------------------------------

UNIT_C        := $(wildcard $(TOP)/t/unit/test_*.c)
UNIT          := $(UNIT_C:$(TOP)/t/unit/%.c=$(B)/unit/%)
TESTS         ?= $(UNIT)
# so many at a time, but for those that t/unit/testrules.yml leaves alone
JOBS          ?= $(shell nproc 2>/dev/null)

check: $(UNIT)
	$(if $(UNIT),HARNESS_RULESFILE=$(TOP)/t/unit/testrules.yml \
	    $(PROVE) -e '' --jobs $(or $(strip $(JOBS)),1) $(TESTS), \
	    @echo 'no unit tests')

$(B)/unit/%: $(TOP)/t/unit/%.c $(LIB) $(wildcard $(TOP)/t/unit/*.h)
	@mkdir -p $(@D)
	$(call say,CC t/unit/$(<F))
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -I$(TOP)/t/unit \
	    -I$(TOP)/src -o $@ $< $(LIB) $(LIBS)

# ---- measuring -------------------------------------------------------

NULL_C        := $(wildcard $(TOP)/bench/null/*.c)
MICRO_C       := $(wildcard $(TOP)/bench/micro/*.c)
MICRO         := $(MICRO_C:$(TOP)/bench/micro/%.c=$(B)/bench/%)

bench: helper $(B)/bench/null-target $(B)/bench/log-times \
    $(B)/bench/log-fill $(B)/bench/direct-load $(MICRO)

$(B)/bench/null-target: $(NULL_C) $(wildcard $(TOP)/bench/null/*.h) $(LIB)
	@mkdir -p $(@D)
	$(call say,CC bench/null)
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -o $@ $(NULL_C) $(LIB) \
	    $(LIBS)

$(B)/bench/log-%: $(TOP)/bench/log/log_%.c $(LIB)
	@mkdir -p $(@D)
	$(call say,CC bench/log/$(<F))
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -o $@ $< $(LIB) $(LIBS)

$(B)/bench/direct-load: $(TOP)/bench/direct/direct_load.c $(LIB)
	@mkdir -p $(@D)
	$(call say,CC bench/direct)
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -o $@ $< $(LIB) $(LIBS)

$(B)/bench/%: $(TOP)/bench/micro/%.c $(LIB) $(wildcard $(TOP)/t/unit/*.h)
	@mkdir -p $(@D)
	$(call say,CC bench/micro/$(<F))
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -I$(TOP)/t/unit -o $@ $< \
	    $(LIB) $(LIBS)

FUZZ_C        := $(wildcard $(TOP)/t/fuzz/*.c)
FUZZ_H        := $(wildcard $(TOP)/t/fuzz/*.h $(TOP)/t/unit/*.h)
FUZZ_BINS     := $(FUZZ_C:$(TOP)/t/fuzz/%.c=$(B)/fuzz/%)

ifeq ($(FUZZ_BUILD),1)

# new inputs go to the build folder, the kept ones are only read
fuzz: fuzz-bins
	CDC_FUZZ=$(B)/fuzz CDC_FUZZ_SECONDS=$(FUZZ_SECONDS) \
	    $(PROVE) -v $(TOP)/t/015-fuzz.t :: $(FUZZ)

fuzz-bins: $(FUZZ_BINS)

$(B)/fuzz/%: $(TOP)/t/fuzz/%.c $(LIB) $(FUZZ_H)
	@mkdir -p $(@D)
	$(call say,CC t/fuzz/$(<F))
	$(Q)$(CC) $(CFLAGS_ALL) $(WARN) $(DEFS) $(INCS) -I$(TOP)/src \
	    -I$(TOP)/t/unit \
	    -fsanitize=address,undefined,fuzzer -o $@ $< $(LIB) $(LIBS)

else

fuzz fuzz-bins:
	+$(Q)$(MAKE) -f $(TOP)/Makefile FUZZ_BUILD=1 CC=clang \
	    BUILD=$(TOP)/build-fuzz $@

endif


# ---- install ---------------------------------------------------------

MODULES_DIR   ?= $(shell $(NGINX) -V 2>&1 | \
                     sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p')

install: all
	@test -z "$(FAULT_DEFS)" || \
	    { echo "a build with fault points is not for installation" >&2; exit 1; }
	@test -n "$(MODULES_DIR)" || \
	    { echo "no modules path in nginx -V: set MODULES_DIR" >&2; exit 1; }
	install -d $(DESTDIR)$(MODULES_DIR) $(DESTDIR)$(dir $(HELPER_PATH))
	install -m 0644 $(MODULE) $(DESTDIR)$(MODULES_DIR)/
	install -m 0755 $(HELPER) $(DESTDIR)$(HELPER_PATH)

clean:
	rm -rf $(addprefix $(TOP)/build,/ -asan -fuzz -faults -faults-asan)
