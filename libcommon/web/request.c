#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/secret.h"
#include "web/web.h"

/* Longest value of a header that we send. */
#define VALUE_MAX 8192

static void drop(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

static struct web_header *find(struct web_request *q, const char *name)
{
	unsigned i;

	for (i = 0; i < q->nheaders; i++)
		if (strcasecmp(q->headers[i].name, name) == 0)
			return &q->headers[i];
	return NULL;
}

int web_header(struct web_request *q, struct err *e, const char *name,
	       const char *fmt, ...)
{
	struct web_header *h = find(q, name);
	char value[VALUE_MAX];
	va_list ap;
	char *copy;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(value) ||
	    strpbrk(value, "\r\n") != NULL)
		return err_set(e, PS_CONFIG,
			       "%s: header %s is too long or no line", q->what,
			       name);
	copy = strdup(value);
	secret_wipe(value, (size_t)n);
	if (copy == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", q->what);
	if (h == NULL) {
		if (q->nheaders == WEB_HEADERS_MAX) {
			drop(copy);
			return err_set(e, PS_SOFTWARE, "%s: too many headers",
				       q->what);
		}
		h = &q->headers[q->nheaders];
		h->name = strdup(name);
		if (h->name == NULL) {
			drop(copy);
			return err_sys(e, PS_TEMPFAIL, "%s", q->what);
		}
		q->nheaders++;
		h->value = NULL;
	}
	drop(h->value);
	h->value = copy;
	return 0;
}

const char *web_header_get(const struct web_request *q, const char *name)
{
	unsigned i;

	for (i = 0; i < q->nheaders; i++)
		if (strcasecmp(q->headers[i].name, name) == 0)
			return q->headers[i].value;
	return NULL;
}

void web_answer_clear(struct web_request *q)
{
	drop(q->answer.body);
	free(q->answer.fields);
	q->answer = (struct web_answer){0};
}

void web_free(struct web_request *q)
{
	unsigned i;

	web_answer_clear(q);
	for (i = 0; i < q->nheaders; i++) {
		free(q->headers[i].name);
		drop(q->headers[i].value);
	}
	q->nheaders = 0;
}

/* Lines "Name: value\r\n" one after another. */
bool web_field(const struct web_request *q, const char *name, char *buf,
	       size_t size)
{
	const char *p = q->answer.fields;
	size_t len = strlen(name);

	while (p != NULL && *p != '\0') {
		const char *end = p + strcspn(p, "\r\n");

		if (strncasecmp(p, name, len) == 0 && p[len] == ':') {
			size_t n;

			p += len + 1;
			p += strspn(p, " \t");
			n = (size_t)(end > p ? end - p : 0);
			while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'))
				n--;
			if (n >= size)
				return false;
			memcpy(buf, p, n);
			buf[n] = '\0';
			return true;
		}
		p = end + strspn(end, "\r\n");
	}
	return false;
}

int web_escape(const char *text, const char *keep, char *out, size_t size)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";
	static const char hex[] = "0123456789ABCDEF";
	size_t n = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (n + 4 > size)
			return -PS_USAGE;
		if (strchr(plain, c) != NULL || strchr(keep, c) != NULL) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = hex[c >> 4];
		out[n++] = hex[c & 15];
	}
	out[n] = '\0';
	return 0;
}

void web_date(int64_t seconds, char out[WEB_DATE_SIZE])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
				       "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr",
					 "May", "Jun", "Jul", "Aug",
					 "Sep", "Oct", "Nov", "Dec"};
	time_t t = (time_t)seconds;
	struct tm tm;

	/* Names are English whatever the locale is. */
	gmtime_r(&t, &tm);
	snprintf(out, WEB_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT",
		 days[tm.tm_wday], (unsigned)tm.tm_mday % 100,
		 months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000,
		 (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
		 (unsigned)tm.tm_sec % 100);
}
