/* A vault in a bucket of S3, or of a service that speaks the same. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "vault/s3.h"
#include "vault/settings.h"

/* How often a part that came too short is asked for again. */
#define READ_TRIES 6

static struct s3 *of(struct store *s)
{
	return (struct s3 *)s;
}

/* ---- opening ---- */

static int create_bucket(struct s3 *s, struct err *e)
{
	char body[256];
	struct s3_request *r;
	int rc = s3_begin(s, "PUT", NULL, "", &r, e);

	if (rc < 0)
		return rc;
	snprintf(body, sizeof(body),
		 "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/"
		 "doc/2006-03-01/\"><LocationConstraint>%s</LocationConstraint>"
		 "</CreateBucketConfiguration>",
		 s->region);
	/* The first region is the one that is not named. */
	if (strcmp(s->region, "us-east-1") != 0)
		rc = s3_body(r, body, strlen(body), false, e);
	if (rc == 0)
		rc = s3_do(r, e);
	if (rc == 0 && r->q.answer.status != 200 &&
	    !s3_code_is(r, "BucketAlreadyOwnedByYou"))
		rc = s3_refused(r, e);
	s3_end(r);
	return rc;
}

static void s3_close(struct store *store)
{
	struct s3 *s = of(store);

	parts_close(s->parts);
	web_close(s->web);
	free(s);
}

static void s3_limit(struct store *store, uint64_t per_second)
{
	web_limit(of(store)->web, per_second);
}

/*
 * A prefix is there when something is below it; without one it is the bucket
 * that counts.
 */
static int find_place(struct s3 *s, const char *url, bool create, struct err *e)
{
	bool any = false;
	int rc = s3_look(s, &any, e);

	if (rc == -PS_NOINPUT && create)
		return create_bucket(s, e);
	if (rc == 0 && !any && !create && s->prefix[0] != '\0')
		rc = err_set(e, PS_NOINPUT, "%s: there is nothing", url);
	return rc;
}

static int s3_open(struct store **ret, const char *url, int create,
		   struct err *e)
{
	struct s3 *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", url);
	s->store.ops = &store_s3;
	rc = s3_configure(s, url, e);
	if (rc == 0)
		rc = store_web(&s->web, e);
	if (rc == 0)
		rc = parts_open(&s->parts, (unsigned)store_settings.jobs,
				S3_PART_LEAST, e);
	if (rc == 0)
		rc = find_place(s, url, create, e);
	if (rc < 0) {
		s3_close(&s->store);
		return rc;
	}
	*ret = &s->store;
	return 0;
}

/* ---- reading ---- */

/* A success that names no version is no answer to the question. */
static bool is_told(const struct s3_request *r)
{
	char etag[128];

	return web_field(&r->q, "ETag", etag, sizeof(etag));
}

static int take_head(const struct s3_request *r, uint64_t *ret_size,
		     char mark[S3_MARK_SIZE], struct err *e)
{
	char length[32];

	if (r->q.answer.status != 200)
		return s3_refused(r, e);
	if (!is_told(r) ||
	    !web_field(&r->q, "Content-Length", length, sizeof(length)) ||
	    !parse_u64(length, INT64_MAX, ret_size))
		return err_set(e, PS_PROTOCOL,
			       "%s: the service does not tell its size",
			       r->q.what);
	if (!web_field(&r->q, "x-amz-meta-ps-put", mark, S3_MARK_SIZE))
		mark[0] = '\0';
	return 0;
}

int s3_head(struct s3 *s, const char *name, uint64_t *ret_size,
	    char mark[S3_MARK_SIZE], struct err *e)
{
	struct s3_request *r;
	int i, rc = s3_begin(s, "HEAD", name, "", &r, e);

	if (rc < 0)
		return rc;
	for (i = 0; i < READ_TRIES; i++) {
		rc = s3_do(r, e);
		if (rc == 0)
			rc = take_head(r, ret_size, mark, e);
		if (rc != -PS_PROTOCOL)
			break;
	}
	s3_end(r);
	return rc;
}

static int s3_size(struct store *store, const char *name, uint64_t *ret,
		   struct err *e)
{
	char mark[S3_MARK_SIZE];

	return s3_head(of(store), name, ret, mark, e);
}

static int s3_confirm(struct store *store, const char *name, struct err *e)
{
	char mark[S3_MARK_SIZE];
	uint64_t size;

	/* The service answers a put when it is durable. */
	return s3_head(of(store), name, &size, mark, e);
}

struct target {
	uint8_t *to;
	size_t n, used;
};

static int fill(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct target *t = ctx;

	if (n > t->n - t->used)
		return err_set(e, PS_PROTOCOL, "more than was asked for");
	memcpy(t->to + t->used, buf, n);
	t->used += n;
	return 0;
}

static int read_once(struct s3 *s, const char *name, uint64_t pos,
		     struct target *t, struct err *e)
{
	struct s3_request *r;
	int rc = s3_begin(s, "GET", name, "", &r, e);

	if (rc < 0)
		return rc;
	t->used = 0;
	r->q.sink = fill;
	r->q.sink_ctx = t;
	r->q.range_pos = pos;
	r->q.range_len = t->n;
	rc = s3_do(r, e);
	if (rc == 0 && r->q.answer.status == 416)
		rc = err_set(e, PS_DATA, "%s: ends before byte %llu", name,
			     (unsigned long long)(pos + t->n));
	else if (rc == 0 && r->q.answer.status != 206 &&
		 r->q.answer.status != 200)
		rc = s3_refused(r, e);
	else if (rc == 0 && t->used != t->n)
		rc = err_set(e, PS_PROTOCOL,
			     "%s: the service sent %zu bytes of %zu", name,
			     t->used, t->n);
	s3_end(r);
	return rc;
}

static int s3_read(struct store *store, const char *name, uint64_t pos,
		   void *buf, size_t n, struct err *e)
{
	struct target t = {buf, n, 0};
	int i, rc = 0;

	for (i = 0; n > 0 && i < READ_TRIES; i++) {
		rc = read_once(of(store), name, pos, &t, e);
		if (rc != -PS_DATA && rc != -PS_PROTOCOL)
			break;
	}
	return rc;
}

static int s3_remove(struct store *store, const char *name, struct err *e)
{
	struct s3_request *r;
	int status, rc = s3_begin(of(store), "DELETE", name, "", &r, e);

	if (rc < 0)
		return rc;
	rc = s3_do(r, e);
	status = r->q.answer.status;
	if (rc == 0 && status != 200 && status != 204 && status != 404)
		rc = s3_refused(r, e);
	s3_end(r);
	return rc;
}

static int s3_skew(struct store *store, int64_t *ret_seconds)
{
	if (!atomic_load(&of(store)->answered))
		return -PS_NO;
	*ret_seconds = atomic_load(&of(store)->skew);
	return 0;
}

const struct store_ops store_s3 = {
    .scheme = "s3",
    .open = s3_open,
    .close = s3_close,
    .list = s3_list,
    .size = s3_size,
    .read = s3_read,
    .put_begin = s3_put_begin,
    .put_write = s3_put_write,
    .put_end = s3_put_end,
    .put_commit = s3_put_commit,
    .put_abort = s3_put_abort,
    .confirm = s3_confirm,
    .remove = s3_remove,
    .skew = s3_skew,
    .paced = true,
    .limit = s3_limit,
    .far = true,
};
