# Sources of the room disk: reading a disk, its map and journal.
libcommon_libpscommon_a_SOURCES += \
	libcommon/disk/adopt.c \
	libcommon/disk/apply.c libcommon/disk/apply.h \
	libcommon/disk/build.c \
	libcommon/disk/changes.c libcommon/disk/changes.h \
	libcommon/disk/commit.c libcommon/disk/commit.h \
	libcommon/disk/devices.c libcommon/disk/devices.h \
	libcommon/disk/dirty.c libcommon/disk/dirty.h \
	libcommon/disk/digest.c libcommon/disk/digest.h \
	libcommon/disk/digestmap.c libcommon/disk/digestmap.h \
	libcommon/disk/identity.c libcommon/disk/identity.h \
	libcommon/disk/journal.c libcommon/disk/journal.h \
	libcommon/disk/layout.h \
	libcommon/disk/map.c libcommon/disk/map.h \
	libcommon/disk/pass.c libcommon/disk/pass.h \
	libcommon/disk/ranges.c libcommon/disk/ranges.h \
	libcommon/disk/scan.c libcommon/disk/scan.h \
	libcommon/disk/scrub.c libcommon/disk/scrub.h \
	libcommon/disk/settle.c libcommon/disk/settle.h \
	libcommon/disk/source.c libcommon/disk/source.h \
	libcommon/disk/status.c libcommon/disk/status.h \
	libcommon/disk/sweep.c libcommon/disk/sweep.h
