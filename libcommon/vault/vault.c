#include "config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/units.h"
#include "vault/tail-cache.h"
#include "vault/vault.h"

#define MARKER "vault.json"
#define MARKER_MAX 65536u
#define FORMAT "ps-vault"
#define FORMAT_VERSION 1
#define SEQ_DIGITS 20
/* How often a reader plans again because retention took an object away. */
#define PLANS 5

/* ---- the vault itself ---- */

/* Whoever follows it in a hurry must not begin anew below a mount point. */
static void hint_new(const char *url, struct err *e)
{
	if (strstr(url, "://") == NULL)
		err_hint(e,
			 "should it be there? then see whether it is mounted; "
			 "a new vault: ps-vault init %s",
			 url);
	else
		err_hint(e, "a new vault: ps-vault init %s", url);
}

static int not_a_vault(const char *url, const char *why, struct err *e)
{
	err_set(e, PS_CONFIG, "%s: not a vault: %s", url, why);
	hint_new(url, e);
	return -PS_CONFIG;
}

static int read_marker(struct vault *v, const char *url, const char *text,
		       size_t n, struct err *e)
{
	json_error_t why;
	json_t *j = json_loadb(text, n, 0, &why);
	const char *format = "";
	json_int_t version = 0;
	int single = 0;
	int rc = 0;

	if (json_unpack(j, "{s:s, s:I, s:b}", "format", &format, "version",
			&version, "single_writer", &single) < 0 ||
	    strcmp(format, FORMAT) != 0)
		rc = err_set(e, PS_CONFIG,
			     "%s: not a vault: its " MARKER
			     " is damaged or of another program",
			     url);
	else if (version != FORMAT_VERSION)
		rc = err_set(e, PS_CONFIG,
			     "%s: a vault of version %lld, this program "
			     "knows version %d",
			     url, (long long)version, FORMAT_VERSION);
	v->single_writer = single != 0;
	json_decref(j);
	return rc;
}

int vault_attach(struct vault *v, struct store *s, const char *url,
		 struct err *e)
{
	char text[MARKER_MAX];
	struct sha256 id;
	uint64_t size = 0;
	int rc = s->ops->size(s, MARKER, &size, e);

	if (rc == -PS_NOINPUT)
		return not_a_vault(url, "there is no " MARKER, e);
	if (rc == 0 && size > sizeof(text))
		return not_a_vault(url, "its " MARKER " is too long", e);
	if (rc == 0)
		rc = s->ops->read(s, MARKER, 0, text, (size_t)size, e);
	if (rc == 0)
		rc = read_marker(v, url, text, (size_t)size, e);
	if (rc < 0)
		return rc;
	v->store = s;
	v->cached = false;
	sha256_init(&id);
	sha256_update(&id, url, strlen(url) + 1);
	sha256_update(&id, text, (size_t)size);
	sha256_final(&id, v->id);
	return 0;
}

int vault_open(struct vault *v, const char *url, struct err *e)
{
	struct store *s;
	int rc = store_open(&s, url, 0, e);

	if (rc == -PS_NOINPUT)
		hint_new(url, e);
	if (rc < 0)
		return rc;
	rc = vault_attach(v, s, url, e);
	if (rc < 0)
		store_close(s);
	return rc;
}

void vault_close(struct vault *v)
{
	store_close(v->store);
	v->store = NULL;
}

/* Does the store refuse a second create, and keep what was there first? */
static int probe_fence(struct store *s, bool *ret_fence, struct err *e)
{
	uint64_t r;
	char name[32], got = 0;
	int rc, second;

	if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return err_sys(e, PS_IOERR, "getrandom");
	snprintf(name, sizeof(name), "probe-%016llx", (unsigned long long)r);
	rc = store_put_text(s, name, "1", e);
	if (rc < 0)
		return rc == -PS_NO ? err_set(e, PS_TEMPFAIL,
					      "%s: is there already", name)
				    : rc;
	second = store_put_text(s, name, "2", e);
	if (second == 0 || second == -PS_NO)
		rc = s->ops->read(s, name, 0, &got, 1, e);
	else
		rc = second;
	*ret_fence = second == -PS_NO && got == '1';
	if (rc == 0)
		rc = s->ops->remove(s, name, e);
	else
		(void)s->ops->remove(s, name, NULL);
	return rc;
}

