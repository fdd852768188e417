#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/name.h"
#include "base/units.h"
#include "vault/s3.h"
#include "vault/settings.h"

#define PAGE 1000u
#define TOKEN_MAX 1024u /* of a continuation, which is opaque */
#define STALE_NS (24 * 3600 * NS_PER_S)

/* ---- one page ---- */

struct entry {
	char name[NAME_SIZE];
	bool is_dir;
	uint64_t size, tag;
};

struct listing {
	char prefix[S3_NAME_MAX + 1];
	bool deep; /* without a delimiter: folders are found here */
	uint64_t page;
	struct entry *items;
	size_t n, cap;
	/* of the element that is open */
	char key[S3_TEXT_MAX + 1];
	uint64_t size, tag;
	/* of the page */
	bool coded, more;
	unsigned keys;
	char next[TOKEN_MAX + 1], after[S3_NAME_MAX + 2];
};

static int unhex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What encoding-type=url has done to a name, in place. */
static void decode(char *text)
{
	char *to = text;

	for (; *text != '\0'; text++) {
		int high = -1, low = -1;

		if (*text == '%') {
			high = unhex(text[1]);
			low = high >= 0 ? unhex(text[2]) : -1;
		}
		if (low >= 0) {
			*to++ = (char)(high << 4 | low);
			text += 2;
		} else {
			*to++ = (char)(*text == '+' ? ' ' : *text);
		}
	}
	*to = '\0';
}

/* A name that is none of ours is left out, as in a folder. */
static int add_entry(struct listing *l, bool is_dir, struct err *e)
{
	size_t len, skip = strlen(l->prefix);
	struct entry *en;
	const char *name;

	if (l->coded)
		decode(l->key);
	l->keys++;
	if (strncmp(l->key, l->prefix, skip) != 0)
		return 0;
	name = l->key + skip;
	len = strcspn(name, "/");
	if (name[len] == '/') {
		is_dir = true;
		/* The next page begins behind all that is below it. */
		skip += len;
		snprintf(l->after, sizeof(l->after), "%.*s0",
			 (int)(skip <= S3_NAME_MAX ? skip : S3_NAME_MAX),
			 l->key);
	} else if (is_dir) {
		return 0;
	} else {
		snprintf(l->after, sizeof(l->after), "%.*s", S3_NAME_MAX,
			 l->key);
	}
	if (!name_ok_n(name, len) ||
	    (is_dir && l->n > 0 && l->items[l->n - 1].is_dir &&
	     strncmp(l->items[l->n - 1].name, name, len) == 0 &&
	     l->items[l->n - 1].name[len] == '\0'))
		return 0;
	if (l->n == l->cap) {
		size_t cap = 2 * l->cap + 64;
		struct entry *grown = realloc(l->items, cap * sizeof(*grown));

		if (grown == NULL)
			return err_sys(e, PS_TEMPFAIL, "list of a bucket");
		l->items = grown;
		l->cap = cap;
	}
	en = &l->items[l->n++];
	memcpy(en->name, name, len);
	en->name[len] = '\0';
	en->is_dir = is_dir;
	en->size = is_dir ? 0 : l->size;
	en->tag = is_dir ? 0 : l->tag;
	return 0;
}

static int on_text(void *ctx, const char *path, const char *text, struct err *e)
{
	struct listing *l = ctx;

	if (strcmp(path, "Contents/Key") == 0 ||
	    strcmp(path, "CommonPrefixes/Prefix") == 0)
		snprintf(l->key, sizeof(l->key), "%s", text);
	else if (strcmp(path, "Contents/Size") == 0 &&
		 !parse_u64(text, INT64_MAX, &l->size))
		return err_set(e, PS_PROTOCOL, "'%.40s' is no size", text);
	else if (strcmp(path, "Contents/ETag") == 0)
		l->tag = crc64(0, text, strlen(text));
	else if (strcmp(path, "EncodingType") == 0)
		l->coded = strcmp(text, "url") == 0;
	else if (strcmp(path, "IsTruncated") == 0)
		l->more = strcmp(text, "true") == 0;
	else if (strcmp(path, "NextContinuationToken") == 0 &&
		 strlen(text) <= TOKEN_MAX)
		snprintf(l->next, sizeof(l->next), "%s", text);
	else if (strcmp(path, "Contents") == 0)
		return add_entry(l, false, e);
	else if (strcmp(path, "CommonPrefixes") == 0)
		return add_entry(l, true, e);
	return 0;
}

