#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "setup/former.h"
#include "setup/room.h"

/* Certificates, keys, and what file systems keep of each file. */
#define ROOM_LEAST (256 * 1024)

/* Of the files that change: each is there twice for a moment. */
static off_t files_size(const struct steps *s)
{
	off_t size = ROOM_LEAST;
	unsigned i;

	for (i = 0; i < s->nfiles; i++)
		if (s->files[i].former != NULL)
			size += 2 * (off_t)strlen(s->files[i].former);
	return size;
}

/* SQLite's registry, which is put back as a whole. */
static off_t state_size(const struct steps *s)
{
	char dir[PLACE_SIZE], path[PLACE_SIZE + 32];
	struct stat st;

	former_database(s, dir);
	snprintf(path, sizeof(path), "%s/registry.db", dir);
	return dir[0] != '\0' && stat(path, &st) == 0 ? ROOM_LEAST + st.st_size
						      : ROOM_LEAST;
}

/* A descriptor; -1: none is to be had; -CODE below that. */
static int take(const char *folder, off_t size, struct err *e)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc;
	char text[32];

	if (fd < 0)
		return -1;
	rc = posix_fallocate(fd, 0, size);
	if (rc == 0)
		return fd;
	close(fd);
	if (rc != ENOSPC && rc != EDQUOT)
		return -1;
	errno = rc;
	rc = err_sys(e, 0, "%s", folder);
	format_size((uint64_t)size, text, sizeof(text));
	err_hint(e,
		 "make room: %s are held there for the way back; nothing was "
		 "changed",
		 text);
	return rc;
}

int room_take(struct room *r, const struct steps *s, struct err *e)
{
	char state[PLACE_SIZE];

	*r = (struct room){{-1, -1}};
	place_state(s->p.c, "", state);
	r->fd[0] = take(s->p.etc, files_size(s), e);
	if (r->fd[0] >= -1)
		r->fd[1] = take(state, state_size(s), e);
	if (r->fd[0] >= -1 && r->fd[1] >= -1)
		return 0;
	room_give(r);
	return -e->code;
}

void room_give(struct room *r)
{
	unsigned i;

	for (i = 0; i < ROOMS; i++) {
		if (r->fd[i] >= 0)
			close(r->fd[i]);
		r->fd[i] = -1;
	}
}

void room_hint(struct err *e, const char *then)
{
	/* Programs that were run only say it. */
	if (strstr(e->msg, strerror(ENOSPC)) != NULL ||
	    strstr(e->msg, strerror(EDQUOT)) != NULL)
		err_hint(e, "make room there; the same command %s", then);
}
