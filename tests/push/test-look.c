/* What is judged of a machine, from what it says of itself. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "push/look.h"
#include "push/session.h"

#define NOW 1795000000u

static const char good[] = "os Linux\n"
			   "arch x86_64\n"
			   "libc glibc 2.36\n"
			   "name web01.example\n"
			   "uid 0\n"
			   "root \n"
			   "time 1795000010\n"
			   "sudo none\n"
			   "version \n"
			   "dir \n"
			   "role \n"
			   "room 900000\n"
			   "stage 900000\n"
			   "disks-root sda \n"
			   "disks-boot sda \n"
			   "cs yes\n";

/* Those that are not for another processor. */
static const struct packages packages = {.n = 1,
					 .list = {{.version = "0.10.0",
						   .arch = "x86_64",
						   .size = 20 << 20,
						   .libc = "2.34",
						   .libc_target = "2.36"}}};

static void hear(struct push_look *l, const char *text)
{
	char line[SESSION_LINE];

	while (*text != '\0') {
		size_t n = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		look_line(l, line);
		text += n + 1;
	}
}

struct judged {
	enum push_reason why;
	struct push_plan plan;
	struct push_result result;
	char words[512];
};

static void judge(const char *more, const struct push_wish *wish,
		  struct judged *ret)
{
	struct push_wish usual = {
	    .role = "MS", .cs = "192.0.2.1", .cs_port = "443", .name = ""};
	struct push_look l = {0};

	memset(ret, 0, sizeof(*ret));
	hear(&l, good);
	hear(&l, more);
	ret->why = look_judge(&l, wish != NULL ? wish : &usual, &packages, NOW,
			      &ret->plan, &ret->result, ret->words,
			      sizeof(ret->words));
}

static void test_what_is_wrong(void **state)
{
	static const struct {
		const char *says;
		enum push_reason why;
	} table[] = {
	    {"", REASON_NONE},
	    {"os FreeBSD\n", REASON_UNSUPPORTED},
	    {"libc \n", REASON_UNSUPPORTED},
	    {"libc musl\n", REASON_UNSUPPORTED},
	    {"libc glibc 2.4\n", REASON_LIBC},
	    {"libc glibc 2.33.9\n", REASON_LIBC},
	    {"libc glibc 2.34\n", REASON_NONE},
	    {"libc glibc 2.100\n", REASON_NONE},
	    {"libc glibc 2.4\nversion 0.10.0\nrole MS\n", REASON_NONE},
	    {"arch riscv64\n", REASON_UNSUPPORTED},
	    {"missing gzip\n", REASON_TOOLS},
	    {"package yes\n", REASON_PACKAGE},
	    {"version 0.9.0\n", REASON_NONE},
	    {"version 0.11.0\n", REASON_NEWER},
	    {"version 0.10.1\n", REASON_NEWER},
	    {"room 150000\n", REASON_SPACE},
	    {"noexec /opt\n", REASON_NOEXEC},
	    {"stage 150000\n", REASON_SPACE},
	    {"room 99999999999999999999999\n", REASON_SPACE},
	    {"cs no\n", REASON_CS_UNREACHABLE},
	};
	struct judged j;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		judge(table[i].says, NULL, &j);
		assert_int_equal(j.why, table[i].why);
	}
	judge("libc glibc 2.35\n",
	      &(struct push_wish){.role = "MT", .name = ""}, &j);
	assert_int_equal(j.why, REASON_LIBC);
	assert_string_equal(j.words, "2.35 is there, 2.36 is needed");
	judge("missing gzip\nmissing flock\n", NULL, &j);
	assert_string_equal(j.words, "gzip, flock");
}

static void test_what_is_warned_of(void **state)
{
	static const struct {
		const char *says;
		enum push_reason what;
	} table[] = {
	    {"time 1795000900\n", REASON_NONE},
	    {"time 1795000901\n", REASON_CLOCK},
	    {"time 1794990000\n", REASON_CLOCK},
	    {"time x\n", REASON_CLOCK},
	    {"grub device\n", REASON_GRUB_DEVICE},
	    {"disks-root \n", REASON_NO_BOOT_DISK},
	    {"disks-root sda sdb \n", REASON_ROOT_DISKS},
	    {"disks-boot sdb \n", REASON_BOOT_DISK},
	    {"disks-boot \n", REASON_NONE},
	};
	struct judged j;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		judge(table[i].says, NULL, &j);
		assert_int_equal(j.why, REASON_NONE);
		assert_int_equal(j.result.nwarnings,
				 table[i].what != REASON_NONE);
		if (table[i].what != REASON_NONE)
			assert_int_equal(j.result.warnings[0], table[i].what);
	}
}

#define THERE "version 0.10.0\ndir /usr/local/ASR\nrole MS\n"
#define KNOWN "known-as web01\nknown-cs 192.0.2.1\nknown-port 443\n"

