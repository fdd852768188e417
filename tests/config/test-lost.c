/*
 * The answer to a COMMIT that is lost on the way, and a COMMIT that never
 * arrives: the change is made exactly once. Between the registry and a real
 * MariaDB server stands a relay that cuts the line at that moment.
 */
#include "config.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "config/policies.h"
#include "database.h"

static struct place place;
static char relay_socket[200];
static pid_t relay;

static int unix_socket(const char *path, struct sockaddr_un *a)
{
	assert_true(strlen(path) < sizeof(a->sun_path));
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(a->sun_path, path, strlen(path) + 1);
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

/* ---- the relay ---- */

enum cut { CUT_ANSWER, CUT_QUESTION };

static bool has_commit(const char *p, size_t n)
{
	return memmem(p, n, "COMMIT", 6) != NULL;
}

/* Passes bytes on until one end closes, or the line is cut. */
static void pump(int client, int far, enum cut how, bool *cut_done)
{
	struct pollfd p[2] = {{client, POLLIN, 0}, {far, POLLIN, 0}};
	static char buf[65536];
	ssize_t n;

	while (poll(p, 2, -1) > 0) {
		int from = p[0].revents != 0 ? 0 : 1;

		n = read(p[from].fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		if (from == 0 && !*cut_done && has_commit(buf, (size_t)n)) {
			*cut_done = true;
			if (how == CUT_QUESTION)
				return;
			/* It is committed when its answer has come. */
			if (io_write_full(far, buf, (size_t)n) == 0)
				n = read(far, buf, sizeof(buf));
			return;
		}
		if (io_write_full(p[1 - from].fd, buf, (size_t)n) < 0)
			return;
	}
}

static void run_relay(int listener, enum cut how)
{
	bool cut_done = false;

	for (;;) {
		struct sockaddr_un a;
		int client = accept(listener, NULL, NULL);
		int far = unix_socket(server.socket, &a);

		if (client < 0 ||
		    connect(far, (struct sockaddr *)&a, sizeof(a)) < 0)
			_exit(1);
		pump(client, far, how, &cut_done);
		close(client);
		close(far);
	}
}

static void begin_relay(enum cut how)
{
	struct sockaddr_un a;
	int listener;

	snprintf(relay_socket, sizeof(relay_socket), "%s/relay", place.dir);
	listener = unix_socket(relay_socket, &a);
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 4), 0);
	relay = fork();
	assert_true(relay >= 0);
	if (relay == 0)
		run_relay(listener, how);
	close(listener);
}

/* ---- the test ---- */

static int64_t number(struct reg *r, const char *text)
{
	int64_t n = -1;

	assert_int_equal(sql_number(r->db, text, SQL_NO_ARGS, -1, &n, NULL), 0);
	return n;
}

static void made_once(enum cut how)
{
	struct reg_policy p = {.name = "gold", .rpo_s = 900};
	struct reg *r = NULL;
	struct err e = {0};
	int64_t before;

	if (!server_installed())
		skip();
	place_make(&place, true);
	before = number(place.reg, "SELECT revision FROM state");
	begin_relay(how);
	place.where.host = relay_socket;
	if (reg_open(&r, &place.where, "test", &e) < 0 ||
	    policy_add(r, &p, &e) < 0)
		fail_msg("%s", e.msg);
	reg_close(r);
	assert_int_equal(number(place.reg, "SELECT COUNT(*) FROM policies"), 1);
	assert_int_equal(number(place.reg, "SELECT COUNT(*) FROM audit"), 1);
	assert_int_equal(number(place.reg, "SELECT revision FROM state"),
			 before + 1);
	kill(relay, SIGKILL);
	waitpid(relay, NULL, 0);
	place_remove(&place);
}

static void a_lost_answer_is_found_out(void **state)
{
	(void)state;
	made_once(CUT_ANSWER);
}

static void a_lost_commit_is_made_again(void **state)
{
	(void)state;
	made_once(CUT_QUESTION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_lost_answer_is_found_out),
	    cmocka_unit_test(a_lost_commit_is_made_again),
	};
	int rc = cmocka_run_group_tests(tests, NULL, NULL);

	server_remove();
	return rc;
}
