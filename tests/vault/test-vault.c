/* A vault: its marker, its names, its head, its objects. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "place.h"
#include "vault/tails.h"

static void write_file(const struct place *p, const char *name,
		       const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
	close(fd);
}

/* ---- the marker ---- */

static void init_twice_is_success(void **state)
{
	struct place *p = *state;
	struct vault v;

	assert_int_equal(vault_init(p->dir, NULL), 0);
	assert_int_equal(vault_open(&v, p->dir, NULL), 0);
	assert_false(v.single_writer);
	vault_close(&v);
}

static int count_name(void *ctx, const struct store_entry *en, struct err *e)
{
	(void)en;
	(void)e;
	++*(unsigned *)ctx;
	return 0;
}

static void init_leaves_nothing_but_the_marker(void **state)
{
	struct place *p = *state;
	unsigned n = 0;

	assert_int_equal(
	    p->v.store->ops->list(p->v.store, "", count_name, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_int_equal(segs_leftovers(p->dir), 0);
}

static void a_folder_without_marker_is_no_vault(void **state)
{
	struct place *p = *state;
	struct vault v;
	struct err e = {0};

	assert_int_equal(
	    p->v.store->ops->remove(p->v.store, "vault.json", NULL), 0);
	assert_int_equal(vault_open(&v, p->dir, &e), -PS_CONFIG);
	assert_non_null(strstr(e.hint, "ps-vault init"));
}

static void a_vault_that_is_not_there_is_not_found(void **state)
{
	struct vault v;

	(void)state;
	assert_int_equal(vault_open(&v, "/nonexistent/vault", NULL),
			 -PS_NOINPUT);
}

static void a_damaged_or_newer_marker_is_refused(void **state)
{
	static const char *const markers[] = {
	    "",
	    "{}",
	    "[1]",
	    "{\"format\": \"ps-vault\"",
	    "{\"format\": \"other\", \"version\": 1, \"single_writer\": false}",
	    "{\"format\": \"ps-vault\", \"version\": 2, "
	    "\"single_writer\": false}",
	};
	struct place *p = *state;
	struct vault v;
	size_t i;

	for (i = 0; i < sizeof(markers) / sizeof(markers[0]); i++) {
		write_file(p, "vault.json", markers[i]);
		assert_int_equal(vault_open(&v, p->dir, NULL), -PS_CONFIG);
		assert_int_equal(vault_init(p->dir, NULL), -PS_CONFIG);
	}
}

/* ---- a store around another one ---- */

struct wrap {
	struct store store;
	struct store *inner;
	void (*after_list)(void *ctx); /* once */
	void *ctx;
};

static struct store *inner_of(struct store *s)
{
	return ((struct wrap *)s)->inner;
}

static int wrap_list(struct store *s, const char *dir, store_list_fn *fn,
		     void *ctx, struct err *e)
{
	struct wrap *w = (struct wrap *)s;
	int rc = store_file.list(w->inner, dir, fn, ctx, e);

	if (w->after_list != NULL) {
		void (*hook)(void *) = w->after_list;

		w->after_list = NULL;
		hook(w->ctx);
	}
	return rc;
}

static int wrap_size(struct store *s, const char *name, uint64_t *ret,
		     struct err *e)
{
	return store_file.size(inner_of(s), name, ret, e);
}

static int wrap_read(struct store *s, const char *name, uint64_t pos, void *buf,
		     size_t n, struct err *e)
{
	return store_file.read(inner_of(s), name, pos, buf, n, e);
}

/* A store that lets the last writer win. */
static int careless_begin(struct store *s, const char *name,
			  struct store_put **ret, struct err *e)
{
	store_file.remove(inner_of(s), name, NULL);
	return store_file.put_begin(inner_of(s), name, ret, e);
}

static int wrap_confirm(struct store *s, const char *name, struct err *e)
{
	return store_file.confirm(inner_of(s), name, e);
}

static int wrap_remove(struct store *s, const char *name, struct err *e)
{
	return store_file.remove(inner_of(s), name, e);
}

static struct store_ops wrap_ops = {
    .scheme = "wrap",
    .list = wrap_list,
    .size = wrap_size,
    .read = wrap_read,
    .put_begin = careless_begin,
    .confirm = wrap_confirm,
    .remove = wrap_remove,
};

static void wrap_begin(struct wrap *w, struct place *p)
{
	wrap_ops.put_write = store_file.put_write;
	wrap_ops.put_commit = store_file.put_commit;
	wrap_ops.put_abort = store_file.put_abort;
	*w = (struct wrap){.store = {&wrap_ops}, .inner = p->v.store};
}

static void a_store_that_replaces_makes_a_single_writer_vault(void **state)
{
	struct place *p = *state;
	struct wrap w;
	struct vault v;

	wrap_begin(&w, p);
	assert_int_equal(
	    p->v.store->ops->remove(p->v.store, "vault.json", NULL), 0);
	assert_int_equal(vault_init_store(&w.store, "wrap", NULL), 0);
	assert_int_equal(vault_attach(&v, &w.store, "wrap", NULL), 0);
	assert_true(v.single_writer);
}

/* ---- names ---- */

static void names_come_back_as_they_went(void **state)
{
	static const struct vault_cover covers[] = {
	    {.first = 1, .seq = 1},
	    {.first = 1, .seq = 7},
	    {.first = UINT64_MAX, .seq = UINT64_MAX}};
	struct vault_cover c;
	char name[VAULT_NAME_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		vault_name("m", "d", &covers[i], name);
		assert_true(vault_parse_name(name + 4, &c));
		assert_int_equal(c.seq, covers[i].seq);
		assert_int_equal(c.first, covers[i].first);
	}
	vault_name("m", "d", &covers[1], name);
	assert_string_equal(name,
			    "m/d/00000000000000000007.00000000000000000001");
}

static void other_names_are_foreign(void **state)
{
	static const char *const names[] = {
	    "",
	    "1",
	    "00000000000000000000",
	    "0000000000000000000x",
	    "000000000000000000001",
	    "18446744073709551616",
	    "00000000000000000001.",
	    "00000000000000000001.00000000000000000001",
	    "00000000000000000001.00000000000000000002",
	    "00000000000000000002.00000000000000000000",
	    "00000000000000000002-00000000000000000001",
	    "00000000000000000002.00000000000000000001x"};
	struct vault_cover c;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(vault_parse_name(names[i], &c));
}

static void covers_are_sorted_widest_first(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];
	struct vault_covers c;

	seg_chain(&p->v, 4, d);
	seg_merged(&p->v, 2, 3, d);
	seg_merged(&p->v, 1, 3, d);
	write_file(p, "web01/root/README", "foreign");
	assert_int_equal(vault_covers(&p->v, "web01", "root", &c, NULL), 0);
	assert_int_equal(c.n, 6);
	assert_int_equal(c.items[2].seq, 3);
	assert_int_equal(c.items[2].first, 1);
	assert_int_equal(c.items[3].first, 2);
	assert_int_equal(c.items[4].first, 3);
	assert_true(c.items[4].size > SEGS_BLOCK);
	vault_covers_free(&c);
	assert_int_equal(vault_covers(&p->v, "web01", "none", &c, NULL), 0);
	assert_int_equal(c.n, 0);
	vault_covers_free(&c);
}

/* ---- head ---- */

static void the_head_of_an_empty_disk_is_zero(void **state)
{
	static const uint8_t zeros[SHA256_LEN];
	struct place *p = *state;
	uint8_t digest[SHA256_LEN] = {1};
	uint64_t seq = 9;

	assert_int_equal(vault_head(&p->v, "web01", "root", &seq, digest, NULL),
			 0);
	assert_int_equal(seq, 0);
	assert_memory_equal(digest, zeros, SHA256_LEN);
}

static void has_head(struct place *p, uint64_t seq,
		     const uint8_t want[SHA256_LEN])
{
	uint8_t digest[SHA256_LEN];
	uint64_t got;

	assert_int_equal(vault_head(&p->v, "web01", "root", &got, digest, NULL),
			 0);
	assert_int_equal(got, seq);
	assert_memory_equal(digest, want, SHA256_LEN);
}

static void the_head_is_the_last_segment(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 3, d);
	has_head(p, 3, d[3]);
}

