# setup
bin_PROGRAMS += tools/unifiedsetup
tools_unifiedsetup_SOURCES = tools/unifiedsetup.c
