# Sources of the room setup: installing a configuration or process server.
libcommon_libpscommon_a_SOURCES += \
	libcommon/setup/ask.c libcommon/setup/ask.h \
	libcommon/setup/checks-cs.c libcommon/setup/checks-key.c \
	libcommon/setup/checks-machine.c \
	libcommon/setup/checks-net.c libcommon/setup/checks.h \
	libcommon/setup/checks-ports.c libcommon/setup/checks-urls.c \
	libcommon/setup/choices.c libcommon/setup/choices.h \
	libcommon/setup/drain.c libcommon/setup/drain.h \
	libcommon/setup/eula.c libcommon/setup/eula.h \
	libcommon/setup/fault.c libcommon/setup/fault.h \
	libcommon/setup/files.c libcommon/setup/files.h \
	libcommon/setup/former.c libcommon/setup/former.h \
	libcommon/setup/former-mariadb.c libcommon/setup/former-mariadb.h \
	libcommon/setup/flags.c libcommon/setup/flags.h \
	libcommon/setup/openings-apply.c \
	libcommon/setup/openings.c libcommon/setup/openings.h \
	libcommon/setup/place.c libcommon/setup/place.h \
	libcommon/setup/install.c libcommon/setup/install-run.c libcommon/setup/install.h \
	libcommon/setup/install-after.c \
	libcommon/setup/next.c \
	libcommon/setup/own-server.c \
	libcommon/setup/preflight.c libcommon/setup/preflight.h \
	libcommon/setup/record.c libcommon/setup/record.h \
	libcommon/setup/remove.c \
	libcommon/setup/reregister.c \
	libcommon/setup/room.c libcommon/setup/room.h \
	libcommon/setup/server-yaml.c \
	libcommon/setup/set-proxy.c \
	libcommon/setup/site.c libcommon/setup/site.h \
	libcommon/setup/stage.c libcommon/setup/stage.h \
	libcommon/setup/step-files.c libcommon/setup/steps.c libcommon/setup/steps.h \
	libcommon/setup/upgrade.c \
	libcommon/setup/yaml-edit.c libcommon/setup/yaml-edit.h
