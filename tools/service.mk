# service
bin_PROGRAMS += tools/ps-service
tools_ps_service_SOURCES = tools/ps-service.c tools/ps-service.h \
	tools/ps-service-renew.c tools/ps-service-status.c tools/ps-service-systemd.c \
	tools/print-json.c tools/print-json.h
