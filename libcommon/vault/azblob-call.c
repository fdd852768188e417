#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/units.h"
#include "vault/azblob.h"

/* A list of 1000 names has about 700 bytes for each. */
#define ANSWER_MAX (8u << 20)
/* The service refuses what is signed by a clock that is 15 minutes off. */
#define SKEW_TOLD 600

static int too_long(const struct az_call *c, struct err *e)
{
	return err_set(e, PS_USAGE, "%s: the URL is too long", c->what);
}

static int sign(struct web_request *q, void *ctx, struct err *e)
{
	struct az_call *c = ctx;
	struct azblob *az = c->az;
	char text[2 * AZ_URL_SIZE], date[WEB_DATE_SIZE];
	char mac[AZ_SIGNATURE_SIZE];
	int rc;

	if (az->auth == AZ_SAS)
		return 0;
	/* Whoever is let in by a key or a token has to say when. */
	web_date(time_now_ns() / NS_PER_S, date);
	rc = web_header(q, e, "x-ms-date", "%s", date);
	if (rc == 0 && az->auth == AZ_TOKEN)
		return az_token_sign(az->token, q, e);
	if (rc == 0)
		rc = az_string_to_sign(q, c->resource, text, sizeof(text), e);
	if (rc == 0)
		rc = az_hmac(az->key, az->key_len, text, mac, e);
	if (rc == 0)
		rc = web_header(q, e, "Authorization", "SharedKey %s:%s",
				az->account, mac);
	return rc;
}

/* The path of the endpoint: emulators have the account in it. */
static const char *path_of(const char *endpoint)
{
	const char *p = strstr(endpoint, "://");

	p = p != NULL ? strchr(p + 3, '/') : NULL;
	return p != NULL ? p : "";
}

static int add_query(struct az_call *c, const struct az_param *params,
		     struct err *e)
{
	size_t url = strlen(c->url), res = strlen(c->resource);
	char sep = '?';

	for (; params != NULL && params->name != NULL; params++) {
		url += (size_t)snprintf(c->url + url, sizeof(c->url) - url,
					"%c%s=", sep, params->name);
		if (url >= sizeof(c->url) ||
		    web_escape(params->value, "", c->url + url,
			       sizeof(c->url) - url) < 0)
			return too_long(c, e);
		url += strlen(c->url + url);
		res += (size_t)snprintf(c->resource + res,
					sizeof(c->resource) - res, "\n%s:%s",
					params->name, params->value);
		if (res >= sizeof(c->resource))
			return too_long(c, e);
		sep = '&';
	}
	if (c->az->auth == AZ_SAS)
		url += (size_t)snprintf(c->url + url, sizeof(c->url) - url,
					"%c%s", sep, c->az->sas);
	return url < sizeof(c->url) ? 0 : too_long(c, e);
}

int az_begin(struct azblob *az, struct az_call *c, const char *method,
	     const char *name, const struct az_param *params, struct err *e)
{
	char path[2 * AZ_NAME_SIZE];
	int n;

	c->q = (struct web_request){.method = method,
				    .url = c->url,
				    .what = c->what,
				    .sign = sign,
				    .sign_ctx = c,
				    .max_answer = ANSWER_MAX};
	c->az = az;
	n = snprintf(c->what, sizeof(c->what), "%s",
		     name != NULL ? name : az->url);
	if (n < 0 || (size_t)n >= sizeof(c->what))
		return err_set(e, PS_USAGE, "%.80s...: name too long", name);
	if (name != NULL)
		n = snprintf(path, sizeof(path), "/%s/%s%s", az->container,
			     az->prefix, name);
	else
		n = snprintf(path, sizeof(path), "/%s", az->container);
	if (n < 0 || (size_t)n >= sizeof(path))
		return too_long(c, e);
	snprintf(c->url, sizeof(c->url), "%s%s", az->endpoint, path);
	snprintf(c->resource, sizeof(c->resource), "/%s%s%s", az->account,
		 path_of(az->endpoint), path);
	n = add_query(c, params, e);
	return n < 0 ? n : web_header(&c->q, e, "x-ms-version", AZ_VERSION);
}

void az_end(struct az_call *c)
{
	web_free(&c->q);
	/* It may hold the SAS token. */
	OPENSSL_cleanse(c->url, sizeof(c->url));
}

static void note_clock(struct azblob *az, const struct web_request *q)
{
	if (q->answer.date == 0)
		return;
	atomic_store(&az->skew, q->answer.date - time_now_ns() / NS_PER_S);
	atomic_store(&az->timed, true);
}

int az_do(struct az_call *c, struct err *e)
{
	struct azblob *az = c->az;
	int rc = web_do(az->web, &c->q, e);

	if (rc == 0 && c->q.answer.status == 401 && az->auth == AZ_TOKEN) {
		/* Revoked, or ended sooner than it said: once more. */
		az_token_forget(az->token);
		rc = web_do(az->web, &c->q, e);
	}
	if (rc == 0)
		note_clock(az, &c->q);
	return rc;
}

/* ---- words ---- */

static void hint_refused(const struct az_call *c, struct err *e)
{
	long long skew = (long long)atomic_load(&c->az->skew);
	char text[32];

	if (atomic_load(&c->az->timed) &&
	    (skew > SKEW_TOLD || skew < -SKEW_TOLD)) {
		format_duration((double)llabs(skew), text, sizeof(text));
		err_hint(e,
			 "this machine's clock is %s %s that of the service, "
			 "which refuses more than 15 minutes",
			 text, skew > 0 ? "behind" : "ahead of");
	} else {
		err_hint(e, "see ps-store(7) for the credentials and the "
			    "permissions that are needed");
	}
}

int az_refused(const struct az_call *c, struct err *e)
{
	char code[64];
	int rc;

	web_error_code(&c->q, code, sizeof(code));
	if (strcmp(code, "ContainerNotFound") == 0) {
		rc = err_set(e, PS_NOINPUT, "%s: the container does not exist",
			     c->what);
		return rc;
	}
	if (strncmp(code, "BlobImmutable", 13) == 0)
		return err_set(e, PS_NOPERM,
			       "%s: an immutability policy or a legal hold of "
			       "the container protects it (%s)",
			       c->what, code);
	if (strncmp(code, "Lease", 5) == 0)
		return err_set(e, PS_TEMPFAIL,
			       "%s: somebody else holds a lease on it (%s)",
			       c->what, code);
	rc = web_refused(&c->q, e);
	if (rc == -PS_NOPERM)
		hint_refused(c, e);
	return rc;
}

/* ---- integrity on the wire ---- */

static void crc_text(uint64_t crc, char out[16])
{
	uint8_t raw[8];
	int i;

	for (i = 0; i < 8; i++)
		raw[i] = (uint8_t)(crc >> 8 * i);
	az_base64(raw, sizeof(raw), out);
}

int az_send_crc(struct az_call *c, uint64_t crc, struct err *e)
{
	char text[16];

	crc_text(crc, text);
	return web_header(&c->q, e, "x-ms-content-crc64", "%s", text);
}

int az_check_crc(const struct az_call *c, uint64_t crc, struct err *e)
{
	char text[16], got[64];

	crc_text(crc, text);
	if (!web_field(&c->q, "x-ms-content-crc64", got, sizeof(got)) ||
	    strcmp(got, text) == 0)
		return 0;
	return err_set(e, PS_TEMPFAIL,
		       "%s: the service received other bytes than were sent",
		       c->what);
}
