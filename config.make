# The helper is built by the same "make modules" (or "make build").  A caller
# that builds it by itself says MILVUS_CDC_HELPER=no.

# The console's files become a table in C, the page first.

milvus_cdc_ui=$ngx_addon_dir/src/http/console
milvus_cdc_assets=$NGX_OBJS/milvus_cdc_console/milvus_cdc_assets.c
milvus_cdc_files="$milvus_cdc_ui/index.html \
                  `echo $milvus_cdc_ui/*.css $milvus_cdc_ui/*.js`"

cat << END >> $NGX_MAKEFILE

$milvus_cdc_assets: $milvus_cdc_ui/embed $milvus_cdc_files
	mkdir -p $NGX_OBJS/milvus_cdc_console
	sh $milvus_cdc_ui/embed $milvus_cdc_files > \$@.tmp
	mv \$@.tmp \$@

END

cat << END >> $NGX_MAKEFILE

ifneq (\$(MILVUS_CDC_HELPER),no)

modules build: milvus-cdc-helper

.PHONY: milvus-cdc-helper

milvus-cdc-helper:
	+\$(MAKE) -C $ngx_addon_dir helper BUILD=\$(abspath $NGX_OBJS)

endif

END
