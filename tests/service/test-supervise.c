/*
 * The supervisor with services that behave badly; they are shell scripts, and
 * their units have deadlines of a second.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "service/state.h"
#include "service/supervise.h"

struct fixture {
	char dir[64];
	struct place p;
	struct unit u;
};

static void write_file(const struct fixture *f, const char *name,
		       const char *text, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
	close(fd);
}

static int begin(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = {0};

	snprintf(f->dir, sizeof(f->dir), "/tmp/ps-service.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(place_open(&f->p, f->dir, true, &e), 0);
	*state = f;
	return 0;
}

static int end(void **state)
{
	struct fixture *f = *state;
	struct err e = {0};
	char command[128];

	(void)supervise_stop(&f->p, &f->u, &e);
	place_close(&f->p);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A service of this script, whose unit says this, too. */
static void service(struct fixture *f, const char *script, const char *keys)
{
	char text[1024];
	struct err e = {0};

	snprintf(text, sizeof(text), "#!/bin/bash\ncd %s\n%s\n", f->dir,
		 script);
	write_file(f, "program", text, 0755);
	snprintf(text, sizeof(text),
		 "ExecStart=%s/program\nRestartSec=1\nTimeoutStartSec=1\n"
		 "TimeoutStopSec=1\nRestartPreventExitStatus=78\n%s",
		 f->dir, keys);
	assert_int_equal(unit_read(&f->u, "test", text, NULL, &e), 0);
}

static struct service_state look(const struct fixture *f)
{
	struct service_state s;
	struct err e = {0};

	assert_int_equal(service_read(f->p.run, "test", &s, &e), 0);
	return s;
}

typedef bool condition_fn(const struct fixture *f);

