# Filters over a stream of segments, and the tool that looks at one.
bin_PROGRAMS += tools/ps-compress tools/ps-encrypt tools/ps-stream
tools_ps_compress_SOURCES = tools/ps-compress.c tools/filter.c tools/filter.h
tools_ps_encrypt_SOURCES = tools/ps-encrypt.c tools/filter.c tools/filter.h
tools_ps_stream_SOURCES = tools/ps-stream.c tools/stream-print.c \
	tools/stream-print.h tools/filter.c tools/filter.h
