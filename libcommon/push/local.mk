# Sources of the room push: the agent, brought to machines over SSH.
libcommon_libpscommon_a_SOURCES += \
	libcommon/push/host.c libcommon/push/host.h \
	libcommon/push/look.c libcommon/push/look.h \
	libcommon/push/package.c libcommon/push/package.h \
	libcommon/push/push.c libcommon/push/push.h \
	libcommon/push/reason.c libcommon/push/reason.h \
	libcommon/push/session.c libcommon/push/session.h \
	libcommon/push/session-start.c libcommon/push/session-start.h \
	libcommon/push/state.c libcommon/push/state.h \
	libcommon/push/target.h \
	libcommon/push/verify.c libcommon/push/verify.h
nodist_libcommon_libpscommon_a_SOURCES += libcommon/push/target-text.c

# What runs on a machine is a script in its own file, and built in.
CLEANFILES += libcommon/push/target-text.c
libcommon/push/target-text.c: libcommon/push/target.sh libcommon/push/text.awk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(AWK) -f $(srcdir)/libcommon/push/text.awk \
		$(srcdir)/libcommon/push/target.sh >$@.new && mv $@.new $@
EXTRA_DIST += libcommon/push/target.sh libcommon/push/text.awk
