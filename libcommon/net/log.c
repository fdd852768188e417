#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/channel.h"
#include "net/log.h"

#define LINE_MAX_LEN 2048
#define LOCK_NAME ".lock"

int netlog_open(struct netlog *l, const char *dir, uint64_t limit,
		struct err *e)
{
	*l = (struct netlog){.dirfd = -1, .limit = limit};
	if (mkdir(dir, 0750) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", dir);
	l->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->dirfd < 0)
		return err_sys(e, 0, "%s", dir);
	return 0;
}

void netlog_close(struct netlog *l)
{
	if (l->dirfd >= 0)
		close(l->dirfd);
	l->dirfd = -1;
}

static int open_log(const struct netlog *l, const char *name)
{
	return openat(l->dirfd, name,
		      O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      0640);
}

static bool is_full(const struct netlog *l, const char *name)
{
	struct stat st;

	return fstatat(l->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size >= l->limit;
}

static void rotate(const struct netlog *l, const char *name)
{
	char from[64], to[64];
	int lock = openat(l->dirfd, LOCK_NAME,
			  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	unsigned i;

	/* Another process may be at it: then the next line comes too soon. */
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0 ||
	    !is_full(l, name)) {
		if (lock >= 0)
			close(lock);
		return;
	}
	for (i = NETLOG_KEEP; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%u", name, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%u", name, i - 1);
		else
			snprintf(from, sizeof(from), "%s", name);
		(void)renameat(l->dirfd, from, l->dirfd, to);
	}
	close(lock);
}

/* Control characters inside a line would let a peer forge lines. */
static void append(const struct netlog *l, const char *name, char *line,
		   int len)
{
	int i, fd;

	if (l->dirfd < 0 || len <= 0)
		return;
	if (len > LINE_MAX_LEN - 2)
		len = LINE_MAX_LEN - 2;
	for (i = 0; i < len; i++)
		if (iscntrl((unsigned char)line[i]) && line[i] != '\t')
			line[i] = ' ';
	line[len++] = '\n';
	if (is_full(l, name))
		rotate(l, name);
	fd = open_log(l, name);
	if (fd < 0)
		return;
	(void)io_write_full(fd, line, (size_t)len);
	close(fd);
}

void netlog_put_err(const struct netlog *l, pid_t pid, const char *peer,
		    const char *words)
{
	char line[LINE_MAX_LEN], now[TIME_TEXT];
	int n;

	format_time(time_now_ns() / 1000000 * 1000000, now);
	n = snprintf(line, sizeof(line), "%s\t%d\t%s\t%s", now, (int)pid,
		     peer != NULL ? peer : "-", words);
	append(l, "cxps.err", line, n);
	if (peer != NULL)
		tool_warn("%s: %s", peer, words);
	else
		tool_warn("%s", words);
}

enum netlog_kind netlog_kind(const struct err *e)
{
	switch (e->code) {
	case PS_UNAVAILABLE:
		return NETLOG_LINE;
	case PS_PROTOCOL:
		return NETLOG_TALK;
	case PS_DATA:
		return NETLOG_SEGMENT;
	case PS_TEMPFAIL: /* without an errno nothing has failed */
		return e->sys == 0 ? NETLOG_BUSY : NETLOG_OWN;
	default:
		return NETLOG_OWN;
	}
}

void netlog_err(const struct netlog *l, const char *peer, enum netlog_kind kind,
		const char *fmt, ...)
{
	size_t n = peer != NULL ? strlen(peer) : 0;
	char text[1024], *words = text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/*
	 * Messages of a connection name it, too. Its port would make every one
	 * of them another line to those who count (hush.h).
	 */
	if (n > 0 && strncmp(words, peer, n) == 0 &&
	    strncmp(words + n, ": ", 2) == 0)
		words += n + 2;
	if (l->channel > 0)
		channel_say(l->channel, CHANNEL_ERR, kind, words);
	else
		netlog_put_err(l, getpid(), peer, words);
}

void netlog_put_xfer(const struct netlog *l, const char *peer,
		     const char *words)
{
	char line[LINE_MAX_LEN], now[TIME_TEXT];
	int n;

	format_time(time_now_ns() / 1000000 * 1000000, now);
	n = snprintf(line, sizeof(line), "%s\t%s\t%s", now, peer, words);
	append(l, "cxps.xfer", line, n);
}

void netlog_xfer(const struct netlog *l, const struct netlog_xfer *x)
{
	char line[LINE_MAX_LEN], seq[24] = "-";

	if (x->seq != 0)
		snprintf(seq, sizeof(seq), "%llu", (unsigned long long)x->seq);
	snprintf(line, sizeof(line),
		 "%s\t%s\t%.1024s\t%u\t%llu\t%llu\t%.3f\t%s\t%s",
		 x->machine[0] != '\0' ? x->machine : "-", x->method, x->path,
		 x->status, (unsigned long long)x->in_bytes,
		 (unsigned long long)x->out_bytes, (double)x->took_ns / 1e9,
		 seq, x->digest != NULL ? x->digest : "-");
	if (l->channel > 0)
		channel_say(l->channel, CHANNEL_XFER, 0, line);
	else
		netlog_put_xfer(l, x->peer, line);
}
