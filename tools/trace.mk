# trace
bin_PROGRAMS += tools/ps-trace
tools_ps_trace_SOURCES = tools/ps-trace.c
