/* Which vaults there are: from ps.yaml and from the command line. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/vaults.h"

static struct conf *conf_of(const char *text)
{
	char path[] = "/tmp/test-vaults.XXXXXX";
	int fd = mkstemp(path);
	struct conf *c;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	assert_int_equal(conf_read(&c, path, NULL), 0);
	unlink(path);
	return c;
}

static void refuses(const char *text, const char *words)
{
	struct conf *c = conf_of(text);
	struct err e = {0};
	struct vaults v;

	assert_int_equal(vaults_from_conf(&v, c, &e), -PS_CONFIG);
	if (strstr(e.msg, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.msg, words);
	conf_free(c);
}

static void a_list_is_read(void **state)
{
	struct conf *c = conf_of("vault: /else\n"
				 "vaults:\n"
				 "- name: near\n"
				 "  url: /srv/vault\n"
				 "- {name: far, url: 's3://b', jobs: 8,\n"
				 "   limit-rate: 20Mbit, schedule: '* 1M'}\n");
	struct vaults v;
	char key[32];

	(void)state;
	assert_int_equal(vaults_from_conf(&v, c, NULL), 0);
	assert_int_equal(v.n, 2);
	assert_string_equal(v.list[0].name, "near");
	assert_string_equal(v.list[0].url, "/srv/vault");
	assert_null(v.list[0].jobs);
	assert_string_equal(v.list[1].jobs, "8");
	assert_true(v.list[1].listed);
	assert_true(vaults_key(c, "far", key, sizeof(key)));
	assert_string_equal(key, "vaults.1");
	assert_false(vaults_key(c, "fa", key, sizeof(key)));
	conf_free(c);
	assert_int_equal(vaults_from_conf(&v, NULL, NULL), 0);
	assert_int_equal(v.n, 0);
}

static void what_makes_no_sense_is_refused_with_its_line(void **state)
{
	(void)state;
	refuses("vaults: /srv\n", ":1: vaults: expected a list");
	refuses("vaults: [/srv]\n", "expected a list");
	refuses("vaults:\n- name: a\n", "has no url");
	refuses("vaults:\n- url: /a\n", "has no name");
	refuses("vaults:\n- name: a/b\n  url: /a\n", ":2: vaults.0.name: not");
	refuses("vaults:\n- {name: a, url: /a}\n- {name: a, url: /b}\n",
		"two vaults have the name a");
	refuses("vaults:\n- name: a\n  url: /a\n  key: x\n",
		":4: vaults.0.key: no such key");
	refuses("vaults:\n- {name: a, url: /a, limit-rate: fast}\n",
		"not a rate");
	refuses("vaults:\n- {name: a, url: /a, schedule: never}\n",
		"'never' is no rule");
	refuses("vaults:\n- {name: a, url: ''}\n", "empty");
}

static void names_stand_before_an_equals_sign(void **state)
{
	struct vaults v = {0};

	(void)state;
	assert_int_equal(vaults_add(&v, "near=/srv/a=b", NULL), 0);
	assert_string_equal(v.list[0].name, "near");
	assert_string_equal(v.list[0].url, "/srv/a=b");
	assert_int_equal(vaults_add(&v, "/srv/a=b", NULL), 0);
	assert_string_equal(v.list[1].name, "default");
	assert_string_equal(v.list[1].url, "/srv/a=b");
	assert_int_equal(vaults_add(&v, "./a=b", NULL), -PS_USAGE);
	assert_int_equal(vaults_add(&v, "near=/else", NULL), -PS_USAGE);
	assert_int_equal(vaults_add(&v, "far=", NULL), -PS_USAGE);
	assert_int_equal(v.n, 2);
}

static enum vaults_change compared(const char *a, const char *b)
{
	struct conf *x = conf_of(a), *y = conf_of(b);
	enum vaults_change change = vaults_compare(x, y);

	assert_int_equal(vaults_compare(y, x), change);
	conf_free(x);
	conf_free(y);
	return change;
}

static void a_change_of_rates_alone_is_known(void **state)
{
	static const char one[] = "vaults:\n- {name: a, url: /a}\n";
	static const char slow[] =
	    "vaults:\n- {name: a, url: /a, limit-rate: 1M}\n";
	static const char other[] =
	    "vaults:\n- {name: a, url: /b, limit-rate: 1M}\n";

	(void)state;
	assert_int_equal(compared(one, one), VAULTS_SAME);
	assert_int_equal(compared(one, slow), VAULTS_RATES);
	assert_int_equal(compared(slow, other), VAULTS_OTHER);
	assert_int_equal(compared("upload: {limit-rate: 1M}\n",
				  "upload: {schedule: '* 2M'}\n"),
			 VAULTS_RATES);
	assert_int_equal(compared("upload: {limit-rate: 1M}\n",
				  "upload: {limit-rate: 2M, jobs: 3}\n"),
			 VAULTS_OTHER);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_is_read),
	    cmocka_unit_test(what_makes_no_sense_is_refused_with_its_line),
	    cmocka_unit_test(names_stand_before_an_equals_sign),
	    cmocka_unit_test(a_change_of_rates_alone_is_known),
	};

	return cmocka_run_group_tests_name("vaults", tests, NULL, NULL);
}
