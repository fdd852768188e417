# health
bin_PROGRAMS += tools/ps-health
tools_ps_health_SOURCES = tools/ps-health.c tools/ps-health.h \
	tools/ps-health-report.c tools/ps-health-watch.c \
	tools/ps-health-why.c
