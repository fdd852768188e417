# Sources of the room disk: reading a disk, its map and journal.
libcommon_libpscommon_a_SOURCES += \
	libcommon/disk/build.c \
	libcommon/disk/digest.c libcommon/disk/digest.h \
	libcommon/disk/layout.h \
	libcommon/disk/map.c libcommon/disk/map.h
