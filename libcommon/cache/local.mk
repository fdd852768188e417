# Sources of the room cache: segments that arrived and are not yet stored.
libcommon_libpscommon_a_SOURCES += \
	libcommon/cache/cache.c libcommon/cache/cache.h \
	libcommon/cache/check.c libcommon/cache/check.h \
	libcommon/cache/counters.c libcommon/cache/counters.h \
	libcommon/cache/follow.c libcommon/cache/follow.h \
	libcommon/cache/follower.c libcommon/cache/follower.h \
	libcommon/cache/folder.c libcommon/cache/folder.h \
	libcommon/cache/head.c libcommon/cache/head.h \
	libcommon/cache/intake.c libcommon/cache/intake.h \
	libcommon/cache/lease.c \
	libcommon/cache/mapfile.c libcommon/cache/mapfile.h \
	libcommon/cache/move.c libcommon/cache/move.h \
	libcommon/cache/put.c libcommon/cache/put.h \
	libcommon/cache/report.c libcommon/cache/report.h \
	libcommon/cache/seat.c \
	libcommon/cache/send.c libcommon/cache/send.h \
	libcommon/cache/settle.c libcommon/cache/settle.h \
	libcommon/cache/spool.c libcommon/cache/spool.h \
	libcommon/cache/tally.c libcommon/cache/tally.h \
	libcommon/cache/watch.c libcommon/cache/watch.h
