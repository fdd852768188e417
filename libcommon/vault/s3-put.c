/*
 * A create-only put: one PUT when all fits into a part, else an upload in
 * parts. If-None-Match makes one writer win; a mark in the object's metadata
 * tells us our own when the answer to the commit was lost.
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/bytes.h"
#include "vault/s3.h"

#define PARTS_MAX 10000u
/* After so many parts the next are twice as long: 183 GiB in all. */
#define PARTS_ALIKE 2500u
/* What is sent again by us, not by the HTTP client; and the pause. */
#define TRIES 5
#define PAUSE_NS (200 * 1000 * 1000L)
#define ETAG_SIZE 96
#define ID_MAX 512u
#define PART_XML 256u /* a part's share of the list */

struct landed {
	char etag[ETAG_SIZE], sum[48];
};

struct store_put {
	struct s3 *s;
	char name[S3_NAME_MAX + 1], mark[S3_MARK_SIZE];
	struct part_set set;
	pthread_mutex_t begins; /* of the id: the first part asks for it */
	char id[3 * ID_MAX + 1];
	pthread_mutex_t lock;  /* of what follows */
	struct landed *landed; /* of each part */
	uint32_t cap;
};

static void pause_a_little(int i)
{
	struct timespec t = {0, PAUSE_NS << (i < 2 ? i : 2)};

	nanosleep(&t, NULL);
}

static size_t size_of(uint32_t index)
{
	return (size_t)S3_PART_LEAST << (index / PARTS_ALIKE);
}

static void put_free(struct store_put *p)
{
	part_drop(p->s->parts, p->set.part);
	pthread_mutex_destroy(&p->begins);
	pthread_mutex_destroy(&p->lock);
	free(p->landed);
	free(p);
}

/* ---- parts ---- */

