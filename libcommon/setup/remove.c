/*
 * Taking an installation away: the cache is drained, the services end, the
 * configuration server forgets this server, then files go, ps.yaml last. Data
 * stay unless they are to go, too.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/units.h"
#include "base/version.h"
#include "config/identity.h"
#include "setup/drain.h"
#include "setup/site.h"

/* What installing makes; the key of a vault is not among them. */
static const char *const files[] = {
    "server.pem",
    "server.key",
    "connection.passphrase",
    "store.credentials",
    "proxy.auth",
    "mysql.credentials",
    "ps.yaml.old",
    RECORD_FILE,
    "ps.yaml", /* the last: it says where
		  data are */
};

/* ---- steps ---- */

static int gone(const char *path, struct err *e)
{
	return errno == ENOENT ? 1 : err_sys(e, 0, "%s", path);
}

static int run_unlink(struct steps *s, struct err *e)
{
	const char *path = s->list[s->at].path;

	return unlinkat(AT_FDCWD, path, 0) < 0 ? gone(path, e) : 0;
}

static int run_tree(struct steps *s, struct err *e)
{
	const char *path = s->list[s->at].path;

	return setup_remove_tree(path) < 0 ? gone(path, e) : 0;
}

static int run_empty(struct steps *s, struct err *e)
{
	const char *path = s->list[s->at].path;

	(void)e;
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR) < 0 ? 1 : 0;
}

/* All that cannot be taken back is behind the first of these. */
static int want_gone(struct steps *s, step_fn *run, const char *path,
		     const char *before, const char *behind, struct err *e)
{
	struct step *st =
	    steps_add(s, run, NULL, "%s %s %s", before, path, behind);

	if (st == NULL)
		return steps_full(e);
	snprintf(st->path, sizeof(st->path), "%.*s", PLACE_SIZE - 1, path);
	st->final = true;
	return 0;
}

/* ---- the cache ---- */

static int run_drain(struct steps *s, struct err *e)
{
	int rc = pending_wait(s->cache, s->how->drain_s, e);

	if (rc == -PS_TEMPFAIL || rc == -PS_NO)
		err_hint(e, "--drain-for TIME waits longer; --discard-cache "
			    "waits for nothing: what is in no vault stays in "
			    "the cache then, or is lost with --purge");
	return rc;
}

static int note_line(void *ctx, const char *line, struct err *e)
{
	struct steps *s = ctx;

	return steps_note(s, e, "%s", line);
}

static int want_drain(struct steps *s, const struct pending *n, struct err *e)
{
	char size[32], limit[32];
	int rc = steps_service(s, "start", "pipeline", e);

	if (rc == 0)
		rc = steps_service(s, "stop", "receive", e);
	format_size(n->bytes, size, sizeof(size));
	format_duration((double)s->how->drain_s, limit, sizeof(limit));
	if (rc == 0 &&
	    steps_add(s, run_drain, NULL,
		      "the cache drains: %llu segments of %u disks (%s) go to "
		      "the vault, within %s",
		      (unsigned long long)n->segments, n->disks, size,
		      limit) == NULL)
		rc = steps_full(e);
	return rc;
}

/* The cache goes only when that loses nothing, or is meant. */
static int judge_cache(struct steps *s, bool drains, struct err *e)
{
	const struct remove_how *how = s->how;
	struct pending n;
	char size[32];
	bool is;
	int rc = pending_count(s->cache, &n, &is, e);

	if (rc < 0 || n.segments == 0)
		return rc;
	format_size(n.bytes, size, sizeof(size));
	if (drains && !how->discard)
		return want_drain(s, &n, e);
	if (!how->purge || how->discard) {
		rc = steps_note(
		    s, e,
		    "%s: %llu segments of %u disks (%s) are in no "
		    "vault yet; %s",
		    s->cache, (unsigned long long)n.segments, n.disks, size,
		    how->purge ? "they are lost" : "they stay there");
		return rc < 0 ? rc : pending_tell(s->cache, note_line, s, e);
	}
	rc = err_set(e, PS_NO,
		     "%s: %llu segments of %u disks (%s) are in no vault yet, "
		     "and would be lost",
		     s->cache, (unsigned long long)n.segments, n.disks, size);
	err_hint(e, "ps-pipeline --once stores them; without --purge they "
		    "stay; --discard-cache loses them");
	return rc;
}

