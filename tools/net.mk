# net
bin_PROGRAMS += tools/ps-receive tools/cxpsclient
tools_ps_receive_SOURCES = tools/ps-receive.c
tools_cxpsclient_SOURCES = tools/cxpsclient.c tools/cxpsclient-test.c \
	tools/cxpsclient-test.h
