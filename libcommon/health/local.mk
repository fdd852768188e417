# Sources of the room health: samples, rules, alerts, views.
libcommon_libpscommon_a_SOURCES += \
	libcommon/health/alarm.c libcommon/health/alarm.h \
	libcommon/health/check.c libcommon/health/check-jobs.c libcommon/health/check.h \
	libcommon/health/churn.c libcommon/health/churn.h \
	libcommon/health/disks.c libcommon/health/disks.h \
	libcommon/health/events.c libcommon/health/events.h \
	libcommon/health/gather.c libcommon/health/gather.h \
	libcommon/health/gather-jobs.c libcommon/health/gather-server.c \
	libcommon/health/keep.c libcommon/health/keep.h \
	libcommon/health/metric.c libcommon/health/metric.h \
	libcommon/health/page.c libcommon/health/page.h \
	libcommon/health/plot.c libcommon/health/plot.h \
	libcommon/health/processes.c libcommon/health/processes.h \
	libcommon/health/ring.c libcommon/health/ring.h \
	libcommon/health/roles.c libcommon/health/roles.h \
	libcommon/health/rules.c libcommon/health/rules.h \
	libcommon/health/view.c libcommon/health/view.h \
	libcommon/health/view-json.c \
	libcommon/health/why.c libcommon/health/why.h \
	libcommon/health/why-judge.c libcommon/health/why-read.c \
	libcommon/health/why-view.c
