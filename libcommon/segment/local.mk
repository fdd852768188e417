# Sources of the room segment: the format, its readers and writers, codecs
# and seals.
libcommon_libpscommon_a_SOURCES += \
	libcommon/segment/ack.c libcommon/segment/ack.h \
	libcommon/segment/format.c libcommon/segment/format.h \
	libcommon/segment/trailer.c \
	libcommon/segment/index.c libcommon/segment/index.h \
	libcommon/segment/links.c libcommon/segment/links.h \
	libcommon/segment/object.c libcommon/segment/object.h \
	libcommon/segment/reader.c libcommon/segment/reader.h \
	libcommon/segment/rewrite.c libcommon/segment/rewrite.h \
	libcommon/segment/verify.c libcommon/segment/verify.h \
	libcommon/segment/writer.c libcommon/segment/writer.h \
	libcommon/segment/codec.c libcommon/segment/codec.h \
	libcommon/segment/keyring.c libcommon/segment/keyring.h \
	libcommon/segment/seal.c libcommon/segment/seal.h \
	libcommon/segment/transform.c libcommon/segment/transform.h \
	libcommon/segment/wordlist.c \
	libcommon/segment/words.c libcommon/segment/words.h \
	libcommon/segment/typed.c libcommon/segment/typed.h