int vault_init_store(struct store *s, const char *url, struct err *e)
{
	struct vault v;
	char text[256], created[TIME_TEXT];
	bool fence = false;
	uint64_t size;
	int rc = s->ops->size(s, MARKER, &size, e);

	if (rc == -PS_NOINPUT) {
		rc = probe_fence(s, &fence, e);
		if (rc < 0)
			return rc;
		format_time(time_now_ns() / NS_PER_S * NS_PER_S, created);
		snprintf(text, sizeof(text),
			 "{\"format\": \"" FORMAT "\", \"version\": %d, "
			 "\"single_writer\": %s, \"created\": \"%s\"}\n",
			 FORMAT_VERSION, fence ? "false" : "true", created);
		rc = store_put_text(s, MARKER, text, e);
		if (rc == 0)
			return 0;
	}
	/* It is there, perhaps since a moment ago. */
	if (rc == 0 || rc == -PS_NO)
		rc = vault_attach(&v, s, url, e);
	return rc < 0 ? rc : s->ops->confirm(s, MARKER, e);
}

int vault_init(const char *url, struct err *e)
{
	struct store *s;
	int rc = store_open(&s, url, 1, e);

	if (rc < 0)
		return rc;
	rc = vault_init_store(s, url, e);
	store_close(s);
	return rc;
}

/* ---- names ---- */

void vault_name(const char *machine, const char *disk,
		const struct vault_cover *c, char out[VAULT_NAME_SIZE])
{
	int n = snprintf(out, VAULT_NAME_SIZE, "%s/%s/%020llu", machine, disk,
			 (unsigned long long)c->seq);

	if (c->first != c->seq)
		snprintf(out + n, VAULT_NAME_SIZE - (size_t)n, ".%020llu",
			 (unsigned long long)c->first);
}

/* SEQ_DIGITS digits; false when there are others or too large a number. */
static bool parse_seq(const char *p, uint64_t *ret)
{
	uint64_t v = 0;
	int i;

	for (i = 0; i < SEQ_DIGITS; i++) {
		if (p[i] < '0' || p[i] > '9' || mul_overflows(v, 10, &v) ||
		    add_overflows(v, (uint64_t)(p[i] - '0'), &v))
			return false;
	}
	*ret = v;
	return v > 0;
}

bool vault_parse_name(const char *name, struct vault_cover *ret)
{
	size_t len = strlen(name);

	if (len == SEQ_DIGITS && parse_seq(name, &ret->seq)) {
		ret->first = ret->seq;
		return true;
	}
	return len == 2 * SEQ_DIGITS + 1 && name[SEQ_DIGITS] == '.' &&
	       parse_seq(name, &ret->seq) &&
	       parse_seq(name + SEQ_DIGITS + 1, &ret->first) &&
	       ret->first < ret->seq;
}

struct covers_ctx {
	struct vault_covers all;
	size_t cap;
};

static int add_cover(void *ctx, const struct store_entry *en, struct err *e)
{
	struct covers_ctx *c = ctx;
	struct vault_cover cover;

	if (en->is_dir || !vault_parse_name(en->name, &cover))
		return 0;
	cover.size = en->size;
	cover.tag = en->tag;
	if (c->all.n == c->cap) {
		size_t cap = 2 * c->cap + 64;
		struct vault_cover *grown =
		    realloc(c->all.items, cap * sizeof(*grown));

		if (grown == NULL)
			return err_sys(e, PS_TEMPFAIL, "list of the vault");
		c->all.items = grown;
		c->cap = cap;
	}
	c->all.items[c->all.n++] = cover;
	return 0;
}

