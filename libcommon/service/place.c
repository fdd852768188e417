#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "service/place.h"

#define RUN_DIR "/run/ps-toolkit/service"
#define LOG_DIR LOCALSTATEDIR "/log/ps-toolkit"
#define JOB_DIR LOCALSTATEDIR "/lib/ps-toolkit/jobs"

int place_path(const struct place *p, const char *path, char out[PLACE_PATH],
	       struct err *e)
{
	int n = snprintf(out, PLACE_PATH, "%s%s", p->root, path);

	if (n >= PLACE_PATH)
		return err_set(e, PS_USAGE, "%s: the path is too long",
			       p->root);
	return 0;
}

/* mkdir -p; what is there stays as it is. */
static int make_folders(const char *path, mode_t last, struct err *e)
{
	char part[PLACE_PATH];
	size_t n = 0;

	while (path[n] != '\0') {
		n += strspn(path + n, "/");
		n += strcspn(path + n, "/");
		snprintf(part, sizeof(part), "%.*s", (int)n, path);
		if (mkdir(part, path[n] == '\0' ? last : 0755) < 0 &&
		    errno != EEXIST) {
			(void)err_sys(e, 0, "%s", part);
			if (e->code == PS_NOPERM)
				err_hint(e, "as root, or in a folder of your "
					    "own: --root DIR");
			return -e->code;
		}
	}
	return 0;
}

static int open_folder(const struct place *p, const char *path, bool make,
		       mode_t mode, struct err *e)
{
	char full[PLACE_PATH];
	int rc = place_path(p, path, full, e), fd;

	if (rc == 0 && make)
		rc = make_folders(full, mode, e);
	if (rc < 0)
		return rc;
	fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : err_sys(e, 0, "%s", full);
}

static int find_programs(struct place *p, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", p->programs, PLACE_PATH - 1);

	if (n < 0)
		return err_sys(e, PS_SOFTWARE, "/proc/self/exe");
	p->programs[n] = '\0';
	*strrchr(p->programs, '/') = '\0';
	return 0;
}

int place_find(struct place *p, const char *root, struct err *e)
{
	char *real;
	size_t n;

	memset(p, 0, sizeof(*p));
	p->run = p->logs = -1;
	if (root == NULL)
		return find_programs(p, e);
	real = realpath(root, NULL);
	if (real == NULL)
		return err_sys(e, 0, "%s", root);
	n = strlen(real);
	if (n > 1 && n < PLACE_PATH)
		memcpy(p->root, real, n + 1);
	free(real);
	if (n >= PLACE_PATH)
		return err_set(e, PS_USAGE, "%s: the path is too long", root);
	return find_programs(p, e);
}

int place_open(struct place *p, const char *root, bool make, struct err *e)
{
	int rc;

	if (root != NULL && make && mkdir(root, 0755) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", root);
	rc = place_find(p, root, e);
	if (rc == 0)
		rc = p->run = open_folder(p, RUN_DIR, make, 0755, e);
	if (rc >= 0)
		rc = p->logs = open_folder(p, LOG_DIR, make, 0750, e);
	if (rc < 0)
		place_close(p);
	return rc < 0 ? rc : 0;
}

void place_close(struct place *p)
{
	if (p->run >= 0)
		close(p->run);
	if (p->logs >= 0)
		close(p->logs);
	p->run = p->logs = -1;
}

void place_program(const struct place *p, const char *unit_path,
		   char out[PLACE_PATH])
{
	const char *name = strrchr(unit_path, '/');
	int n = snprintf(out, PLACE_PATH, "%s%s", p->programs,
			 name != NULL ? name : "/");

	if (n >= PLACE_PATH || access(out, X_OK) < 0)
		snprintf(out, PLACE_PATH, "%s", unit_path);
}

static int give(const struct place *p, const char *name, const char *path,
		struct err *e)
{
	char full[PLACE_PATH];
	int rc = place_path(p, path, full, e);

	if (rc == 0 && setenv(name, full, 1) < 0)
		rc = err_sys(e, PS_TEMPFAIL, "%s", name);
	return rc;
}

/*
 * A machine with the agent alone has no ps.yaml. Nothing is named then, and
 * the one of the system is not meant, either.
 */
static int give_config(const struct place *p, struct err *e)
{
	const char *name = SYSCONFDIR "/ps-toolkit/ps.yaml";
	char full[PLACE_PATH];
	int rc = place_path(p, name, full, e);

	if (rc < 0 || access(full, F_OK) == 0)
		return rc < 0 ? rc : give(p, "PS_CONFIG", name, e);
	return setenv("PS_CONFIG", "/dev/null", 1) < 0
		   ? err_sys(e, PS_TEMPFAIL, "PS_CONFIG")
		   : 0;
}

/*
 * The folder of a registered server. What ps.yaml says of it would stand behind
 * the environment, so it is left to that.
 */
static int give_identity(const struct place *p, struct err *e)
{
	char full[PLACE_PATH];
	struct conf *c = NULL;
	int rc = place_path(p, SYSCONFDIR "/ps-toolkit/ps.yaml", full, e);
	bool told;

	if (rc < 0)
		return rc;
	/* One that is damaged is told by whoever has to read it. */
	told = conf_read(&c, full, NULL) == 0 &&
	       conf_get(c, "config.identity") != NULL;
	conf_free(c);
	return told ? 0
		    : give(p, "PS_IDENTITY",
			   LOCALSTATEDIR "/lib/ps-toolkit/identity", e);
}

int place_environment(const struct place *p, struct err *e)
{
	int rc;

	if (p->root[0] == '\0')
		return 0;
	rc = give(p, "PS_ROOT", "", e);
	if (rc == 0)
		rc = give_config(p, e);
	if (rc == 0)
		rc = give(p, "PS_AGENT_CONFIG",
			  SYSCONFDIR "/ps-toolkit/agent.yaml", e);
	if (rc == 0)
		rc = give(p, "PS_HEALTH_DIR",
			  LOCALSTATEDIR "/lib/ps-toolkit/health", e);
	if (rc == 0)
		rc = give(p, "PS_CONFIG_DIR",
			  LOCALSTATEDIR "/lib/ps-toolkit/config", e);
	if (rc == 0)
		rc = give_identity(p, e);
	if (rc == 0)
		rc = give(p, "PS_RUN_DIR", "/run/ps-toolkit", e);
	return rc;
}

int place_jobs(const struct place *p, struct err *e)
{
	return open_folder(p, JOB_DIR, true, 0750, e);
}
