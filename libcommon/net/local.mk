# Sources of the room net: TLS, HTTP, login, both ends of the transport.
libcommon_libpscommon_a_SOURCES += \
	libcommon/net/client.c libcommon/net/client.h \
	libcommon/net/client-answers.c libcommon/net/client-put.c \
	libcommon/net/client-put.h \
	libcommon/net/conn.c libcommon/net/conn.h \
	libcommon/net/http.c libcommon/net/http.h \
	libcommon/net/log.c libcommon/net/log.h \
	libcommon/net/login.c libcommon/net/login.h \
	libcommon/net/probe.c libcommon/net/probe.h \
	libcommon/net/selftest.c libcommon/net/selftest.h \
	libcommon/net/selftest-why.c \
	libcommon/net/server.c libcommon/net/server.h \
	libcommon/net/session.c libcommon/net/session.h \
	libcommon/net/session-login.c libcommon/net/session-put.c \
	libcommon/net/tls.c libcommon/net/tls.h
