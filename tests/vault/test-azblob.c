/*
 * Azure Blob without a service: what is signed, against the strings of
 * "Authorize with Shared Key", and what is read from lists.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vault/azblob.h"

/* The documentation's example for Get Container Metadata. */
static void signs_what_the_documentation_says(void **state)
{
	struct web_request q = {.method = "GET", .what = "x"};
	struct err e = {0};
	char text[1024];

	(void)state;
	web_header(&q, &e, "x-ms-version", "2015-02-21");
	web_header(&q, &e, "x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");
	assert_int_equal(az_string_to_sign(&q,
					   "/myaccount/mycontainer\n"
					   "comp:metadata\n"
					   "restype:container\ntimeout:20",
					   text, sizeof(text), &e),
			 0);
	assert_string_equal(text, "GET\n\n\n\n\n\n\n\n\n\n\n\n"
				  "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
				  "x-ms-version:2015-02-21\n"
				  "/myaccount/mycontainer\ncomp:metadata\n"
				  "restype:container\ntimeout:20");
	web_free(&q);
}

/* Each field in its place: a Put Blob with a length and conditions. */
static void signs_each_field_in_its_place(void **state)
{
	struct web_request q = {.method = "PUT", .what = "x", .body_len = 11};
	struct err e = {0};
	char text[1024];

	(void)state;
	web_header(&q, &e, "x-ms-date", "D");
	web_header(&q, &e, "Range", "R");
	web_header(&q, &e, "If-None-Match", "*");
	web_header(&q, &e, "If-Match", "M");
	web_header(&q, &e, "Content-Type", "T");
	web_header(&q, &e, "x-ms-blob-type", "BlockBlob");
	assert_int_equal(
	    az_string_to_sign(&q, "/a/c/b", text, sizeof(text), &e), 0);
	assert_string_equal(text, "PUT\n\n\n11\n\nT\n\n\nM\n*\n\nR\n"
				  "x-ms-blob-type:BlockBlob\nx-ms-date:D\n"
				  "/a/c/b");
	assert_int_equal(az_string_to_sign(&q, "/a/c/b", text, 20, &e),
			 -PS_SOFTWARE);
	web_free(&q);
}

/* RFC 4231, test case 2, in base64. */
static void hmac_is_that_of_the_rfc(void **state)
{
	struct err e = {0};
	char out[AZ_SIGNATURE_SIZE];

	(void)state;
	assert_int_equal(az_hmac((const uint8_t *)"Jefe", 4,
				 "what do ya want for nothing?", out, &e),
			 0);
	assert_string_equal(out,
			    "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
}

static void keys_are_base64(void **state)
{
	uint8_t out[8];
	size_t n = 0;

	(void)state;
	assert_int_equal(az_unbase64("Zm9vYg==", out, sizeof(out), &n), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(out, "foob", 4);
	assert_int_equal(az_unbase64("Zm9v!g==", out, sizeof(out), &n), -1);
	assert_int_equal(az_unbase64("Zm9vYmFyZm9vYmFy", out, sizeof(out), &n),
			 -1);
	assert_int_equal(az_unbase64("", out, sizeof(out), &n), -1);
}

struct seen {
	char text[256];
};

static int note(void *ctx, const struct store_entry *found, struct err *e)
{
	struct seen *s = ctx;
	size_t used = strlen(s->text);

	(void)e;
	snprintf(s->text + used, sizeof(s->text) - used, "%s%s:%llu ",
		 found->name, found->is_dir ? "(dir)" : "",
		 (unsigned long long)found->size);
	return 0;
}

static int parse(char *xml, struct seen *s, char *marker, struct err *e)
{
	static struct az_call c;

	*s = (struct seen){{0}};
	c.q.answer.body = xml;
	c.q.answer.len = strlen(xml);
	return az_parse_list(&c, note, s, marker, e);
}

static void lists_are_read(void **state)
{
	static char page[] =
	    "\xef\xbb\xbf<?xml version=\"1.0\"?><EnumerationResults>"
	    "<Prefix>Name</Prefix><Blobs><Blob><Name>a/b</Name><Properties>"
	    "<Content-Length>7</Content-Length></Properties></Blob>"
	    "<BlobPrefix><Name>a/d/</Name></BlobPrefix>"
	    "<Blob><Name>a/d</Name><Properties><ResourceType>directory"
	    "</ResourceType><Content-Length>0</Content-Length></Properties>"
	    "</Blob></Blobs><NextMarker>2!8&amp;x</NextMarker>"
	    "</EnumerationResults>";
	static char cut[] = "<EnumerationResults><Blobs><Blob><Name>a</Name>";
	static char sizeless[] = "<E><Blob><Name>a</Name></Blob></E>";
	struct err e = {0};
	struct seen s;
	char marker[AZ_MARKER_SIZE];

	(void)state;
	assert_int_equal(parse(page, &s, marker, &e), 0);
	assert_string_equal(s.text, "a/b:7 a/d/(dir):0 ");
	assert_string_equal(marker, "2!8&x");
	assert_int_equal(parse(cut, &s, marker, &e), -PS_PROTOCOL);
	assert_int_equal(parse(sizeless, &s, marker, &e), -PS_PROTOCOL);
}

static void secrets_stay_here_or_go_over_tls(void **state)
{
	(void)state;
	assert_true(az_confidential("https://login.example/x"));
	assert_true(az_confidential("http://127.0.0.1:80/x"));
	assert_true(az_confidential("http://[::1]/"));
	assert_false(az_confidential("http://127.0.0.1.evil.example/"));
	assert_true(az_confidential("http://localhost"));
	assert_false(az_confidential("http://localhost.example"));
	assert_false(az_confidential("http://login.example/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(signs_what_the_documentation_says),
	    cmocka_unit_test(signs_each_field_in_its_place),
	    cmocka_unit_test(hmac_is_that_of_the_rfc),
	    cmocka_unit_test(keys_are_base64),
	    cmocka_unit_test(lists_are_read),
	    cmocka_unit_test(secrets_stay_here_or_go_over_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
