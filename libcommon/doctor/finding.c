#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "doctor/steps.h"
#include "vault/settings.h"

/* ---- saying ---- */

__attribute__((format(printf, 4, 0))) static void say(struct finding *f,
						      enum doctor_verdict v,
						      enum doctor_weight w,
						      const char *fmt,
						      va_list ap)
{
	f->verdict = v;
	f->weight = w;
	vsnprintf(f->what, sizeof(f->what), fmt, ap);
}

void find_passed(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, DOCTOR_PASSED, DOCTOR_NOTHING, fmt, ap);
	va_end(ap);
}

void find_warned(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, DOCTOR_WARNED, DOCTOR_NOTHING, fmt, ap);
	va_end(ap);
}

void find_skipped(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, DOCTOR_SKIPPED, DOCTOR_NOTHING, fmt, ap);
	va_end(ap);
}

void find_failed(struct finding *f, enum doctor_weight w, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(f, DOCTOR_FAILED, w, fmt, ap);
	va_end(ap);
}

void find_shows(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	if (f->n == DOCTOR_LINES) {
		snprintf(f->evidence[DOCTOR_LINES - 1], DOCTOR_LINE_SIZE,
			 "... and more");
		return;
	}
	va_start(ap, fmt);
	vsnprintf(f->evidence[f->n++], DOCTOR_LINE_SIZE, fmt, ap);
	va_end(ap);
}

void find_next(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->next, sizeof(f->next), fmt, ap);
	va_end(ap);
}

void find_error(struct finding *f, enum doctor_weight w, const struct err *e)
{
	find_failed(f, w, "%s", e->msg);
	if (e->hint[0] != '\0')
		find_next(f, "%s", e->hint);
}

bool find_denied(struct finding *f, const struct err *e)
{
	if (e->code != PS_NOPERM || geteuid() == 0)
		return false;
	find_skipped(f, "%s", e->msg);
	find_next(f, "run ps-doctor as root");
	return true;
}

const struct finding *finding_of(const struct doctor *d, const char *step)
{
	unsigned n, i;
	const struct doctor_step *s = doctor_steps_of(d, &n);

	for (i = 0; i < n; i++)
		if (strcmp(s[i].name, step) == 0)
			return d->findings[i].over ? &d->findings[i] : NULL;
	return NULL;
}

/* ---- places ---- */

/* "[ADDR:]PORT", "HOST:PORT", "[v6]:PORT", "HOST" when `port` has one. */
static void split_place(const char *text, const char *port,
			struct doctor_peer *ret)
{
	const char *colon = strrchr(text, ':'), *end = strchr(text, ']');
	size_t n;

	if (colon != NULL && end != NULL && colon < end)
		colon = NULL;
	n = colon != NULL ? (size_t)(colon - text) : strlen(text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	snprintf(ret->host, sizeof(ret->host), "%.*s", (int)n, text);
	snprintf(ret->port, sizeof(ret->port), "%s",
		 colon != NULL ? colon + 1 : port);
}

static bool any_address(const char *host)
{
	return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 ||
	       strcmp(host, "::") == 0;
}

bool doctor_peer(const struct doctor *d, struct doctor_peer *ret)
{
	if (d->source) {
		snprintf(ret->host, sizeof(ret->host), "%s", d->agent->host);
		snprintf(ret->port, sizeof(ret->port), "%u",
			 (unsigned)d->agent->port);
		return true;
	}
	if (d->listen == NULL)
		return false;
	if (strchr(d->listen, ':') != NULL)
		split_place(d->listen, "", ret);
	else
		*ret = (struct doctor_peer){.host = ""};
	if (strchr(d->listen, ':') == NULL)
		snprintf(ret->port, sizeof(ret->port), "%s", d->listen);
	if (d->host != NULL)
		snprintf(ret->host, sizeof(ret->host), "%s", d->host);
	else if (any_address(ret->host))
		snprintf(ret->host, sizeof(ret->host), "127.0.0.1");
	return true;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

bool doctor_endpoint(const struct doctor *d, char *url, size_t size)
{
	const char *vault = d->vault, *told = store_settings.endpoint;
	bool azure = vault != NULL && begins(vault, "azblob://");

	if (vault == NULL || (!azure && !begins(vault, "s3://")))
		return false;
	if (told == NULL)
		told = getenv(azure ? "AZURE_STORAGE_BLOB_ENDPOINT"
				    : "AWS_ENDPOINT_URL");
	if (told != NULL)
		snprintf(url, size, "%s", told);
	else if (azure)
		snprintf(url, size, "https://%.*s.blob.core.windows.net/",
			 (int)strcspn(vault + strlen("azblob://"), "/"),
			 vault + strlen("azblob://"));
	else
		snprintf(url, size, "https://s3.amazonaws.com/");
	return true;
}

bool doctor_endpoint_place(const struct doctor *d, struct doctor_peer *ret)
{
	char url[1024], place[300];
	const char *at, *user;

	if (!doctor_endpoint(d, url, sizeof(url)))
		return false;
	at = strstr(url, "://");
	at = at != NULL ? at + 3 : url;
	snprintf(place, sizeof(place), "%.*s", (int)strcspn(at, "/?#"), at);
	user = strrchr(place, '@');
	split_place(user != NULL ? user + 1 : place,
		    begins(url, "http://") ? "80" : "443", ret);
	return true;
}

void doctor_plain_url(const char *url, char *out, size_t size)
{
	const char *at = strstr(url, "://"), *user;
	size_t head = at != NULL ? (size_t)(at - url) + 3 : 0;
	size_t n = strcspn(url + head, "/?#");

	user = memchr(url + head, '@', n);
	/* A password may have '@': the last one counts. */
	while (user != NULL &&
	       memchr(user + 1, '@', n - (size_t)(user + 1 - url - head)) !=
		   NULL)
		user =
		    memchr(user + 1, '@', n - (size_t)(user + 1 - url - head));
	at = user != NULL ? user + 1 : url + head;
	snprintf(out, size, "%.*s%s%.*s", (int)head, url,
		 user != NULL ? "***@" : "", (int)strcspn(at, "?#"), at);
}

char *doctor_read(const char *path, size_t max, size_t *ret_n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *text = malloc(max + 1);
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && text != NULL && fstat(fd, &st) == 0) {
		if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > max)
			(void)lseek(fd, st.st_size - (off_t)max, SEEK_SET);
		n = io_read_full(fd, text, max);
	}
	if (n < 0) {
		int sys = errno;

		free(text);
		text = NULL;
		errno = sys;
	} else {
		text[n] = '\0';
		if (ret_n != NULL)
			*ret_n = (size_t)n;
	}
	if (fd >= 0)
		close(fd);
	return text;
}
