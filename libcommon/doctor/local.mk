# Sources of the room doctor: the steps of the troubleshooting guide.
libcommon_libpscommon_a_SOURCES += \
	libcommon/doctor/address.c \
	libcommon/doctor/alerts.c \
	libcommon/doctor/antivirus.c \
	libcommon/doctor/bundle.c libcommon/doctor/bundle.h \
	libcommon/doctor/clock.c \
	libcommon/doctor/command.c libcommon/doctor/command.h \
	libcommon/doctor/disks.c \
	libcommon/doctor/doctor.h \
	libcommon/doctor/finding.c \
	libcommon/doctor/firewall.c \
	libcommon/doctor/flow.c \
	libcommon/doctor/interface.c libcommon/doctor/interface.h \
	libcommon/doctor/iptables.c \
	libcommon/doctor/logs.c \
	libcommon/doctor/nft.c \
	libcommon/doctor/opening.c libcommon/doctor/opening.h \
	libcommon/doctor/proxy.c \
	libcommon/doctor/reach.c \
	libcommon/doctor/redact.c libcommon/doctor/redact.h \
	libcommon/doctor/rules.c libcommon/doctor/rules.h \
	libcommon/doctor/run.c \
	libcommon/doctor/service-env.c \
	libcommon/doctor/services.c \
	libcommon/doctor/source.c \
	libcommon/doctor/steps.h \
	libcommon/doctor/store.c \
	libcommon/doctor/upload.c \
	libcommon/doctor/vaults.c \
	libcommon/doctor/view.c libcommon/doctor/view.h
