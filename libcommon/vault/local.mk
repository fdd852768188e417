# Sources of the room vault: stores, layout, points, upload, restore.
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/chain.c \
	libcommon/vault/store-file.c \
	libcommon/vault/store.c libcommon/vault/store.h \
	libcommon/vault/vault.c libcommon/vault/vault.h
