# push
bin_PROGRAMS += tools/ps-push
tools_ps_push_SOURCES = tools/ps-push.c tools/ps-push.h tools/ps-push-report.c \
	tools/ps-push-secrets.c tools/print-json.c tools/print-json.h
