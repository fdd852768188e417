# Sources of the room vault: stores, layout, points, upload, restore.
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/copy.c \
	libcommon/vault/copy.h \
	libcommon/vault/fence.c \
	libcommon/vault/fence.h \
	libcommon/vault/kit.c \
	libcommon/vault/kit.h \
	libcommon/vault/mapping.c \
	libcommon/vault/mapping.h \
	libcommon/vault/point.h \
	libcommon/vault/points.c \
	libcommon/vault/read-ahead.c \
	libcommon/vault/read-ahead.h \
	libcommon/vault/store-file.c \
	libcommon/vault/store.c \
	libcommon/vault/store.h \
	libcommon/vault/tail-cache.c \
	libcommon/vault/tail-cache.h \
	libcommon/vault/tails.c \
	libcommon/vault/tails.h \
	libcommon/vault/upload-queue.c \
	libcommon/vault/upload-queue.h \
	libcommon/vault/upload-report.c \
	libcommon/vault/upload-report.h \
	libcommon/vault/upload.c \
	libcommon/vault/upload.h \
	libcommon/vault/vault.c \
	libcommon/vault/vault.h \
	libcommon/vault/verify-object.c \
	libcommon/vault/verify-object.h \
	libcommon/vault/verify.c \
	libcommon/vault/verify.h
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/bitmap.c libcommon/vault/bitmap.h \
	libcommon/vault/plan.c libcommon/vault/plan.h \
	libcommon/vault/restore-chain.c libcommon/vault/restore-chain.h \
	libcommon/vault/restore-job.c libcommon/vault/restore-job.h \
	libcommon/vault/restore-point.c libcommon/vault/restore-point.h \
	libcommon/vault/restore-target.c libcommon/vault/restore-target.h \
	libcommon/vault/restore.c libcommon/vault/restore.h
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/key-note.c libcommon/vault/key-note.h \
	libcommon/vault/parts.c libcommon/vault/parts.h \
	libcommon/vault/probe.c libcommon/vault/probe.h \
	libcommon/vault/settings.c libcommon/vault/settings.h
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/s3-config.c libcommon/vault/s3-list.c \
	libcommon/vault/s3-put.c libcommon/vault/s3-request.c \
	libcommon/vault/s3-sign.c libcommon/vault/s3-sign.h \
	libcommon/vault/s3-xml.c libcommon/vault/s3.h \
	libcommon/vault/store-s3.c
libcommon_libpscommon_a_SOURCES += \
	libcommon/vault/azblob-call.c \
	libcommon/vault/azblob-login.c \
	libcommon/vault/azblob-put.c \
	libcommon/vault/azblob-sign.c \
	libcommon/vault/azblob-token.c \
	libcommon/vault/azblob-xml.c \
	libcommon/vault/azblob.c libcommon/vault/azblob.h
