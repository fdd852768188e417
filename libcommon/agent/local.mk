# Sources of the room agent: the mobility service.
libcommon_libpscommon_a_SOURCES += \
	libcommon/agent/agent.c libcommon/agent/agent.h \
	libcommon/agent/agent-check.c libcommon/agent/agent-check.h \
	libcommon/agent/agent-conf.c libcommon/agent/agent-conf.h \
	libcommon/agent/backoff.c libcommon/agent/backoff.h \
	libcommon/agent/commands.c libcommon/agent/commands.h \
	libcommon/agent/control.c libcommon/agent/control.h \
	libcommon/agent/disk.c libcommon/agent/disk.h \
	libcommon/agent/disk-doubt.c libcommon/agent/disk-lock.c \
	libcommon/agent/disk-open.c \
	libcommon/agent/disk-provider.c libcommon/agent/disk-same.c \
	libcommon/agent/limits.c libcommon/agent/limits.h \
	libcommon/agent/lock.c libcommon/agent/lock.h \
	libcommon/agent/mark.c libcommon/agent/mark.h \
	libcommon/agent/report.c libcommon/agent/report.h \
	libcommon/agent/schedule.c libcommon/agent/schedule.h \
	libcommon/agent/state.c libcommon/agent/state.h \
	libcommon/agent/status.c libcommon/agent/status.h \
	libcommon/agent/task.c libcommon/agent/task.h \
	libcommon/agent/view.c libcommon/agent/view.h \
	libcommon/agent/where.c libcommon/agent/where.h \
	libcommon/agent/why.c libcommon/agent/why.h
