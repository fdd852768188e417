/* ps.yaml as flat keys, secrets, and the words of errors. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/io.h"
#include "base/secret.h"

static char path[] = "/tmp/test-conf.XXXXXX";

static int begin(void **state)
{
	int fd;

	(void)state;
	memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int end(void **state)
{
	(void)state;
	return unlink(path);
}

static void fill(const void *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, n), 0);
	close(fd);
}

static int read_text(const char *text, struct conf **ret, struct err *e)
{
	memset(e, 0, sizeof(*e));
	fill(text, strlen(text));
	return conf_read(ret, path, e);
}

static void nested_keys_become_flat(void **state)
{
	struct conf *c;
	struct err e;

	(void)state;
	assert_int_equal(read_text("# a comment\n"
				   "cache: /var/cache/ps\n"
				   "receive:\n"
				   "  listen: \"[::]:9443\"\n"
				   "  tls: {cert: a.pem, key: b.pem}\n"
				   "vaults:\n"
				   "  - url: file:///v\n"
				   "    key: k\n"
				   "  - plain\n"
				   "  - [x, y]\n"
				   "empty:\n",
				   &c, &e),
			 0);
	assert_string_equal(conf_get(c, "cache"), "/var/cache/ps");
	assert_string_equal(conf_get(c, "receive.listen"), "[::]:9443");
	assert_string_equal(conf_get(c, "receive.tls.key"), "b.pem");
	assert_string_equal(conf_get(c, "vaults.0.url"), "file:///v");
	assert_string_equal(conf_get(c, "vaults.1"), "plain");
	assert_string_equal(conf_get(c, "vaults.2.1"), "y");
	assert_string_equal(conf_get(c, "empty"), "");
	assert_null(conf_get(c, "receive"));
	assert_null(conf_get(c, "no"));
	assert_null(conf_get(NULL, "cache"));
	assert_int_equal(conf_line(c, "receive.listen"), 4);
	assert_int_equal(conf_line(c, "no"), 0);
	assert_string_equal(conf_path(c), path);
	assert_string_equal(conf_key(c, 0), "cache");
	assert_string_equal(conf_key(c, 9), "empty");
	assert_null(conf_key(c, 10));
	conf_free(c);
}

static void an_empty_file_has_no_keys(void **state)
{
	static const char *const texts[] = {"",	     "\n\n", "# only words\n",
					    "---\n", "{}\n", NULL};
	struct conf *c;
	struct err e;
	unsigned i;

	(void)state;
	for (i = 0; texts[i] != NULL; i++) {
		assert_int_equal(read_text(texts[i], &c, &e), 0);
		assert_null(conf_key(c, 0));
		conf_free(c);
	}
}

static void what_is_not_plain_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *words;
	} bad[] = {{"a: 1\nb: 2\na: 3\n", ":3: 'a' stands there twice"},
		   {"x:\n  a: 1\n  a: 2\n", ":3: 'x.a' stands there twice"},
		   {"a: &x 1\n", ":1: anchors"},
		   {"a: &x {b: 1}\n", ":1: anchors"},
		   {"a: &x [1]\n", ":1: anchors"},
		   {"b: 1\na: *x\n", ":2: aliases"},
		   {"a: [1, 2\n", ":2: "},
		   {"\ta: 1\n", ":1: "},
		   {"just words\n", ":1: expected"},
		   {"? [a, b]\n: 1\n", ":1: a key must be plain"},
		   {"'': 1\n", ":1: bad key"},
		   {"a: 1\n---\nb: 2\n", ":2: a second document"},
		   {"a: [[[[[[[[[[1]]]]]]]]]]\n", ":1: nested too deep"},
		   {"a: \"x\\0y\"\n", ":1: NUL"},
		   {NULL, NULL}};
	struct conf *c = NULL;
	struct err e;
	unsigned i;

	(void)state;
	for (i = 0; bad[i].text != NULL; i++) {
		int rc = read_text(bad[i].text, &c, &e);

		if (rc != -PS_CONFIG || c != NULL ||
		    strstr(e.msg, bad[i].words) == NULL)
			fail_msg("'%s': %d, %s", bad[i].text, rc, e.msg);
	}
}

static void what_cannot_be_read_is_said(void **state)
{
	struct conf *c = NULL;
	struct err e = {0};
	char *big = malloc(2 << 20);

	(void)state;
	assert_int_equal(conf_read(&c, "/nonexistent/ps.yaml", &e),
			 -PS_NOINPUT);
	assert_non_null(strstr(e.msg, "/nonexistent/ps.yaml: "));
	memset(big, '#', 2 << 20);
	fill(big, 2 << 20);
	free(big);
	assert_int_equal(conf_read(&c, path, &e), -PS_CONFIG);
	assert_non_null(strstr(e.msg, "1 MiB"));
	assert_int_equal(conf_read(&c, "/tmp", &e), -PS_CONFIG);
	assert_string_equal(e.msg, "/tmp: a folder, not a file");
}

static void a_secret_that_others_can_read_is_refused(void **state)
{
	static const mode_t modes[] = {0640, 0604, 0620, 0602, 0610, 0601};
	char buf[32] = "untouched";
	size_t len = 99, i;
	struct err e = {0};

	(void)state;
	fill("pass word \r\n", 12);
	for (i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		assert_int_equal(chmod(path, modes[i]), 0);
		assert_int_equal(secret_read(path, buf, sizeof(buf), &len, &e),
				 -PS_NOPERM);
		assert_int_equal(len, 99);
		assert_non_null(strstr(e.hint, "chmod 600"));
	}
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(secret_read(path, buf, sizeof(buf), &len, &e), 0);
	assert_int_equal(len, 12);
	secret_trim(buf);
	assert_string_equal(buf, "pass word");
	secret_wipe(buf, sizeof(buf));
	for (i = 0; i < sizeof(buf); i++)
		assert_int_equal(buf[i], 0);
}

static void a_secret_that_is_too_long_is_refused(void **state)
{
	char buf[8];
	size_t len;
	struct err e = {0};

	(void)state;
	fill("1234567", 7);
	assert_int_equal(secret_read(path, buf, sizeof(buf), &len, &e), 0);
	assert_string_equal(buf, "1234567");
	fill("12345678", 8);
	assert_int_equal(secret_read(path, buf, sizeof(buf), &len, &e),
			 -PS_DATA);
	assert_int_equal(secret_read("/nonexistent/x", buf, 8, &len, &e),
			 -PS_NOINPUT);
}

static void each_level_puts_its_words_before(void **state)
{
	struct err e = {0};
	char longest[600];

	(void)state;
	errno = ENOENT;
	assert_int_equal(err_sys(&e, 0, "disk %d", 7), -PS_NOINPUT);
	assert_int_equal(e.sys, ENOENT);
	err_hint(&e, "look for it");
	assert_int_equal(err_prefix(&e, "machine %s", "m"), -PS_NOINPUT);
	assert_string_equal(e.msg, "machine m: disk 7: "
				   "No such file or directory");
	assert_string_equal(e.hint, "look for it");
	assert_int_equal(err_set(&e, PS_DATA, "other"), -PS_DATA);
	assert_string_equal(e.hint, ""); /* not the one of before */
	assert_int_equal(err_set(NULL, PS_NO, "x"), -PS_NO);
	assert_int_equal(err_prefix(NULL, "x"), -PS_SOFTWARE);
	err_hint(NULL, "x");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(err_set(&e, PS_DATA, "%s", longest), -PS_DATA);
	assert_int_equal(err_prefix(&e, "%s", longest), -PS_DATA);
	assert_int_equal(strlen(e.msg), sizeof(e.msg) - 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nested_keys_become_flat),
	    cmocka_unit_test(an_empty_file_has_no_keys),
	    cmocka_unit_test(what_is_not_plain_is_refused_with_its_line),
	    cmocka_unit_test(what_cannot_be_read_is_said),
	    cmocka_unit_test(a_secret_that_others_can_read_is_refused),
	    cmocka_unit_test(a_secret_that_is_too_long_is_refused),
	    cmocka_unit_test(each_level_puts_its_words_before),
	};

	return cmocka_run_group_tests_name("conf", tests, begin, end);
}
