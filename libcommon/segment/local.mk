# Sources of the room segment: the format, its readers and writers, codecs
# and seals.
libcommon_libpscommon_a_SOURCES += \
	libcommon/segment/ack.c libcommon/segment/ack.h \
	libcommon/segment/format.c libcommon/segment/format.h
