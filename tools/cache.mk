# cache
bin_PROGRAMS += tools/ps-cache
tools_ps_cache_SOURCES = tools/ps-cache.c
