#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "trace/instance.h"

#define EVENT "events/block/block_bio_queue/"
#define FILE_MAX 8192
/* A bio counts its bytes in 32 bits: none is longer, in sectors. */
#define BIO_SECTORS_MAX (UINT32_MAX / SECTOR)
#define WAKE_PERCENT "25"
#define CPUS_MAX 8192

/* ---- files of tracefs ---- */

static int put(const struct instance *in, const char *file, const char *text,
	       struct err *e)
{
	int fd = openat(in->dir, file, O_WRONLY | O_TRUNC | O_CLOEXEC);
	int rc = fd < 0 ? -1 : io_write_full(fd, text, strlen(text));

	if (rc < 0)
		rc =
		    err_sys(e, PS_UNAVAILABLE, "tracefs: %s: '%s'", file, text);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int get(const struct instance *in, const char *file, char buf[FILE_MAX],
	       struct err *e)
{
	int fd = openat(in->dir, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : io_read_full(fd, buf, FILE_MAX - 1);
	int rc = 0;

	if (n < 0)
		rc = err_sys(e, PS_UNAVAILABLE, "tracefs: %s", file);
	else
		buf[n] = '\0';
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- opening ---- */

/* tracefs, mounted nowhere; a descriptor. */
static int mount_tracefs(struct err *e)
{
	int fs = (int)syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC), fd = -1;

	if (fs >= 0 &&
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		fd = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (fd < 0) {
		fd = err_sys(e, PS_UNAVAILABLE, "tracefs cannot be mounted");
		err_hint(e, "tracing needs root, a kernel with tracefs (5.2 or "
			    "newer), and no lockdown");
	}
	if (fs >= 0)
		close(fs);
	return fd;
}

static int make_instance(struct instance *in, struct err *e)
{
	int root = mount_tracefs(e);

	if (root < 0)
		return root;
	in->folder =
	    openat(root, "instances", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	close(root);
	if (in->folder < 0)
		return err_sys(e, PS_UNAVAILABLE, "tracefs: instances");
	/* Left by one that was killed: whoever calls us holds the lock. */
	if (unlinkat(in->folder, in->name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return err_sys(e, PS_TEMPFAIL, "tracefs: instances/%s",
			       in->name);
	if (mkdirat(in->folder, in->name, 0700) < 0)
		return err_sys(e, PS_UNAVAILABLE, "tracefs: instances/%s",
			       in->name);
	in->dir =
	    openat(in->folder, in->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (in->dir < 0)
		return err_sys(e, PS_UNAVAILABLE, "tracefs: instances/%s",
			       in->name);
	return 0;
}

static int learn_formats(struct instance *in, struct err *e)
{
	char text[FILE_MAX];
	int rc = get(in, "events/header_page", text, e);

	if (rc == 0)
		rc = page_format_parse(&in->page_format, text, e);
	if (rc == 0)
		rc = get(in, EVENT "format", text, e);
	if (rc == 0)
		rc = event_format_parse(&in->event_format, text, e);
	if (rc == 0) {
		in->page = malloc(in->page_format.size);
		if (in->page == NULL)
			rc = err_set(e, PS_TEMPFAIL, "out of memory");
	}
	return rc;
}

/* Everything that is no read: writes, discards, zeroes ("N"), unknown ones. */
static int set_filter(const struct instance *in, const struct target *t,
		      const char *comm, struct err *e)
{
	uint64_t low =
	    t->start > BIO_SECTORS_MAX ? t->start - BIO_SECTORS_MAX : 0;
	char text[256];

	snprintf(text, sizeof(text),
		 "dev == %" PRIu32 " && ((sector < %" PRIu64
		 " && sector >= %" PRIu64
		 " && nr_sector > 0 && !(rwbs ~ \"R*\")) || comm == \"%s\")",
		 t->disk, t->start + t->sectors, low, comm);
	return put(in, EVENT "filter", text, e);
}

static int open_cpu(struct instance *in, int cpus, const char *name,
		    struct err *e)
{
	struct instance_cpu *more;
	unsigned id;
	char path[64];
	int fd;

	if (in->ncpus >= CPUS_MAX || sscanf(name, "cpu%u", &id) != 1)
		return err_set(e, PS_UNAVAILABLE, "tracefs: per_cpu/%s", name);
	more = realloc(in->cpus, (in->ncpus + 1) * sizeof(*more));
	if (more == NULL)
		return err_set(e, PS_TEMPFAIL, "out of memory");
	in->cpus = more;
	snprintf(path, sizeof(path), "%.16s/trace_pipe_raw", name);
	fd = openat(cpus, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, PS_UNAVAILABLE, "tracefs: %s", path);
	in->cpus[in->ncpus++] = (struct instance_cpu){fd, id};
	return 0;
}

/* There is a folder for each CPU that could ever be there. */
static int open_cpus(struct instance *in, struct err *e)
{
	int fd = openat(in->dir, "per_cpu", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL) {
		rc = err_sys(e, PS_UNAVAILABLE, "tracefs: per_cpu");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, "cpu", 3) == 0)
			rc = open_cpu(in, fd, entry->d_name, e);
	closedir(d);
	if (rc == 0 && in->ncpus == 0)
		rc = err_set(e, PS_UNAVAILABLE, "tracefs: no CPUs");
	return rc;
}

int instance_open(struct instance *in, const char *name, const struct target *t,
		  const char *comm, uint64_t buffer, struct err *e)
{
	char kib[24];
	int rc;

	*in = (struct instance){.folder = -1, .dir = -1};
	snprintf(in->name, sizeof(in->name), "%s", name);
	snprintf(kib, sizeof(kib), "%" PRIu64, (buffer + 1023) / 1024);
	rc = make_instance(in, e);
	if (rc == 0)
		rc = learn_formats(in, e);
	if (rc == 0)
		rc = put(in, "buffer_size_kb", kib, e);
	/* Full: what comes then is lost and counted, not what was there. */
	if (rc == 0)
		rc = put(in, "options/overwrite", "0", e);
	if (rc == 0)
		rc = put(in, "buffer_percent", WAKE_PERCENT, e);
	if (rc == 0)
		rc = set_filter(in, t, comm, e);
	if (rc == 0)
		rc = open_cpus(in, e);
	if (rc == 0)
		rc = put(in, EVENT "enable", "1", e);
	if (rc < 0) {
		instance_close(in);
		return rc;
	}
	in->pages_max = 2 + 2 * buffer / in->page_format.size;
	return 0;
}

void instance_close(struct instance *in)
{
	unsigned i;

	if (in->dir >= 0)
		(void)put(in, EVENT "enable", "0", NULL);
	for (i = 0; i < in->ncpus; i++)
		close(in->cpus[i].fd);
	free(in->cpus);
	free(in->page);
	if (in->dir >= 0) {
		close(in->dir);
		(void)unlinkat(in->folder, in->name, AT_REMOVEDIR);
	}
	if (in->folder >= 0)
		close(in->folder);
	*in = (struct instance){.folder = -1, .dir = -1};
}

/* ---- reading ---- */

static int drain_cpu(struct instance *in, int fd, page_event_fn *fn, void *ctx,
		     struct err *e)
{
	int rc, lost = 0;
	uint64_t i;

	/* More than the buffer holds came after we began: another time. */
	for (i = 0; i < in->pages_max; i++) {
		ssize_t n = read(fd, in->page, in->page_format.size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			break;
		if (n < 0)
			return err_sys(e, PS_IOERR, "tracefs: trace_pipe_raw");
		rc = page_parse(&in->page_format, &in->event_format, in->page,
				(size_t)n, fn, ctx, e);
		if (rc < 0)
			return rc;
		lost |= rc;
	}
	return lost;
}

int instance_drain(struct instance *in, page_event_fn *fn, void *ctx,
		   struct err *e)
{
	int rc = 0, lost = 0;
	unsigned i;

	for (i = 0; rc >= 0 && i < in->ncpus; i++) {
		rc = drain_cpu(in, in->cpus[i].fd, fn, ctx, e);
		lost |= rc;
	}
	return rc < 0 ? rc : lost;
}

/* "dropped events: 0" */
static bool add_count(const char *text, const char *name, uint64_t *sum)
{
	const char *line = strstr(text, name);
	uint64_t n;

	if (line == NULL || sscanf(line + strlen(name), ": %" SCNu64, &n) != 1)
		return false;
	*sum += n;
	return true;
}

int instance_losses(const struct instance *in, uint64_t *ret, struct err *e)
{
	char path[64], text[FILE_MAX];
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < in->ncpus; i++) {
		snprintf(path, sizeof(path), "per_cpu/cpu%u/stats",
			 in->cpus[i].id);
		if (get(in, path, text, e) < 0)
			return -PS_UNAVAILABLE;
		if (!add_count(text, "\noverrun", &sum) ||
		    !add_count(text, "\ncommit overrun", &sum) ||
		    !add_count(text, "\ndropped events", &sum))
			return err_set(e, PS_UNAVAILABLE,
				       "tracefs: %s: not the form that is "
				       "known",
				       path);
	}
	*ret = sum;
	return 0;
}
