# Sources of the room cache: segments that arrived and are not yet stored.
libcommon_libpscommon_a_SOURCES += \
	libcommon/cache/cache.c libcommon/cache/cache.h \
	libcommon/cache/folder.c libcommon/cache/folder.h \
	libcommon/cache/head.c libcommon/cache/head.h \
	libcommon/cache/lease.c \
	libcommon/cache/put.c libcommon/cache/put.h \
	libcommon/cache/spool.c libcommon/cache/spool.h
