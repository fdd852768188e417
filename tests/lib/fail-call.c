/*
 * fail-call: preloaded into a program, makes its N-th call that matters for
 * durable files fail, or kills the program before that call.
 *
 *	FAIL_CALL	fsync, close, write, linkat, renameat, unlinkat,
 *			mkdirat, or any of those; or inotify_init1, or openat
 *			(of files whose name is a number, to read), or pwrite
 *			(SQLite's), or send (MariaDB's)
 *	FAIL_AT		N, from 1
 *	FAIL_HOW	EIO (default), ENOSPC, ENOMEM, or kill
 *
 * Of write and close only those on regular files open for writing count.
 * A run in which the N-th call did not come is an ordinary run.
 */
#include "config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long count;

static bool wanted(const char *call)
{
	const char *which = getenv("FAIL_CALL"), *at = getenv("FAIL_AT");

	bool any = which != NULL && strcmp(which, "any") == 0 &&
		   strcmp(call, "inotify_init1") != 0 &&
		   strcmp(call, "openat") != 0 && strcmp(call, "pwrite") != 0 &&
		   strcmp(call, "send") != 0;

	if (which == NULL || at == NULL || (strcmp(which, call) != 0 && !any))
		return false;
	return atomic_fetch_add(&count, 1) + 1 == strtol(at, NULL, 10);
}

/* True when the call has to fail; errno is set then. */
static bool fails(const char *call)
{
	const char *how = getenv("FAIL_HOW");

	if (!wanted(call))
		return false;
	if (how != NULL && strcmp(how, "kill") == 0)
		raise(SIGKILL);
	errno = how == NULL		     ? EIO
		: strcmp(how, "ENOSPC") == 0 ? ENOSPC
		: strcmp(how, "ENOMEM") == 0 ? ENOMEM
					     : EIO;
	return true;
}

static bool is_written_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY &&
	       fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* The function behind ours. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

int fsync(int fd)
{
	return fails("fsync") ? -1 : REAL(fsync)(fd);
}

int close(int fd)
{
	if (is_written_file(fd) && fails("close")) {
		int saved = errno;

		REAL(close)(fd); /* as Linux does: the descriptor is gone */
		errno = saved;
		return -1;
	}
	return REAL(close)(fd);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	if (is_written_file(fd) && fails("write"))
		return -1;
	return REAL(write)(fd, buf, n);
}

ssize_t pwrite64(int fd, const void *buf, size_t n, off64_t at)
{
	return fails("pwrite") ? -1 : REAL(pwrite64)(fd, buf, n, at);
}

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	return fails("send") ? -1 : REAL(send)(fd, buf, n, flags);
}

int linkat(int from, const char *old, int to, const char *name, int flags)
{
	return fails("linkat") ? -1 : REAL(linkat)(from, old, to, name, flags);
}

int renameat(int from, const char *old, int to, const char *name)
{
	return fails("renameat") ? -1 : REAL(renameat)(from, old, to, name);
}

int unlinkat(int at, const char *name, int flags)
{
	return fails("unlinkat") ? -1 : REAL(unlinkat)(at, name, flags);
}

int mkdirat(int at, const char *name, mode_t mode)
{
	return fails("mkdirat") ? -1 : REAL(mkdirat)(at, name, mode);
}

int inotify_init1(int flags)
{
	return fails("inotify_init1") ? -1 : REAL(inotify_init1)(flags);
}

int openat(int at, const char *name, int flags, ...)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash != NULL ? slash + 1 : name;
	bool number = base[strspn(base, "0123456789")] == '\0';
	mode_t mode = 0;
	va_list ap;

	va_start(ap, flags);
	if ((flags & (O_CREAT | O_TMPFILE)) != 0)
		mode = va_arg(ap, mode_t);
	va_end(ap);
	if (number && (flags & O_ACCMODE) == O_RDONLY && fails("openat"))
		return -1;
	return REAL(openat)(at, name, flags, mode);
}
