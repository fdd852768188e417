/*
 * Signatures against the examples that AWS publishes: "Signature Calculations
 * for the Authorization Header", Amazon S3 API Reference. The secret is that
 * of these pages and opens nothing.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "vault/s3-sign.h"

#define WHEN 1369353600 /* 2013-05-24T00:00:00Z */
#define HOST "https://examplebucket.s3.amazonaws.com"
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct s3_keys keys = {
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", NULL};

static void expect(struct web_request *q, const char *payload,
		   const char *names, const char *signature)
{
	char want[512];

	snprintf(want, sizeof(want),
		 "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
		 "us-east-1/s3/aws4_request,SignedHeaders=%s,Signature=%s",
		 names, signature);
	assert_int_equal(s3_sign(q, &keys, "us-east-1", payload, WHEN, NULL),
			 0);
	assert_string_equal(web_header_get(q, "Authorization"), want);
	web_free(q);
}

static void part_of_an_object(void **state)
{
	struct web_request q = {.method = "GET", .url = HOST "/test.txt"};

	(void)state;
	assert_int_equal(web_header(&q, NULL, "Range", "bytes=0-9"), 0);
	expect(
	    &q, EMPTY, "host;range;x-amz-content-sha256;x-amz-date",
	    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void new_object(void **state)
{
	static const char body[] = "Welcome to Amazon S3.";
	struct web_request q = {.method = "PUT",
				.url = HOST "/test%24file.text"};
	uint8_t digest[SHA256_LEN];
	char payload[SHA256_HEX];

	(void)state;
	sha256_of(body, sizeof(body) - 1, digest);
	hex_encode(digest, sizeof(digest), payload);
	assert_int_equal(
	    web_header(&q, NULL, "Date", "%s", "Fri, 24 May 2013 00:00:00 GMT"),
	    0);
	assert_int_equal(
	    web_header(&q, NULL, "X-Amz-Storage-Class", "REDUCED_REDUNDANCY"),
	    0);
	expect(
	    &q, payload,
	    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
	    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void query_without_a_value(void **state)
{
	struct web_request q = {.method = "GET", .url = HOST "/?lifecycle="};

	(void)state;
	expect(
	    &q, EMPTY, "host;x-amz-content-sha256;x-amz-date",
	    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void query_of_a_list(void **state)
{
	struct web_request q = {.method = "GET",
				.url = HOST "/?max-keys=2&prefix=J"};

	(void)state;
	expect(
	    &q, EMPTY, "host;x-amz-content-sha256;x-amz-date",
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* A second try has a new date, and the first signature is not signed. */
static void signs_again(void **state)
{
	struct web_request q = {.method = "GET",
				.url = HOST "/?max-keys=2&prefix=J"};

	(void)state;
	assert_int_equal(s3_sign(&q, &keys, "us-east-1", EMPTY, WHEN - 9, NULL),
			 0);
	expect(
	    &q, EMPTY, "host;x-amz-content-sha256;x-amz-date",
	    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void a_token_is_sent_and_signed(void **state)
{
	struct s3_keys session = keys;
	struct web_request q = {.method = "GET", .url = HOST "/x"};

	(void)state;
	session.token = "a-token";
	assert_int_equal(s3_sign(&q, &session, "us-east-1", EMPTY, WHEN, NULL),
			 0);
	assert_string_equal(web_header_get(&q, "X-Amz-Security-Token"),
			    "a-token");
	assert_non_null(strstr(web_header_get(&q, "Authorization"),
			       ";x-amz-security-token,"));
	web_free(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(part_of_an_object),
	    cmocka_unit_test(new_object),
	    cmocka_unit_test(query_without_a_value),
	    cmocka_unit_test(query_of_a_list),
	    cmocka_unit_test(signs_again),
	    cmocka_unit_test(a_token_is_sent_and_signed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
