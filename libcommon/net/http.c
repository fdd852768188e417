#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/units.h"
#include "net/http.h"

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_PROTOCOL, "HTTP: %s", what);
}

/* ---- heads ---- */

/* The characters of RFC 9110 "token". */
static bool is_token(const char *s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
		      (*s >= '0' && *s <= '9') || strchr(others, *s) != NULL))
			return false;
	return true;
}

/* Every byte is printable ASCII or a tab, or part of CR LF. */
static bool bytes_ok(const char *text, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r') {
			if (i + 1 == n || text[i + 1] != '\n')
				return false;
			i++;
		} else if (c != '\t' && (c < 0x20 || c > 0x7e)) {
			return false;
		}
	}
	return true;
}

static int parse_request_line(struct http_head *h, char *line, struct err *e)
{
	char *target = strchr(line, ' ');
	char *version = target != NULL ? strchr(target + 1, ' ') : NULL;
	const char *p;

	if (version == NULL)
		return bad(e, "bad request line");
	*target++ = '\0';
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") != 0)
		return bad(e, "not HTTP/1.1");
	if (!is_token(line) || *target != '/')
		return bad(e, "bad request line");
	for (p = target; *p != '\0'; p++)
		if (*p == '\t')
			return bad(e, "bad request line");
	h->method = line;
	h->target = target;
	return 0;
}

static int parse_status_line(struct http_head *h, const char *line,
			     struct err *e)
{
	if (strncmp(line, "HTTP/1.1 ", 9) != 0)
		return bad(e, "not HTTP/1.1");
	line += 9;
	if (line[0] < '1' || line[0] > '5' || line[1] < '0' || line[1] > '9' ||
	    line[2] < '0' || line[2] > '9' ||
	    (line[3] != ' ' && line[3] != '\0'))
		return bad(e, "bad status line");
	h->status = (unsigned)(100 * (line[0] - '0') + 10 * (line[1] - '0') +
			       (line[2] - '0'));
	return 0;
}

static int parse_field(struct http_head *h, char *line, struct err *e)
{
	char *value = strchr(line, ':'), *end;

	if (value == NULL)
		return bad(e, "a field without a colon");
	*value++ = '\0';
	if (!is_token(line)) /* a folded line begins with a space: refused */
		return bad(e, "bad field name");
	value += strspn(value, " \t");
	end = value + strlen(value);
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		*--end = '\0';
	if (h->nfields == HTTP_FIELDS_MAX)
		return bad(e, "too many fields");
	h->fields[h->nfields++] = (struct http_field){line, value};
	return 0;
}

/* The value of a field that may stand there once; NULL: not there. */
static int once(const struct http_head *h, const char *name, const char **ret,
		struct err *e)
{
	unsigned i;

	*ret = NULL;
	for (i = 0; i < h->nfields; i++) {
		if (strcasecmp(h->fields[i].name, name) != 0)
			continue;
		if (*ret != NULL)
			return bad(e, "a field twice that may stand once");
		*ret = h->fields[i].value;
	}
	return 0;
}

static int check_framing(struct http_head *h, struct err *e)
{
	const char *host, *length, *coding, *connection;

	if (once(h, "Host", &host, e) < 0 ||
	    once(h, "Content-Length", &length, e) < 0 ||
	    once(h, "Transfer-Encoding", &coding, e) < 0 ||
	    once(h, "Connection", &connection, e) < 0)
		return -PS_PROTOCOL;
	if (h->method != NULL && host == NULL)
		return bad(e, "no Host field");
	if (length != NULL && coding != NULL)
		return bad(e, "two lengths of one body");
	if (length != NULL) {
		h->has_length = true;
		if (!parse_u64(length, INT64_MAX, &h->length))
			return bad(e, "bad Content-Length");
	}
	if (coding != NULL) {
		h->chunked = true;
		if (strcasecmp(coding, "chunked") != 0)
			return bad(e, "unknown Transfer-Encoding");
	}
	h->close = connection != NULL && strcasecmp(connection, "close") == 0;
	return 0;
}