static int by_cover(const void *a, const void *b)
{
	const struct vault_cover *x = a, *y = b;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

int vault_covers(struct vault *v, const char *machine, const char *disk,
		 struct vault_covers *ret, struct err *e)
{
	struct covers_ctx c = {0};
	char dir[2 * NAME_SIZE];
	int rc;

	snprintf(dir, sizeof(dir), "%s/%s", machine, disk);
	rc = v->store->ops->list(v->store, dir, add_cover, &c, e);
	if (rc < 0) {
		free(c.all.items);
		return rc;
	}
	if (c.all.n > 0)
		qsort(c.all.items, c.all.n, sizeof(*c.all.items), by_cover);
	*ret = c.all;
	return 0;
}

void vault_covers_free(struct vault_covers *c)
{
	free(c->items);
	*c = (struct vault_covers){0};
}

struct disks_ctx {
	struct vault *v;
	const char *machine;
	vault_disk_fn *fn;
	void *ctx;
};

static int visit_disk(void *ctx, const struct store_entry *en, struct err *e)
{
	struct disks_ctx *d = ctx;

	return en->is_dir ? d->fn(d->ctx, d->machine, en->name, e) : 0;
}

static int visit_machine(void *ctx, const struct store_entry *en, struct err *e)
{
	struct disks_ctx *d = ctx;

	if (!en->is_dir)
		return 0;
	d->machine = en->name;
	return d->v->store->ops->list(d->v->store, en->name, visit_disk, d, e);
}

int vault_disks(struct vault *v, const char *machine, vault_disk_fn *fn,
		void *ctx, struct err *e)
{
	struct disks_ctx d = {v, machine, fn, ctx};

	const struct store_entry one = {.name = machine, .is_dir = true};

	if (machine != NULL)
		return visit_machine(&d, &one, e);
	return v->store->ops->list(v->store, "", visit_machine, &d, e);
}

/* ---- objects ---- */

static int fetch(void *ctx, uint64_t pos, void *buf, size_t n, struct err *e)
{
	struct vault_object *o = ctx;

	int rc;

	if (o->memo != NULL &&
	    tail_memo_read(o->memo, o->seg.size, pos, buf, n))
		return 0;
	rc = o->store->ops->read(o->store, o->name, pos, buf, n, e);
	if (rc == 0 && o->memo != NULL)
		tail_memo_note(o->memo, o->seg.size, pos, buf, n);
	return rc;
}

int vault_object_open(struct vault *v, const char *machine, const char *disk,
		      const struct vault_cover *cover,
		      const struct keyring *keys, struct vault_object **ret,
		      struct err *e)
{
	return vault_object_open_memo(v, machine, disk, cover, keys, NULL, ret,
				      e);
}

int vault_object_open_memo(struct vault *v, const char *machine,
			   const char *disk, const struct vault_cover *cover,
			   const struct keyring *keys, struct tail_memo *memo,
			   struct vault_object **ret, struct err *e)
{
	struct vault_object *o = calloc(1, sizeof(*o));
	const struct seg_header *h;
	int rc;

	if (o == NULL)
		return err_sys(e, PS_TEMPFAIL, "vault object");
	o->store = v->store;
	o->memo = memo;
	vault_name(machine, disk, cover, o->name);
	rc = seg_object_open(&o->seg, fetch, o, cover->size, keys, e);
	if (rc < 0) {
		/* What the store says begins with it. */
		if (e != NULL && strncmp(e->msg, o->name, strlen(o->name)) != 0)
			err_prefix(e, "%s", o->name);
		free(o);
		return rc;
	}
	h = &o->seg.header;
	if (strcmp(h->machine, machine) != 0 || strcmp(h->disk, disk) != 0 ||
	    h->seq != cover->seq || h->first_seq != cover->first) {
		rc = err_set(e, PS_DATA,
			     "%s: holds another segment: %s/%s, %llu to %llu",
			     o->name, h->machine, h->disk,
			     (unsigned long long)h->first_seq,
			     (unsigned long long)h->seq);
		vault_object_close(o);
		return rc;
	}
	o->memo = NULL;
	if (memo != NULL)
		tail_memo_trim(memo, o->seg.trailer.dir_len +
					 o->seg.trailer.trailer_len);
	*ret = o;
	return 0;
}

void vault_object_close(struct vault_object *o)
{
	if (o == NULL)
		return;
	seg_object_close(&o->seg);
	free(o);
}

int vault_digest_of(const struct seg_header *h, const struct seg_trailer *t,
		    uint64_t seq, uint8_t ret[SHA256_LEN])
{
	uint32_t i;

	if (h->first_seq == h->seq) {
		if (seq != h->seq)
			return -PS_NO;
		memcpy(ret, t->digest, SHA256_LEN);
		return 0;
	}
	for (i = 0; i < t->nreplaced; i++) {
		if (t->replaced[i].seq == seq) {
			memcpy(ret, t->replaced[i].digest, SHA256_LEN);
			return 0;
		}
	}
	return -PS_NO;
}

static int head_once(struct vault *v, const char *machine, const char *disk,
		     uint64_t *ret_seq, uint8_t ret_digest[SHA256_LEN],
		     struct err *e)
{
	struct vault_covers c;
	struct vault_object *o;
	int rc = vault_covers(v, machine, disk, &c, e);

	if (rc < 0)
		return rc;
	if (c.n == 0) {
		*ret_seq = 0;
		memset(ret_digest, 0, SHA256_LEN);
		return 0;
	}
	/* The last one is the narrowest: the segment itself if it is there. */
	rc =
	    vault_object_open(v, machine, disk, &c.items[c.n - 1], NULL, &o, e);
	if (rc == 0) {
		uint64_t seq = c.items[c.n - 1].seq;

		rc = vault_digest_of(&o->seg.header, &o->seg.trailer, seq,
				     ret_digest);
		if (rc < 0)
			rc = err_set(e, PS_DATA,
				     "%s: its last digest is missing", o->name);
		else
			*ret_seq = seq;
		vault_object_close(o);
	}
	vault_covers_free(&c);
	return rc;
}

int vault_head(struct vault *v, const char *machine, const char *disk,
	       uint64_t *ret_seq, uint8_t ret_digest[SHA256_LEN], struct err *e)
{
	int i, rc = -PS_NOINPUT;

	for (i = 0; i < PLANS && rc == -PS_NOINPUT; i++)
		rc = head_once(v, machine, disk, ret_seq, ret_digest, e);
	return rc;
}
