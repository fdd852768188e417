# Sources of the room web: an HTTP client for stores and tokens.
libcommon_libpscommon_a_SOURCES += \
	libcommon/web/refused.c \
	libcommon/web/request.c \
	libcommon/web/try.c \
	libcommon/web/try.h \
	libcommon/web/web.c \
	libcommon/web/web.h