static void the_head_keeps_its_digest_when_it_is_merged(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 3, d);
	seg_merged(&p->v, 1, 3, d);
	has_head(p, 3, d[3]);
	place_remove(p, 3, 3);
	has_head(p, 3, d[3]);
}

struct retire {
	struct place *p;
	uint8_t (*d)[SHA256_LEN];
};

/* Retention, between a reader's listing and its reading. */
static void retire(void *ctx)
{
	struct retire *r = ctx;

	seg_merged(&r->p->v, 1, 3, r->d);
	place_remove(r->p, 3, 3);
	place_remove(r->p, 2, 2);
	place_remove(r->p, 1, 1);
}

static void a_reader_plans_again_when_an_object_went_away(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN], digest[SHA256_LEN];
	struct retire r = {p, d};
	struct wrap w;
	struct vault v;
	struct tails t;
	uint64_t seq;

	seg_chain(&p->v, 3, d);
	wrap_begin(&w, p);
	v = (struct vault){.store = &w.store};
	w.ctx = &r;
	w.after_list = retire;
	assert_int_equal(vault_head(&v, "web01", "root", &seq, digest, NULL),
			 0);
	assert_int_equal(seq, 3);
	assert_memory_equal(digest, d[3], SHA256_LEN);
	place_remove(p, 1, 3);
	seg_chain(&p->v, 3, d);
	w.after_list = retire;
	assert_int_equal(tails_load(&v, "web01", "root", NULL, &t, NULL), 0);
	assert_int_equal(t.n, 1);
	assert_true(t.items[0].covered);
	tails_free(&t);
}

