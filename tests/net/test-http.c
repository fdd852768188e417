/* What the HTTP codec takes, and what it must refuse. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http.h"

static int parse(enum http_kind kind, const char *text, struct http_head *h)
{
	struct err e = {0};

	return http_parse(h, kind, text, strlen(text), &e);
}

static const char *const good[] = {
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a/b?c=d HTTP/1.1\r\nhOsT: a:9443\r\nX:\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost:\ta \t\r\nContent-Length: 0\r\n\r\n",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
    "G!#$%&'*+-.^_`|~9 /x HTTP/1.1\r\nHost:\r\n\r\n",
};

static const char *const wrong[] = {
    "",
    "\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n", /* no Host */
    "GET / HTTP/1.1\r\nHost: a\r\n",
    "GET / HTTP/1.1\nHost: a\n\n",
    "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
    " / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", /* folded */
    "GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n\r\nX: b\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    "Content-Length: 1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
    "Transfer-Encoding: chunked\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: "
    "99999999999999999999\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: "
    "9223372036854775808\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    "Transfer-Encoding: chunked\r\n\r\n",
};

static void takes_good_requests(void **state)
{
	struct http_head h;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (parse(HTTP_REQUEST, good[i], &h) != 0)
			fail_msg("refused: %s", good[i]);
	assert_int_equal(parse(HTTP_REQUEST, good[1], &h), 0);
	assert_string_equal(h.method, "GET");
	assert_string_equal(h.target, "/a/b?c=d");
	assert_string_equal(http_field(&h, "HOST"), "a:9443");
	assert_string_equal(http_field(&h, "x"), "");
	assert_null(http_field(&h, "y"));
	assert_int_equal(parse(HTTP_REQUEST, good[2], &h), 0);
	assert_string_equal(http_field(&h, "host"), "a");
	assert_true(h.has_length && h.length == 0 && !h.chunked);
	assert_int_equal(parse(HTTP_REQUEST, good[3], &h), 0);
	assert_true(h.chunked && !h.has_length);
}

static void refuses_wrong_requests(void **state)
{
	struct http_head h;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (parse(HTTP_REQUEST, wrong[i], &h) != -PS_PROTOCOL)
			fail_msg("taken: %s", wrong[i]);
}