static void test_what_is_to_be_done(void **state)
{
	struct push_wish wish = {
	    .role = "MS", .cs = "192.0.2.1", .cs_port = "443", .name = ""};
	struct judged j;

	(void)state;
	judge("", NULL, &j);
	assert_true(j.plan.install && j.plan.enrol);
	assert_ptr_equal(j.plan.package, &packages.list[0]);
	judge(THERE, NULL, &j);
	assert_true(!j.plan.install && j.plan.enrol);
	/* Its name is that of the host, without the domain. */
	judge(THERE KNOWN, NULL, &j);
	assert_true(!j.plan.install && !j.plan.enrol);
	/* Nothing is needed: nothing is asked for. */
	judge(THERE KNOWN "room 0\ncs no\n", NULL, &j);
	assert_int_equal(j.why, REASON_NONE);
	wish.name = "other";
	judge(THERE KNOWN, &wish, &j);
	assert_true(j.plan.enrol);
	wish.name = "";
	wish.cs_port = "444";
	judge(THERE KNOWN, &wish, &j);
	assert_true(j.plan.enrol);
	wish.cs = NULL;
	judge(THERE, &wish, &j);
	assert_true(!j.plan.install && !j.plan.enrol);
	wish.role = "MT";
	judge(THERE, &wish, &j);
	assert_true(j.plan.install);
	wish.role = "MS";
	wish.again = true;
	judge(THERE, &wish, &j);
	assert_true(j.plan.install);
	wish.dir = "/opt/asr";
	judge(THERE, &wish, &j);
	assert_int_equal(j.why, REASON_ELSEWHERE);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *text, *user, *address, *port, *name, *again;
	} table[] = {
	    {"web01", "", "web01", "", "", "web01"},
	    {"a@web01:22=web", "a", "web01", "22", "web", "web01:22"},
	    {"2001:db8::1", "", "2001:db8::1", "", "", "2001:db8::1"},
	    {"[2001:db8::1]:22", "", "2001:db8::1", "22", "",
	     "[2001:db8::1]:22"},
	    {"[2001:db8::1]", "", "2001:db8::1", "", "", "2001:db8::1"},
	};
	static const char *const bad[] = {
	    "",	    "-x",    "a b", "a:",    "a:0",  "a:70000", "a;b",
	    "@a",   "a@",    "a=",  "a=-",   "[::1", "[::1]x",	"[::1]:",
	    "-l@a", "a$(b)", "a'b", "a@b@c", "a/b",  "a=b=c",	"a\nb"};
	struct push_host h;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(push_host_read(&h, table[i].text, NULL), 0);
		assert_string_equal(h.user, table[i].user);
		assert_string_equal(h.address, table[i].address);
		assert_string_equal(h.port, table[i].port);
		assert_string_equal(h.name, table[i].name);
		assert_string_equal(h.text, table[i].again);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(push_host_read(&h, bad[i], NULL), -PS_USAGE);
}

/* ssh's words, as OpenSSH 9.2 has them, for what no test can make. */
static void test_words_of_ssh(void **state)
{
	static const struct {
		const char *says;
		enum push_reason why;
	} table[] = {
	    {"Legal note: sessions that are timed, expired or closed count.\n"
	     "root@a: Permission denied (publickey).\r\n",
	     REASON_LOGIN},
	    {"ssh: connect to host a port 22: No route to host\r\n",
	     REASON_NETWORK},
	    {"ssh: connect to host a port 22: Network is unreachable\r\n",
	     REASON_NETWORK},
	    {"ssh: connect to host a port 22: Connection timed out\r\n",
	     REASON_UNREACHABLE},
	    {"\"System is going down. Unprivileged users are not permitted to "
	     "log in anymore.\"\nConnection closed by 192.0.2.1 port 22\r\n",
	     REASON_NO_SSH},
	    {"Your account has expired; please contact your system "
	     "administrator.\nConnection closed by 192.0.2.1 port 22\r\n",
	     REASON_DISABLED},
	    {"something else\n", REASON_NONE},
	    {"", REASON_NONE},
	};
	char line[128];
	struct session s;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(&s, 0, sizeof(s));
		session_said(&s, table[i].says);
		assert_int_equal(session_why(&s, line, sizeof(line)),
				 table[i].why);
	}
	/* The line that tells, and without one the last. */
	memset(&s, 0, sizeof(s));
	session_said(&s, "Hello.");
	assert_int_equal(session_why(&s, line, sizeof(line)), REASON_NONE);
	assert_string_equal(line, "Hello");
	session_said(&s, "Your account has expired.\r");
	session_said(&s, "Connection closed by a\r");
	assert_int_equal(session_why(&s, line, sizeof(line)), REASON_DISABLED);
	assert_string_equal(line, "Your account has expired");
	/* The end of much is kept. */
	memset(&s, 0, sizeof(s));
	for (int i = 0; i < 1000; i++)
		session_said(&s, "banner");
	session_said(&s, "Permission denied (publickey).");
	assert_int_equal(session_why(&s, line, sizeof(line)), REASON_LOGIN);
}

static void test_reasons(void **state)
{
	(void)state;
	for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		assert_non_null(push_reasons[i].word);
		assert_int_equal(push_reason_of(push_reasons[i].word), i);
		assert_true(push_reasons[i].means[0] != '\0');
		assert_true(push_reasons[i].hint[0] != '\0' ||
			    i == REASON_LOCAL);
	}
	assert_int_equal(push_reason_of("no such"), REASON_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_wrong),
	    cmocka_unit_test(test_what_is_warned_of),
	    cmocka_unit_test(test_what_is_to_be_done),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_words_of_ssh),
	    cmocka_unit_test(test_reasons),
	};

	return cmocka_run_group_tests_name("look", tests, NULL, NULL);
}
