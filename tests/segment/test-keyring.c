/* The text of a key file: what comes back, and what is refused. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "segment/keyring.h"

static char text[KEYRING_TEXT_MAX];

static struct keyring *ring_of(unsigned n)
{
	struct keyring *k;

	assert_int_equal(keyring_new(&k, NULL), 0);
	while (k->n < n)
		assert_int_equal(keyring_add(k, NULL), 0);
	return k;
}

static int parse(const char *t)
{
	struct keyring *k = NULL;
	struct err e = {0};
	int rc = keyring_parse(&k, t, "test", &e);

	if (rc < 0)
		assert_non_null(strstr(e.msg, "test:"));
	keyring_free(k);
	return rc;
}

static void keys_come_back_in_their_order(void **state)
{
	struct keyring *k = ring_of(3), *back;

	(void)state;
	keyring_format(k, text);
	assert_int_equal(keyring_parse(&back, text, "test", NULL), 0);
	assert_int_equal(back->n, 3);
	assert_memory_equal(k->keys, back->keys, 3 * sizeof(struct key));
	assert_ptr_equal(keyring_find(back, k->keys[1].id), &back->keys[1]);
	/* Made in one second, and their order can be told all the same. */
	assert_true(k->keys[0].created_ns < k->keys[1].created_ns);
	assert_true(k->keys[1].created_ns < k->keys[2].created_ns);
	keyring_free(k);
	keyring_free(back);
}

static void a_full_ring_fits_its_text(void **state)
{
	struct keyring *k = ring_of(KEYRING_MAX), *m, *back;
	char name[NAME_SIZE];

	(void)state;
	assert_int_equal(keyring_add(k, NULL), -PS_CONFIG);
	memset(name, 'm', NAME_MAX_LEN);
	name[NAME_MAX_LEN] = '\0';
	assert_int_equal(keyring_derive(&m, k, name, NULL), 0);
	assert_in_range(keyring_format(m, text), 1, KEYRING_TEXT_MAX - 1);
	assert_int_equal(keyring_parse(&back, text, "test", NULL), 0);
	assert_int_equal(back->n, KEYRING_MAX);
	keyring_free(k);
	keyring_free(m);
	keyring_free(back);
}

static void comments_and_empty_lines_are_skipped(void **state)
{
	struct keyring *k = ring_of(1);
	char more[KEYRING_TEXT_MAX + 64];

	(void)state;
	keyring_format(k, text);
	snprintf(more, sizeof(more), "\n# mine\n%s\n# end", text);
	assert_int_equal(parse(more), 0);
	keyring_free(k);
}

/* A digit that was copied wrongly must not seal what nobody can open. */
static void every_changed_character_of_a_key_is_seen(void **state)
{
	struct keyring *k = ring_of(1);
	char *line;
	size_t i;

	(void)state;
	keyring_format(k, text);
	line = strstr(text, "vault ");
	assert_non_null(line);
	for (i = 0; i + 1 < strlen(line); i++) {
		char was = line[i];

		line[i] = was == '7' ? '8' : '7';
		assert_int_equal(parse(text), -PS_CONFIG);
		line[i] = was;
	}
	assert_int_equal(parse(text), 0);
	keyring_free(k);
}

/* Appends the check that belongs to a line. */
static void checked(char *out, size_t size, const char *first, const char *line)
{
	snprintf(out, size, "%s%s %08x\n", first, line,
		 crc32c(0, line, strlen(line)));
}

static void an_id_that_is_not_the_keys_own_is_refused(void **state)
{
	struct keyring *k = ring_of(1);
	char id[40], secret[80], line[256], all[512];

	(void)state;
	hex_encode(k->keys[0].id, SEG_KEY_ID_LEN, id);
	hex_encode(k->keys[0].secret, KEY_LEN, secret);
	snprintf(line, sizeof(line), "vault %s 2026-01-01T00:00:00Z %s", id,
		 secret);
	checked(all, sizeof(all), "ps-keyring 1\n", line);
	assert_int_equal(parse(all), 0);
	secret[0] = secret[0] == '1' ? '2' : '1';
	snprintf(line, sizeof(line), "vault %s 2026-01-01T00:00:00Z %s", id,
		 secret);
	checked(all, sizeof(all), "ps-keyring 1\n", line);
	assert_int_equal(parse(all), -PS_CONFIG);
	keyring_free(k);
}

