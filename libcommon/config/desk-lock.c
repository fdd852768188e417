/* What the desk gives up before it hears anybody. */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/desk-private.h"

/* What finding a host needs is below them; -1: not there. */
enum { READ_ETC, READ_RESOLV, READ_CA, READ_FILES };

static int open_path(const char *path)
{
	return open(path, O_PATH | O_CLOEXEC);
}

/* /etc/resolv.conf may be a link to a file that somebody replaces. */
static int open_resolv(void)
{
	char real[PATH_MAX], *slash;

	if (realpath("/etc/resolv.conf", real) == NULL ||
	    strncmp(real, "/etc/", 5) == 0)
		return -1;
	slash = strrchr(real, '/');
	if (slash == real)
		return -1;
	*slash = '\0';
	return open_path(real);
}

int desk_lock(const struct reg_where *where, unsigned port, struct err *e)
{
	int files[READ_FILES] = {-1, -1, -1}, i, rc;
	struct sandbox_far far = {.files = files, .n = READ_FILES, port};
	int dirfd = open(where->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dirfd < 0)
		return err_sys(e, 0, "%s", where->dir);
	if (port != 0) {
		files[READ_ETC] = open_path("/etc");
		files[READ_RESOLV] = open_resolv();
		if (where->ca != NULL)
			files[READ_CA] = open_path(where->ca);
	}
	rc = sandbox_desk(dirfd, where->credentials != NULL ? &far : NULL, e);
	close(dirfd);
	for (i = 0; i < READ_FILES; i++)
		if (files[i] >= 0)
			close(files[i]);
	return rc;
}
