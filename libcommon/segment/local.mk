# Sources of the room segment: the format, its readers and writers, codecs
# and seals.
libcommon_libpscommon_a_SOURCES += \
	libcommon/segment/ack.c libcommon/segment/ack.h \
	libcommon/segment/format.c libcommon/segment/format.h \
	libcommon/segment/object.c libcommon/segment/object.h \
	libcommon/segment/reader.c libcommon/segment/reader.h \
	libcommon/segment/writer.c libcommon/segment/writer.h \
	libcommon/segment/codec.h libcommon/segment/seal.h \
	libcommon/segment/transform.h