/* ---- the site ---- */

static int run_leave(struct steps *s, struct err *e)
{
	int rc = site_leave(s, e), end;

	if (rc < 0)
		return rc;
	s->list[s->at].final = true; /* there is no way back */
	end = identity_forget(s->identity, e);
	return end < 0 ? end : rc;
}

/* Nobody there hears of it: who sits there has to say it. */
static int not_told(struct steps *s, const struct err *why, struct err *e)
{
	int rc;

	if (s->how->yes)
		return steps_note(s, e,
				  "%s is not told (%.200s); there: ps-config "
				  "unregister %s --force --yes",
				  s->host, why->msg, s->name);
	rc = err_set(e, why->code, "%s", why->msg);
	err_hint(e,
		 "try again; or --yes goes on, and on the configuration "
		 "server: ps-config unregister %s --force --yes",
		 s->name);
	return rc;
}

static int judge_machines(const struct site_view *v, struct err *e)
{
	if (v->machines == 0)
		return 0;
	return err_set(e, PS_NO,
		       "%lld machines use this server (ps-balance switch gives "
		       "them another one)",
		       (long long)v->machines);
}

static int leave_site(struct steps *s, struct err *e)
{
	struct err why = {0};
	struct site_view v;
	int rc = site_identity(s, e);

	if (rc == -PS_NOINPUT) {
		*e = (struct err){.code = 0};
		return 0;
	}
	if (rc == 0)
		rc = site_look(s, true, &v, &why);
	if (rc == 0)
		rc = judge_machines(&v, &why);
	if (rc < 0)
		return not_told(s, &why, e);
	return steps_add(s, run_leave, NULL, "%s forgets the server '%s'",
			 s->host, s->name) == NULL
		   ? steps_full(e)
		   : 0;
}

/* A configuration server is missed by all that know it. */
static int leave_alone(struct steps *s, struct err *e)
{
	struct site_servers v;
	struct err why = {0};
	int rc = site_servers(s, version_ours(), &v, &why);

	if (rc < 0)
		return steps_note(s, e,
				  "who knows this configuration server is not "
				  "known: %.300s",
				  why.msg);
	if (v.n == 0 && v.machines == 0)
		return 0;
	if (s->how->yes)
		return steps_note(s, e,
				  "%u servers and %lld machines have no "
				  "configuration server any more",
				  v.n, (long long)v.machines);
	if (v.n == 0) {
		rc = err_set(e, PS_NO, "%lld machines use this server",
			     (long long)v.machines);
		err_hint(e, "uninstall their agents, and: ps-config machine "
			    "edit MACHINE --server -; --yes goes on");
		return rc;
	}
	rc =
	    err_set(e, PS_NO, "%u servers know this configuration server", v.n);
	err_hint(e, "uninstall those first, or move them to another one "
		    "(unifiedsetup --reregister there); --yes goes on");
	return rc;
}

/* ---- what goes ---- */

static int remove_file(struct steps *s, const char *name, struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", s->p.etc, name);
	return access(path, F_OK) < 0
		   ? 0
		   : want_gone(s, run_unlink, path, "file", "goes", e);
}

/* A folder of ps.yaml goes when it is where installing has put it. */
static int remove_data(struct steps *s, const char *want, const char *path,
		       struct err *e)
{
	if (path == NULL || access(path, F_OK) < 0)
		return 0;
	if (strcmp(want, path) != 0)
		return steps_note(
		    s, e, "%s stays: it is not where unifiedsetup puts it",
		    path);
	return want_gone(s, run_tree, path, "folder", "goes, with all in it",
			 e);
}

