# health
bin_PROGRAMS += tools/ps-health
tools_ps_health_SOURCES = tools/ps-health.c
