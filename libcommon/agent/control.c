#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/control.h"
#include "base/durable.h"
#include "base/name.h"

#define FOLDER "control"
#define FILE_SIZE (NAME_SIZE + 16)

int control_open(struct control *c, int statefd, struct err *e)
{
	char path[64];

	*c = (struct control){.dirfd = -1, .watch = -1};
	if (mkdirat(statefd, FOLDER, 0700) == 0) {
		if (durable_sync(statefd, FOLDER, e) < 0)
			return -PS_STORAGE;
	} else if (errno != EEXIST) {
		return err_sys(e, 0, "folder %s", FOLDER);
	}
	c->dirfd = openat(statefd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->dirfd < 0)
		return err_sys(e, 0, "folder %s", FOLDER);
	/* Without it commands are seen with the next pass. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->dirfd);
	c->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (c->watch >= 0)
		(void)inotify_add_watch(c->watch, path,
					IN_CREATE | IN_DELETE | IN_MOVED_TO);
	return 0;
}

void control_close(struct control *c)
{
	if (c->dirfd >= 0)
		close(c->dirfd);
	if (c->watch >= 0)
		close(c->watch);
	c->dirfd = c->watch = -1;
}

void control_seen(struct control *c)
{
	char buf[4096];

	while (read(c->watch, buf, sizeof(buf)) > 0)
		;
}

static const char *file_of(const char *what, const char *disk,
			   char out[FILE_SIZE])
{
	snprintf(out, FILE_SIZE, "%s%s%s", what, disk != NULL ? "." : "",
		 disk != NULL ? disk : "");
	return out;
}

static int make(struct control *c, const char *what, const char *disk,
		struct err *e)
{
	char name[FILE_SIZE];

	return durable_write(c->dirfd, file_of(what, disk, name), "", 0, 0600,
			     DURABLE_REPLACE, e);
}

static int take_away(struct control *c, const char *what, const char *disk,
		     struct err *e)
{
	char name[FILE_SIZE];

	if (unlinkat(c->dirfd, file_of(what, disk, name), 0) == 0)
		return durable_sync(c->dirfd, FOLDER, e);
	return errno == ENOENT ? 0 : err_sys(e, 0, "%s/%s", FOLDER, name);
}

static bool there(const struct control *c, const char *what, const char *disk)
{
	char name[FILE_SIZE];

	return faccessat(c->dirfd, file_of(what, disk, name), F_OK, 0) == 0;
}

int control_pause(struct control *c, const char *disk, struct err *e)
{
	return make(c, "paused", disk, e);
}

int control_resume(struct control *c, const char *disk, struct err *e)
{
	return take_away(c, "paused", disk, e);
}

int control_rescan(struct control *c, const char *disk, struct err *e)
{
	return make(c, "rescan", disk, e);
}

static bool ask_of(const struct control *c, const char *name,
		   struct control_ask *ret)
{
	struct stat st;

	if (fstatat(c->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return false;
	*ret = (struct control_ask){st.st_ino, st.st_mtim};
	return true;
}

int control_rescan_done(struct control *c, const char *disk,
			const struct control_ask *which, struct err *e)
{
	char name[FILE_SIZE];
	struct control_ask now;

	if (ask_of(c, file_of("rescan", disk, name), &now) &&
	    (now.ino != which->ino || now.when.tv_sec != which->when.tv_sec ||
	     now.when.tv_nsec != which->when.tv_nsec))
		return 0;
	return take_away(c, "rescan", disk, e);
}

int control_accept(struct control *c, const char *disk, struct err *e)
{
	int rc = control_rescan(c, disk, e);

	return rc < 0 ? rc : make(c, "accept", disk, e);
}

int control_accept_done(struct control *c, const char *disk, struct err *e)
{
	return take_away(c, "accept", disk, e);
}

bool control_paused(const struct control *c, const char *disk)
{
	return there(c, "paused", NULL) || there(c, "paused", disk);
}

bool control_wants_rescan(const struct control *c, const char *disk,
			  struct control_ask *which)
{
	char name[FILE_SIZE];

	return ask_of(c, file_of("rescan", disk, name), which);
}

bool control_accepts(const struct control *c, const char *disk)
{
	return there(c, "accept", disk);
}
