#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/units.h"
#include "vault/s3.h"

/* How often a body that arrived damaged is sent again. */
#define BODY_TRIES 3
/* Beyond this the service refuses every request (RequestTimeTooSkewed). */
#define SKEW_MAX (15 * 60)
#define ANSWER_MAX (8u << 20) /* a page of a list */

static int sign(struct web_request *q, void *ctx, struct err *e)
{
	struct s3_request *r = ctx;

	return s3_sign(q, &r->s->keys, r->s->region, r->payload,
		       time_now_ns() / NS_PER_S, e);
}

static int make_url(struct s3_request *r, const char *name, const char *query,
		    struct err *e)
{
	const struct s3 *s = r->s;
	size_t n;

	snprintf(r->key, sizeof(r->key), "%s%s", s->prefix,
		 name != NULL ? name : "");
	n = (size_t)snprintf(r->url, sizeof(r->url), "%s/", s->base);
	if (name != NULL &&
	    (strlen(s->prefix) + strlen(name) > S3_NAME_MAX ||
	     web_escape(r->key, "/", r->url + n, sizeof(r->url) - n) < 0))
		return err_set(e, PS_USAGE, "%.80s...: name too long", name);
	if (name == NULL && strstr(s->base + 8, "/") != NULL)
		r->url[n - 1] = '\0'; /* the bucket itself, in the path */
	n = strlen(r->url);
	if (*query != '\0' && strlen(query) + n + 2 > sizeof(r->url))
		return err_set(e, PS_USAGE, "%s: query too long", r->key);
	if (*query != '\0')
		snprintf(r->url + n, sizeof(r->url) - n, "?%s", query);
	return 0;
}

int s3_begin(struct s3 *s, const char *method, const char *name,
	     const char *query, struct s3_request **ret, struct err *e)
{
	struct s3_request *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return err_sys(e, PS_TEMPFAIL, "s3");
	r->s = s;
	rc = make_url(r, name, query, e);
	if (rc == 0)
		rc = s3_body(r, NULL, 0, false, e);
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->q.method = method;
	r->q.url = r->url;
	r->q.what = name != NULL ? name : s->bucket;
	r->q.sign = sign;
	r->q.sign_ctx = r;
	r->q.max_answer = ANSWER_MAX;
	*ret = r;
	return 0;
}

/*
 * One SHA-256 serves as the payload of the signature and as the checksum that
 * the service keeps; a locked bucket demands the latter.
 */
int s3_body(struct s3_request *r, const void *body, size_t n, bool checked,
	    struct err *e)
{
	uint8_t digest[SHA256_LEN];
	char text[48];

	sha256_of(body, n, digest);
	hex_encode(digest, sizeof(digest), r->payload);
	r->q.body = body;
	r->q.body_len = n;
	if (!checked)
		return 0;
	EVP_EncodeBlock((unsigned char *)text, digest, sizeof(digest));
	return web_header(&r->q, e, "x-amz-checksum-sha256", "%s", text);
}

void s3_end(struct s3_request *r)
{
	if (r == NULL)
		return;
	web_free(&r->q);
	free(r);
}

bool s3_code_is(const struct s3_request *r, const char *code)
{
	char got[64];

	web_error_code(&r->q, got, sizeof(got));
	return strcmp(got, code) == 0;
}

static bool arrived_damaged(const struct s3_request *r)
{
	return r->q.answer.status == 400 &&
	       (s3_code_is(r, "BadDigest") || s3_code_is(r, "RequestTimeout") ||
		s3_code_is(r, "IncompleteBody") ||
		s3_code_is(r, "XAmzContentSHA256Mismatch"));
}

static void note_clock(const struct s3_request *r)
{
	if (r->q.answer.date == 0)
		return;
	atomic_store(&r->s->skew, r->q.answer.date - time_now_ns() / NS_PER_S);
	atomic_store(&r->s->answered, true);
}

