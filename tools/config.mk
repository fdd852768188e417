# config
bin_PROGRAMS += tools/ps-config
tools_ps_config_SOURCES = tools/ps-config.c tools/ps-config.h \
	tools/print-json.c tools/print-json.h \
	tools/ps-config-account.c tools/ps-config-backup.c \
	tools/ps-config-cert.c tools/ps-config-init.c tools/ps-config-jobs.c \
	tools/ps-config-machine.c tools/ps-config-passphrase.c \
	tools/ps-config-policy.c tools/ps-config-register.c \
	tools/ps-config-serve.c tools/ps-config-server.c \
	tools/ps-config-refresh.c tools/ps-config-unregister.c \
	tools/ps-config-wait.h \
	tools/ps-config-status.c tools/register.c tools/register.h
bin_PROGRAMS += tools/cdpcli
tools_cdpcli_SOURCES = tools/cdpcli.c tools/register.c tools/register.h \
	tools/print-json.c tools/print-json.h