int http_parse(struct http_head *h, enum http_kind kind, const char *text,
	       size_t n, struct err *e)
{
	char *line = h->text;
	bool first = true;
	int rc = 0;

	h->method = h->target = NULL;
	h->status = h->nfields = 0;
	h->chunked = h->has_length = h->close = false;
	h->length = 0;
	if (n < 4 || n > HTTP_HEAD_MAX || memcmp(text + n - 4, "\r\n\r\n", 4))
		return bad(e, "a head without its end");
	if (!bytes_ok(text, n))
		return bad(e, "a control character in a head");
	memcpy(h->text, text, n);
	h->text[n] = '\0';
	while (rc == 0) {
		char *end = strchr(line, '\r');

		if (end == line)
			break;
		*end = '\0';
		if (!first)
			rc = parse_field(h, line, e);
		else if (kind == HTTP_REQUEST)
			rc = parse_request_line(h, line, e);
		else
			rc = parse_status_line(h, line, e);
		first = false;
		line = end + 2;
	}
	if (rc == 0 && (first || line + 2 != h->text + n))
		return bad(e, "an empty line inside a head");
	return rc < 0 ? rc : check_framing(h, e);
}

const char *http_field(const struct http_head *h, const char *name)
{
	unsigned i;

	for (i = 0; i < h->nfields; i++)
		if (strcasecmp(h->fields[i].name, name) == 0)
			return h->fields[i].value;
	return NULL;
}

int http_split(char *path, char **parts, int max)
{
	int n = 0;

	if (*path++ != '/')
		return -1;
	while (*path != '\0') {
		size_t len = strcspn(path, "/");

		if (len == 0 || n == max)
			return -1;
		parts[n++] = path;
		path += len;
		if (*path == '/') {
			*path++ = '\0';
			if (*path == '\0')
				return -1;
		}
	}
	return n;
}

void http_date(int64_t seconds, char out[HTTP_DATE_SIZE])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, HTTP_DATE_SIZE, "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

bool http_date_parse(const char *text, int64_t *ret_seconds)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	if (end == NULL || *end != '\0')
		return false;
	*ret_seconds = (int64_t)timegm(&tm);
	return true;
}

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *words;
	} reasons[] = {
	    {200, "OK"},
	    {202, "Accepted"},
	    {201, "Created"},
	    {204, "No Content"},
	    {400, "Bad Request"},
	    {401, "Unauthorized"},
	    {403, "Forbidden"},
	    {404, "Not Found"},
	    {405, "Method Not Allowed"},
	    {409, "Conflict"},
	    {411, "Length Required"},
	    {413, "Content Too Large"},
	    {423, "Locked"},
	    {500, "Internal Server Error"},
	    {503, "Service Unavailable"},
	    {507, "Insufficient Storage"},
	};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (reasons[i].status == status)
			return reasons[i].words;
	return "Unknown";
}

/* ---- reading ---- */

int http_in_open(struct http_in *in, io_read_fn *read_fn, void *ctx,
		 struct err *e)
{
	*in = (struct http_in){.read = read_fn, .ctx = ctx};
	in->buf = malloc(HTTP_IN_SIZE);
	if (in->buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "HTTP");
	return 0;
}

void http_in_close(struct http_in *in)
{
	free(in->buf);
	in->buf = NULL;
}

/* Gets at least one byte more behind those that are there: 1, 0, -CODE. */
static int fill(struct http_in *in, struct err *e)
{
	ssize_t got;

	if (in->pos > 0) {
		memmove(in->buf, in->buf + in->pos, in->end - in->pos);
		in->end -= in->pos;
		in->pos = 0;
	}
	got = in->read(in->ctx, in->buf + in->end, HTTP_IN_SIZE - in->end, e);
	if (got <= 0)
		return (int)got;
	in->end += (size_t)got;
	return 1;
}

static int cut(struct err *e)
{
	return err_set(e, PS_UNAVAILABLE,
		       "the connection ended inside a message");
}

int http_read_head(struct http_in *in, enum http_kind kind, struct http_head *h,
		   void (*begun)(void *ctx), void *ctx, struct err *e)
{
	size_t seen = 0, have, len;
	bool told = false;
	char *text, *end;
	int rc;

	for (;;) {
		have = in->end - in->pos;
		text = (char *)in->buf + in->pos;
		if (have > 0 && !told && begun != NULL)
			begun(ctx);
		told = have > 0;
		end = memmem(text + seen, have - seen, "\r\n\r\n", 4);
		if (end != NULL)
			break;
		if (have >= HTTP_HEAD_MAX)
			return bad(e, "a head over 16 KiB");
		seen = have > 3 ? have - 3 : 0;
		rc = fill(in, e);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return have == 0 ? 0 : cut(e);
	}
	len = (size_t)(end - text) + 4;
	in->pos += len;
	if (len > HTTP_HEAD_MAX)
		return bad(e, "a head over 16 KiB");
	rc = http_parse(h, kind, text, len, e);
	return rc < 0 ? rc : 1;
}

