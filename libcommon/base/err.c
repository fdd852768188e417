#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* What err.h tells the analyzer is for callers. */
#undef err_set
#undef err_sys
#undef err_prefix

__attribute__((format(printf, 4, 0))) static void record(struct err *e,
							 int code, int sys,
							 const char *fmt,
							 va_list ap)
{
	e->code = code;
	e->sys = sys;
	e->hint[0] = '\0';
	vsnprintf(e->msg, sizeof(e->msg), fmt, ap);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (e != NULL) {
		va_start(ap, fmt);
		record(e, code, 0, fmt, ap);
		va_end(ap);
	}
	return -code;
}

int err_sys(struct err *e, int code, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	if (code == 0)
		code = err_code_of(sys);
	if (e != NULL) {
		size_t len;

		va_start(ap, fmt);
		record(e, code, sys, fmt, ap);
		va_end(ap);
		len = strlen(e->msg);
		snprintf(e->msg + len, sizeof(e->msg) - len, ": %s",
			 strerror(sys));
	}
	return -code;
}

int err_prefix(struct err *e, const char *fmt, ...)
{
	char words[sizeof(e->msg)];
	char old[sizeof(e->msg)];
	va_list ap;

	if (e == NULL)
		return -PS_SOFTWARE;
	memcpy(old, e->msg, sizeof(old));
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	if (snprintf(e->msg, sizeof(e->msg), "%s: %s", words, old) < 0)
		memcpy(e->msg, old, sizeof(old));
	return -e->code;
}

void err_hint(struct err *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(e->hint, sizeof(e->hint), fmt, ap);
	va_end(ap);
}

int err_code_of(int errnum)
{
	switch (errnum) {
	case EACCES:
	case EPERM:
	case EROFS:
		return PS_NOPERM;
	case ENOENT:
	case ENOTDIR:
		return PS_NOINPUT;
	case EINVAL:
		return PS_USAGE;
	case EEXIST:
		return PS_CANTCREAT;
	case ENOSPC: /* room may come back */
	case EDQUOT:
	case EPIPE: /* the reader went away; so do we, and start again */
	case ENOMEM:
	case EAGAIN:
	case EMFILE:
	case ENFILE:
	case ETXTBSY:
		return PS_TEMPFAIL;
	case ECONNREFUSED:
	case ECONNRESET:
	case ECONNABORTED:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
	case ETIMEDOUT:
		return PS_UNAVAILABLE;
	default:
		return PS_IOERR;
	}
}
