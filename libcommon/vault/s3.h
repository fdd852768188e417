/*
 * Private to the store of S3: a bucket, requests to it, answers from it.
 * After the Amazon S3 API Reference, API version 2006-03-01.
 */
#ifndef PS_VAULT_S3_H
#define PS_VAULT_S3_H

#include <stdatomic.h>

#include "vault/parts.h"
#include "vault/s3-sign.h"
#include "vault/store.h"

#define S3_NAME_MAX 1024 /* of a key, in bytes */
#define S3_URL_MAX (512 + 4 * S3_NAME_MAX)

struct s3 {
	struct store store; /* first: it is one */
	struct web *web;
	struct s3_keys keys;
	char bucket[64], region[32];
	char prefix[512]; /* empty, or ends in '/' */
	char base[512];	  /* URL of the bucket, without a final '/' */
	struct parts *parts;
	/* Seconds that the service is ahead; valid once it has answered. */
	atomic_int_fast64_t skew;
	atomic_bool answered;
	atomic_bool swept;    /* stale uploads were looked for */
	atomic_bool no_fence; /* the service knows no If-None-Match */
};

/* All but the last part have 5 MiB at least, and 10,000 is all there is. */
#define S3_PART_LEAST (5u << 20)

/* From the URL and the settings: place, region, keys. */
int s3_configure(struct s3 *s, const char *url, struct err *e);

/* ---- requests ---- */

/* A request of its own size: too large for a stack of many. */
struct s3_request {
	struct web_request q; /* first */
	struct s3 *s;
	char url[S3_URL_MAX];
	char key[S3_NAME_MAX + 1];
	char payload[SHA256_HEX]; /* of the body */
};

/*
 * Begins a request for an object (NULL: for the bucket) with a query that is
 * sorted and escaped ("" or "a=b&c="). To be ended by s3_end.
 */
int s3_begin(struct s3 *s, const char *method, const char *name,
	     const char *query, struct s3_request **ret, struct err *e);
/* Names the body, and sends its digest along when `checked`. */
int s3_body(struct s3_request *r, const void *body, size_t n, bool checked,
	    struct err *e);
/*
 * Does it. 0: any answer that is not worth another try. An answer that is
 * damaged on the way there (400 BadDigest and its like) is one.
 */
int s3_do(struct s3_request *r, struct err *e);
void s3_end(struct s3_request *r); /* NULL is allowed */

/* Turns an answer that is no success into an error, with a hint. */
int s3_refused(const struct s3_request *r, struct err *e);
bool s3_code_is(const struct s3_request *r, const char *code);

/* ---- answers ---- */

/*
 * Calls `fn` at the end of each element below the root, with its path there
 * ("Contents/Key") and its own text, of at most S3_TEXT_MAX bytes.
 * -PS_PROTOCOL: no XML, or another root.
 */
#define S3_TEXT_MAX (3 * S3_NAME_MAX)
typedef int s3_text_fn(void *ctx, const char *path, const char *text,
		       struct err *e);
int s3_parse(const struct s3_request *r, const char *root, s3_text_fn *fn,
	     void *ctx, struct err *e);
/*
 * Does a request that is answered with XML, and again when a success has no
 * such answer. 0: parsed; others: the error.
 */
int s3_ask(struct s3_request *r, const char *root, s3_text_fn *fn, void *ctx,
	   struct err *e);

/* ---- parts of the store ---- */

int s3_list(struct store *store, const char *dir, store_list_fn *fn, void *ctx,
	    struct err *e);
/* Is there anything below the prefix? -PS_NOINPUT: there is no bucket. */
int s3_look(struct s3 *s, bool *ret_any, struct err *e);
/*
 * Size and mark (x-amz-meta-ps-put; "" when there is none) of an object.
 * -PS_NOINPUT when there is no such object.
 */
#define S3_MARK_SIZE 33
int s3_head(struct s3 *s, const char *name, uint64_t *ret_size,
	    char mark[S3_MARK_SIZE], struct err *e);

int s3_put_begin(struct store *store, const char *name, struct store_put **ret,
		 struct err *e);
int s3_put_write(struct store_put *p, const void *buf, size_t n, struct err *e);
int s3_put_end(struct store_put *p, bool later, struct err *e);
int s3_put_commit(struct store_put *p, struct err *e);
void s3_put_abort(struct store_put *p);

/*
 * Aborts unfinished uploads below the prefix that are older than a day, by
 * the clock of the service. What cannot be done is left for the next time.
 */
void s3_sweep(struct s3 *s);

#endif
