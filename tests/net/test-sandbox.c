/*
 * Each layer of the sandbox alone: what it keeps out when the others are not
 * there. A child tries; its exit code tells.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/sandbox.h"

typedef int try_fn(void);

static pid_t sibling;

static int try_passwd(void)
{
	return open("/etc/passwd", O_RDONLY);
}

static int try_make(void)
{
	return open("made", O_WRONLY | O_CREAT, 0600);
}

static int try_connect(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(9),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};

	return connect(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr *)&a,
		       sizeof(a));
}

static int try_kill(void)
{
	return kill(sibling, SIGTERM);
}

static int try_ptrace(void)
{
	return (int)ptrace(PTRACE_SEIZE, sibling, NULL, NULL);
}

static int try_exec(void)
{
	char *argv[] = {(char *)(uintptr_t) "/bin/true", NULL};

	return execv(argv[0], argv);
}

static int try_nothing(void)
{
	return 0;
}

/* The errno of it (0: done), or 256 and the signal that ended the child. */
static int outcome(int (*lock)(enum sandbox_role, struct err *),
		   enum sandbox_role role, try_fn *attempt)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct err e = {0};

		if (lock(role, &e) < 0)
			_exit(255);
		_exit(attempt() < 0 ? errno : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 256 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

static int landlock_only(enum sandbox_role role, struct err *e)
{
	int dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return sandbox_landlock(role, dirfd, e);
}

static int everything(enum sandbox_role role, struct err *e)
{
	int dirfd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return sandbox_enter(role, dirfd, e);
}

static void test_landlock(void **state)
{
	char words[160];

	(void)state;
	sandbox_words(words, sizeof(words));
	if (strncmp(words, "Landlock ABI ", 13) != 0)
		skip();
	assert_int_equal(outcome(landlock_only, SANDBOX_GATE, try_passwd),
			 EACCES);
	assert_int_equal(outcome(landlock_only, SANDBOX_GATE, try_make),
			 EACCES);
	assert_int_equal(outcome(landlock_only, SANDBOX_WORKER, try_passwd),
			 EACCES);
	assert_int_equal(outcome(landlock_only, SANDBOX_OPERATOR, try_make),
			 EACCES);
	assert_int_equal(outcome(landlock_only, SANDBOX_WORKER, try_make), 0);
	assert_int_equal(unlink("made"), 0);
	assert_int_equal(outcome(landlock_only, SANDBOX_WORKER, try_ptrace),
			 EPERM);
	if (strtol(words + 13, NULL, 10) < 6)
		return;
	assert_int_equal(outcome(landlock_only, SANDBOX_WORKER, try_connect),
			 EACCES);
	assert_int_equal(outcome(landlock_only, SANDBOX_WORKER, try_kill),
			 EPERM);
}

static void test_seccomp(void **state)
{
	static try_fn *const all[] = {try_connect, try_kill, try_ptrace,
				      try_exec};
	unsigned i;

	(void)state;
#ifdef PS_SANITIZE
	return; /* there is no filter */
#endif
	for (i = 0; i < 4; i++) {
		assert_int_equal(outcome(sandbox_seccomp, SANDBOX_GATE, all[i]),
				 256 + SIGSYS);
		assert_int_equal(
		    outcome(sandbox_seccomp, SANDBOX_WORKER, all[i]),
		    256 + SIGSYS);
	}
	assert_int_equal(outcome(sandbox_seccomp, SANDBOX_GATE, try_passwd),
			 256 + SIGSYS);
	assert_int_equal(outcome(sandbox_seccomp, SANDBOX_KEEPER, try_passwd),
			 256 + SIGSYS);
	assert_int_equal(outcome(sandbox_seccomp, SANDBOX_WORKER, try_passwd),
			 0);
	assert_int_equal(outcome(everything, SANDBOX_WORKER, try_nothing), 0);
}

static void test_descriptors(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		int p[2], fds[2];
		struct err e = {0};

		if (pipe(p) < 0)
			_exit(1);
		fds[0] = p[1];
		fds[1] = p[0];
		if (sandbox_descriptors(fds, 2, -1, &e) < 0 || fds[0] != 3 ||
		    fds[1] != 4 || write(3, "x", 1) != 1)
			_exit(2);
		_exit(fcntl(5, F_GETFD) < 0 ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* 0: a program of it has this capability and no other, and this user. */
static int program_of(int (*drop)(const struct sandbox_user *, struct err *),
		      const char *capabilities)
{
	static const char look[] =
	    "[ \"$(id -un)\" = nobody ] && for x in CapEff CapPrm CapBnd "
	    "CapAmb;"
	    "do grep -q \"^$x:.*$1\" /proc/self/status || exit 2; done";
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct sandbox_user u;
		struct err e = {0};

		if (sandbox_user(&u, "nobody", &e) == 0 && drop(&u, &e) == 0)
			execl("/bin/sh", "sh", "-c", look, "sh", capabilities,
			      NULL);
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_low_ports(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(
	    program_of(sandbox_drop_but_ports, "\t0000000000000400$"), 0);
	/* It would see that there are none. */
	assert_int_equal(program_of(sandbox_drop, "\t0000000000000400$"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_low_ports),
	    cmocka_unit_test(test_landlock),
	    cmocka_unit_test(test_seccomp),
	    cmocka_unit_test(test_descriptors),
	};
	char dir[] = "/tmp/test-sandbox.XXXXXX";
	int rc;

	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return 1;
	sibling = fork();
	if (sibling == 0)
		for (;;)
			pause();
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	kill(sibling, SIGKILL);
	waitpid(sibling, NULL, 0);
	if (chdir("/") < 0 || rmdir(dir) < 0)
		return 1;
	return rc;
}
