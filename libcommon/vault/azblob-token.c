#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/secret.h"
#include "base/units.h"
#include "vault/azblob.h"

#define AUTHORITY "https://login.microsoftonline.com"
/* The instance metadata service of Azure's machines. */
#define IMDS "http://169.254.169.254"
#define SCOPE "https%3A%2F%2Fstorage.azure.com%2F"
/* A token that ends so soon is renewed. */
#define MARGIN (5 * 60 * NS_PER_S)
#define TOKEN_MAX 7000u

struct az_token {
	struct web *web;
	const char *secret;
	bool managed;
	char url[1024];
	char client_id[128];
	pthread_mutex_t lock; /* of what follows */
	char text[TOKEN_MAX + 1];
	int64_t until; /* monotonic ns; 0: there is none */
};

bool az_confidential(const char *url)
{
	static const char *const here[] = {"http://127.0.0.1",
					   "http://localhost", "http://[::1]"};
	size_t i;

	if (strncmp(url, "https://", 8) == 0)
		return true;
	for (i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		size_t n = strlen(here[i]);

		if (strncmp(url, here[i], n) == 0 &&
		    strchr(":/", url[n]) != NULL)
			return true;
	}
	return false;
}

static int managed_url(struct az_token *t, const char *host,
		       const char *client_id, struct err *e)
{
	char id[256] = "";
	int n;

	if (client_id != NULL && web_escape(client_id, "", id, sizeof(id)) < 0)
		return err_set(e, PS_CONFIG, "AZURE_CLIENT_ID is too long");
	n = snprintf(t->url, sizeof(t->url),
		     "%s/metadata/identity/oauth2/token?api-version=2018-02-01"
		     "&resource=%s%s%s",
		     host, SCOPE, *id != '\0' ? "&client_id=" : "", id);
	return (size_t)n < sizeof(t->url)
		   ? 0
		   : err_set(e, PS_CONFIG,
			     "the identity service's URL is too "
			     "long");
}

static int secret_url(struct az_token *t, const struct az_identity *id,
		      struct err *e)
{
	char tenant[256];
	const char *host = id->authority != NULL ? id->authority : AUTHORITY;
	size_t len = strlen(host);

	while (len > 0 && host[len - 1] == '/')
		len--;
	if (!az_confidential(host))
		return err_set(e, PS_CONFIG,
			       "AZURE_AUTHORITY_HOST: a secret is not sent "
			       "without TLS");
	if (web_escape(id->tenant, "", tenant, sizeof(tenant)) < 0 ||
	    len > 512 ||
	    web_escape(id->client_id, "", t->client_id, sizeof(t->client_id)) <
		0)
		return err_set(
		    e, PS_CONFIG,
		    "AZURE_TENANT_ID or AZURE_CLIENT_ID is too long");
	snprintf(t->url, sizeof(t->url), "%.*s/%s/oauth2/v2.0/token", (int)len,
		 host, tenant);
	t->secret = id->secret;
	return 0;
}

int az_token_open(struct az_token **ret, struct web *web,
		  const struct az_identity *id, struct err *e)
{
	struct az_token *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return err_sys(e, PS_TEMPFAIL, "azblob");
	pthread_mutex_init(&t->lock, NULL);
	t->web = web;
	t->managed = id->tenant == NULL;
	if (t->managed)
		rc =
		    managed_url(t, id->authority != NULL ? id->authority : IMDS,
				id->client_id, e);
	else
		rc = secret_url(t, id, e);
	if (rc < 0) {
		az_token_close(t);
		return rc;
	}
	*ret = t;
	return 0;
}

void az_token_close(struct az_token *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	secret_wipe(t, sizeof(*t));
	free(t);
}

/* ---- asking for one ---- */

/* {"error": "invalid_client", "error_description": "AADSTS7000215: ..."} */
static int refused(const struct web_request *q, struct err *e)
{
	json_t *j = q->answer.body != NULL
			? json_loadb(q->answer.body, q->answer.len, 0, NULL)
			: NULL;
	const char *why = "", *words = "";
	int code = q->answer.status >= 500 ? PS_TEMPFAIL : PS_NOPERM;
	int n;

	(void)json_unpack(j, "{s?s, s?s}", "error", &why, "error_description",
			  &words);
	n = (int)strcspn(words, "\r\n");
	err_set(
	    e, code, "no token: the identity service answers %d %.60s%s%.*s",
	    q->answer.status, why, n > 0 ? ": " : "", n < 250 ? n : 250, words);
	json_decref(j);
	return -code;
}

/* Seconds as a number or, of the metadata service, as text. */
static bool lifetime(const json_t *j, uint64_t *ret)
{
	const json_t *v = json_object_get(j, "expires_in");

	if (json_is_string(v))
		return parse_u64(json_string_value(v), 1u << 30, ret);
	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

static int take_answer(struct az_token *t, const struct web_request *q,
		       struct err *e)
{
	json_t *j;
	const char *text = NULL;
	uint64_t seconds = 0;
	int rc = 0;

	if (q->answer.status != 200)
		return refused(q, e);
	j = q->answer.body != NULL
		? json_loadb(q->answer.body, q->answer.len, 0, NULL)
		: NULL;
	if (json_unpack(j, "{s:s}", "access_token", &text) < 0 ||
	    !lifetime(j, &seconds) || strlen(text) > TOKEN_MAX ||
	    strpbrk(text, "\r\n") != NULL) {
		rc =
		    err_set(e, PS_PROTOCOL,
			    "no token: the identity service's answer has none");
	} else {
		snprintf(t->text, sizeof(t->text), "%s", text);
		t->until = mono_now_ns() + (int64_t)seconds * NS_PER_S;
	}
	json_decref(j);
	return rc;
}

static int fetch(struct az_token *t, struct err *e)
{
	struct web_request q = {
	    .method = t->managed ? "GET" : "POST",
	    .url = t->url,
	    .what = "token of Entra ID",
	    .direct = t->managed,
	};
	char secret[1024], body[2048];
	int rc = 0;

	if (t->managed) {
		rc = web_header(&q, e, "Metadata", "true");
	} else {
		if (web_escape(t->secret, "", secret, sizeof(secret)) < 0)
			return err_set(e, PS_CONFIG,
				       "AZURE_CLIENT_SECRET is too long");
		snprintf(body, sizeof(body),
			 "grant_type=client_credentials&client_id=%s&"
			 "client_secret=%s&scope=%s.default",
			 t->client_id, secret, SCOPE);
		q.body = body;
		q.body_len = strlen(body);
		rc = web_header(&q, e, "Content-Type",
				"application/x-www-form-urlencoded");
	}
	if (rc == 0)
		rc = web_do(t->web, &q, e);
	if (rc == 0)
		rc = take_answer(t, &q, e);
	secret_wipe(secret, sizeof(secret));
	secret_wipe(body, sizeof(body));
	web_free(&q);
	return rc;
}

int az_token_sign(struct az_token *t, struct web_request *q, struct err *e)
{
	int64_t now = mono_now_ns();
	struct err why = {0};
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	if (t->until < now + MARGIN) {
		rc = fetch(t, &why);
		/* One that holds a while still will do. */
		if (rc < 0 && t->until > now && why.code == PS_TEMPFAIL)
			rc = 0;
	}
	if (rc == 0)
		rc = web_header(q, &why, "Authorization", "Bearer %s", t->text);
	pthread_mutex_unlock(&t->lock);
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}

void az_token_forget(struct az_token *t)
{
	pthread_mutex_lock(&t->lock);
	t->until = 0;
	pthread_mutex_unlock(&t->lock);
}
