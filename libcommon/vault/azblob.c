#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/units.h"
#include "vault/azblob.h"

#define PAGE 1000u

/* ---- opening ---- */

static int bad_url(const char *url, const char *why, struct err *e)
{
	err_set(e, PS_USAGE, "%s: %s", url, why);
	err_hint(e, "write azblob://ACCOUNT/CONTAINER[/PREFIX]");
	return -PS_USAGE;
}

/* Copies up to '/' or the end; false: empty, too long, other characters. */
static bool take(const char **p, const char *chars, size_t min, char *out,
		 size_t size)
{
	size_t n = strspn(*p, chars);

	if (n < min || n >= size || ((*p)[n] != '/' && (*p)[n] != '\0'))
		return false;
	memcpy(out, *p, n);
	out[n] = '\0';
	*p += n + ((*p)[n] == '/');
	return true;
}

/* Parts of the prefix are checked names: nothing in a URL is escaped. */
static bool take_prefix(const char *p, char *out, size_t size)
{
	size_t used = 0;

	while (*p != '\0') {
		size_t n = strcspn(p, "/");

		if (!name_ok_n(p, n) || used + n + 2 > size)
			return false;
		memcpy(out + used, p, n);
		used += n;
		out[used++] = '/';
		p += n;
		p += strspn(p, "/");
	}
	out[used] = '\0';
	return true;
}

static int parse_url(struct azblob *az, const char *url, struct err *e)
{
	const char *p = url + strlen("azblob://");
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char dashed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	if (strlen(url) >= sizeof(az->url))
		return bad_url("azblob://...", "the name is too long", e);
	if (strpbrk(url, "?#@") != NULL)
		return bad_url("azblob://...",
			       "the name of a vault holds no credentials", e);
	if (!take(&p, lower, 3, az->account, 25))
		return bad_url(url,
			       "the account's name has 3 to 24 lower-case "
			       "letters and digits",
			       e);
	if (!take(&p, dashed, 3, az->container, sizeof(az->container)))
		return bad_url(url,
			       "the container's name has 3 to 63 "
			       "lower-case letters, digits and '-'",
			       e);
	if (!take_prefix(p, az->prefix, sizeof(az->prefix)))
		return bad_url(url, "the prefix is not made of names", e);
	snprintf(az->url, sizeof(az->url), "azblob://%s/%s%s%s", az->account,
		 az->container, *az->prefix != '\0' ? "/" : "", az->prefix);
	if (*az->prefix != '\0') /* without the '/' at its end */
		az->url[strlen(az->url) - 1] = '\0';
	return 0;
}

static int create_container(struct azblob *az, struct err *e)
{
	static const struct az_param params[] = {{"restype", "container"}, {0}};
	struct az_call c;
	char code[64];
	int rc = az_begin(az, &c, "PUT", NULL, params, e);

	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status != 201) {
		web_error_code(&c.q, code, sizeof(code));
		/* Who may not create it may be given one: see probe(). */
		if (strcmp(code, "ContainerAlreadyExists") != 0 &&
		    c.q.answer.status != 403)
			rc = az_refused(&c, e);
	}
	az_end(&c);
	return rc;
}

/* Is the container there, and are we let in? */
static int probe(struct azblob *az, struct err *e)
{
	static const struct az_param params[] = {{"comp", "list"},
						 {"maxresults", "1"},
						 {"prefix", "vault.json"},
						 {"restype", "container"},
						 {0}};
	struct az_call c;
	int rc = az_begin(az, &c, "GET", NULL, params, e);

	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status != 200)
		rc = az_refused(&c, e);
	az_end(&c);
	return rc;
}

static void az_close(struct store *s)
{
	struct azblob *az = azblob_of(s);

	parts_close(az->parts);
	az_logout(az);
	web_close(az->web);
	free(az);
}

static void az_limit(struct store *s, uint64_t per_second)
{
	web_limit(azblob_of(s)->web, per_second);
}

static int az_open(struct store **ret, const char *url, int create,
		   struct err *e)
{
	struct azblob *az = calloc(1, sizeof(*az));
	int rc;

