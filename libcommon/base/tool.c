#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/tool.h"

const char *tool_name = "ps-toolkit";

void tool_init(const char *name)
{
	tool_name = name;
	/* getopt prints what it was called with: show the plain name. */
	signal(SIGPIPE, SIG_IGN);
	/* What is printed is UTC; what people write of hours is local. */
	tzset();
}

/* What came from elsewhere must not steer the terminal that shows it. */
static void print_line(const char *words)
{
	char line[1024 + 64];
	char *p;

	snprintf(line, sizeof(line), "%s: %s", tool_name, words);
	for (p = line; *p != '\0'; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			*p = ' ';
	/* One write: lines of several processes do not mix. */
	fprintf(stderr, "%s\n", line);
}

__attribute__((format(printf, 1, 0))) static void say(const char *fmt,
						      va_list ap)
{
	char words[1024];

	vsnprintf(words, sizeof(words), fmt, ap);
	print_line(words);
}

void tool_warn(const char *fmt, ...)
{
	va_list ap;

	if (opt_quiet)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

void tool_note(const char *fmt, ...)
{
	va_list ap;

	if (opt_verbose == 0)
		return;
	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

/* The reason (errno) that was given last. */
static int told;

int tool_fail(const struct err *e)
{
	char hint[sizeof(e->hint) + 8];

	told = e->sys;
	print_line(e->msg);
	if (e->hint[0] != '\0') {
		snprintf(hint, sizeof(hint), "hint: %s", e->hint);
		print_line(hint);
	}
	return e->code != 0 ? e->code : PS_SOFTWARE;
}

void tool_die(const struct err *e)
{
	int code = tool_fail(e);

	fflush(stdout);
	exit(code);
}

void tool_die_errno(int code, const char *fmt, ...)
{
	int sys = errno;
	char words[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	fprintf(stderr, "%s: %s: %s\n", tool_name, words, strerror(sys));
	exit(code != 0 ? code : err_code_of(sys));
}

static int output_code(int sys)
{
	return sys == EPIPE ? PS_TEMPFAIL : PS_IOERR;
}

int tool_no_output(struct err *e)
{
	return err_sys(e, output_code(errno), "standard output");
}

/* Why bytes were lost that glibc no longer has: a reader that went can still
 * be seen, and is no fault of the output. */
static int lost_reason(void)
{
	struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP)) != 0
		   ? EPIPE
		   : EIO;
}

int tool_finish(int code)
{
	bool failed = ferror(stdout) != 0;

	/*
	 * A write that failed before has left its bytes in the buffer: trying
	 * them again tells why. (glibc may have dropped them: EIO then.)
	 */
	errno = 0;
	failed |= fflush(stdout) != 0;
	/*
	 * Whoever sees the end of the stream may ask us to end before we have:
	 * that must not take the place of the code that is certain by now.
	 */
	(void)signal(SIGTERM, SIG_IGN);
	if (failed || fclose(stdout) != 0) {
		bool done = code == PS_OK || code == PS_NO;
		int sys = errno != 0	       ? errno
			  : !done && told != 0 ? told
					       : lost_reason();

		if (done || sys != told)
			fprintf(stderr, "%s: standard output: %s\n", tool_name,
				strerror(sys));
		if (done)
			code = output_code(sys);
	}
	return code;
}

void tool_version(void)
{
	printf("%s (ps-toolkit) %s\n", tool_name, PACKAGE_VERSION);
	fputs("with: deflate by zlib", stdout);
#ifdef HAVE_ISAL
	fputs(", deflate by ISA-L", stdout);
#endif
#ifdef HAVE_ZSTD
	fputs(", zstd", stdout);
#endif
#ifdef HAVE_MARIADB
	fputs(", MariaDB", stdout);
#endif
#ifdef HAVE_BLKID
	fputs(", blkid", stdout);
#endif
#ifdef PS_SANITIZE
	fputs(", sanitizers", stdout);
#endif
	putchar('\n');
}

void tool_no_terminal(int fd, const char *what)
{
	if (isatty(fd))
		opt_misuse("refusing to write %s to a terminal", what);
}
