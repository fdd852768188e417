#include "config.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "vault/s3-sign.h"

#define STAMP_SIZE 17 /* "20130524T000000Z" */
#define NAMES_MAX 1024
#define CANONICAL_MAX 16384

/* Text that is put together; `full` once it has not fitted. */
struct text {
	char *to;
	size_t n, size;
	bool full;
};

static void add_n(struct text *t, const char *from, size_t n)
{
	if (t->full || n >= t->size - t->n) {
		t->full = true;
		return;
	}
	memcpy(t->to + t->n, from, n);
	t->n += n;
	t->to[t->n] = '\0';
}

static void add(struct text *t, const char *from)
{
	add_n(t, from, strlen(from));
}

static void stamp(int64_t seconds, char out[STAMP_SIZE])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, STAMP_SIZE, "%Y%m%dT%H%M%SZ", &tm);
}

/* ---- the canonical request ---- */

struct url {
	const char *host, *path, *query;
	size_t host_len, path_len, query_len;
};

static void split_url(const char *url, struct url *ret)
{
	const char *p = strstr(url, "://");

	p = p != NULL ? p + 3 : url;
	ret->host = p;
	ret->host_len = strcspn(p, "/?");
	p += ret->host_len;
	ret->path = p;
	ret->path_len = strcspn(p, "?");
	p += ret->path_len;
	ret->query = *p == '?' ? p + 1 : p;
	ret->query_len = strlen(ret->query);
	if (ret->path_len == 0) {
		ret->path = "/";
		ret->path_len = 1;
	}
}

struct line {
	char name[64];
	const char *value;
	size_t len;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->name,
		      ((const struct line *)b)->name);
}

static void set_line(struct line *l, const char *name, const char *value,
		     size_t len)
{
	size_t i;

	snprintf(l->name, sizeof(l->name), "%s", name);
	for (i = 0; l->name[i] != '\0'; i++)
		l->name[i] = (char)tolower((unsigned char)l->name[i]);
	l->value = value;
	l->len = len;
}

/* Headers and host in order; our values have no spaces that could fold. */
static unsigned sorted_lines(const struct web_request *q, const struct url *u,
			     struct line lines[WEB_HEADERS_MAX + 1])
{
	unsigned i, n = 0;

	set_line(&lines[n++], "host", u->host, u->host_len);
	for (i = 0; i < q->nheaders; i++) {
		const struct web_header *h = &q->headers[i];

		if (strcasecmp(h->name, "authorization") != 0)
			set_line(&lines[n++], h->name, h->value,
				 strlen(h->value));
	}
	qsort(lines, n, sizeof(*lines), by_name);
	return n;
}

/* The digest of it, and the names of the headers that are in it. */
static bool canonical_digest(const struct web_request *q, const char *payload,
			     struct text *names, char hex[SHA256_HEX])
{
	struct line lines[WEB_HEADERS_MAX + 1];
	char *room = malloc(CANONICAL_MAX);
	struct text t = {room, 0, CANONICAL_MAX, room == NULL};
	uint8_t digest[SHA256_LEN];
	unsigned i, n;
	struct url u;

	split_url(q->url, &u);
	n = sorted_lines(q, &u, lines);
	add(&t, q->method);
	add(&t, "\n");
	add_n(&t, u.path, u.path_len);
	add(&t, "\n");
	add_n(&t, u.query, u.query_len);
	add(&t, "\n");
	for (i = 0; i < n; i++) {
		add(&t, lines[i].name);
		add(&t, ":");
		add_n(&t, lines[i].value, lines[i].len);
		add(&t, "\n");
		add(names, i > 0 ? ";" : "");
		add(names, lines[i].name);
	}
	add(&t, "\n");
	add(&t, names->to);
	add(&t, "\n");
	add(&t, payload);
	if (!t.full) {
		sha256_of(t.to, t.n, digest);
		hex_encode(digest, SHA256_LEN, hex);
		secret_wipe(room, t.n); /* the token is in it */
	}
	free(room);
	return !t.full && !names->full;
}

/* ---- the signature ---- */

static void mac(const void *key, size_t key_len, const char *text,
		uint8_t out[SHA256_LEN])
{
	unsigned n = SHA256_LEN;

	if (HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text,
		 strlen(text), out, &n) == NULL)
		abort(); /* out of memory inside OpenSSL */
}

static int signature(const char *secret, const char *day, const char *region,
		     const char *text, char hex[SHA256_HEX])
{
	char first[256];
	uint8_t a[SHA256_LEN], b[SHA256_LEN];
	int n = snprintf(first, sizeof(first), "AWS4%s", secret);

	if (n < 0 || (size_t)n >= sizeof(first))
		return -PS_CONFIG;
	mac(first, (size_t)n, day, a);
	mac(a, sizeof(a), region, b);
	mac(b, sizeof(b), "s3", a);
	mac(a, sizeof(a), "aws4_request", b);
	mac(b, sizeof(b), text, a);
	hex_encode(a, sizeof(a), hex);
	secret_wipe(first, sizeof(first));
	secret_wipe(b, sizeof(b));
	return 0;
}

int s3_sign(struct web_request *q, const struct s3_keys *keys,
	    const char *region, const char *payload, int64_t now, struct err *e)
{
	char when[STAMP_SIZE], day[9], names_room[NAMES_MAX] = "";
	char scope[128], text[256], hex[SHA256_HEX];
	struct text names = {names_room, 0, sizeof(names_room), false};
	int rc;

	stamp(now, when);
	snprintf(day, sizeof(day), "%.8s", when);
	rc = web_header(q, e, "x-amz-date", "%s", when);
	if (rc == 0)
		rc = web_header(q, e, "x-amz-content-sha256", "%s", payload);
	if (rc == 0 && keys->token != NULL)
		rc =
		    web_header(q, e, "x-amz-security-token", "%s", keys->token);
	if (rc < 0)
		return rc;
	if (!canonical_digest(q, payload, &names, hex))
		return err_set(e, PS_SOFTWARE, "%s: request too long to sign",
			       q->what);
	snprintf(scope, sizeof(scope), "%s/%s/s3/aws4_request", day, region);
	snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s\n%s", when,
		 scope, hex);
	if (signature(keys->secret, day, region, text, hex) < 0)
		return err_set(e, PS_CONFIG,
			       "the secret access key is too "
			       "long");
	return web_header(q, e, "Authorization",
			  "AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,"
			  "Signature=%s",
			  keys->id, scope, names.to, hex);
}