	if (az == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", url);
	az->store.ops = &store_azblob;
	rc = parse_url(az, url, e);
	if (rc == 0)
		rc = store_web(&az->web, e);
	if (rc == 0)
		rc = parts_open(&az->parts, (unsigned)store_settings.jobs,
				PART_SIZE, e);
	if (rc == 0)
		rc = az_login(az, e);
	if (rc == 0 && create)
		rc = create_container(az, e);
	if (rc == 0)
		rc = probe(az, e);
	if (rc < 0) {
		az_close(&az->store);
		return rc;
	}
	*ret = &az->store;
	return 0;
}

/* ---- listing ---- */

struct entry {
	size_t at; /* of its name in the text */
	uint64_t size, tag;
	bool is_dir;
};

struct entries {
	size_t skip; /* bytes of prefix and folder before each name */
	char *text;
	size_t used, room;
	struct entry *items;
	size_t n, cap;
};

static int no_memory(struct err *e)
{
	return err_set(e, PS_TEMPFAIL, "no memory for a list");
}

static int grow(struct entries *all, size_t len, struct err *e)
{
	if (all->n == all->cap) {
		size_t cap = 2 * all->cap + 64;
		struct entry *grown = realloc(all->items, cap * sizeof(*grown));

		if (grown == NULL)
			return no_memory(e);
		all->items = grown;
		all->cap = cap;
	}
	if (all->used + len + 1 > all->room) {
		size_t room = 2 * all->room + len + 1024;
		char *grown = realloc(all->text, room);

		if (grown == NULL)
			return no_memory(e);
		all->text = grown;
		all->room = room;
	}
	return 0;
}

/* What is not a checked name is not ours. */
static int add_name(void *ctx, const struct store_entry *found, struct err *e)
{
	struct entries *all = ctx;
	const char *name = found->name;
	size_t len = strlen(name);
	int rc;

	if (len <= all->skip)
		return 0;
	name += all->skip;
	len -= all->skip;
	if (found->is_dir && name[len - 1] == '/')
		len--;
	if (!name_ok_n(name, len))
		return 0;
	rc = grow(all, len, e);
	if (rc < 0)
		return rc;
	all->items[all->n++] =
	    (struct entry){all->used, found->size, found->tag, found->is_dir};
	memcpy(all->text + all->used, name, len);
	all->text[all->used + len] = '\0';
	all->used += len + 1;
	return 0;
}

static int list_page(struct azblob *az, const char *prefix, char *marker,
		     struct entries *all, struct err *e)
{
	char page[24];
	struct az_param params[7];
	struct az_call c;
	size_t n = 0;
	int rc;

	snprintf(page, sizeof(page), "%u",
		 store_settings.page != 0 ? (unsigned)store_settings.page
					  : PAGE);
	params[n++] = (struct az_param){"comp", "list"};
	params[n++] = (struct az_param){"delimiter", "/"};
	if (*marker != '\0')
		params[n++] = (struct az_param){"marker", marker};
	params[n++] = (struct az_param){"maxresults", page};
	if (*prefix != '\0')
		params[n++] = (struct az_param){"prefix", prefix};
	params[n++] = (struct az_param){"restype", "container"};
	params[n] = (struct az_param){0};
	rc = az_begin(az, &c, "GET", NULL, params, e);
	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status != 200)
		rc = az_refused(&c, e);
	else if (rc == 0)
		rc = az_parse_list(&c, add_name, all, marker, e);
	az_end(&c);
	return rc;
}

static int by_name(const void *a, const void *b, void *text)
{
	return strcmp((const char *)text + ((const struct entry *)a)->at,
		      (const char *)text + ((const struct entry *)b)->at);
}

/*
 * The service sorts whole names: "a.b" stands before "a/", although "a" comes
 * first; so all pages are read before the first name is told.
 */
static int az_list(struct store *s, const char *dir, store_list_fn *fn,
		   void *ctx, struct err *e)
{
	struct azblob *az = azblob_of(s);
	struct entries all = {0};
	char prefix[AZ_NAME_SIZE], marker[AZ_MARKER_SIZE] = "";
	size_t i;
	int rc = 0;

	snprintf(prefix, sizeof(prefix), "%s%s%s", az->prefix, dir,
		 *dir != '\0' ? "/" : "");
	all.skip = strlen(prefix);
	do
		rc = list_page(az, prefix, marker, &all, e);
	while (rc == 0 && *marker != '\0');
	if (rc == 0 && all.n > 1)
		qsort_r(all.items, all.n, sizeof(*all.items), by_name,
			all.text);
	for (i = 0; rc == 0 && i < all.n; i++)
		rc =
		    fn(ctx,
		       &(struct store_entry){.name = all.text + all.items[i].at,
					     .is_dir = all.items[i].is_dir,
					     .size = all.items[i].size,
					     .tag = all.items[i].tag},
		       e);
	free(all.items);
	free(all.text);
	return rc;
}

