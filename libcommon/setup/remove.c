/* Taking an installation away: data stay unless they are to go, too. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/units.h"
#include "cache/report.h"
#include "setup/install.h"

/* What installing makes; the key of a vault is not among them. */
static const char *const files[] = {
    "server.pem",	 "server.key", "connection.passphrase",
    "store.credentials", "proxy.auth", "mysql.credentials",
    "ps.yaml.old",	 "ps.yaml", /* the last: it says where data are */
};

static int no_room(struct err *e)
{
	return err_set(e, PS_SOFTWARE, "too many steps");
}

/* ---- what would be lost ---- */

struct pending {
	uint64_t segments, bytes;
	unsigned disks;
};

static int count(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct pending *n = ctx;

	(void)e;
	n->segments += v->segments;
	n->bytes += v->bytes;
	n->disks += v->segments > 0;
	return 0;
}

/* *ret_is: it is a cache at all. */
static int look_at_cache(const char *dir, struct pending *ret, bool *ret_is,
			 struct err *e)
{
	struct cache *c;
	int rc;

	*ret = (struct pending){0};
	*ret_is = dir != NULL && cache_look(&c, dir, NULL) == 0;
	if (!*ret_is)
		return 0;
	rc = cache_views(c, count, ret, e);
	cache_close(c);
	return rc;
}

/* The cache goes only when that loses nothing, or is meant. */
static int judge_cache(struct setup_plan *p, const char *dir,
		       const struct remove_how *how, struct err *e)
{
	struct pending n;
	char size[32];
	bool is;
	int rc = look_at_cache(dir, &n, &is, e);

	if (rc < 0 || n.segments == 0)
		return rc;
	format_size(n.bytes, size, sizeof(size));
	if (!how->purge || how->discard)
		return setup_add(p, ACT_NOTE, dir,
				 "%s: %llu segments of %u disks (%s) are in no "
				 "vault yet; %s",
				 dir, (unsigned long long)n.segments, n.disks,
				 size,
				 how->purge ? "they are lost"
					    : "they stay there") == NULL
			   ? no_room(e)
			   : 0;
	rc = err_set(e, PS_NO,
		     "%s: %llu segments of %u disks (%s) are in no vault yet, "
		     "and would be lost",
		     dir, (unsigned long long)n.segments, n.disks, size);
	err_hint(e, "ps-pipeline --once stores them; without --purge they "
		    "stay; --discard-cache loses them");
	return rc;
}

/* ---- the plan ---- */

static int remove_file(struct setup_plan *p, const char *name, struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", p->etc, name);
	if (access(path, F_OK) < 0)
		return 0;
	return setup_add(p, ACT_UNLINK, path, "file %s goes", path) == NULL
		   ? no_room(e)
		   : 0;
}

/* A folder of ps.yaml goes when it is where installing has put it. */
static int remove_data(struct setup_plan *p, const char *want, const char *path,
		       struct err *e)
{
	if (path == NULL || access(path, F_OK) < 0)
		return 0;
	if (strcmp(want, path) != 0)
		return setup_add(
			   p, ACT_NOTE, path,
			   "%s stays: it is not where unifiedsetup puts it",
			   path) == NULL
			   ? no_room(e)
			   : 0;
	return setup_add(p, ACT_TREE, path, "folder %s goes, with all in it",
			 path) == NULL
		   ? no_room(e)
		   : 0;
}

/* The folder above the cache, when that is called so; else empty. */
static void data_of(const char *cache, char out[PLACE_SIZE])
{
	const char *slash = cache != NULL ? strrchr(cache, '/') : NULL;

	*out = '\0';
	if (slash != NULL && slash != cache && strcmp(slash, "/cache") == 0)
		snprintf(out, PLACE_SIZE, "%.*s", (int)(slash - cache), cache);
}

static int purge(struct setup_plan *p, const struct conf *conf, struct err *e)
{
	const struct {
		const char *name, *key;
	} parts[] = {{"health", "health.state"},
		     {"identity", "config.identity"},
		     {"config", "config.dir"}};
	char data[PLACE_SIZE], want[PLACE_SIZE + 16];
	size_t i;
	int rc;

	data_of(conf_get(conf, "cache"), data);
	snprintf(want, sizeof(want), "%s/cache", data);
	rc = remove_data(p, want, conf_get(conf, "cache"), e);
	for (i = 0; rc == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		place_state(p->c, parts[i].name, want);
		rc = remove_data(p, want, conf_get(conf, parts[i].key), e);
	}
	if (rc == 0 && data[0] != '\0' &&
	    setup_add(p, ACT_EMPTY, data, "folder %s goes, if it is empty",
		      data) == NULL)
		rc = no_room(e);
	return rc;
}

static int stop_services(struct setup_plan *p, struct err *e)
{
	const char *const here[] = {"ps-service", "stop", "--boot", NULL};
	const char *const there[] = {"ps-service", "stop", "--root", p->c->root,
				     NULL};

	if (setup_has_command("ps-service", "stop"))
		return setup_program(p, "services end",
				     p->c->root != NULL ? there : here, e);
	return setup_add(p, ACT_NOTE, "services",
			 "services: not ended, there is no ps-service") == NULL
		   ? no_room(e)
		   : 0;
}

static int unregister(struct setup_plan *p, const struct conf *conf,
		      struct err *e)
{
	const char *cs = conf_get(conf, "config.server");

	if (cs == NULL)
		return 0;
	return setup_add(p, ACT_NOTE, "unregister",
			 "the configuration server is not told; on %s: "
			 "ps-config server delete NAME",
			 cs) == NULL
		   ? no_room(e)
		   : 0;
}

static int make(struct setup_plan *p, const struct conf *conf,
		const struct remove_how *how, struct err *e)
{
	int rc = judge_cache(p, conf_get(conf, "cache"), how, e);
	size_t i;

	if (rc == 0)
		rc = unregister(p, conf, e);
	if (rc == 0)
		rc = stop_services(p, e);
	if (rc == 0 && how->purge)
		rc = purge(p, conf, e);
	for (i = 0; rc == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		rc = remove_file(p, files[i], e);
	if (rc == 0 && conf_get(conf, "key") != NULL &&
	    setup_add(p, ACT_NOTE, "key",
		      "%s stays: what is in the vault is nothing without it",
		      conf_get(conf, "key")) == NULL)
		rc = no_room(e);
	return rc;
}

int setup_uninstall(struct setup_plan *p, const struct choices *c,
		    const struct remove_how *how, struct err *e)
{
	char yaml[PLACE_SIZE + 16];
	struct conf *conf = NULL;
	int rc;

	memset(p, 0, sizeof(*p));
	p->c = c;
	p->uid = (uid_t)-1;
	place_etc(c, p->etc);
	snprintf(yaml, sizeof(yaml), "%s/ps.yaml", p->etc);
	rc = conf_read(&conf, yaml, e);
	if (rc == -PS_NOINPUT) {
		rc = err_set(e, PS_NOINPUT, "%s: nothing is installed", yaml);
		err_hint(e, "--root DIR when it was installed below a folder");
		return rc;
	}
	if (rc == 0)
		rc = make(p, conf, how, e);
	conf_free(conf);
	return rc;
}
