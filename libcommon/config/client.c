#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509.h>

#include "base/units.h"
#include "base/version.h"
#include "config/client.h"
#include "config/x509.h"
#include "net/tls.h"

/* ---- the certificate ---- */

int cs_peer_pin(struct client *c, char out[64], struct err *e)
{
	X509 *x = SSL_get1_peer_certificate(c->conn.ssl);
	char pin[CA_PIN_SIZE] = "";
	int rc = x != NULL
		     ? x509_pin(x, pin, e)
		     : err_set(e, PS_PROTOCOL, "%s: no certificate", c->peer);

	X509_free(x);
	snprintf(out, 64, "%s", pin);
	return rc;
}

/* Is it signed by an authority of that file, and not over? */
static int check_chain(struct client *c, const char *authority, struct err *e)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *x = SSL_get1_peer_certificate(c->conn.ssl);
	int rc = 0;

	if (store == NULL || ctx == NULL || x == NULL ||
	    X509_STORE_load_file(store, authority) != 1 ||
	    X509_STORE_CTX_init(ctx, store, x,
				SSL_get_peer_cert_chain(c->conn.ssl)) != 1)
		rc = tls_err(e, PS_CONFIG, authority);
	else if (X509_verify_cert(ctx) != 1)
		rc = err_set(e, PS_NOPERM, "%s: its certificate: %s", c->peer,
			     X509_verify_cert_error_string(
				 X509_STORE_CTX_get_error(ctx)));
	X509_free(x);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return rc;
}

int cs_check_pin(struct client *c, const char *authority, const char *pin,
		 struct err *e)
{
	bool has_pin = pin != NULL && *pin != '\0';
	bool has_authority = authority != NULL && *authority != '\0';
	char got[64];
	int rc;

	if (!has_pin && !has_authority)
		return 0;
	rc = cs_peer_pin(c, got, e);
	if (rc < 0 || (has_pin && strcmp(pin, got) == 0))
		return rc;
	if (has_authority)
		rc = check_chain(c, authority, e);
	else
		rc = err_set(e, PS_NOPERM, "%s: its key has the pin %s, not %s",
			     c->peer, got, pin);
	if (rc == -PS_NOPERM)
		err_hint(e,
			 "another server, or something in between that looks "
			 "into TLS; was the configuration server made "
			 "anew? then remove the folder of the identity");
	return rc;
}

/* ---- requests ---- */

int cs_open(struct cs *cs, const struct cs_to *to, struct err *e)
{
	int rc;

	*cs = (struct cs){.to = {.host = to->host,
				 .port = to->port,
				 .wait_ns = to->wait_ns != 0
						? to->wait_ns
						: CS_WAIT_S * NS_PER_S}};
	cs->c.fd = -1;
	rc = client_open(&cs->c, &cs->to, e);
	if (rc == 0)
		rc = cs_check_pin(&cs->c, to->authority, to->pin, e);
	if (rc == 0)
		rc = client_login(&cs->c, to->name, to->key, e);
	return rc;
}

void cs_close(struct cs *cs)
{
	client_close(&cs->c);
}

int cs_send(struct cs *cs, const char *method, const char *path,
	    const json_t *body, struct err *e)
{
	char *text = NULL;
	int rc;

	cs->word[0] = '\0';
	cs->retry_s = 0;
	if (body != NULL) {
		text = json_dumps(body, JSON_COMPACT);
		if (text == NULL)
			return err_set(e, PS_TEMPFAIL, "no memory");
	}
	rc = client_send(&cs->c, method, path, text,
			 text != NULL ? strlen(text) : 0, e);
	free(text);
	return rc;
}

static int code_of(unsigned status, const char *word)
{
	switch (status) {
	case 400:
	case 413:
		return PS_USAGE;
	case 401:
	case 403:
		return PS_NOPERM;
	case 404:
		return PS_NO;
	case 409:
		return strcmp(word, "clock") == 0 ||
			       strcmp(word, "version") == 0
			   ? PS_CONFIG
			   : PS_NO;
	case 503:
	case 507:
		return PS_TEMPFAIL;
	default:
		return status >= 500 ? PS_UNAVAILABLE : PS_PROTOCOL;
	}
}