/* ---- reading ---- */

static int missing(const struct az_call *c, struct err *e)
{
	char code[64];

	web_error_code(&c->q, code, sizeof(code));
	if (strcmp(code, "ContainerNotFound") == 0)
		return az_refused(c, e);
	return err_set(e, PS_NOINPUT, "%s: no such object", c->what);
}

static int head(struct azblob *az, struct az_call *c, const char *name,
		struct err *e)
{
	int rc = az_begin(az, c, "HEAD", name, NULL, e);

	if (rc == 0)
		rc = az_do(c, e);
	if (rc == 0 && c->q.answer.status == 404)
		rc = missing(c, e);
	else if (rc == 0 && c->q.answer.status != 200)
		rc = az_refused(c, e);
	return rc;
}

static int az_size(struct store *s, const char *name, uint64_t *ret,
		   struct err *e)
{
	struct az_call c;
	char text[32];
	int rc = head(azblob_of(s), &c, name, e);

	if (rc == 0 &&
	    (!web_field(&c.q, "Content-Length", text, sizeof(text)) ||
	     !parse_u64(text, INT64_MAX, ret)))
		rc = err_set(e, PS_PROTOCOL, "%s: the service tells no size",
			     name);
	az_end(&c);
	return rc;
}

/* What is there was acknowledged by the service, which is durable. */
static int az_confirm(struct store *s, const char *name, struct err *e)
{
	struct az_call c;
	int rc = head(azblob_of(s), &c, name, e);

	az_end(&c);
	return rc;
}

static int fill(void *ctx, const void *buf, size_t n, struct err *e)
{
	uint8_t **at = ctx;

	(void)e;
	memcpy(*at, buf, n); /* never more than was asked for */
	*at += n;
	return 0;
}

static int az_read(struct store *s, const char *name, uint64_t pos, void *buf,
		   size_t n, struct err *e)
{
	struct az_call c;
	uint8_t *at = buf;
	int rc;

	if (n == 0)
		return 0;
	rc = az_begin(azblob_of(s), &c, "GET", name, NULL, e);
	c.q.sink = fill;
	c.q.sink_ctx = &at;
	c.q.range_pos = pos;
	c.q.range_len = n;
	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status == 404)
		rc = missing(&c, e);
	else if (rc == 0 && c.q.answer.status == 416)
		rc = err_set(e, PS_DATA, "%s: ends before byte %llu", name,
			     (unsigned long long)(pos + n));
	else if (rc == 0 && c.q.answer.status != 206 &&
		 c.q.answer.status != 200)
		rc = az_refused(&c, e);
	az_end(&c);
	return rc;
}

static int az_remove(struct store *s, const char *name, struct err *e)
{
	struct az_call c;
	int rc = az_begin(azblob_of(s), &c, "DELETE", name, NULL, e);

	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status != 202 && c.q.answer.status != 404)
		rc = az_refused(&c, e);
	az_end(&c);
	return rc;
}

static int az_skew(struct store *s, int64_t *ret_seconds)
{
	struct azblob *az = azblob_of(s);

	if (!atomic_load(&az->timed))
		return -PS_NO;
	*ret_seconds = atomic_load(&az->skew);
	return 0;
}

const struct store_ops store_azblob = {
    .scheme = "azblob",
    .open = az_open,
    .close = az_close,
    .list = az_list,
    .size = az_size,
    .read = az_read,
    .put_begin = az_put_begin,
    .put_write = az_put_write,
    .put_end = az_put_end,
    .put_commit = az_put_commit,
    .put_abort = az_put_abort,
    .confirm = az_confirm,
    .remove = az_remove,
    .skew = az_skew,
    .paced = true,
    .limit = az_limit,
    .far = true,
};