/* The folder above the cache, when that is called so; else empty. */
static void data_of(const char *cache, char out[PLACE_SIZE])
{
	const char *slash = cache != NULL ? strrchr(cache, '/') : NULL;

	*out = '\0';
	if (slash != NULL && slash != cache && strcmp(slash, "/cache") == 0)
		snprintf(out, PLACE_SIZE, "%.*s", (int)(slash - cache), cache);
}

static int purge(struct steps *s, const struct conf *conf, struct err *e)
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
	rc = remove_data(s, want, conf_get(conf, "cache"), e);
	for (i = 0; rc == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
		place_state(s->p.c, parts[i].name, want);
		rc = remove_data(s, want, conf_get(conf, parts[i].key), e);
	}
	/* Of services without systemd: when a job ran last. */
	place_state(s->p.c, "jobs", want);
	if (rc == 0 && access(want, F_OK) == 0)
		rc = want_gone(s, run_tree, want, "folder",
			       "goes, with all in it", e);
	if (rc == 0 && data[0] != '\0')
		rc = want_gone(s, run_empty, data, "folder",
			       "goes, if it is empty", e);
	return rc;
}

static int at_boot(struct steps *s, const char *what, struct err *e)
{
	const char *const argv[] = {"ps-service", "--quiet",	 "--boot", what,
				    "--services", s->p.services, NULL};

	return steps_program(s, argv, e);
}

static int run_disable(struct steps *s, struct err *e)
{
	return at_boot(s, "stop", e);
}

static int run_enable(struct steps *s, struct err *e)
{
	return at_boot(s, "start", e);
}

static int end_services(struct steps *s, struct err *e)
{
	int rc = steps_want_stop(s, e);

	if (rc == 0 && s->p.c->root == NULL &&
	    setup_has_command("ps-service", "stop") &&
	    steps_add(s, run_disable, run_enable,
		      "services and timers start no more at boot") == NULL)
		rc = steps_full(e);
	return rc;
}

/* The private key stays; another configuration server may know it one day. */
static int run_forget(struct steps *s, struct err *e)
{
	return identity_forget(s->list[s->at].path, e);
}

static int forget_self(struct steps *s, struct err *e)
{
	struct identity id;

	return !steps_is_cs(s) || s->how->purge ||
		       identity_load(s->identity, &id, NULL) < 0
		   ? 0
		   : want_gone(s, run_forget, s->identity, "identity",
			       "is forgotten", e);
}

static int remove_files(struct steps *s, const struct conf *conf, struct err *e)
{
	char keep[PLACE_SIZE];
	size_t i;
	int rc = 0;

	place_keep(s->p.c, "", keep);
	if (access(keep, F_OK) == 0)
		rc = want_gone(s, run_tree, keep, "copies of former versions,",
			       "go", e);
	if (rc == 0)
		rc = forget_self(s, e);
	for (i = 0; rc == 0 && i < sizeof(files) / sizeof(files[0]); i++)
		rc = remove_file(s, files[i], e);
	if (rc == 0 && conf_get(conf, "key") != NULL)
		rc = steps_note(s, e,
				"%s stays: what is in the vault is nothing "
				"without it",
				conf_get(conf, "key"));
	return rc;
}

static bool has_vault(const struct conf *conf)
{
	return conf_get(conf, "vault") != NULL ||
	       conf_get(conf, "vaults.0.url") != NULL;
}

static int make(struct steps *s, const struct conf *conf, struct err *e)
{
	bool drains =
	    has_vault(conf) && setup_has_command("ps-service", "stop");
	int rc = judge_cache(s, drains, e);

	if (rc == 0)
		rc = end_services(s, e);
	if (rc == 0)
		rc = steps_is_cs(s) ? leave_alone(s, e) : leave_site(s, e);
	if (rc == 0 && s->how->purge)
		rc = purge(s, conf, e);
	return rc < 0 ? rc : remove_files(s, conf, e);
}

int setup_uninstall(struct steps *s, const struct remove_how *how,
		    struct err *e)
{
	struct conf *conf = NULL;
	int rc = conf_read(&conf, s->yaml, e);

	s->how = how;
	if (rc == 0)
		rc = make(s, conf, e);
	conf_free(conf);
	return rc;
}
