#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "push/package.h"
#include "push/verify.h"

extern char **environ;

static int start(int fd, int out, const char *signature, const char *signers,
		 pid_t *ret)
{
	const char *args[] = {"ssh-keygen",	 "-Y", "verify",       "-f",
			      signers,		 "-I", PACKAGE_SIGNER, "-n",
			      PACKAGE_NAMESPACE, "-s", signature,      NULL};
	posix_spawn_file_actions_t actions;
	int rc;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	rc = posix_spawnp(ret, args[0], &actions, NULL,
			  (char *const *)(uintptr_t)args, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* The last line of what it said, in printable characters. */
static void last_line(char *said, char *words, size_t size)
{
	size_t n = strlen(said);
	const char *from;

	while (n > 0 && (said[n - 1] == '\n' || said[n - 1] == '\r'))
		said[--n] = '\0';
	from = strrchr(said, '\n');
	snprintf(words, size, "%s", from != NULL ? from + 1 : said);
	for (; *words != '\0'; words++)
		if (*words < ' ' || *words > '~')
			*words = '?';
}

int package_verify(int fd, const char *signature, const char *signers,
		   char *words, size_t size, struct err *e)
{
	char said[1024] = "";
	int out[2], rc, status = 0;
	ssize_t n = 0;
	pid_t pid;

	*words = '\0';
	if (lseek(fd, 0, SEEK_SET) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return err_sys(e, 0, "ssh-keygen");
	rc = start(fd, out[1], signature, signers, &pid);
	close(out[1]);
	if (rc == 0)
		n = io_read_full(out[0], said, sizeof(said) - 1);
	close(out[0]);
	if (rc != 0) {
		errno = rc;
		rc = err_sys(e, PS_UNAVAILABLE, "ssh-keygen");
		err_hint(e, "install openssh-client");
		return rc;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (status == 0)
		return 0;
	said[n > 0 ? n : 0] = '\0';
	last_line(said, words, size);
	if (*words == '\0')
		snprintf(words, size, "ssh-keygen does not take it");
	return 0;
}
