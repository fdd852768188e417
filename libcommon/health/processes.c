#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "health/processes.h"

#define ARGS_MAX 16384

/* A file of a process; its length, 0 when it has gone. */
static size_t slurp(const char *proc, const char *pid, const char *name,
		    char *out, size_t size)
{
	char path[PATH_MAX];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", proc, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = io_read_full(fd, out, size - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Is `arg`, seen from the process, the same file or folder as `mine`? */
static bool same_place(const char *proc, const char *pid, const char *arg,
		       const char *mine)
{
	char path[2 * PATH_MAX];
	struct stat a, b;

	if (mine == NULL || strlen(arg) >= PATH_MAX || stat(mine, &a) < 0)
		return false;
	snprintf(path, sizeof(path), "%s/%.20s/%s/%.4095s", proc, pid,
		 arg[0] == '/' ? "root" : "cwd", arg);
	return stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* An option that says where its things are. */
static bool names_place(const char *arg)
{
	static const char *const options[] = {
	    "--config", "--cache", "--agent-config", "--dir", "-C", "-c", "-d"};
	unsigned i;

	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (strncmp(arg, options[i], strlen(options[i])) == 0)
			return true;
	return false;
}

/* What one reads that is told of no other. */
static bool is_usual(const char *config)
{
	const char *env = getenv("PS_CONFIG");

	return config == NULL ||
	       strcmp(config, SYSCONFDIR "/ps-toolkit/ps.yaml") == 0 ||
	       strcmp(config, SYSCONFDIR "/ps-toolkit/agent.yaml") == 0 ||
	       (env != NULL && strcmp(config, env) == 0);
}

/* The places that its environment names, as ps-service(8) sets them. */
static void look_at_environment(const char *proc, const char *pid,
				const struct process_ask *q, bool *named,
				bool *ours)
{
	static const char *const names[] = {"PS_CONFIG=", "PS_AGENT_CONFIG="};
	char text[ARGS_MAX];
	size_t n = slurp(proc, pid, "environ", text, sizeof(text));
	const char *at;
	unsigned k, i;

	for (at = text; at < text + n; at += strlen(at) + 1)
		for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
			size_t len = strlen(names[k]);

			/* Empty: no file is read. */
			if (strncmp(at, names[k], len) != 0 || at[len] == '\0')
				continue;
			*named = true;
			for (i = 0; i < PROCESS_PLACES; i++)
				*ours |= same_place(proc, pid, at + len,
						    q->places[i]);
		}
}

/* It is in a container, which has usual places of its own. */
static bool is_elsewhere(const char *proc, const char *pid)
{
	char path[PATH_MAX];
	struct stat a, b;

	snprintf(path, sizeof(path), "%s/%.20s/root", proc, pid);
	return stat(path, &a) == 0 && stat("/", &b) == 0 &&
	       (a.st_dev != b.st_dev || a.st_ino != b.st_ino);
}

/* Its arguments, when it has the name already. */
static bool is_it(const char *proc, const char *pid,
		  const struct process_ask *q)
{
	bool named = false, ours = false, said = q->word == NULL;
	char text[ARGS_MAX];
	size_t n = slurp(proc, pid, "cmdline", text, sizeof(text)), i;
	const char *at;

	for (at = text; at < text + n; at += strlen(at) + 1) {
		const char *equals = strchr(at, '=');
		const char *value = equals != NULL ? equals + 1 : at;

		said |= q->word != NULL && strcmp(at, q->word) == 0;
		named |= names_place(at);
		for (i = 0; i < PROCESS_PLACES; i++)
			ours |= same_place(proc, pid, value, q->places[i]);
	}
	if (said && !named)
		look_at_environment(proc, pid, q, &named, &ours);
	return said && (ours || (!named && is_usual(q->places[0]) &&
				 !is_elsewhere(proc, pid)));
}

static unsigned look_at(const char *proc, const char *pid,
			const struct process_ask *q, unsigned n)
{
	char comm[64];
	unsigned i, found = 0;

	if (slurp(proc, pid, "comm", comm, sizeof(comm)) == 0)
		return 0;
	comm[strcspn(comm, "\n")] = '\0';
	for (i = 0; i < n; i++)
		if (strcmp(comm, q[i].program) == 0 && is_it(proc, pid, &q[i]))
			found |= 1u << i;
	return found;
}

bool process_scan(const char *proc, const struct process_ask *q, unsigned n,
		  unsigned *ret)
{
	DIR *dir = opendir(proc);
	struct dirent *it;

	*ret = 0;
	if (dir == NULL)
		return false;
	while (*ret != (1u << n) - 1 && (it = readdir(dir)) != NULL)
		if (isdigit((unsigned char)it->d_name[0]))
			*ret |= look_at(proc, it->d_name, q, n);
	closedir(dir);
	return true;
}
