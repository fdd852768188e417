/* Parts of the HTTP client that need no server. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "web/web.h"

static void dates_are_english(void **state)
{
	char out[WEB_DATE_SIZE];

	(void)state;
	/* The example of RFC 9110 section 5.6.7. */
	web_date(784111777, out);
	assert_string_equal(out, "Sun, 06 Nov 1994 08:49:37 GMT");
}

static void escapes_what_is_not_plain(void **state)
{
	char out[64];

	(void)state;
	assert_int_equal(web_escape("a/b c~\xc3\xa9+", "/", out, sizeof(out)),
			 0);
	assert_string_equal(out, "a/b%20c~%C3%A9%2B");
	assert_int_equal(web_escape("a/b", "", out, sizeof(out)), 0);
	assert_string_equal(out, "a%2Fb");
	assert_int_equal(web_escape("abcdef", "", out, 5), -64);
}

static void headers_are_replaced_and_are_lines(void **state)
{
	struct web_request q = {.what = "x"};
	struct err e = {0};

	(void)state;
	assert_int_equal(web_header(&q, &e, "Range", "bytes=%d-", 1), 0);
	assert_int_equal(web_header(&q, &e, "range", "bytes=%d-", 2), 0);
	assert_int_equal(q.nheaders, 1);
	assert_string_equal(web_header_get(&q, "RANGE"), "bytes=2-");
	assert_int_equal(web_header(&q, &e, "X", "a\r\nEvil: 1"), -PS_CONFIG);
	web_free(&q);
}

static void errors_name_code_and_request(void **state)
{
	static char fields[] = "HTTP/1.1 403 No\r\nX-Amz-Request-Id: 4711\r\n";
	static char body[] = "<?xml version=\"1.0\"?><Error><Code>AccessDenied"
			     "</Code><Message>No way\nTime:1</Message></Error>";
	struct web_request q = {.what = "obj"};
	struct err e = {0};
	char code[64];

	(void)state;
	q.answer.status = 403;
	q.answer.fields = fields;
	q.answer.fields_len = sizeof(fields) - 1;
	q.answer.body = body;
	q.answer.len = sizeof(body) - 1;
	assert_int_equal(web_refused(&q, &e), -PS_NOPERM);
	assert_string_equal(e.msg, "obj: the service answers 403 AccessDenied: "
				   "No way, request id 4711");
	web_error_code(&q, code, sizeof(code));
	assert_string_equal(code, "AccessDenied");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dates_are_english),
	    cmocka_unit_test(escapes_what_is_not_plain),
	    cmocka_unit_test(headers_are_replaced_and_are_lines),
	    cmocka_unit_test(errors_name_code_and_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
