# Sources of the room fleet: sizes of servers, who protects whom.
libcommon_libpscommon_a_SOURCES += \
	libcommon/fleet/balance.c libcommon/fleet/balance.h \
	libcommon/fleet/inventory.c libcommon/fleet/inventory.h \
	libcommon/fleet/place.c libcommon/fleet/place.h \
	libcommon/fleet/sizes.c libcommon/fleet/sizes.h
