#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/secret.h"
#include "base/units.h"
#include "base/version.h"
#include "config/client.h"
#include "config/identity.h"
#include "setup/site.h"

#define WAIT_NS (20 * NS_PER_S)

int site_identity(struct steps *s, struct err *e)
{
	struct identity id;
	int rc = identity_load(s->identity, &id, e);

	if (rc < 0)
		return rc;
	snprintf(s->name, sizeof(s->name), "%.*s", (int)sizeof(s->name) - 1,
		 id.name);
	snprintf(s->host, sizeof(s->host), "%s", id.cs_host);
	snprintf(s->port, sizeof(s->port), "%s", id.cs_port);
	snprintf(s->secret, sizeof(s->secret), "%.*s/" IDENTITY_LOGIN,
		 PLACE_SIZE - 32, s->identity);
	return 0;
}

/* ---- asking ---- */

struct way {
	struct cs cs;
	struct cs_to to;
	uint8_t key[LOGIN_KEY_LEN];
	char authority[PLACE_SIZE];
};

static int open_way(struct way *w, const struct steps *s, bool known,
		    struct err *e)
{
	struct login_secret secret;
	int rc = login_secret_read(&secret, s->secret, e);

	memset(w, 0, sizeof(*w));
	w->cs.c.fd = -1;
	w->to = (struct cs_to){.host = s->host,
			       .port = s->port,
			       .name = s->name,
			       .key = w->key,
			       .wait_ns = WAIT_NS};
	snprintf(w->authority, sizeof(w->authority), "%.*s/" IDENTITY_AUTHORITY,
		 PLACE_SIZE - 32, s->identity);
	if (known)
		w->to.authority = w->authority;
	if (rc == 0)
		rc = login_key(&secret, s->name, w->key, e);
	secret_wipe(&secret, sizeof(secret));
	return rc < 0 ? rc : cs_open(&w->cs, &w->to, e);
}

static void close_way(struct way *w)
{
	cs_close(&w->cs);
	secret_wipe(w->key, sizeof(w->key));
}

static int take_self(struct way *w, const char *name, struct site_view *ret,
		     struct err *e)
{
	json_t *list = NULL, *one;
	size_t i;
	int rc = cs_ask(&w->cs, "GET", "/v1/servers", NULL, &list, e);

	if (rc < 0)
		return rc;
	json_array_foreach(list, i, one)
	{
		const char *its =
		    json_string_value(json_object_get(one, "name"));

		if (its == NULL || strcmp(its, name) != 0)
			continue;
		ret->registered = true;
		ret->machines =
		    json_integer_value(json_object_get(one, "machines"));
	}
	json_decref(list);
	return 0;
}

int site_look(const struct steps *s, bool known, struct site_view *ret,
	      struct err *e)
{
	struct way w;
	int rc = open_way(&w, s, known, e);

	*ret = (struct site_view){.version = ""};
	if (rc == 0)
		rc = cs_peer_pin(&w.cs.c, ret->pin, e);
	if (rc == 0)
		rc = cs_version(&w.cs, ret->version, e);
	if (rc == 0)
		rc = take_self(&w, s->name, ret, e);
	close_way(&w);
	return rc;
}

int site_leave(const struct steps *s, struct err *e)
{
	struct site_view v = {.version = ""};
	json_t *body = json_pack("{s:s}", "name", s->name), *got = NULL;
	struct way w;
	int rc = open_way(&w, s, true, e);

	if (rc == 0)
		rc = take_self(&w, s->name, &v, e);
	if (rc == 0 && v.registered)
		rc = cs_ask(&w.cs, "POST", "/v1/leave", body, &got, e);
	/* It says so itself: it must be gone there, too. */
	if (rc == 0 && v.registered) {
		v.registered = false;
		rc = take_self(&w, s->name, &v, e);
		if (rc == 0 && v.registered)
			rc = err_set(e, PS_PROTOCOL,
				     "%s: still has the server '%s'", s->host,
				     s->name);
	} else if (rc == 0) {
		rc = 1;
	}
	close_way(&w);
	json_decref(body);
	json_decref(got);
	return rc;
}

/* ---- judging ---- */

static void judge_server(const json_t *one, const struct version *v,
			 struct site_servers *ret)
{
	const char *name = json_string_value(json_object_get(one, "name"));
	const char *text = json_string_value(json_object_get(one, "version"));
	struct version its;

	/* What was entered by hand has never talked to anybody. */
	if (name == NULL || text == NULL || *text == '\0')
		return;
	ret->n++;
	if (!version_parse(text, &its) || version_in_reach(&its, v))
		return;
	if (ret->bad++ > 0)
		return;
	snprintf(ret->first, sizeof(ret->first), "%s", name);
	snprintf(ret->its, sizeof(ret->its), "%s", text);
}

int site_servers(struct steps *s, const char *version, struct site_servers *ret,
		 struct err *e)
{
	const char *const argv[] = {"ps-config", "list",  "--json",
				    "--config",	 s->yaml, NULL};
	json_t *list, *one;
	struct version v;
	char *text, words[300];
	int status, rc = setup_command(&s->p, argv, &text, &status, e);
	size_t i;

	*ret = (struct site_servers){.n = 0};
	if (rc < 0)
		return rc;
	if (status != 0) {
		setup_words(text, argv[0], words, sizeof(words));
		free(text);
		return err_set(e, status < 128 ? status : PS_SOFTWARE, "%s",
			       words[0] != '\0' ? words : argv[0]);
	}
	list = json_loads(text, 0, NULL);
	free(text);
	if (list == NULL || !version_parse(version, &v)) {
		json_decref(list);
		return err_set(e, PS_SOFTWARE, "ps-config list: no JSON");
	}
	json_array_foreach(list, i, one) judge_server(one, &v, ret);
	json_decref(list);
	return 0;
}
