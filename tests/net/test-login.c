/* Keys and proofs of the login. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "net/login.h"

static char path[] = "/tmp/ps-test-login.XXXXXX";

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int drop_file(void **state)
{
	(void)state;
	return unlink(path);
}

static int read_text(const char *text, struct login_secret *s)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	return login_secret_read(s, path, NULL);
}

/* Version 1 for ever: other values would lock all agents out. */
static void keys_are_what_they_were(void **state)
{
	struct login_secret s;
	uint8_t key[LOGIN_KEY_LEN];
	char hex[65];

	(void)state;
	assert_int_equal(read_text("correct horse\n", &s), 0);
	hex_encode(s.key, 32, hex);
	assert_string_equal(hex, "6038246bcd38306be3159b61c569b114"
				 "6d4ce8b2656a03e1ac5f7aacffe5ce91");
	assert_int_equal(login_key(&s, "web01", key, NULL), 0);
	hex_encode(key, 32, hex);
	assert_string_equal(hex, "ffe11fb3ff46ace72ba57f5761a0b29a"
				 "ebf3bd8a1ee3d9f3bb03a2cf5d1e8c01");
	assert_int_equal(login_key(&s, "*", key, NULL), 0);
	hex_encode(key, 32, hex);
	assert_string_equal(hex, "4077e9686f2867b1d3082d4f83aa217d"
				 "05b0dd229cb1e38cf35a5bc5caf6b1bf");
}

static void a_derived_key_is_for_one_machine(void **state)
{
	struct login_secret root, s;
	uint8_t key[LOGIN_KEY_LEN], again[LOGIN_KEY_LEN];
	char line[LOGIN_LINE_SIZE];

	(void)state;
	assert_int_equal(read_text("correct horse", &root), 0);
	assert_int_equal(login_key(&root, "web01", key, NULL), 0);
	login_key_line("web01", key, line);
	assert_int_equal(strncmp(line, "ps-login-key-1\tweb01\t", 21), 0);
	assert_int_equal(read_text(line, &s), 0);
	assert_string_equal(s.machine, "web01");
	assert_int_equal(login_key(&s, "web01", again, NULL), 0);
	assert_memory_equal(key, again, sizeof(key));
	assert_int_equal(login_key(&s, "web02", again, NULL), -PS_NOPERM);
	assert_int_equal(login_key(&s, "*", again, NULL), -PS_NOPERM);
}

static void bad_secret_files_are_refused(void **state)
{
	struct login_secret s;

	(void)state;
	assert_int_equal(read_text("", &s), -PS_DATA);
	assert_int_equal(read_text("\n", &s), -PS_DATA);
	assert_int_equal(read_text("one\ntwo\n", &s), -PS_DATA);
	assert_int_equal(read_text("ps-login-key-1\tweb01\t1234\n", &s),
			 -PS_DATA);
	assert_int_equal(read_text("ps-login-key-1\tweb01\n", &s), -PS_DATA);
	assert_int_equal(read_text("ps-login-key-1\t../x\t"
				   "00000000000000000000000000000000"
				   "00000000000000000000000000000000\n",
				   &s),
			 -PS_DATA);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(login_secret_read(&s, path, NULL), -PS_NOPERM);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(login_secret_read(&s, "/nowhere/at/all", NULL),
			 -PS_NOINPUT);
}

/* Each thing that goes into a proof changes it. */
static void a_proof_binds_everything(void **state)
{
	struct login l = {.machine = "web01"}, m;
	uint8_t a[LOGIN_PROOF_LEN], b[LOGIN_PROOF_LEN];
	unsigned i;

	(void)state;
	assert_int_equal(login_proof(&l, false, a, NULL), 0);
	assert_int_equal(login_proof(&l, false, b, NULL), 0);
	assert_true(login_proof_ok(a, b));
	assert_int_equal(login_proof(&l, true, b, NULL), 0);
	assert_false(login_proof_ok(a, b));
	for (i = 0; i < 5; i++) {
		m = l;
		(i == 0	  ? m.key
		 : i == 1 ? m.client_nonce
		 : i == 2 ? m.server_nonce
		 : i == 3 ? m.exporter
			  : (uint8_t *)m.machine)[4] ^= 3;
		assert_int_equal(login_proof(&m, false, b, NULL), 0);
		assert_false(login_proof_ok(a, b));
	}
}

static void messages_are_exact(void **state)
{
	struct login l = {.machine = "web01", .client_nonce = {1, 2}}, m = {0};
	char line[LOGIN_LINE_SIZE];
	uint8_t v[32] = {7}, w[32];

	(void)state;
	login_hello_line(&l, line);
	assert_true(login_hello_parse(line, &m));
	assert_string_equal(m.machine, "web01");
	assert_memory_equal(m.client_nonce, l.client_nonce, 32);
	line[strlen(line) - 1] = '\0';
	assert_false(login_hello_parse(line, &m));
	assert_false(login_hello_parse("hello\tweb01\t12\n", &m));
	assert_false(login_hello_parse("hello\t\t12\n", &m));
	assert_false(login_hello_parse("hello", &m));
	login_word_line("proof", v, line);
	assert_true(login_word_parse(line, "proof", w));
	assert_memory_equal(v, w, 32);
	assert_false(login_word_parse(line, "nonce", w));
	strcat(line, "x");
	assert_false(login_word_parse(line, "proof", w));
}

static void passphrases_are_new_each_time(void **state)
{
	char a[LOGIN_PASSPHRASE_SIZE], b[LOGIN_PASSPHRASE_SIZE];

	(void)state;
	assert_int_equal(login_new_passphrase(a, NULL), 0);
	assert_int_equal(login_new_passphrase(b, NULL), 0);
	assert_int_equal(strlen(a), 24);
	assert_int_equal(strspn(a, "abcdefghijkmnpqrstuvwxyz23456789"), 24);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(keys_are_what_they_were),
	    cmocka_unit_test(a_derived_key_is_for_one_machine),
	    cmocka_unit_test(bad_secret_files_are_refused),
	    cmocka_unit_test(a_proof_binds_everything),
	    cmocka_unit_test(messages_are_exact),
	    cmocka_unit_test(passphrases_are_new_each_time),
	};

	return cmocka_run_group_tests_name("login", tests, make_file,
					   drop_file);
}
