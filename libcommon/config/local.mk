# Sources of the room config: the registry of the configuration server.
libcommon_libpscommon_a_SOURCES += \
	libcommon/config/accounts.c libcommon/config/accounts.h \
	libcommon/config/authority.c libcommon/config/authority.h \
	libcommon/config/backup.c libcommon/config/backup.h \
	libcommon/config/ca.c libcommon/config/ca.h \
	libcommon/config/x509.c libcommon/config/x509.h \
	libcommon/config/jobs.c libcommon/config/jobs.h \
	libcommon/config/machines.c libcommon/config/machines.h \
	libcommon/config/moves.c libcommon/config/moves-go.c \
	libcommon/config/moves.h \
	libcommon/config/open.c \
	libcommon/config/orders.c libcommon/config/orders.h \
	libcommon/config/orders-run.c libcommon/config/orders-run.h \
	libcommon/config/passphrase.c libcommon/config/passphrase.h \
	libcommon/config/policies.c libcommon/config/policies.h \
	libcommon/config/registry.c libcommon/config/registry.h \
	libcommon/config/rotation.c libcommon/config/rotation.h \
	libcommon/config/schema.c libcommon/config/schema.h \
	libcommon/config/seal.c libcommon/config/seal.h \
	libcommon/config/servers.c libcommon/config/servers.h \
	libcommon/config/sql.c libcommon/config/sql.h \
	libcommon/config/sql-driver.h \
	libcommon/config/sql-mariadb.c libcommon/config/sql-sqlite.c
# The configuration server, and those who talk to it.
libcommon_libpscommon_a_SOURCES += \
	libcommon/config/api.c libcommon/config/api.h \
	libcommon/config/api-body.c libcommon/config/api-body.h \
	libcommon/config/beat.c libcommon/config/beat.h \
	libcommon/config/beat-orders.c libcommon/config/beat-orders.h \
	libcommon/config/client.c libcommon/config/client.h \
	libcommon/config/contacts.c libcommon/config/contacts.h \
	libcommon/config/desk.c libcommon/config/desk.h \
	libcommon/config/desk-lock.c \
	libcommon/config/desk-private.h libcommon/config/desk-run.c \
	libcommon/config/forms.c libcommon/config/forms.h \
	libcommon/config/health-word.c libcommon/config/health-word.h \
	libcommon/config/identity.c libcommon/config/identity.h \
	libcommon/config/job-kinds.c libcommon/config/job-kinds.h \
	libcommon/config/join.c libcommon/config/join.h \
	libcommon/config/leaving.c libcommon/config/leaving.h \
	libcommon/config/own-cert.c \
	libcommon/config/serve.c libcommon/config/serve.h \
	libcommon/config/status.c libcommon/config/status.h \
	libcommon/config/worker.c libcommon/config/worker.h
