/* A process server that registers again: with another passphrase, at another
 * configuration server, or to get what is new there. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/secret.h"
#include "config/client.h"
#include "doctor/steps.h"
#include "setup/fault.h"
#include "setup/site.h"
#include "setup/yaml-edit.h"

#define YAML_SIZE (1u << 20)

/* ---- files ---- */

static int want_passphrase(struct steps *s, const char *path, struct err *e)
{
	char word[PASSPHRASE_SIZE], *line = NULL;
	struct fault f = {0};
	int rc;

	if (path == NULL)
		return 0;
	rc = passphrase_file_read(word, path, &f);
	if (rc < 0) {
		*e = f.err;
		return rc;
	}
	if (asprintf(&line, "%s\n", word) < 0)
		line = NULL;
	secret_wipe(word, sizeof(word));
	return steps_file(s, "connection.passphrase", line, 0600, e);
}

/* A key of "config:", unless it is so already. */
static int set_key(const struct conf *conf, char **text, const char *key,
		   const char *value, struct err *e)
{
	const char *have;
	char path[64];

	snprintf(path, sizeof(path), "config.%s", key);
	have = conf_get(conf, path);
	return have != NULL && strcmp(have, value) == 0
		   ? 0
		   : yaml_set(text, "config", key, value, e);
}

static int want_address(struct steps *s, struct err *e)
{
	char *text = doctor_read(s->yaml, YAML_SIZE, NULL);
	struct conf *conf = NULL;
	int rc = text == NULL ? err_sys(e, 0, "%s", s->yaml)
			      : conf_read(&conf, s->yaml, e);

	if (rc == 0)
		rc = set_key(conf, &text, "server", s->host, e);
	if (rc == 0)
		rc = set_key(conf, &text, "port", s->port, e);
	conf_free(conf);
	if (rc == 0)
		return steps_file(s, "ps.yaml", text, 0644, e);
	free(text);
	return rc;
}

/* ---- the configuration server ---- */

/* What proves who we are: what was given, what was kept, the login's key. */
static void choose_secret(struct steps *s, const struct reregister *r)
{
	char kept[PLACE_SIZE];

	steps_kept_passphrase(s, kept);
	if (r->passphrase_file != NULL)
		snprintf(s->secret, sizeof(s->secret), "%s",
			 r->passphrase_file);
	else if (access(kept, R_OK) == 0)
		memcpy(s->secret, kept, sizeof(kept));
}

static int look(struct steps *s, bool known, struct err *e)
{
	struct site_view v;
	int rc = site_look(s, known, &v, e);

	if (rc == -PS_NOPERM && strstr(e->msg, "401") != NULL) {
		rc = err_set(e, PS_NOPERM,
			     "%s: the passphrase is not that of the "
			     "configuration server",
			     s->secret);
		if (steps_is_cs(s))
			err_hint(e, "it takes a new one within some seconds: "
				    "the same command again");
		else
			err_hint(e,
				 "on %s: ps-config passphrase show; then "
				 "--passphrase-file-path FILE",
				 s->host);
	}
	if (rc == 0)
		rc = cs_judge_version(v.version, s->host, e);
	snprintf(s->pin, sizeof(s->pin), "%s", v.pin);
	return rc;
}

/* ---- steps ---- */

static int run_begin(struct steps *s, struct err *e)
{
	/* Services may not have heard of what was changed then. */
	s->changed |= s->doing.what[0] != '\0';
	s->doing = (struct doing){.what = "reregister"};
	return doing_write(s->p.c, &s->doing, e);
}

static int end(struct steps *s, struct err *e)
{
	s->doing.what[0] = '\0';
	return doing_end(s->p.c, e);
}

static int want_steps(struct steps *s, const char *services, struct err *e)
{
	struct step *st;
	int rc;

	if (steps_add(s, run_begin, steps_unbegin, "begun: %s at %s port %s",
		      s->name, s->host, s->port) == NULL)
		return steps_full(e);
	rc = steps_want_files(s, "passphrase and ps.yaml", e);
	if (rc == 0)
		rc = steps_want_registration(s, e);
	if (rc == 0)
		rc = steps_service(s, "restart", services, e);
	if (rc == 0)
		rc = steps_want_heartbeat(s, e);
	if (rc < 0)
		return rc;
	st = steps_add(s, end, NULL, "registered");
	if (st == NULL)
		return steps_full(e);
	st->final = true;
	return 0;
}

static int check(const struct steps *s, const struct reregister *r,
		 struct err *e)
{
	int rc;

	if (steps_is_cs(s) &&
	    (r->passphrase_file != NULL || r->host != NULL || r->port != 0)) {
		rc = err_set(e, PS_CONFIG,
			     "a configuration server registers at itself, with "
			     "the passphrase that it has");
		err_hint(e, "its process servers do elsewhere, each with "
			    "--reregister; the passphrase: ps-config "
			    "passphrase rotate");
		return rc;
	}
	if (strcmp(s->was.version, s->now.version) != 0) {
		rc =
		    err_set(e, PS_CONFIG, "version %s is installed, this is %s",
			    s->was.version, s->now.version);
		err_hint(e, "unifiedsetup --upgrade first");
		return rc;
	}
	if (s->doing.what[0] == '\0' ||
	    strcmp(s->doing.what, "reregister") == 0)
		return 0;
	rc = err_set(e, PS_CONFIG, "going from %s to %s was begun",
		     s->doing.from, s->doing.to);
	err_hint(e, "end that first: --%s", s->doing.what);
	return rc;
}

int setup_reregister(struct steps *s, const struct reregister *r, struct err *e)
{
	bool beats = strstr(s->p.services, "heartbeat") != NULL, other;
	char former[256];
	int rc = check(s, r, e);

	if (rc == 0)
		rc = site_identity(s, e);
	if (rc == -PS_NOINPUT && steps_is_cs(s))
		err_hint(e, "the command that installed it registers its "
			    "process server");
	if (rc < 0)
		return rc;
	snprintf(former, sizeof(former), "%s", s->host);
	if (r->host != NULL)
		snprintf(s->host, sizeof(s->host), "%s", r->host);
	if (r->port != 0)
		snprintf(s->port, sizeof(s->port), "%u", (unsigned)r->port);
	other = strcmp(former, s->host) != 0;
	choose_secret(s, r);
	/* A passphrase proves it; without one it has to be who it was. */
	rc = look(s, !other && r->passphrase_file == NULL, e);
	if (rc == 0)
		rc = want_passphrase(s, r->passphrase_file, e);
	if (rc == 0)
		rc = want_address(s, e);
	if (rc == 0)
		rc = want_steps(s, beats ? "receive,heartbeat" : "receive", e);
	if (rc == 0 && other)
		rc = steps_note(s, e,
				"%s still has this server; there: ps-config "
				"unregister %s --force --yes",
				former, s->name);
	return rc;
}
