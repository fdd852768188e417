#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "service/state.h"

#define TEXT_SIZE 1024
#define FILE_SIZE 64

/* ---- the file ---- */

static void take(struct service_state *s, const char *key, const char *value)
{
	if (strcmp(key, "state") == 0)
		snprintf(s->state, sizeof(s->state), "%s", value);
	else if (strcmp(key, "pid") == 0)
		s->pid = (pid_t)strtol(value, NULL, 10);
	else if (strcmp(key, "start") == 0)
		s->pid_start = strtoull(value, NULL, 10);
	else if (strcmp(key, "since") == 0)
		s->since_ns = strtoll(value, NULL, 10);
	else if (strcmp(key, "ended") == 0)
		s->exit_ns = strtoll(value, NULL, 10);
	else if (strcmp(key, "code") == 0)
		s->exit_code = (int)strtol(value, NULL, 10);
	else if (strcmp(key, "restarts") == 0)
		s->restarts = (unsigned)strtoul(value, NULL, 10);
	else if (strcmp(key, "next") == 0)
		s->next_ns = strtoll(value, NULL, 10);
	else if (strcmp(key, "words") == 0)
		snprintf(s->words, sizeof(s->words), "%s", value);
}

int service_read(int dirfd, const char *name, struct service_state *ret,
		 struct err *e)
{
	char file[FILE_SIZE], text[TEXT_SIZE], *line, *rest, *value;
	ssize_t n;
	int fd;

	memset(ret, 0, sizeof(*ret));
	snprintf(file, sizeof(file), "%s.state", name);
	fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return err_sys(e, 0, "%s", file);
	n = io_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 0)
		return err_sys(e, PS_IOERR, "%s", file);
	text[n] = '\0';
	for (line = strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		value = strchr(line, ' ');
		if (value != NULL) {
			*value++ = '\0';
			take(ret, line, value);
		}
	}
	return 0;
}

int service_write(int dirfd, const char *name, const struct service_state *s,
		  struct err *e)
{
	char file[FILE_SIZE], text[TEXT_SIZE];
	int n;

	snprintf(file, sizeof(file), "%s.state", name);
	n = snprintf(text, sizeof(text),
		     "state %s\npid %d\nstart %" PRIu64 "\nsince %" PRId64
		     "\nended %" PRId64 "\ncode %d\nrestarts %u\nnext %" PRId64
		     "\nwords %s\n",
		     s->state, (int)s->pid, s->pid_start, s->since_ns,
		     s->exit_ns, s->exit_code, s->restarts, s->next_ns,
		     s->words);
	return durable_write(dirfd, file, text, (size_t)n, 0644,
			     DURABLE_REPLACE, e);
}

/* ---- the lock ---- */

static int open_lock(int dirfd, const char *name, int flags)
{
	char file[FILE_SIZE];

	snprintf(file, sizeof(file), "%s.lock", name);
	return openat(dirfd, file, flags | O_CLOEXEC, 0644);
}

int service_lock(int dirfd, const char *name, struct err *e)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open_lock(dirfd, name, O_RDWR | O_CREAT);

	if (fd < 0)
		return err_sys(e, 0, "%s.lock", name);
	if (fcntl(fd, F_SETLK, &lock) == 0)
		return 0; /* stays open: it is the lock */
	if (errno != EAGAIN && errno != EACCES) {
		int rc = err_sys(e, 0, "%s.lock", name);

		close(fd);
		return rc;
	}
	close(fd);
	return err_set(e, PS_NO, "%s has a supervisor", name);
}

/* Who has it; 0: nobody, -1 with errno. */
static pid_t who_locks(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) < 0)
		return -1;
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

int service_holder(int dirfd, const char *name, int *ret_pidfd, pid_t *ret_pid,
		   struct err *e)
{
	int fd = open_lock(dirfd, name, O_RDONLY), pidfd = -1;
	pid_t pid, again = 0;

	if (fd < 0 && errno == ENOENT)
		return err_set(e, PS_NO, "%s does not run", name);
	if (fd < 0)
		return err_sys(e, 0, "%s.lock", name);
	pid = who_locks(fd);
	if (pid > 0)
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* Who has it still now is who the descriptor is of. */
	if (pidfd >= 0)
		again = who_locks(fd);
	close(fd);
	if (pidfd >= 0 && again == pid) {
		*ret_pidfd = pidfd;
		*ret_pid = pid;
		return 0;
	}
	if (pidfd >= 0)
		close(pidfd);
	return err_set(e, PS_NO, "%s does not run", name);
}

/* ---- processes ---- */

/* Two fields of /proc/PID/stat; false: there is no such process. */
static bool read_stat(const char *pid, int *ret_session, uint64_t *ret_start)
{
	char path[64], text[TEXT_SIZE], *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = io_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name may hold anything: what counts is behind its ')'. */
	p = strrchr(text, ')');
	return p != NULL && p[1] == ' ' && p[2] != 'Z' && p[2] != 'X' &&
	       sscanf(p + 1,
		      " %*c %*d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
		      "%*d %*d %*d %*d %*d %" SCNu64,
		      ret_session, ret_start) == 2;
}

uint64_t process_start(pid_t pid)
{
	char name[24];
	uint64_t start;
	int session;

	snprintf(name, sizeof(name), "%d", (int)pid);
	return pid > 0 && read_stat(name, &session, &start) ? start : 0;
}

bool service_alive(const struct service_state *s)
{
	return s->pid > 0 && s->pid_start != 0 &&
	       process_start(s->pid) == s->pid_start;
}

unsigned session_signal(pid_t pid, int sig)
{
	DIR *dir = opendir("/proc");
	const struct dirent *d;
	unsigned n = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL) {
		int session;
		uint64_t start;

		if (d->d_name[0] < '1' || d->d_name[0] > '9' ||
		    !read_stat(d->d_name, &session, &start) || session != pid)
			continue;
		n++;
		(void)kill((pid_t)strtol(d->d_name, NULL, 10), sig);
	}
	if (dir != NULL)
		closedir(dir);
	return n;
}

bool process_wait(int pidfd, unsigned seconds)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};
	int64_t until = mono_now_ns() + (int64_t)seconds * NS_PER_S, left;

	while ((left = until - mono_now_ns()) > 0) {
		int n = poll(&p, 1, (int)(left / 1000000) + 1);

		if (n > 0)
			return true;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return false;
}

void service_end_leftovers(const struct service_state *s, bool main_only,
			   unsigned stop_s)
{
	unsigned tries = 0;
	int pidfd = -1;

	if (s->pid <= 0)
		return;
	if (service_alive(s))
		pidfd = (int)syscall(SYS_pidfd_open, s->pid, 0);
	if (pidfd >= 0 && service_alive(s)) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
		if (!process_wait(pidfd, stop_s))
			(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL,
				      NULL, 0);
		(void)process_wait(pidfd, 10);
	}
	if (pidfd >= 0)
		close(pidfd);
	/* An id is not given away as long as its session has a process, so
	 * unless the leader is somebody new, these are its children. */
	if (main_only || process_start(s->pid) != 0)
		return;
	while (session_signal(s->pid, tries == 0 ? SIGTERM : SIGKILL) > 0 &&
	       tries++ < 50) {
		struct timespec pause = {0, 100000000};

		nanosleep(&pause, NULL);
	}
}
