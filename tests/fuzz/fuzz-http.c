/*
 * libFuzzer target for the HTTP codec: one message after another, head and
 * body, as request or (first byte odd) as answer. The second byte is the size
 * of the pieces in which the bytes arrive. Built by hand:
 *
 *	clang -g -fsanitize=fuzzer,address,undefined -std=gnu11 -D_GNU_SOURCE \
 *	  -I. -I../libcommon ../tests/fuzz/fuzz-http.c \
 *	  ../libcommon/net/http.c ../libcommon/base/{err,units}.c
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "net/http.h"

struct source {
	const uint8_t *p;
	size_t n, step;
};

static ssize_t take(void *ctx, void *buf, size_t n, struct err *e)
{
	struct source *s = ctx;

	(void)e;
	if (n > s->step)
		n = s->step;
	if (n > s->n)
		n = s->n;
	memcpy(buf, s->p, n);
	s->p += n;
	s->n -= n;
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct http_head h;
	struct source src = {data + 2, n < 2 ? 0 : n - 2,
			     n < 2 ? 1 : data[1] + 1u};
	enum http_kind kind =
	    n > 0 && (data[0] & 1) ? HTTP_ANSWER : HTTP_REQUEST;
	struct http_in in;
	struct http_body b;
	char path[HTTP_HEAD_MAX + 1], *part[8], body[4096];
	size_t len;

	if (http_in_open(&in, take, &src, NULL) < 0)
		abort();
	while (http_read_head(&in, kind, &h, NULL, NULL, NULL) > 0) {
		if (kind == HTTP_REQUEST) {
			strcpy(path, h.target);
			(void)http_split(path, part, 8);
		}
		http_body_begin(&b, &in, &h, 1 << 20);
		if (http_body_all(&b, body, sizeof(body), &len, NULL) < 0)
			break;
		if (strlen(body) > len)
			abort();
	}
	http_in_close(&in);
	return 0;
}