/* ---- bodies ---- */

void http_body_begin(struct http_body *b, struct http_in *in,
		     const struct http_head *h, uint64_t max)
{
	*b = (struct http_body){.in = in, .max = max, .first = true};
	b->chunked = h->chunked;
	b->left = h->has_length ? h->length : 0;
	b->done = !b->chunked && b->left == 0;
}

/* Lower or upper case; -1: no hexadecimal digit. */
static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Parses "[CR LF] HEX CR LF" in `n` bytes. Returns its length, 0 when more
 * bytes are needed, -1 when it is wrong.
 */
static int chunk_line(const uint8_t *p, size_t n, bool first, uint64_t *ret)
{
	size_t i = first ? 0 : 2, from = i;
	uint64_t v = 0;

	if (!first && ((n > 0 && p[0] != '\r') || (n > 1 && p[1] != '\n')))
		return -1;
	for (; i < n && digit(p[i]) >= 0; i++) {
		if (i - from == 8)
			return -1;
		v = v << 4 | (unsigned)digit(p[i]);
	}
	if (i >= n)
		return 0;
	if (i == from || p[i] != '\r' || (i + 1 < n && p[i + 1] != '\n'))
		return -1;
	if (i + 1 >= n)
		return 0;
	*ret = v;
	return (int)i + 2;
}

/* Goes on to the next chunk; the last one ends the body. */
static int next_chunk(struct http_body *b, struct err *e)
{
	struct http_in *in = b->in;
	int rc, len;

	for (;;) {
		len = chunk_line(in->buf + in->pos, in->end - in->pos, b->first,
				 &b->left);
		if (len != 0)
			break;
		rc = fill(in, e);
		if (rc <= 0)
			return rc < 0 ? rc : cut(e);
	}
	if (len < 0)
		return bad(e, "bad length of a chunk");
	in->pos += (size_t)len;
	b->first = false;
	if (b->left > 0)
		return 0;
	while (in->end - in->pos < 2) {
		rc = fill(in, e);
		if (rc <= 0)
			return rc < 0 ? rc : cut(e);
	}
	if (memcmp(in->buf + in->pos, "\r\n", 2) != 0)
		return bad(e, "fields behind a body");
	in->pos += 2;
	b->done = true;
	return 0;
}

ssize_t http_body_read(void *body, void *buf, size_t n, struct err *e)
{
	struct http_body *b = body;
	struct http_in *in = b->in;
	ssize_t got;
	int rc;

	if (!b->done && b->chunked && b->left == 0) {
		rc = next_chunk(b, e);
		if (rc < 0)
			return rc;
	}
	if (b->done)
		return 0;
	if (b->read == b->max)
		return err_set(e, PS_DATA, "a body over %llu bytes",
			       (unsigned long long)b->max);
	if (n > b->left)
		n = (size_t)b->left;
	if (n > b->max - b->read)
		n = (size_t)(b->max - b->read);
	if (in->end > in->pos) {
		got = (ssize_t)(in->end - in->pos);
		if ((size_t)got > n)
			got = (ssize_t)n;
		memcpy(buf, in->buf + in->pos, (size_t)got);
		in->pos += (size_t)got;
	} else { /* straight to where it is wanted: one copy less */
		got = in->read(in->ctx, buf, n, e);
		if (got <= 0)
			return got < 0 ? got : cut(e);
	}
	b->left -= (uint64_t)got;
	b->read += (uint64_t)got;
	b->done = !b->chunked && b->left == 0;
	return got;
}

int http_body_all(struct http_body *b, char *buf, size_t size, size_t *ret_len,
		  struct err *e)
{
	size_t done = 0;
	ssize_t got;
	char over;

	while (done < size - 1) {
		got = http_body_read(b, buf + done, size - 1 - done, e);
		if (got < 0)
			return (int)got;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	if (!b->done) {
		got = http_body_read(b, &over, 1, e);
		if (got < 0)
			return (int)got;
		if (got > 0)
			return err_set(e, PS_DATA, "a body over %zu bytes",
				       size - 1);
	}
	buf[done] = '\0';
	*ret_len = done;
	return 0;
}
