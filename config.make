# The helper is built by the same "make modules" (or "make build").  A caller
# that builds it by itself says MILVUS_CDC_HELPER=no.

cat << END >> $NGX_MAKEFILE

ifneq (\$(MILVUS_CDC_HELPER),no)

modules build: milvus-cdc-helper

.PHONY: milvus-cdc-helper

milvus-cdc-helper:
	+\$(MAKE) -C $ngx_addon_dir helper BUILD=\$(abspath $NGX_OBJS)

endif

END
