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

/* ---- the registry that is here ---- */

void site_split(const char *listen, struct site_address *ret)
{
	const char *colon = strrchr(listen, ':');

	snprintf(ret->host, sizeof(ret->host), "%.*s",
		 colon != NULL ? (int)(colon - listen) : 0, listen);
	snprintf(ret->port, sizeof(ret->port), "%s",
		 colon != NULL ? colon + 1 : listen);
	ret->any = ret->host[0] == '\0' || strcmp(ret->host, "0.0.0.0") == 0 ||
		   strcmp(ret->host, "*") == 0 ||
		   strcmp(ret->host, "[::]") == 0;
}

static const char *text_of(const json_t *one, const char *key)
{
	const char *text = json_string_value(json_object_get(one, key));

	return text != NULL ? text : "";
}

/* Is it the process server that listens here? */
static bool is_at(const json_t *one, const struct site_address *a)
{
	long port = strtol(a->port, NULL, 10);

	return strcmp(text_of(one, "role"), "ps") == 0 &&
	       json_integer_value(json_object_get(one, "port")) == port &&
	       (a->any || strcmp(text_of(one, "address"), a->host) == 0);
}

static void judge_server(const json_t *one, const struct version *v,
			 struct site_servers *ret)
{
	const char *name = text_of(one, "name");
	const char *text = text_of(one, "version");
	struct version its;

	/* What was entered by hand has never talked to anybody. */
	if (*text == '\0')
		return;
	ret->n++;
	if (!version_parse(text, &its) || version_in_reach(&its, v))
		return;
	if (ret->bad++ > 0)
		return;
	snprintf(ret->first, sizeof(ret->first), "%s", name);
	snprintf(ret->its, sizeof(ret->its), "%s", text);
}

/* The servers of the registry that is here. */
static int list_servers(const struct steps *s, json_t **ret, struct err *e)
{
	const char *const argv[] = {"ps-config", "list",  "--json",
				    "--config",	 s->yaml, NULL};
	char *text, words[300];
	int status, rc = setup_command(&s->p, argv, &text, &status, e);

	if (rc < 0)
		return rc;
	if (status != 0) {
		setup_words(text, argv[0], words, sizeof(words));
		free(text);
		return err_set(e, status < 128 ? status : PS_SOFTWARE, "%s",
			       words[0] != '\0' ? words : argv[0]);
	}
	*ret = json_loads(text, 0, NULL);
	free(text);
	return *ret != NULL
		   ? 0
		   : err_set(e, PS_SOFTWARE, "ps-config list: no JSON");
}

int site_servers(struct steps *s, const char *version, struct site_servers *ret,
		 struct err *e)
{
	struct site_address own;
	struct identity id;
	json_t *list, *one;
	struct version v;
	size_t i;
	int rc = list_servers(s, &list, e);

	*ret = (struct site_servers){.n = 0};
	if (rc < 0)
		return rc;
	if (identity_load(s->identity, &id, NULL) < 0)
		id.name[0] = '\0';
	site_split(s->data, &own);
	if (!version_parse(version, &v))
		rc = err_set(e, PS_SOFTWARE, "'%s' is no version", version);
	json_array_foreach(list, i, one)
	{
		ret->machines +=
		    json_integer_value(json_object_get(one, "machines"));
		if (rc == 0 && strcmp(text_of(one, "name"), id.name) != 0 &&
		    (own.any || !is_at(one, &own)))
			judge_server(one, &v, ret);
	}
	json_decref(list);
	return rc;
}

int site_find_own(const struct steps *s, char name[64], char address[300],
		  struct err *e)
{
	struct site_address own;
	json_t *list, *one;
	size_t i, n = 0;
	int rc = list_servers(s, &list, e);

	name[0] = '\0';
	site_split(s->data, &own);
	snprintf(address, 300, "%s", own.any ? "" : own.host);
	if (rc < 0)
		return rc;
	json_array_foreach(list, i, one)
	{
		if (*text_of(one, "version") != '\0' || !is_at(one, &own))
			continue;
		snprintf(name, 64, "%s", text_of(one, "name"));
		snprintf(address, 300, "%s", text_of(one, "address"));
		n++;
	}
	/* On all interfaces: which one is it? */
	if (n > 1)
		name[0] = address[0] = '\0';
	json_decref(list);
	return 0;
}
