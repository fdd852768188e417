/* What of a disk never changes: its folder, its paths, its environment. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/agent-check.h"
#include "base/durable.h"

#define PROVIDERS LIBEXECDIR "/ps-toolkit/providers"
#define FOLDER "disks"
#define ENV_FIXED 7

static char *join(const char *a, const char *between, const char *b)
{
	size_t n = strlen(a) + strlen(between) + strlen(b) + 1;
	char *s = malloc(n);

	if (s != NULL)
		snprintf(s, n, "%s%s%s", a, between, b);
	return s;
}

/* PS_OPT_SNAPSHOT_SIZE=5G */
static char *option_env(const struct agent_option *o)
{
	char key[64];
	size_t i;

	snprintf(key, sizeof(key), "PS_OPT_%s", o->key);
	for (i = 0; key[i] != '\0'; i++) {
		if (key[i] >= 'a' && key[i] <= 'z')
			key[i] -= 'a' - 'A';
		else if (key[i] == '-')
			key[i] = '_';
	}
	return join(key, "=", o->value);
}

static bool make_env(struct disk *d)
{
	const struct agent_conf *c = d->agent->conf;
	unsigned i, n = ENV_FIXED + d->conf->noptions;
	char limit[24];

	d->env = calloc(n + 1, sizeof(*d->env));
	if (d->env == NULL)
		return false;
	snprintf(limit, sizeof(limit), "%llu",
		 (unsigned long long)c->provider_timeout_s);
	d->env[0] = d->env_snapshot; /* these two change */
	d->env[1] = d->env_base;
	snprintf(d->env_snapshot, sizeof(d->env_snapshot), "PS_SNAPSHOT=");
	snprintf(d->env_base, sizeof(d->env_base), "PS_BASE=");
	d->env[2] = join("PS_MACHINE", "=", c->machine);
	d->env[3] = join("PS_DISK", "=", d->conf->name);
	d->env[4] = join("PS_SOURCE", "=", d->conf->source);
	d->env[5] = join("PS_STATE=", d->folder, "/provider");
	d->env[6] = join("PS_TIMEOUT", "=", limit);
	for (i = 0; i < d->conf->noptions; i++)
		d->env[ENV_FIXED + i] = option_env(&d->conf->options[i]);
	for (i = 0; i < n; i++)
		if (d->env[i] == NULL)
			return false;
	return true;
}

char *disk_provider_path(const struct agent_disk_conf *conf)
{
	const char *dir = getenv("PS_PROVIDER_DIR");

	if (*conf->provider == '/')
		return strdup(conf->provider);
	return join(dir != NULL && *dir != '\0' ? dir : PROVIDERS, "/",
		    conf->provider);
}

/* Folders of a disk, durable: a map that vanishes costs a resync. */
static int make_folders(const struct disk *d, int statefd, struct err *e)
{
	char name[sizeof(FOLDER) + NAME_SIZE + 16];
	int fd, rc;

	if (mkdirat(statefd, FOLDER, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "folder %s", FOLDER);
	snprintf(name, sizeof(name), "%s/%s", FOLDER, d->conf->name);
	if (mkdirat(statefd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "folder %s", name);
	snprintf(name, sizeof(name), "%s/%s/provider", FOLDER, d->conf->name);
	if (mkdirat(statefd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "folder %s", name);
	fd = openat(statefd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(e, 0, "folder %s", FOLDER);
	rc = durable_sync(fd, FOLDER, e);
	if (rc == 0)
		rc = durable_sync(statefd, "state folder", e);
	close(fd);
	return rc;
}

int disk_open(struct disk *d, struct agent *a,
	      const struct agent_disk_conf *conf, struct disk_state *st,
	      struct err *e)
{
	char *base;

	*d = (struct disk){
	    .agent = a, .conf = conf, .st = st, .lockfd = -1, .lockdir = -1};
	st->under_way_ns = 0;
	base = join(a->conf->state, "/" FOLDER "/", conf->name);
	d->folder = base;
	if (base != NULL) {
		d->map = join(base, "/", "map");
		d->report = join(base, "/", "report.json");
		d->changes = join(base, "/", "changes");
		d->digests = join(base, "/", "digest-map");
		d->provider = disk_provider_path(conf);
	}
	if (base == NULL || d->map == NULL || d->report == NULL ||
	    d->changes == NULL || d->digests == NULL || d->provider == NULL ||
	    !make_env(d))
		return err_set(e, PS_TEMPFAIL, "out of memory");
	if (disk_has_provider(d) && agent_program_ok(d->provider, e) < 0)
		return err_prefix(e, "disk %s: provider", conf->name);
	gauge_open(&d->gauge, d->folder, NULL);
	return make_folders(d, a->dirfd, e);
}

void disk_close(struct disk *d)
{
	unsigned i;

	for (i = 2; d->env != NULL && d->env[i] != NULL; i++)
		free(d->env[i]);
	disk_unlock(d);
	free(d->env);
	free(d->folder);
	free(d->map);
	free(d->report);
	free(d->changes);
	free(d->digests);
	free(d->provider);
	free(d->source);
}
