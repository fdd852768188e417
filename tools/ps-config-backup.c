/* ps-config backup, ps-config restore. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/tool.h"
#include "config/backup.h"
#include "ps-config.h"

static int write_to(struct reg *r, int fd, const char *name, uint64_t *rows,
		    struct err *e)
{
	struct io_out out;
	int rc = io_out_open_fd(&out, fd, name, e);

	if (rc == 0) {
		rc = backup_write(r, &out, rows, e);
		io_out_close(&out);
	}
	return rc;
}

static int tell(const char *path, uint64_t rows, struct err *e)
{
	if (ask.json)
		return print_json(json_pack("{s:s, s:I}", "file", path, "rows",
					    (json_int_t)rows),
				  e);
	tool_note("%llu rows", (unsigned long long)rows);
	return 0;
}

/* A device or a pipe stays what it is. */
static int write_into(struct reg *r, const char *path, uint64_t *rows,
		      struct err *e)
{
	int fd = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC), rc;

	if (fd < 0)
		return err_sys(e, 0, "%s", path);
	rc = write_to(r, fd, path, rows, e);
	close(fd);
	return rc;
}

/* The file has its name only when all of it is on stable storage. */
static int cmd_backup(struct reg *r, char **operands, struct err *e)
{
	const char *path = operands[0], *name;
	struct durable d;
	uint64_t rows = 0;
	int rc, dir;

	if (strcmp(path, "-") == 0)
		return write_to(r, STDOUT_FILENO, "standard output", &rows, e);
	if (durable_is_channel(path)) {
		rc = write_into(r, path, &rows, e);
		return rc < 0 ? rc : tell(path, rows, e);
	}
	dir = durable_folder(path, &name, e);
	if (dir < 0)
		return dir;
	rc = durable_begin(&d, dir, name, 0600, e);
	if (rc == 0) {
		rc = write_to(r, d.fd, path, &rows, e);
		if (rc == 0)
			rc = durable_commit(&d, DURABLE_REPLACE, e);
		else
			durable_abort(&d);
	}
	close(dir);
	return rc < 0 ? rc : tell(path, rows, e);
}

static int cmd_restore(struct reg *r, char **operands, struct err *e)
{
	uint64_t rows = 0;
	int rc = backup_restore(r, operands[0], ask.replace, &rows, e);

	return rc < 0 ? rc : tell(operands[0], rows, e);
}

const struct action backup_actions[] = {
    {NULL, 1, " FILE", cmd_backup},
    {0},
};

const struct action restore_actions[] = {
    {NULL, 1, " FILE [--replace]", cmd_restore},
    {0},
};
