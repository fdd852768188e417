#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "agent/lock.h"
#include "agent/state.h"
#include "base/units.h"

#define WAIT_NS (3 * NS_PER_S)
#define PAUSE_NS 20000000
#define TELL 4096   /* that byte and the errno: what an agent tells */
#define ERRNOS 4096 /* MAX_ERRNO of the kernel */

static bool set(int fd, short type, off_t at, off_t n)
{
	struct flock lock = {
	    .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = n};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

/* A child of an agent that was killed has its lock until it is another program.
 */
int lock_take(int dirfd, const char *path, struct err *e)
{
	int fd = openat(dirfd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int64_t until = mono_now_ns() + WAIT_NS;

	if (fd < 0)
		return err_sys(e, 0, "%s/" LOCK_FILE, path);
	while (!set(fd, F_WRLCK, 0, TELL)) {
		int rc = 0;

		if (errno != EAGAIN && errno != EACCES)
			rc = err_sys(e, 0, "%s/" LOCK_FILE, path);
		else if (mono_now_ns() > until)
			rc = err_set(e, PS_TEMPFAIL,
				     "%s: another ps-agent works with this "
				     "state",
				     path);
		if (rc < 0) {
			close(fd);
			return rc;
		}
		nanosleep(&(struct timespec){0, PAUSE_NS}, NULL);
	}
	return fd;
}

void lock_tell(int fd, int trouble)
{
	(void)set(fd, F_UNLCK, TELL, ERRNOS);
	if (trouble > 0 && trouble < ERRNOS)
		(void)set(fd, F_WRLCK, TELL + trouble, 1);
}

/* The first place of a lock there; -1: nobody has one. */
static off_t held(int fd, off_t at, off_t n)
{
	struct flock lock = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = n};

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return -1;
	return lock.l_start;
}

bool lock_look(int dirfd, int *ret_trouble)
{
	int fd = openat(dirfd, LOCK_FILE, O_RDONLY | O_CLOEXEC);
	bool works;
	off_t at;

	*ret_trouble = 0;
	if (fd < 0)
		return false;
	works = held(fd, 0, TELL) >= 0;
	at = held(fd, TELL, ERRNOS);
	/* One that was made before there was anything to tell holds it whole.
	 */
	if (works && at > TELL)
		*ret_trouble = (int)(at - TELL);
	close(fd);
	return works;
}
