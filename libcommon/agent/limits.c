#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/limits.h"
#include "base/io.h"

#define CGROUPS "/sys/fs/cgroup"
#define LEAF "ps-agent.main"
#define PERIOD_US 100000
#define PATH_SIZE 512
#define IOPRIO_WHO_PROCESS 1 /* <linux/ioprio.h> */

static int put(int dirfd, const char *file, const char *text)
{
	int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC), rc;

	if (fd < 0)
		return -1;
	rc = io_write_full(fd, text, strlen(text));
	close(fd);
	return rc;
}

/* The group that this process is in; cgroups(7): "0::/path". */
static int own_group(void)
{
	char path[PATH_SIZE] = CGROUPS, line[PATH_SIZE - sizeof(CGROUPS)];
	char *leaf;
	FILE *f = fopen("/proc/self/cgroup", "re");
	int fd = -1;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		/* After a reload we are in the leaf already. */
		leaf = strstr(line, "/" LEAF);
		if (leaf != NULL)
			*leaf = '\0';
		snprintf(path, sizeof(path), "%s%s", CGROUPS, line + 3);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (f != NULL)
		fclose(f);
	return fd;
}

static bool alone(int group)
{
	char buf[64], me[24];
	int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? io_read_full(fd, buf, sizeof(buf) - 1) : -1;

	if (fd >= 0)
		close(fd);
	snprintf(me, sizeof(me), "%d\n", (int)getpid());
	return n > 0 && (size_t)n == strlen(me) &&
	       memcmp(buf, me, (size_t)n) == 0;
}

static int enter(int parent, const char *name)
{
	if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
		return -1;
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Whether the file of a group says this; the root group has no cgroup.type. */
static bool says(int group, const char *file, const char *text)
{
	char buf[32];
	int fd = openat(group, file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? io_read_full(fd, buf, sizeof(buf)) : -1;

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

/*
 * Below a group that has processes of its own a group may have cpu.max and
 * yet take no process: it is then of type "domain invalid" (cgroup-v2.rst of
 * the kernel, "Threads").
 */
static bool usable(int work)
{
	return faccessat(work, "cpu.max", W_OK, 0) == 0 &&
	       says(work, "cgroup.type", "domain\n");
}

/*
 * Hands the cpu controller down from our group. A group that has processes
 * may not do that, so in one of our own (a service with Delegate=yes) we step
 * aside into a leaf; one that others are in, too, is left as it is.
 */
static void delegate(int own)
{
	bool root = faccessat(own, "cgroup.type", F_OK, 0) < 0;
	int leaf;

	if (!root && !alone(own))
		return;
	if (!root) {
		/* Of an agent that ran here before. */
		(void)put(own, "cgroup.subtree_control", "-cpu");
		leaf = enter(own, LEAF);
		if (leaf < 0)
			return;
		(void)put(leaf, "cgroup.procs", "0");
		close(leaf);
	}
	(void)put(own, "cgroup.subtree_control", "+cpu");
}

/* A group below ours whose share of the processor can be set; -1: none. */
static int work_group(int own)
{
	int work = enter(own, "ps-agent.work");

	if (work >= 0 && !usable(work))
		delegate(own);
	if (work >= 0 && !usable(work)) {
		close(work);
		(void)unlinkat(own, "ps-agent.work", AT_REMOVEDIR);
		return -1;
	}
	return work;
}

void limits_open(struct limits *l, const struct agent_conf *c, char *why,
		 size_t size)
{
	int own, work = -1;
	char text[64];

	*l = (struct limits){c->nice, c->ionice, -1};
	*why = '\0';
	if (c->cpu_percent == 0)
		return;
	snprintf(text, sizeof(text), "%llu %d",
		 (unsigned long long)c->cpu_percent * (PERIOD_US / 100),
		 PERIOD_US);
	own = own_group();
	if (own >= 0)
		work = work_group(own);
	if (work >= 0 && put(work, "cpu.max", text) == 0)
		l->procs = openat(work, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	if (l->procs < 0)
		snprintf(why, size,
			 "limits.cpu cannot be kept: no control group to be "
			 "had (cgroup v2, for a service Delegate=yes)");
	if (work >= 0)
		close(work);
	if (own >= 0)
		close(own);
}

void limits_close(struct limits *l)
{
	if (l->procs >= 0)
		close(l->procs);
	l->procs = -1;
}

/* Best effort: a limit that cannot be set must not stop the protection. */
void limits_apply(void *ctx)
{
	const struct limits *l = ctx;

	if (l->procs >= 0)
		(void)!write(l->procs, "0", 1);
	if (l->nice > 0)
		(void)setpriority(PRIO_PROCESS, 0, l->nice);
	if (l->ionice >= 0)
		(void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, l->ionice);
}

/* Who writes more gets EFBIG, or is ended by SIGXFSZ. */
void limits_apply_list(void *ctx)
{
	const struct rlimit most = {LIMITS_LIST_FILE, LIMITS_LIST_FILE};

	limits_apply(ctx);
	(void)setrlimit(RLIMIT_FSIZE, &most);
}
