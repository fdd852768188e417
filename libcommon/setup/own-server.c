/* The process server of a configuration server: it registers at itself. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "config/identity.h"
#include "doctor/steps.h"
#include "setup/site.h"
#include "setup/stage.h"
#include "setup/yaml-edit.h"

#define KEY_SIZE 65536

static void key_paths(const struct setup_plan *p, char made[PLACE_SIZE + 16],
		      char dir[PLACE_SIZE], char kept[PLACE_SIZE + 16])
{
	snprintf(made, PLACE_SIZE + 16, "%s/server.key", p->etc);
	place_state(p->c, "identity", dir);
	snprintf(kept, PLACE_SIZE + 16, "%s/" IDENTITY_KEY, dir);
}

bool setup_has_own_key(const struct setup_plan *p)
{
	char made[PLACE_SIZE + 16], dir[PLACE_SIZE], kept[PLACE_SIZE + 16];

	key_paths(p, made, dir, kept);
	return access(made, F_OK) == 0 && access(kept, F_OK) < 0;
}

/* An older installation has none. */
static int make_folder(const struct setup_plan *p, const char *dir,
		       struct err *e)
{
	if (mkdirat(AT_FDCWD, dir, 0700) < 0)
		return errno == EEXIST ? 0 : err_sys(e, 0, "%s", dir);
	return p->uid != (uid_t)-1 && chown(dir, p->uid, p->gid) < 0
		   ? err_sys(e, 0, "%s", dir)
		   : 0;
}

int setup_keep_own_key(const struct setup_plan *p, struct err *e)
{
	char made[PLACE_SIZE + 16], dir[PLACE_SIZE], kept[PLACE_SIZE + 16];
	struct stage g = {.etc = -1, .own = -1, .fresh = -1};
	char *text;
	size_t n;
	int rc;

	key_paths(p, made, dir, kept);
	text = doctor_read(made, KEY_SIZE, &n);
	if (text == NULL)
		return err_sys(e, 0, "%s", made);
	rc = make_folder(p, dir, e);
	if (rc == 0)
		rc = stage_begin(&g, dir, e);
	if (rc == 0)
		rc = stage_put(&g, IDENTITY_KEY, text, n, 0600, p->uid, p->gid,
			       e);
	if (rc == 0)
		rc = stage_commit(&g, e);
	stage_end(&g);
	secret_wipe(text, n);
	free(text);
	return rc;
}

/* ---- on what is installed ---- */

bool steps_own_joins(const struct steps *s, const struct conf *conf)
{
	char made[PLACE_SIZE + 16];
	const char *cert = conf_get(conf, "receive.cert");

	if (!setup_can_join(true) || conf_get(conf, "config.identity") != NULL)
		return setup_can_join(true);
	/* Who gave it another certificate wants that one. */
	snprintf(made, sizeof(made), "%s/server.pem", s->p.etc);
	return cert != NULL && strcmp(cert, made) == 0;
}

/* Where it reaches itself. */
static void reach_self(const struct steps *s, struct site_address *ret)
{
	site_split(s->serve, ret);
	if (ret->any)
		snprintf(ret->host, sizeof(ret->host), "127.0.0.1");
	if (ret->port[0] == '\0')
		snprintf(ret->port, sizeof(ret->port), "%d", SETUP_CS_PORT);
}

int steps_own_yaml(const struct steps *s, char **text, struct err *e)
{
	char cert[PLACE_SIZE + 16], key[PLACE_SIZE + 16];
	struct site_address self;
	const char *const values[][3] = {
	    {"receive", "cert", cert},
	    {"receive", "key", key},
	    {"config", "instance", s->p.c->root},
	    {"config", "identity", s->identity},
	    {"config", "port", self.port},
	    {"config", "server", self.host},
	};
	size_t i;
	int rc = 0;

	reach_self(s, &self);
	snprintf(cert, sizeof(cert), "%s/" IDENTITY_CERT, s->identity);
	snprintf(key, sizeof(key), "%s/" IDENTITY_KEY, s->identity);
	for (i = 0; rc == 0 && i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i][2] != NULL)
			rc = yaml_set(text, values[i][0], values[i][1],
				      values[i][2], e);
	return rc;
}

int steps_find_own(struct steps *s, struct err *e)
{
	struct site_address self, data;
	int rc = site_identity(s, e);

	reach_self(s, &self);
	if (rc == -PS_NOINPUT) {
		*e = (struct err){.code = 0};
		site_split(s->data, &data);
		snprintf(s->data_port, sizeof(s->data_port), "%s", data.port);
		rc = site_find_own(s, s->name, s->address, e);
		if (rc == 0 && setup_has_own_key(&s->p))
			rc = setup_keep_own_key(&s->p, e);
	}
	snprintf(s->host, sizeof(s->host), "%s", self.host);
	snprintf(s->port, sizeof(s->port), "%s", self.port);
	return rc;
}
