# Sources of the room config: the registry of the configuration server.
libcommon_libpscommon_a_SOURCES += \
	libcommon/config/accounts.c libcommon/config/accounts.h \
	libcommon/config/backup.c libcommon/config/backup.h \
	libcommon/config/ca.c libcommon/config/ca.h \
	libcommon/config/x509.c libcommon/config/x509.h \
	libcommon/config/jobs.c libcommon/config/jobs.h \
	libcommon/config/machines.c libcommon/config/machines.h \
	libcommon/config/moves.c libcommon/config/moves.h \
	libcommon/config/open.c \
	libcommon/config/orders.c libcommon/config/orders.h \
	libcommon/config/orders-run.c libcommon/config/orders-run.h \
	libcommon/config/passphrase.c libcommon/config/passphrase.h \
	libcommon/config/policies.c libcommon/config/policies.h \
	libcommon/config/registry.c libcommon/config/registry.h \
	libcommon/config/schema.c libcommon/config/schema.h \
	libcommon/config/seal.c libcommon/config/seal.h \
	libcommon/config/servers.c libcommon/config/servers.h \
	libcommon/config/sql.c libcommon/config/sql.h \
	libcommon/config/sql-driver.h \
	libcommon/config/sql-mariadb.c libcommon/config/sql-sqlite.c