static void what_is_no_key_file_is_refused(void **state)
{
	static const char *const lines[] = {
	    "vault",
	    "vault 00 2026-01-01T00:00:00Z 00",
	    "machine= 00112233445566778899aabbccddeeff 2026-01-01T00:00:00Z "
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	    "machine=../x 00112233445566778899aabbccddeeff "
	    "2026-01-01T00:00:00Z "
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	    "machine=m 00112233445566778899aabbccddeeff yesterday "
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
	    "machine=m 00112233445566778899aabbccddeeff 2026-01-01T00:00:00Z "
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff "
	    "more",
	};
	char all[1024];
	unsigned i;

	(void)state;
	assert_int_equal(parse(""), -PS_CONFIG);
	assert_int_equal(parse("ps-keyring 1\n"), -PS_CONFIG);
	assert_int_equal(parse("ps-keyring 2\n"), -PS_CONFIG);
	assert_int_equal(parse("-----BEGIN PRIVATE KEY-----\n"), -PS_CONFIG);
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		checked(all, sizeof(all), "ps-keyring 1\n", lines[i]);
		assert_int_equal(parse(all), -PS_CONFIG);
	}
	memset(all, 'x', sizeof(all) - 1);
	all[sizeof(all) - 1] = '\0';
	assert_int_equal(parse(all), -PS_CONFIG);
}

static void keys_do_not_mix_and_do_not_repeat(void **state)
{
	struct keyring *k = ring_of(1), *m, *n;
	static char all[2 * KEYRING_TEXT_MAX];
	const char *line;

	(void)state;
	assert_int_equal(keyring_derive(&m, k, "a", NULL), 0);
	assert_int_equal(keyring_derive(&n, k, "b", NULL), 0);
	keyring_format(k, text);
	keyring_format(k, all);
	line = strstr(text, "vault ");
	assert_non_null(line);
	memcpy(all + strlen(all), line, strlen(line) + 1);
	assert_int_equal(parse(all), -PS_CONFIG);
	keyring_format(k, all);
	keyring_format(m, text);
	line = strstr(text, "machine=");
	assert_non_null(line);
	memcpy(all + strlen(all), line, strlen(line) + 1);
	assert_int_equal(parse(all), -PS_CONFIG);
	keyring_format(n, all);
	memcpy(all + strlen(all), line, strlen(line) + 1);
	assert_int_equal(parse(all), -PS_CONFIG);
	keyring_free(k);
	keyring_free(m);
	keyring_free(n);
}

static void a_machines_keys_beget_no_others(void **state)
{
	struct keyring *k = ring_of(2), *m, *x;

	(void)state;
	assert_int_equal(keyring_derive(&m, k, "web01", NULL), 0);
	assert_int_equal(m->n, 2);
	assert_memory_equal(m->keys[1].id, k->keys[1].id, SEG_KEY_ID_LEN);
	assert_memory_not_equal(m->keys[1].secret, k->keys[1].secret, KEY_LEN);
	assert_int_equal(keyring_add(m, NULL), -PS_NOPERM);
	assert_int_equal(keyring_derive(&x, m, "web01", NULL), -PS_NOPERM);
	assert_int_equal(keyring_derive(&x, k, "no/name", NULL), -PS_USAGE);
	keyring_free(k);
	keyring_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_come_back_in_their_order),
	    cmocka_unit_test(a_full_ring_fits_its_text),
	    cmocka_unit_test(comments_and_empty_lines_are_skipped),
	    cmocka_unit_test(every_changed_character_of_a_key_is_seen),
	    cmocka_unit_test(an_id_that_is_not_the_keys_own_is_refused),
	    cmocka_unit_test(what_is_no_key_file_is_refused),
	    cmocka_unit_test(keys_do_not_mix_and_do_not_repeat),
	    cmocka_unit_test(a_machines_keys_beget_no_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