static void refuses_a_nul(void **state)
{
	static const char text[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
	struct http_head h;

	(void)state;
	assert_int_equal(
	    http_parse(&h, HTTP_REQUEST, text, sizeof(text) - 1, NULL),
	    -PS_PROTOCOL);
}

static void bounds_fields_and_size(void **state)
{
	static char text[HTTP_HEAD_MAX + 64];
	struct http_head h;
	int i, n = sprintf(text, "GET / HTTP/1.1\r\nHost: a\r\n");

	(void)state;
	for (i = 1; i < HTTP_FIELDS_MAX; i++)
		n += sprintf(text + n, "X: y\r\n");
	strcpy(text + n, "\r\n");
	assert_int_equal(parse(HTTP_REQUEST, text, &h), 0);
	strcpy(text + n, "X: y\r\n\r\n");
	assert_int_equal(parse(HTTP_REQUEST, text, &h), -PS_PROTOCOL);

	n = sprintf(text, "GET / HTTP/1.1\r\nHost: ");
	memset(text + n, 'a', HTTP_HEAD_MAX - (size_t)n - 4);
	strcpy(text + HTTP_HEAD_MAX - 4, "\r\n\r\n");
	assert_int_equal(parse(HTTP_REQUEST, text, &h), 0);
	strcpy(text + HTTP_HEAD_MAX - 4, "a\r\n\r\n");
	assert_int_equal(parse(HTTP_REQUEST, text, &h), -PS_PROTOCOL);
}

static void parses_answers(void **state)
{
	static const char *const bad_answers[] = {
	    "HTTP/1.1 20 OK\r\n\r\n",  "HTTP/1.1 2000\r\n\r\n",
	    "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1  200 OK\r\n\r\n",
	    "HTTP/1.1 600 No\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
	    "GET / HTTP/1.1\r\n\r\n",  "HTTP/1.1 2x0 OK\r\n\r\n",
	};
	struct http_head h;
	size_t i;

	(void)state;
	assert_int_equal(parse(HTTP_ANSWER,
			       "HTTP/1.1 507 Insufficient Storage\r\n"
			       "Retry-After: 60\r\nConnection: Close\r\n\r\n",
			       &h),
			 0);
	assert_int_equal(h.status, 507);
	assert_true(h.close);
	assert_int_equal(parse(HTTP_ANSWER, "HTTP/1.1 200\r\n\r\n", &h), 0);
	for (i = 0; i < sizeof(bad_answers) / sizeof(bad_answers[0]); i++)
		if (parse(HTTP_ANSWER, bad_answers[i], &h) != -PS_PROTOCOL)
			fail_msg("taken: %s", bad_answers[i]);
}

static void splits_paths(void **state)
{
	char a[] = "/v1/machines/m", root[] = "/", two[] = "//a", end[] = "/a/",
	     many[] = "/a/b/c/d", none[] = "a";
	char *part[3];

	(void)state;
	assert_int_equal(http_split(a, part, 3), 3);
	assert_string_equal(part[0], "v1");
	assert_string_equal(part[2], "m");
	assert_int_equal(http_split(root, part, 3), 0);
	assert_int_equal(http_split(two, part, 3), -1);
	assert_int_equal(http_split(end, part, 3), -1);
	assert_int_equal(http_split(many, part, 3), -1);
	assert_int_equal(http_split(none, part, 3), -1);
}

static void dates_go_both_ways(void **state)
{
	char text[HTTP_DATE_SIZE];
	int64_t t;

	(void)state;
	http_date(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_true(http_date_parse(text, &t));
	assert_int_equal(t, 784111777);
	assert_false(http_date_parse("yesterday", &t));
}

/* ---- bodies, fed in pieces of every size ---- */

struct feed {
	const char *p;
	size_t n, step;
};

static ssize_t feed(void *ctx, void *buf, size_t n, struct err *e)
{
	struct feed *f = ctx;

	(void)e;
	if (n > f->step)
		n = f->step;
	if (n > f->n)
		n = f->n;
	memcpy(buf, f->p, n);
	f->p += n;
	f->n -= n;
	return (ssize_t)n;
}

/* Reads one message; `rest` gets the first byte of what is behind it. */
static int read_message(const char *text, size_t n, size_t step, char *body,
			size_t size, char *rest)
{
	struct feed f = {text, n, step};
	struct http_in in;
	struct http_body b;
	struct http_head *h = malloc(sizeof(*h));
	struct err e = {0};
	size_t len;
	int rc;

	assert_non_null(h);
	assert_int_equal(http_in_open(&in, feed, &f, &e), 0);
	rc = http_read_head(&in, HTTP_REQUEST, h, NULL, NULL, &e);
	if (rc > 0) {
		http_body_begin(&b, &in, h, UINT64_MAX);
		rc = http_body_all(&b, body, size, &len, &e);
		*rest = in.pos < in.end ? (char)in.buf[in.pos]
			: f.n > 0	? *f.p
					: '\0';
	} else if (rc == 0) {
		rc = 1;
	}
	http_in_close(&in);
	free(h);
	return rc;
}

#define CHUNKED                                                                \
	"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static void reads_bodies_in_pieces(void **state)
{
	static const char *const texts[] = {
	    CHUNKED "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\nN",
	    CHUNKED "B\r\nhello world\r\n0\r\n\r\nN",
	    "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n"
	    "hello worldN",
	};
	char body[64], rest;
	size_t i, step;

	(void)state;
	for (i = 0; i < 3; i++)
		for (step = 1; step < 120; step++) {
			assert_int_equal(read_message(texts[i],
						      strlen(texts[i]), step,
						      body, 64, &rest),
					 0);
			assert_string_equal(body, "hello world");
			assert_int_equal(rest, 'N');
		}
}

static void refuses_wrong_chunks(void **state)
{
	static const char *const texts[] = {
	    CHUNKED "g\r\n",
	    CHUNKED "\r\nhello",
	    CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n",
	    CHUNKED "5 \r\nhello\r\n0\r\n\r\n",
	    CHUNKED " 5\r\nhello\r\n0\r\n\r\n",
	    CHUNKED "+5\r\nhello\r\n0\r\n\r\n",
	    CHUNKED "0x5\r\nhello\r\n0\r\n\r\n",
	    CHUNKED "000000005\r\nhello\r\n0\r\n\r\n",
	    CHUNKED "5\nhello\r\n0\r\n\r\n",
	    CHUNKED "5\rXhello\r\n0\r\n\r\n",
	    CHUNKED "5\r\nhelloX\r\n0\r\n\r\n",
	    CHUNKED "5\r\nhello\n0\r\n\r\n",
	    CHUNKED "5\r\nhello\r\n0\r\nA: b\r\n\r\n",
	    CHUNKED "5\r\nhello\r\n0\r\n\n\n",
	};
	char body[64], rest;
	size_t i, step;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (step = 1; step < 120; step += 7)
			if (read_message(texts[i], strlen(texts[i]), step, body,
					 64, &rest) != -PS_PROTOCOL)
				fail_msg("taken: %s", texts[i]);
}

static void sees_every_cut(void **state)
{
	static const char text[] =
	    CHUNKED "5\r\nhello\r\n006\r\n world\r\n0\r\n\r\n";
	char body[64], rest;
	size_t n;

	(void)state;
	assert_int_equal(read_message(text, 0, 9, body, 64, &rest), 1);
	for (n = 1; n < sizeof(text) - 1; n++)
		assert_int_equal(read_message(text, n, 9, body, 64, &rest),
				 -PS_UNAVAILABLE);
}

static void bounds_bodies(void **state)
{
	static const char text[] = CHUNKED "5\r\nhello\r\n0\r\n\r\n";
	char body[64], rest;

	(void)state;
	assert_int_equal(
	    read_message(text, sizeof(text) - 1, 99, body, 6, &rest), 0);
	assert_int_equal(
	    read_message(text, sizeof(text) - 1, 99, body, 5, &rest), -PS_DATA);
}

static void refuses_an_endless_head(void **state)
{
	char *text = malloc(40000), body[8], rest;
	size_t step;

	(void)state;
	memset(text, 'a', 40000);
	for (step = 1000; step < 40000; step += 9999)
		assert_int_equal(
		    read_message(text, 40000, step, body, 8, &rest),
		    -PS_PROTOCOL);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(takes_good_requests),
	    cmocka_unit_test(refuses_wrong_requests),
	    cmocka_unit_test(refuses_a_nul),
	    cmocka_unit_test(bounds_fields_and_size),
	    cmocka_unit_test(parses_answers),
	    cmocka_unit_test(splits_paths),
	    cmocka_unit_test(dates_go_both_ways),
	    cmocka_unit_test(reads_bodies_in_pieces),
	    cmocka_unit_test(refuses_wrong_chunks),
	    cmocka_unit_test(sees_every_cut),
	    cmocka_unit_test(bounds_bodies),
	    cmocka_unit_test(refuses_an_endless_head),
	};

	return cmocka_run_group_tests_name("HTTP", tests, NULL, NULL);
}