int s3_do(struct s3_request *r, struct err *e)
{
	bool unsure = false;
	int i, rc = 0;

	for (i = 0; i < BODY_TRIES; i++) {
		rc = web_do(r->s->web, &r->q, e);
		note_clock(r);
		unsure = r->q.answer.unsure = unsure || r->q.answer.unsure;
		if (rc < 0 || !arrived_damaged(r))
			return rc;
	}
	(void)web_refused(&r->q, e);
	if (e != NULL)
		e->code = PS_TEMPFAIL;
	return -PS_TEMPFAIL;
}

/* ---- what the service refuses ---- */

static int recode(struct err *e, int code)
{
	if (e != NULL)
		e->code = code;
	return -code;
}

/* The service's clock stands in each of its answers. */
static bool clocks_differ(const struct s3_request *r, int64_t *ret)
{
	if (r->q.answer.date == 0)
		return false;
	*ret = time_now_ns() / NS_PER_S - r->q.answer.date;
	return *ret > SKEW_MAX || *ret < -SKEW_MAX;
}

static int skewed(const struct s3_request *r, int64_t ahead, struct err *e)
{
	char text[32];
	int rc;

	format_duration((double)(ahead < 0 ? -ahead : ahead), text,
			sizeof(text));
	rc = err_set(e, PS_NOPERM,
		     "%s: the service refuses us, as our clock is %s %s of its "
		     "own",
		     r->q.what, text, ahead < 0 ? "behind" : "ahead");
	err_hint(e, "set this machine's clock (NTP); 15 minutes are allowed");
	return rc;
}

static int wrong_region(const struct s3_request *r, struct err *e)
{
	char region[64];

	if (web_field(&r->q, "x-amz-bucket-region", region, sizeof(region)))
		err_hint(e, "the bucket is in %s: set AWS_REGION", region);
	else
		err_hint(e, "see AWS_REGION (it is %s) and the endpoint",
			 r->s->region);
	return recode(e, PS_CONFIG);
}

static int forbidden(const struct s3_request *r, int rc, struct err *e)
{
	const char *body = r->q.answer.body;

	if (body != NULL && (strcasestr(body, "object lock") != NULL ||
			     strcasestr(body, "WORM") != NULL ||
			     strcasestr(body, "retention") != NULL)) {
		err_set(e, PS_NOPERM,
			"%s: is locked (Object Lock): it can be removed when "
			"its retention has ended",
			r->q.what);
		return -PS_NOPERM;
	}
	if (s3_code_is(r, "InvalidAccessKeyId"))
		err_hint(e, "the service knows no such AWS_ACCESS_KEY_ID");
	else if (s3_code_is(r, "SignatureDoesNotMatch"))
		err_hint(e, "AWS_SECRET_ACCESS_KEY is not that of the key id, "
			    "or a proxy changes requests");
	else
		err_hint(e, "the permissions that are needed: ps-store(7)");
	return rc;
}

int s3_refused(const struct s3_request *r, struct err *e)
{
	int status = r->q.answer.status, rc = web_refused(&r->q, e);
	int64_t ahead;

	if ((status == 403 && s3_code_is(r, "RequestTimeTooSkewed")) ||
	    (status == 403 && r->q.answer.body == NULL &&
	     clocks_differ(r, &ahead))) {
		ahead = 0;
		(void)clocks_differ(r, &ahead);
		return skewed(r, ahead, e);
	}
	if (s3_code_is(r, "ExpiredToken") || s3_code_is(r, "InvalidToken")) {
		err_hint(e, "AWS_SESSION_TOKEN has ended or is of other keys");
		return recode(e, PS_NOPERM);
	}
	if (status == 301 || status == 307 ||
	    s3_code_is(r, "AuthorizationHeaderMalformed") ||
	    s3_code_is(r, "IllegalLocationConstraintException"))
		return wrong_region(r, e);
	if (status == 403)
		return forbidden(r, rc, e);
	return rc;
}
