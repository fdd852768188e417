#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "service/log.h"

static int open_file(struct service_log *l)
{
	struct stat st;
	int fd = openat(l->dirfd, l->name,
			O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			0640);

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_nlink == 1) {
		l->fd = fd;
		l->size = (uint64_t)st.st_size;
		return 0;
	}
	if (fd >= 0) {
		close(fd);
		errno = EINVAL;
	}
	return -1;
}

int service_log_open(struct service_log *l, int dirfd, const char *name,
		     struct err *e)
{
	memset(l, 0, sizeof(*l));
	l->dirfd = dirfd;
	l->fd = -1;
	snprintf(l->name, sizeof(l->name), "%s.log", name);
	if (open_file(l) < 0)
		return err_sys(e, PS_IOERR, "%s", l->name);
	return 0;
}

static void rotate(struct service_log *l)
{
	char from[80], to[80];
	int i;

	for (i = LOG_OLD; i > 0; i--) {
		snprintf(to, sizeof(to), "%s.%d", l->name, i);
		if (i > 1)
			snprintf(from, sizeof(from), "%s.%d", l->name, i - 1);
		else
			snprintf(from, sizeof(from), "%s", l->name);
		(void)renameat(l->dirfd, from, l->dirfd, to);
	}
	close(l->fd);
	l->fd = -1;
}

static void write_piece(struct service_log *l, const char *p, size_t n)
{
	if (l->fd >= 0 && io_write_full(l->fd, p, n) == 0)
		l->size += n;
}

void service_log_put(struct service_log *l, const char *text, size_t n)
{
	while (n > 0) {
		const char *end = memchr(text, '\n', n);
		size_t piece = end != NULL ? (size_t)(end - text) + 1 : n;
		char now[TIME_TEXT + 1];

		if (!l->inside) {
			if (l->size >= LOG_SIZE)
				rotate(l);
			if (l->fd < 0)
				(void)open_file(l);
			format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
			strncat(now, " ", 2);
			write_piece(l, now, strlen(now));
		}
		write_piece(l, text, piece);
		l->inside = end == NULL;
		text += piece;
		n -= piece;
	}
}

void service_log_say(struct service_log *l, const char *fmt, ...)
{
	char words[400];
	va_list ap;

	if (l->inside)
		service_log_put(l, "\n", 1);
	service_log_put(l, "ps-service: ", 12);
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	service_log_put(l, words, strlen(words));
	service_log_put(l, "\n", 1);
}

void service_log_last(int dirfd, const char *name, char *out, size_t size)
{
	char file[64], text[2048], *line, *rest;
	struct stat st;
	int fd;
	ssize_t n = 0;

	out[0] = '\0';
	snprintf(file, sizeof(file), "%s.log", name);
	fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0) {
		uint64_t from = (uint64_t)st.st_size > sizeof(text) - 1
				    ? (uint64_t)st.st_size - (sizeof(text) - 1)
				    : 0;

		n = io_pread_full(fd, text, sizeof(text) - 1, from);
	}
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		const char *words = strchr(line, ' ');

		/* What the program itself said is more than what we say. */
		if (words != NULL && strstr(words, ": hint: ") == NULL &&
		    strncmp(words + 1, "ps-service: ", 12) != 0)
			snprintf(out, size, "%s", words + 1);
	}
}