static void take_text(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

/* What an answer other than 2xx says. */
static int refused(struct cs *cs, const struct client_answer *a,
		   const json_t *o, struct err *e)
{
	char text[400], hint[250];
	int rc;

	take_text(o, "error", cs->word, sizeof(cs->word));
	take_text(o, "text", text, sizeof(text));
	take_text(o, "hint", hint, sizeof(hint));
	cs->retry_s = a->retry_s;
	if (cs->word[0] == '\0')
		return client_judge(&cs->c, a, e);
	rc = err_set(e, code_of(a->status, cs->word), "%s: %s", cs->word, text);
	err_hint(e, "%s", hint);
	return rc;
}

int cs_take(struct cs *cs, json_t **ret, struct err *e)
{
	struct client_answer a;
	json_t *o;
	int rc = client_answer(&cs->c, &a, e);

	if (rc < 0)
		return rc;
	o = json_loadb(a.body, a.len, JSON_REJECT_DUPLICATES, NULL);
	if (a.status < 200 || a.status >= 300)
		rc = refused(cs, &a, o, e);
	else if (o == NULL)
		rc = err_set(e, PS_PROTOCOL,
			     "%s: this is no configuration server", cs->c.peer);
	client_answer_free(&a);
	if (rc < 0)
		json_decref(o);
	else
		*ret = o;
	return rc;
}

int cs_ask(struct cs *cs, const char *method, const char *path,
	   const json_t *body, json_t **ret, struct err *e)
{
	int rc = cs_send(cs, method, path, body, e);

	return rc < 0 ? rc : cs_take(cs, ret, e);
}

int cs_about(struct cs *cs, struct cs_about *ret, struct err *e)
{
	json_t *o = NULL;
	int rc = cs_ask(cs, "GET", "/v1/time", NULL, &o, e);

	*ret = (struct cs_about){.version = ""};
	if (rc < 0)
		return rc;
	take_text(o, "version", ret->version, sizeof(ret->version));
	take_text(o, "peer", ret->peer, sizeof(ret->peer));
	json_decref(o);
	return 0;
}

int cs_version(struct cs *cs, char out[CS_VERSION_SIZE], struct err *e)
{
	struct cs_about about;
	int rc = cs_about(cs, &about, e);

	memcpy(out, about.version, CS_VERSION_SIZE);
	return rc;
}

int cs_judge_version(const char *version, const char *host, struct err *e)
{
	struct version theirs, ours;
	int rc;

	if (!version_parse(version_ours(), &ours))
		return err_set(e, PS_SOFTWARE, "version %s", version_ours());
	if (!version_parse(version, &theirs)) {
		rc = err_set(e, PS_CONFIG,
			     "%s: does not say its version, so it is older "
			     "than %s",
			     host, version_ours());
		err_hint(e, "upgrade the configuration server first");
		return rc;
	}
	if (version_in_reach(&ours, &theirs))
		return 0;
	rc = err_set(e, PS_CONFIG,
		     "this is version %s, but the configuration server "
		     "%s has %s",
		     version_ours(), host, version);
	err_hint(e,
		 version_compare(&ours, &theirs) > 0
		     ? "upgrade the configuration server first, then process "
		       "servers, master targets, agents"
		     : "take a release that is at most four before that of the "
		       "configuration server");
	return rc;
}

int cs_judge_server(const json_t *machine, struct err *e)
{
	char name[NAME_SIZE], text[CS_VERSION_SIZE];
	const json_t *o = json_object_get(machine, "server");
	struct version theirs, ours;

	take_text(o, "name", name, sizeof(name));
	take_text(o, "version", text, sizeof(text));
	if (!version_parse(text, &theirs) ||
	    !version_parse(version_ours(), &ours) ||
	    version_compare(&ours, &theirs) <= 0)
		return 0;
	err_set(e, PS_CONFIG,
		"this is version %s, but its process server %s has %s",
		version_ours(), name, text);
	err_hint(e, "upgrade the process server first, then its agents");
	return -PS_CONFIG;
}

int cs_machine(const struct cs_to *to, const char *machine, json_t **ret,
	       struct err *e)
{
	char path[NAME_SIZE + 16];
	struct cs cs;
	int rc = name_check("machine", machine, PS_USAGE, e);

	if (rc < 0)
		return rc;
	snprintf(path, sizeof(path), "/v1/machines/%s", machine);
	rc = cs_open(&cs, to, e);
	if (rc == 0)
		rc = cs_ask(&cs, "GET", path, NULL, ret, e);
	cs_close(&cs);
	return rc;
}
