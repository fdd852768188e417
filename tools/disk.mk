# disk
bin_PROGRAMS += tools/ps-scan
tools_ps_scan_SOURCES = tools/ps-scan.c
