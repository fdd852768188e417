# Sources of the room net: TLS, HTTP, login, both ends of the transport.
libcommon_libpscommon_a_SOURCES += \
	libcommon/net/client.c libcommon/net/client.h \
	libcommon/net/client-answers.c libcommon/net/client-put.c \
	libcommon/net/client-put.h \
	libcommon/net/channel.c libcommon/net/channel.h \
	libcommon/net/client-map.c libcommon/net/session-map.c \
	libcommon/net/conn.c libcommon/net/conn.h \
	libcommon/net/door.c libcommon/net/door.h \
	libcommon/net/drain.c libcommon/net/drain.h \
	libcommon/net/gate.c libcommon/net/gate.h \
	libcommon/net/guests.c libcommon/net/guests.h \
	libcommon/net/http.c libcommon/net/http.h \
	libcommon/net/hush.c libcommon/net/hush.h \
	libcommon/net/keeper.c libcommon/net/keeper.h \
	libcommon/net/keeper-key.c libcommon/net/listen.c \
	libcommon/net/known.c libcommon/net/known.h \
	libcommon/net/log.c libcommon/net/log.h \
	libcommon/net/login.c libcommon/net/login.h \
	libcommon/net/pace.c libcommon/net/pace.h \
	libcommon/net/probe.c libcommon/net/probe.h \
	libcommon/net/selftest.c libcommon/net/selftest.h \
	libcommon/net/report.c libcommon/net/report.h \
	libcommon/net/selftest-why.c \
	libcommon/net/sandbox.c libcommon/net/sandbox.h \
	libcommon/net/seccomp.c libcommon/net/selftest.c \
	libcommon/net/selftest.h \
	libcommon/net/server.c libcommon/net/server.h \
	libcommon/net/session.c libcommon/net/session.h \
	libcommon/net/session-cache.c libcommon/net/session-login.c \
	libcommon/net/session-put.c \
	libcommon/net/tls.c libcommon/net/tls.h
