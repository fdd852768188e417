#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/status.h"
#include "base/tool.h"
#include "base/units.h"

/* False with errno. One process has one file, so one temporary name does. */
static bool replace(const char *path, const char *text)
{
	char tmp[4096];
	bool good;
	int fd;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return false;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		  0644);
	if (fd < 0)
		return false;
	good = io_write_full(fd, text, strlen(text)) == 0 &&
	       io_write_full(fd, "\n", 1) == 0;
	if (close(fd) < 0 || !good || rename(tmp, path) < 0) {
		(void)unlink(tmp);
		return false;
	}
	return true;
}

bool status_due(const struct status_file *f)
{
	return f->path != NULL &&
	       (f->written_ns == 0 ||
		mono_now_ns() - f->written_ns >= STATUS_EVERY_NS);
}

void status_write(struct status_file *f, const char *text)
{
	if (f->path == NULL)
		return;
	f->written_ns = mono_now_ns();
	if (text != NULL && replace(f->path, text))
		return;
	if (!f->broken)
		tool_warn("%s: the report cannot be written", f->path);
	f->broken = true;
}
