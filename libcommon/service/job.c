#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "service/job.h"

/* The file of a job, locked; -PS_NO when somebody else has the lock. */
static int begin(const struct place *p, const struct unit *u, struct err *e)
{
	int dir = place_jobs(p, e), fd, rc;

	if (dir < 0)
		return dir;
	fd = openat(dir, u->name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0640);
	if (fd < 0)
		rc = err_sys(e, 0, "%s", u->name);
	else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		rc = futimens(fd, NULL) < 0 ? err_sys(e, 0, "%s", u->name) : fd;
	else if (errno == EWOULDBLOCK)
		rc = err_set(e, PS_NO, "%s runs already", u->name);
	else
		rc = err_sys(e, 0, "%s", u->name);
	if (rc < 0 && fd >= 0)
		close(fd);
	close(dir);
	return rc;
}

static int run(const struct place *p, char *const *argv, struct err *e)
{
	char program[PLACE_PATH];
	int status;
	pid_t pid;

	place_program(p, argv[0], program);
	pid = fork();
	if (pid < 0)
		return err_sys(e, PS_TEMPFAIL, "%s", program);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		execv(program, argv);
		fprintf(stderr, "ps-service: %s: %s\n", program,
			strerror(errno));
		_exit(PS_CONFIG);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_sys(e, PS_SOFTWARE, "wait");
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status)
				   : WEXITSTATUS(status);
}

/* Told how it ended, in systemd's words; what they answer changes nothing. */
static void run_behind(const struct place *p, const struct unit *u, int rc)
{
	unsigned i;

	(void)setenv("SERVICE_RESULT",
		     rc == 0	? "success"
		     : rc > 128 ? "signal"
				: "exit-code",
		     1);
	for (i = u->ncommands - u->nbehind; i < u->ncommands; i++)
		(void)run(p, u->argv[i], NULL);
	(void)unsetenv("SERVICE_RESULT");
}

int job_run(const struct place *p, const struct unit *u, struct err *e)
{
	int fd = begin(p, u, e), rc = 0;
	unsigned i;

	if (fd < 0)
		return fd;
	for (i = 0; i < u->ncommands - u->nbehind && rc == 0; i++) {
		rc = run(p, u->argv[i], e);
		if (rc > 0 && unit_has_code(u->good, u->ngood, rc))
			rc = 0;
	}
	if (u->nbehind > 0)
		run_behind(p, u, rc);
	close(fd);
	return rc;
}

int64_t job_due_ns(const struct place *p, const struct unit *u, int64_t now_ns)
{
	int64_t every = (int64_t)u->every_s * NS_PER_S, last;
	struct err e = {0};
	struct stat st;
	int dir = place_jobs(p, &e);

	if (dir < 0)
		return now_ns + every;
	if (fstatat(dir, u->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		last = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	} else if (u->persistent) {
		/* Its time counts from the first day on, over restarts. */
		int fd = openat(dir, u->name,
				O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);

		if (fd >= 0)
			close(fd);
		last = now_ns;
	} else {
		last = now_ns - every;
	}
	close(dir);
	/* A clock that was set back must not stop it for years. */
	return last > now_ns ? now_ns + every : last + every;
}
