# Sources of the room pipeline: the chain of a process server, supervised.
libcommon_libpscommon_a_SOURCES += \
	libcommon/pipeline/chain.c libcommon/pipeline/chain.h \
	libcommon/pipeline/errand.c libcommon/pipeline/errand.h \
	libcommon/pipeline/lane.c libcommon/pipeline/lane.h \
	libcommon/pipeline/gauge.c libcommon/pipeline/gauge.h \
	libcommon/pipeline/mapper.c libcommon/pipeline/mapper.h \
	libcommon/pipeline/plan.c libcommon/pipeline/plan.h \
	libcommon/pipeline/seater.c libcommon/pipeline/seater.h \
	libcommon/pipeline/supervise.c libcommon/pipeline/supervise.h \
	libcommon/pipeline/vault-settings.c libcommon/pipeline/vault-settings.h \
	libcommon/pipeline/vaults.c libcommon/pipeline/vaults.h \
	libcommon/pipeline/verdict.c libcommon/pipeline/verdict.h