/* ---- objects ---- */

static void an_object_under_anothers_name_is_damage(void **state)
{
	struct place *p = *state;
	struct vault_cover c = {.first = 2, .seq = 2};
	struct vault_object *o;
	struct spec s = {.seq = 1};
	struct bytes b = {0};
	uint8_t d[SHA256_LEN];
	struct store_put *w;

	seg_make(&b, &s, d);
	c.size = b.n;
	assert_int_equal(
	    p->v.store->ops->put_begin(
		p->v.store, "web01/root/00000000000000000002", &w, NULL),
	    0);
	assert_int_equal(p->v.store->ops->put_write(w, b.p, b.n, NULL), 0);
	assert_int_equal(p->v.store->ops->put_commit(w, NULL), 0);
	assert_int_equal(
	    vault_object_open(&p->v, "web01", "root", &c, NULL, &o, NULL),
	    -PS_DATA);
	bytes_free(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, place_begin, place_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(init_twice_is_success),
	    T(init_leaves_nothing_but_the_marker),
	    T(a_folder_without_marker_is_no_vault),
	    T(a_vault_that_is_not_there_is_not_found),
	    T(a_damaged_or_newer_marker_is_refused),
	    T(a_store_that_replaces_makes_a_single_writer_vault),
	    T(names_come_back_as_they_went),
	    T(other_names_are_foreign),
	    T(covers_are_sorted_widest_first),
	    T(the_head_of_an_empty_disk_is_zero),
	    T(the_head_is_the_last_segment),
	    T(the_head_keeps_its_digest_when_it_is_merged),
	    T(a_reader_plans_again_when_an_object_went_away),
	    T(an_object_under_anothers_name_is_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