/* EncodingType may come after the names: the page is read twice then. */
static int on_coding(void *ctx, const char *path, const char *text,
		     struct err *e)
{
	struct listing *l = ctx;

	(void)e;
	if (strcmp(path, "EncodingType") == 0)
		l->coded = strcmp(text, "url") == 0;
	return 0;
}

/* Escaped and in order, as the signature wants it. */
static int make_query(const struct listing *l, char *out, size_t size)
{
	char next[3 * TOKEN_MAX + 1], prefix[3 * S3_NAME_MAX + 1];
	char after[3 * S3_NAME_MAX + 4];
	bool skip = l->deep && l->after[0] != '\0';

	if (web_escape(l->next, "", next, sizeof(next)) < 0 ||
	    web_escape(l->prefix, "", prefix, sizeof(prefix)) < 0 ||
	    web_escape(l->after, "", after, sizeof(after)) < 0)
		return -PS_USAGE;
	snprintf(out, size,
		 "%s%s%s%sencoding-type=url&list-type=2&max-keys=%llu&"
		 "prefix=%s%s%s",
		 !skip && *next != '\0' ? "continuation-token=" : "",
		 skip ? "" : next, !skip && *next != '\0' ? "&" : "",
		 l->deep ? "" : "delimiter=%2F&", (unsigned long long)l->page,
		 prefix, skip ? "&start-after=" : "", skip ? after : "");
	return 0;
}

static int ask_page(struct s3 *s, struct listing *l, struct err *e)
{
	char query[4 * (TOKEN_MAX + 2 * S3_NAME_MAX)];
	struct s3_request *r;
	int rc;

	if (make_query(l, query, sizeof(query)) < 0)
		return err_set(e, PS_USAGE, "%.80s: name too long", l->prefix);
	rc = s3_begin(s, "GET", NULL, query, &r, e);
	if (rc < 0)
		return rc;
	l->coded = l->more = false;
	l->next[0] = '\0';
	l->keys = 0;
	rc = s3_ask(r, "ListBucketResult", on_coding, l, e);
	if (rc == 0)
		rc = s3_parse(r, "ListBucketResult", on_text, l, e);
	if (rc == -PS_NOINPUT)
		err_hint(e, "ps-vault init makes the bucket, when it may");
	s3_end(r);
	if (rc == 0 && l->more && (l->keys == 0 || l->next[0] == '\0'))
		rc = err_set(e, PS_PROTOCOL,
			     "%s: the service says that the list goes on, but "
			     "not where",
			     s->bucket);
	return rc;
}

/* ---- lists ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name,
		      ((const struct entry *)b)->name);
}

static struct listing *new_listing(const struct s3 *s, const char *dir,
				   struct err *e)
{
	struct listing *l = calloc(1, sizeof(*l));
	uint64_t page = store_settings.page;

	if (l == NULL) {
		err_sys(e, PS_TEMPFAIL, "list of a bucket");
		return NULL;
	}
	l->page = page == 0 || page > PAGE ? PAGE : page;
	snprintf(l->prefix, sizeof(l->prefix), "%s%s%s", s->prefix, dir,
		 *dir != '\0' ? "/" : "");
	return l;
}

static void free_listing(struct listing *l)
{
	free(l->items);
	free(l);
}

static bool has_folder(const struct listing *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->items[i].is_dir)
			return true;
	return false;
}

static int ask_pages(struct s3 *s, struct listing *l, struct err *e)
{
	int rc;

	l->n = 0;
	l->next[0] = l->after[0] = '\0';
	do {
		rc = ask_page(s, l, e);
	} while (rc == 0 && l->more);
	return rc;
}

int s3_list(struct store *store, const char *dir, store_list_fn *fn, void *ctx,
	    struct err *e)
{
	struct s3 *s = (struct s3 *)store;
	struct listing *l = new_listing(s, dir, e);
	size_t i;
	int rc;

	if (l == NULL)
		return -PS_TEMPFAIL;
	rc = ask_pages(s, l, e);
	/*
	 * A vault without machines? Some services (s3rver) leave out folders
	 * that have nothing but folders: found again without a delimiter.
	 */
	if (rc == 0 && *dir == '\0' && !has_folder(l)) {
		l->deep = true;
		rc = ask_pages(s, l, e);
	}
	/* Objects and folders come apart, in another order than names have. */
	if (rc == 0 && l->n > 0)
		qsort(l->items, l->n, sizeof(*l->items), by_name);
	for (i = 0; rc == 0 && i < l->n; i++)
		rc = fn(ctx,
			&(struct store_entry){.name = l->items[i].name,
					      .is_dir = l->items[i].is_dir,
					      .size = l->items[i].size,
					      .tag = l->items[i].tag},
			e);
	free_listing(l);
	return rc;
}

