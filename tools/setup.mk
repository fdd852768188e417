# setup
bin_PROGRAMS += tools/unifiedsetup
tools_unifiedsetup_SOURCES = tools/unifiedsetup.c tools/unifiedsetup.h \
	tools/unifiedsetup-later.c tools/print-json.c tools/print-json.h