static int note_landed(struct store_put *p, uint32_t index,
		       const struct s3_request *r, struct err *e)
{
	struct landed l = {0};
	const char *sum = web_header_get(&r->q, "x-amz-checksum-sha256");
	int rc = 0;

	if (!web_field(&r->q, "ETag", l.etag, sizeof(l.etag)) ||
	    l.etag[0] == '\0' || strpbrk(l.etag, "<>&") != NULL)
		return err_set(e, PS_PROTOCOL,
			       "%s: the service names no ETag of part %u",
			       p->name, index + 1);
	snprintf(l.sum, sizeof(l.sum), "%s", sum);
	pthread_mutex_lock(&p->lock);
	if (index >= p->cap) {
		uint32_t cap = 2 * index + 16;
		struct landed *grown = realloc(p->landed, cap * sizeof(*grown));

		if (grown != NULL) {
			p->landed = grown;
			p->cap = cap;
		} else {
			rc = err_sys(e, PS_TEMPFAIL, "%s", p->name);
		}
	}
	if (rc == 0)
		p->landed[index] = l;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static int take_id(void *ctx, const char *path, const char *text, struct err *e)
{
	struct store_put *p = ctx;

	if (strcmp(path, "UploadId") == 0 &&
	    (strlen(text) > ID_MAX ||
	     web_escape(text, "", p->id, sizeof(p->id)) < 0))
		return err_set(e, PS_TEMPFAIL, "%s: too long an upload id",
			       p->name);
	return 0;
}

static int set_mark(const struct store_put *p, struct s3_request *r,
		    struct err *e)
{
	return web_header(&r->q, e, "x-amz-meta-ps-put", "%s", p->mark);
}

static int begin_upload(struct store_put *p, struct err *e)
{
	struct s3_request *r;
	int rc = s3_begin(p->s, "POST", p->name, "uploads=", &r, e);

	if (rc < 0)
		return rc;
	rc = set_mark(p, r, e);
	if (rc == 0)
		rc = web_header(&r->q, e, "x-amz-checksum-algorithm", "SHA256");
	if (rc == 0)
		rc = s3_ask(r, "InitiateMultipartUploadResult", take_id, p, e);
	if (rc == 0 && p->id[0] == '\0')
		rc = err_set(e, PS_PROTOCOL, "%s: an upload without an id",
			     p->name);
	s3_end(r);
	return rc;
}

/* By the first of the threads that send parts; the others wait for the id. */
static int upload_id(struct store_put *p, struct err *e)
{
	int rc = 0;

	pthread_mutex_lock(&p->begins);
	if (p->id[0] == '\0')
		rc = begin_upload(p, e);
	pthread_mutex_unlock(&p->begins);
	return rc;
}

/* By several threads at once. */
static int send_part(void *ctx, const struct part *part, struct err *e)
{
	struct store_put *p = ctx;
	char query[sizeof(p->id) + 64];
	struct s3_request *r;
	int i, rc = upload_id(p, e);

	if (rc < 0)
		return rc;
	snprintf(query, sizeof(query), "partNumber=%u&uploadId=%s",
		 part->index + 1, p->id);
	rc = s3_begin(p->s, "PUT", p->name, query, &r, e);
	if (rc < 0)
		return rc;
	rc = s3_body(r, part->data, part->len, true, e);
	for (i = 0; rc == 0 && i < TRIES; i++) {
		rc = s3_do(r, e);
		if (rc == 0 && r->q.answer.status != 200)
			rc = s3_refused(r, e);
		else if (rc == 0)
			rc = note_landed(p, part->index, r, e);
		if (rc != -PS_PROTOCOL || r->q.answer.status != 200)
			break;
		rc = i + 1 < TRIES ? 0 : rc;
	}
	/* The upload is gone: somebody swept it, all has to be sent again. */
	if (rc == -PS_NOINPUT && e != NULL)
		e->code = PS_TEMPFAIL;
	s3_end(r);
	return rc == -PS_NOINPUT ? -PS_TEMPFAIL : rc;
}

/* Hands the part on. */
static int send_current(void *ctx, struct err *e)
{
	struct store_put *p = ctx;
	struct part *part = p->set.part;

	if (p->set.count == PARTS_MAX)
		return err_set(e, PS_DATA,
			       "%s: longer than an object of S3 can be",
			       p->name);
	p->set.part = NULL;
	part->index = p->set.count++;
	return part_send(p->s->parts, part, e);
}

/* ---- begin, write, abort ---- */

int s3_put_begin(struct store *store, const char *name, struct store_put **ret,
		 struct err *e)
{
	struct s3 *s = (struct s3 *)store;
	struct store_put *p;
	uint8_t mark[(S3_MARK_SIZE - 1) / 2];

	if (strlen(name) > S3_NAME_MAX)
		return err_set(e, PS_USAGE, "%.80s...: name too long", name);
	if (getrandom(mark, sizeof(mark), 0) != (ssize_t)sizeof(mark))
		return err_sys(e, PS_IOERR, "getrandom");
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	if (!atomic_exchange(&s->swept, true))
		s3_sweep(s);
	p->s = s;
	pthread_mutex_init(&p->begins, NULL);
	pthread_mutex_init(&p->lock, NULL);
	snprintf(p->name, sizeof(p->name), "%s", name);
	hex_encode(mark, sizeof(mark), p->mark);
	p->set.send = send_part;
	p->set.full = send_current;
	p->set.size = size_of;
	p->set.ctx = p;
	*ret = p;
	return 0;
}

int s3_put_write(struct store_put *p, const void *buf, size_t n, struct err *e)
{
	return part_write(p->s->parts, &p->set, buf, n, e);
}

int s3_put_end(struct store_put *p, bool later, struct err *e)
{
	const struct part *part = p->set.part;

	if (part == NULL)
		return 0;
	if (p->set.count > 0 || (later && part->len >= STORE_STAGE_LEAST))
		return send_current(p, e);
	part_trim(p->s->parts, &p->set);
	return 0;
}

/* One try: what stays is found by the sweep of a later day. */
static void abort_upload(struct store_put *p)
{
	char query[sizeof(p->id) + 16];
	struct s3_request *r;
	struct err e = {0};

	if (p->id[0] == '\0')
		return;
	snprintf(query, sizeof(query), "uploadId=%s", p->id);
	if (s3_begin(p->s, "DELETE", p->name, query, &r, &e) < 0)
		return;
	r->q.once = true;
	(void)s3_do(r, &e);
	s3_end(r);
}

void s3_put_abort(struct store_put *p)
{
	(void)part_wait(p->s->parts, &p->set, true, NULL);
	abort_upload(p);
	put_free(p);
}

/* ---- the commit ---- */

/* How a try to commit ended. */
enum verdict {
	DONE,
	TAKEN, /* there is an object of this name, perhaps ours */
	GONE,  /* the upload is not known (any more), perhaps as it is done */
	AGAIN, /* nothing was done */
};

static int list_parts(const struct store_put *p, char **ret, size_t *ret_len,
		      struct err *e)
{
	size_t size = ((size_t)p->set.count + 1) * PART_XML, n;
	char *xml = malloc(size);
	uint32_t i;

	if (xml == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", p->name);
	n = (size_t)snprintf(xml, size,
			     "<CompleteMultipartUpload xmlns=\"http://"
			     "s3.amazonaws.com/doc/2006-03-01/\">");
	for (i = 0; i < p->set.count; i++)
		n += (size_t)snprintf(
		    xml + n, size - n,
		    "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
		    "<ChecksumSHA256>%s</ChecksumSHA256></Part>",
		    i + 1, p->landed[i].etag, p->landed[i].sum);
	n += (size_t)snprintf(xml + n, size - n, "</CompleteMultipartUpload>");
	*ret = xml;
	*ret_len = n;
	return 0;
}

static int note_etag(void *ctx, const char *path, const char *text,
		     struct err *e)
{
	(void)e;
	if (strcmp(path, "ETag") == 0 && *text != '\0')
		*(bool *)ctx = true;
	return 0;
}

/* Completing may fail after "200 OK": the body says whether it did. */
static enum verdict judge_success(const struct store_put *p,
				  const struct s3_request *r)
{
	char etag[ETAG_SIZE];
	bool told = false;
	struct err e = {0};

	if (p->set.count == 0)
		return web_field(&r->q, "ETag", etag, sizeof(etag)) ? DONE
								    : AGAIN;
	if (s3_code_is(r, "PreconditionFailed"))
		return TAKEN;
	if (s3_parse(r, "CompleteMultipartUploadResult", note_etag, &told, &e) <
		0 ||
	    !told)
		return AGAIN;
	return DONE;
}

static int judge(struct store_put *p, const struct s3_request *r,
		 enum verdict *ret, struct err *e)
{
	int status = r->q.answer.status;

	if (status == 200) {
		*ret = judge_success(p, r);
		if (*ret == AGAIN)
			err_set(e, PS_TEMPFAIL,
				"%s: the service says that it is done, but not "
				"what",
				p->name);
		return 0;
	}
	*ret = AGAIN;
	if (status == 412) {
		*ret = TAKEN;
		return 0;
	}
	if (status == 404 && s3_code_is(r, "NoSuchUpload")) {
		*ret = GONE;
		return 0;
	}
	/* The service knows no conditions: the vault is a single writer's. */
	if (status == 501 && !atomic_exchange(&p->s->no_fence, true))
		return 0;
	(void)s3_refused(r, e);
	/* Somebody else is at this name just now. */
	if (status == 409)
		return 0;
	/* A part is not what we think: all has to be sent again. */
	if (s3_code_is(r, "InvalidPart"))
		e->code = PS_TEMPFAIL;
	return -e->code;
}

static int try_commit(struct store_put *p, const char *xml, size_t len,
		      enum verdict *ret, bool *ret_unsure, struct err *e)
{
	bool whole = p->set.count == 0;
	char query[sizeof(p->id) + 16] = "";
	struct s3_request *r;
	int rc;

	if (!whole)
		snprintf(query, sizeof(query), "uploadId=%s", p->id);
	rc = s3_begin(p->s, whole ? "PUT" : "POST", p->name, query, &r, e);
	if (rc < 0)
		return rc;
	if (!whole)
		rc = s3_body(r, xml, len, false, e);
	else if (p->set.part != NULL)
		rc = s3_body(r, p->set.part->data, p->set.part->len, true, e);
	else
		rc = s3_body(r, "", 0, true, e);
	if (rc == 0 && whole)
		rc = set_mark(p, r, e);
	if (rc == 0 && !atomic_load(&p->s->no_fence))
		rc = web_header(&r->q, e, "If-None-Match", "*");
	if (rc == 0)
		rc = s3_do(r, e);
	*ret_unsure = *ret_unsure || r->q.answer.unsure;
	if (rc == 0)
		rc = judge(p, r, ret, e);
	s3_end(r);
	return rc;
}

/* The name is taken, or the upload is gone: by us? */
static int whose(struct store_put *p, struct err *e)
{
	char mark[S3_MARK_SIZE];
	uint64_t size;
	int rc = s3_head(p->s, p->name, &size, mark, e);

	if (rc == -PS_NOINPUT)
		return err_set(e, PS_TEMPFAIL,
			       "%s: its upload was ended by somebody else",
			       p->name);
	if (rc < 0)
		return rc;
	return strcmp(mark, p->mark) == 0 ? 0 : -PS_NO;
}

static int commit(struct store_put *p, const char *xml, size_t len,
		  struct err *e)
{
	enum verdict verdict = AGAIN;
	bool unsure = false;
	int i, rc = 0;

	for (i = 0; i < TRIES && verdict == AGAIN; i++) {
		if (i > 0) {
			pause_a_little(i);
			unsure = true;
		}
		rc = try_commit(p, xml, len, &verdict, &unsure, e);
		if (rc < 0)
			return rc;
	}
	if (verdict == DONE)
		return 0;
	if (verdict == AGAIN)
		return -e->code;
	return verdict == TAKEN && !unsure ? -PS_NO : whose(p, e);
}

static int commit_parts(struct store_put *p, struct err *e)
{
	char *xml = NULL;
	size_t len = 0;
	int rc = 0;

	if (p->set.part != NULL)
		rc = send_current(p, e);
	if (rc == 0)
		rc = part_wait(p->s->parts, &p->set, false, e);
	if (rc == 0)
		rc = list_parts(p, &xml, &len, e);
	if (rc == 0)
		rc = commit(p, xml, len, e);
	free(xml);
	return rc;
}

static int commit_whole(struct store_put *p, struct err *e)
{
	int rc;

	part_sends(p->s->parts, &p->set, true);
	rc = commit(p, NULL, 0, e);
	part_sends(p->s->parts, &p->set, false);
	return rc;
}

int s3_put_commit(struct store_put *p, struct err *e)
{
	struct err local = {0};
	int rc;

	if (e == NULL)
		e = &local;
	rc = p->set.count == 0 ? commit_whole(p, e) : commit_parts(p, e);
	if (rc < 0)
		s3_put_abort(p);
	else
		put_free(p);
	return rc;
}
