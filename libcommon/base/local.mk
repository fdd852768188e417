# Sources of the room base: nothing here knows what a segment is.
libcommon_libpscommon_a_SOURCES += \
	libcommon/base/bytes.c libcommon/base/bytes.h \
	libcommon/base/chart.c libcommon/base/chart.h \
	libcommon/base/conf.c libcommon/base/conf.h \
	libcommon/base/crc32c.c \
	libcommon/base/crc64.c libcommon/base/crc64.h \
	libcommon/base/digest.c libcommon/base/digest.h \
	libcommon/base/durable.c libcommon/base/durable.h \
	libcommon/base/err.c libcommon/base/err.h \
	libcommon/base/hkdf.c libcommon/base/hkdf.h \
	libcommon/base/html.c libcommon/base/html.h \
	libcommon/base/hours.c libcommon/base/hours.h \
	libcommon/base/pace.c libcommon/base/pace.h \
	libcommon/base/ini.c libcommon/base/ini.h \
	libcommon/base/io.c libcommon/base/io.h \
	libcommon/base/name.c libcommon/base/name.h \
	libcommon/base/notify.c libcommon/base/notify.h \
	libcommon/base/opt.c libcommon/base/opt.h \
	libcommon/base/pool.c libcommon/base/pool.h \
	libcommon/base/progress.c libcommon/base/progress.h \
	libcommon/base/qr.c libcommon/base/qr.h \
	libcommon/base/rate.c libcommon/base/rate.h \
	libcommon/base/secret.c libcommon/base/secret.h \
	libcommon/base/share.c libcommon/base/share.h \
	libcommon/base/status.c libcommon/base/status.h \
	libcommon/base/text.c libcommon/base/text.h \
	libcommon/base/tool.c libcommon/base/tool.h \
	libcommon/base/units.c libcommon/base/units.h \
	libcommon/base/version.c libcommon/base/version.h
