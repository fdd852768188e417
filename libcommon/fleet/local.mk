# Sources of the room fleet: sizes of servers, who protects whom, churn and
# what it needs.
libcommon_libpscommon_a_SOURCES += \
	libcommon/fleet/balance.c libcommon/fleet/balance.h \
	libcommon/fleet/bound.c libcommon/fleet/bound.h \
	libcommon/fleet/churn.c libcommon/fleet/churn.h \
	libcommon/fleet/inventory.c libcommon/fleet/inventory.h \
	libcommon/fleet/place.c libcommon/fleet/place.h \
	libcommon/fleet/profile.c libcommon/fleet/profile.h \
	libcommon/fleet/series.c libcommon/fleet/series.h \
	libcommon/fleet/sizes.c libcommon/fleet/sizes.h \
	libcommon/fleet/sizing.c libcommon/fleet/sizing.h \
	libcommon/fleet/tables.c libcommon/fleet/tables.h