static void wait_for(const struct fixture *f, condition_fn *is)
{
	struct timespec pause = {0, 20000000};
	unsigned i;

	for (i = 0; i < 1500; i++) {
		if (is(f))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("waited in vain; it is %s", look(f).state);
}

static bool is_running(const struct fixture *f)
{
	return strcmp(look(f).state, "running") == 0;
}

static bool was_restarted(const struct fixture *f)
{
	return look(f).restarts > 0 && is_running(f);
}

static bool has_ended(const struct fixture *f)
{
	return strcmp(look(f).state, "stopped") == 0;
}

static enum supervise_started start(const struct fixture *f)
{
	enum supervise_started how;
	struct err e = {0};

	assert_int_equal(supervise_start(&f->p, &f->u, &how, &e), 0);
	return how;
}

static void stop(const struct fixture *f)
{
	struct err e = {0};

	assert_int_equal(supervise_stop(&f->p, &f->u, &e), 0);
	assert_true(has_ended(f));
}

static pid_t read_pid(const struct fixture *f, const char *name)
{
	char path[128], text[16] = "";
	int fd;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	(void)io_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	return (pid_t)strtol(text, NULL, 10);
}

static void a_service_that_ignores_the_signal_is_killed(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	service(f, "trap '' TERM; echo $$ >pid; while :; do sleep 0.1; done",
		"");
	assert_int_equal(start(f), STARTED_READY);
	assert_int_equal(start(f), STARTED_ALREADY);
	pid = look(f).pid;
	/* As soon as it ignores the signal. */
	while (read_pid(f, "pid") != pid)
		;
	stop(f);
	assert_int_equal(process_start(pid), 0);
	assert_int_equal(look(f).exit_code, 128 + SIGKILL);
}

static void one_that_is_killed_is_started_again(void **state)
{
	struct fixture *f = *state;
	pid_t pid;

	service(f, "exec sleep 1000", "");
	start(f);
	pid = look(f).pid;
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_for(f, was_restarted);
	assert_int_not_equal(look(f).pid, pid);
	assert_int_equal(look(f).exit_code, 128 + SIGKILL);
	stop(f);
}

/* A supervisor that has told of its end may need a moment to go. */
static bool has_gone(const struct fixture *f)
{
	struct err e = {0};

	return supervise_stop(&f->p, &f->u, &e) == -PS_NO;
}

static void some_failures_are_final(void **state)
{
	struct fixture *f = *state;
	enum supervise_started how;
	struct err e = {0};

	service(f, "echo 'program: no such key' >&2; exit 78", "Type=notify\n");
	assert_int_equal(supervise_start(&f->p, &f->u, &how, &e), -78);
	assert_non_null(strstr(e.msg, "no such key"));
	assert_string_equal(look(f).state, "failed");
	wait_for(f, has_gone);
}

static void one_that_fails_at_first_is_tried_again(void **state)
{
	struct fixture *f = *state;

	service(f, "[ -e again ] && exec sleep 1000; touch again; exit 69",
		"Type=notify\n");
	assert_int_equal(start(f), STARTED_LATER);
	f->u.notify = false;
	stop(f);
	assert_int_equal(start(f), STARTED_READY);
	stop(f);
}

static void one_that_does_not_become_ready_is_ended(void **state)
{
	struct fixture *f = *state;

	service(f, "exec sleep 1000", "Type=notify\n");
	assert_int_equal(start(f), STARTED_LATER);
	assert_true(look(f).exit_code == 128 + SIGTERM);
	stop(f);
}

static void what_a_service_leaves_ends_with_it(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	service(f, "sleep 1000 & echo $! >child; wait", "");
	start(f);
	while ((child = read_pid(f, "child")) == 0)
		;
	assert_int_equal(kill(look(f).pid, SIGKILL), 0);
	wait_for(f, was_restarted);
	assert_int_equal(process_start(child), 0);
	stop(f);
}

static void unless_its_unit_says_so(void **state)
{
	struct fixture *f = *state;
	pid_t child;

	service(f, "sleep 1000 & echo $! >child; wait", "KillMode=process\n");
	start(f);
	while ((child = read_pid(f, "child")) == 0)
		;
	stop(f);
	assert_int_not_equal(process_start(child), 0);
	assert_int_equal(kill(child, SIGKILL), 0);
}

static void one_that_gives_no_sign_of_life_is_started_again(void **state)
{
	struct fixture *f = *state;

	service(f,
		"exec perl -MSocket -e 'my $n = $ENV{NOTIFY_SOCKET}; $n =~ "
		"s/^@/\\0/; socket(S, AF_UNIX, SOCK_DGRAM, 0); send(S, "
		"\"READY=1\\nSTATUS=busy\", 0, pack_sockaddr_un($n)); sleep "
		"1000'",
		"Type=notify\nWatchdogSec=1\n");
	f->u.start_s = 60;
	assert_int_equal(start(f), STARTED_READY);
	assert_string_equal(look(f).words, "busy");
	wait_for(f, was_restarted);
	assert_int_equal(look(f).exit_code, 128 + SIGABRT);
	stop(f);
}

static void a_killed_supervisor_takes_its_service_along(void **state)
{
	struct fixture *f = *state;
	struct err e = {0};
	pid_t first, supervisor;
	int pidfd;

	service(f,
		"trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.05; done",
		"");
	start(f);
	first = look(f).pid;
	assert_int_equal(
	    service_holder(f->p.run, "test", &pidfd, &supervisor, &e), 0);
	assert_int_not_equal(supervisor, first);
	assert_int_equal(kill(supervisor, SIGKILL), 0);
	assert_true(process_wait(pidfd, 20));
	close(pidfd);
	/* The new one waits for the old one: there are never two. */
	assert_int_equal(start(f), STARTED_READY);
	assert_int_equal(process_start(first), 0);
	assert_int_not_equal(look(f).pid, first);
	stop(f);
}

static void a_process_of_somebody_else_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct service_state s = {.state = "running", .pid = getpid()};
	struct err e = {0};

	service(f, "exec sleep 1000", "");
	/* The id is ours, the time is that of another process. */
	s.pid_start = process_start(getpid()) - 1;
	assert_int_equal(service_write(f->p.run, "test", &s, &e), 0);
	assert_int_equal(supervise_stop(&f->p, &f->u, &e), -PS_NO);
	assert_int_equal(start(f), STARTED_READY);
	stop(f);
}

static void stop_while_it_starts(void **state)
{
	struct fixture *f = *state;
	enum supervise_started how;
	struct err e = {0};
	int status;
	pid_t pid;

	service(f, "exec sleep 1000", "Type=notify\n");
	f->u.start_s = 60;
	pid = fork();
	if (pid == 0) {
		(void)supervise_start(&f->p, &f->u, &how, &e);
		_exit(how == STARTED_LATER ? 0 : 1);
	}
	while (look(f).pid == 0)
		;
	stop(f);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_service_that_ignores_the_signal_is_killed),
	    T(one_that_is_killed_is_started_again),
	    T(some_failures_are_final),
	    T(one_that_fails_at_first_is_tried_again),
	    T(one_that_does_not_become_ready_is_ended),
	    T(what_a_service_leaves_ends_with_it),
	    T(unless_its_unit_says_so),
	    T(one_that_gives_no_sign_of_life_is_started_again),
	    T(a_killed_supervisor_takes_its_service_along),
	    T(a_process_of_somebody_else_is_left_alone),
	    T(stop_while_it_starts),
	};

	(void)alarm(300);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
