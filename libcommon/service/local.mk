# Sources of the room service: the services, run without systemd.
libcommon_libpscommon_a_SOURCES += \
	libcommon/service/child.c libcommon/service/child.h \
	libcommon/service/job.c libcommon/service/job.h \
	libcommon/service/log.c libcommon/service/log.h \
	libcommon/service/place.c libcommon/service/place.h \
	libcommon/service/state.c libcommon/service/state.h \
	libcommon/service/supervise.c libcommon/service/supervise.h \
	libcommon/service/unit.c libcommon/service/unit.h
nodist_libcommon_libpscommon_a_SOURCES = libcommon/service/unit-texts.c

# The units of systemd are the one definition of what the services are.
CLEANFILES += libcommon/service/unit-texts.c
libcommon/service/unit-texts.c: $(nodist_unit_DATA) $(dist_unit_DATA) libcommon/service/texts.awk
	$(AM_V_GEN)$(MKDIR_P) $(@D) && units= && \
	for unit in $(nodist_unit_DATA) $(dist_unit_DATA); do \
		test -e $$unit || unit=$(srcdir)/$$unit; \
		units="$$units $$unit"; \
	done && \
	$(AWK) -f $(srcdir)/libcommon/service/texts.awk $$units >$@.new && mv $@.new $@
EXTRA_DIST += libcommon/service/texts.awk
