/* INI files as documentation prints them and as editors leave them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/ini.h"

static const char text[] = "\xef\xbb\xbf; made by hand\r\n"
			   "[Other]\r\n"
			   "Password = \"no\"\r\n"
			   "* [ProxySettings]\r\n"
			   "* ProxyAuthentication = \"Yes\"\r\n"
			   "  Proxy IP = \"192.0.2.1\"  \r\n"
			   "ProxyPassword = a=\"b\"; c\r\n"
			   "Empty =\r\n"
			   "[MySQLCredentials]\n"
			   "MySQLRootPassword = ' kept '\n"
			   "MySQLUserPassword=last";

static void values(void **state)
{
	static const struct {
		const char *section, *key, *value;
	} cases[] = {
	    {"ProxySettings", "ProxyIP", "192.0.2.1"},
	    {"proxysettings", "proxy ip", "192.0.2.1"},
	    {"ProxySettings", "ProxyAuthentication", "Yes"},
	    {"ProxySettings", "ProxyPassword", "a=\"b\"; c"},
	    {"ProxySettings", "Empty", ""},
	    {"MySQLCredentials", "MySQLRootPassword", " kept "},
	    {"MySQLCredentials", "MySQLUserPassword", "last"},
	};
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ini_get(text, cases[i].section, cases[i].key,
					 out, sizeof(out), NULL),
				 1);
		assert_string_equal(out, cases[i].value);
	}
	assert_int_equal(
	    ini_get(text, "ProxySettings", "Password", out, 64, NULL), 0);
	assert_int_equal(ini_get(text, "Nowhere", "ProxyIP", out, 64, NULL), 0);
	assert_int_equal(ini_get("", "a", "b", out, 64, NULL), 0);
}

static void faults(void **state)
{
	struct err e = {0};
	char out[8];

	(void)state;
	assert_int_equal(
	    ini_get(text, "ProxySettings", "ProxyIP", out, sizeof(out), &e),
	    -PS_DATA);
	assert_int_equal(
	    ini_get("[a]\nwords\nb = 1\n", "a", "b", out, sizeof(out), &e),
	    -PS_DATA);
	assert_string_equal(e.msg, "line 2 is no INI");
}

static void strict(void **state)
{
	static const char *const keys[] = {"ProxyIP", "ProxyPort", NULL};
	static const struct {
		const char *text;
		unsigned line;
		int rc;
	} cases[] = {
	    {"* [ProxySettings]\n* Proxy IP = \"a\"\nPROXYPORT=1", 0, 0},
	    {"[ProxySettings]\nProxyIP=a\n\nProxy IP=b\n", 4, -PS_DATA},
	    {"[ProxySettings]\nProxyHost=a\n", 2, -PS_DATA},
	    {"ProxyIP=a\n[ProxySettings]\n", 1, -PS_DATA},
	    {"# x\n[Other]\n", 2, -PS_DATA},
	    {"[ProxySettings]\n[ProxySettings]\n", 2, -PS_DATA},
	    {"[ProxySettings]\nwords\n", 2, -PS_DATA},
	    {"", 0, -PS_DATA},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned line = 99;

		assert_int_equal(ini_check(cases[i].text, "ProxySettings", keys,
					   &line, NULL),
				 cases[i].rc);
		assert_int_equal(line, cases[i].line);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values),
	    cmocka_unit_test(faults),
	    cmocka_unit_test(strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