int s3_look(struct s3 *s, bool *ret_any, struct err *e)
{
	struct listing *l = new_listing(s, "", e);
	int rc;

	if (l == NULL)
		return -PS_TEMPFAIL;
	snprintf(l->prefix, sizeof(l->prefix), "%s", s->prefix);
	l->page = 1;
	l->deep = true;
	rc = ask_page(s, l, e);
	*ret_any = l->keys > 0;
	free_listing(l);
	return rc;
}

/* ---- unfinished uploads ---- */

struct stale {
	struct s3 *s;
	char key[S3_TEXT_MAX + 1], id[TOKEN_MAX + 1];
	int64_t begun, now;
};

static int abort_stale(struct stale *st, struct err *e)
{
	char query[3 * TOKEN_MAX + 16] = "uploadId=";
	size_t n = strlen(query), skip = strlen(st->s->prefix);
	struct s3_request *r;
	int rc;

	if (strncmp(st->key, st->s->prefix, skip) != 0 ||
	    web_escape(st->id, "", query + n, sizeof(query) - n) < 0)
		return 0;
	rc = s3_begin(st->s, "DELETE", st->key + skip, query, &r, e);
	if (rc < 0)
		return rc;
	r->q.once = true;
	rc = s3_do(r, e);
	s3_end(r);
	return rc;
}

static int on_upload(void *ctx, const char *path, const char *text,
		     struct err *e)
{
	struct stale *st = ctx;

	if (strcmp(path, "Upload/Key") == 0)
		snprintf(st->key, sizeof(st->key), "%s", text);
	else if (strcmp(path, "Upload/UploadId") == 0)
		snprintf(st->id, sizeof(st->id), "%.*s", (int)TOKEN_MAX, text);
	else if (strcmp(path, "Upload/Initiated") == 0) {
		if (!parse_time(text, &st->begun))
			st->begun = INT64_MAX;
	} else if (strcmp(path, "Upload") == 0 && st->begun != INT64_MAX &&
		   st->now - st->begun > STALE_NS)
		return abort_stale(st, e);
	return 0;
}

void s3_sweep(struct s3 *s)
{
	struct stale *st = calloc(1, sizeof(*st));
	char prefix[3 * S3_NAME_MAX + 1], query[4 * S3_NAME_MAX];
	struct s3_request *r = NULL;
	struct err e = {0};

	if (st == NULL || web_escape(s->prefix, "", prefix, sizeof(prefix)) < 0)
		goto out;
	snprintf(query, sizeof(query), "prefix=%s&uploads=", prefix);
	if (s3_begin(s, "GET", NULL, query, &r, &e) < 0)
		goto out;
	r->q.once = true;
	st->s = s;
	st->begun = INT64_MAX;
	if (s3_do(r, &e) == 0 && r->q.answer.status == 200 &&
	    r->q.answer.date > 0) {
		st->now = r->q.answer.date * NS_PER_S;
		/* A page of a thousand: the rest is for the next start. */
		(void)s3_parse(r, "ListMultipartUploadsResult", on_upload, st,
			       &e);
	}
out:
	s3_end(r);
	free(st);
}
