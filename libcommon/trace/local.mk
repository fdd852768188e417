# Sources of the room trace: what is written to a disk, from the kernel's trace.
libcommon_libpscommon_a_SOURCES += \
	libcommon/trace/writebook.c libcommon/trace/writebook.h \
	libcommon/trace/instance.c libcommon/trace/instance.h \
	libcommon/trace/page.c libcommon/trace/page.h \
	libcommon/trace/tracing.c libcommon/trace/tracing.h \
	libcommon/trace/target.c libcommon/trace/target.h \
	libcommon/trace/tracer.c libcommon/trace/tracer.h
