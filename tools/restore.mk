# restore
bin_PROGRAMS += tools/ps-restore
tools_ps_restore_SOURCES = tools/ps-restore.c tools/store-opts.h
