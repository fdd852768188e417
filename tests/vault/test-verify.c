/* Verify finds every flipped bit, and says what it costs. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "segment/keyring.h"
#include "segment/transform.h"
#include "segs.h"
#include "vault/verify.h"

struct place {
	struct vault v;
	char dir[64];
	struct keyring *keys;
	char found[1024]; /* what verify said, a line each */
	struct verify_totals totals;
};

static int begin(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	segs_vault(&p->v, p->dir);
	assert_int_equal(keyring_new(&p->keys, NULL), 0);
	assert_int_equal(keyring_add(p->keys, NULL), 0);
	*state = p;
	return 0;
}

static int end(void **state)
{
	struct place *p = *state;

	segs_vault_end(&p->v, p->dir);
	keyring_free(p->keys);
	free(p);
	return 0;
}

static void say(struct place *p, const char *what, const char *name)
{
	size_t n = strlen(p->found);

	snprintf(p->found + n, sizeof(p->found) - n, "%s %s\n", what, name);
}

static int damage(void *ctx, const char *name, const char *why, struct err *e)
{
	(void)e;
	assert_true(why[0] != '\0');
	assert_null(strstr(why, name));
	say(ctx, "damaged", name + strlen("web01/root/000000000000000000"));
	return 0;
}

static int affected(void *ctx, const char *machine, const char *disk,
		    uint64_t seq, const char *id, struct err *e)
{
	char text[128];

	(void)e;
	snprintf(text, sizeof(text), "%s/%s %llu %s", machine, disk,
		 (unsigned long long)seq, id);
	say(ctx, "lost", text);
	return 0;
}

static int foreign(void *ctx, const char *name, struct err *e)
{
	(void)e;
	say(ctx, "foreign", name);
	return 0;
}

static int verify(struct place *p, const struct keyring *keys, bool data)
{
	struct verify how = {.keys = keys,
			     .data = data,
			     .damage = damage,
			     .affected = affected,
			     .foreign = foreign,
			     .ctx = p};

	p->found[0] = '\0';
	return verify_run(&p->v, &how, &p->totals, NULL);
}

static void finds(struct place *p, const char *want)
{
	assert_int_equal(verify(p, NULL, true), 0);
	assert_string_equal(p->found, want);
	assert_int_equal(verify(p, NULL, false), 0);
	assert_string_equal(p->found, want);
}

static void remove_object(struct place *p, const char *name)
{
	assert_int_equal(p->v.store->ops->remove(p->v.store, name, NULL), 0);
}

static void flip(struct place *p, const char *name, off_t at)
{
	char path[256];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= (uint8_t)(1 << at % 8);
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* ---- what it costs ---- */

static void a_sound_vault_is_sound(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 3, d);
	finds(p, "");
	assert_int_equal(p->totals.objects, 3);
	assert_int_equal(p->totals.closed, 0);
}

static void damage_costs_every_point_behind_it(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];
	struct spec base = {.seq = 5, .base = true};

	seg_chain(&p->v, 4, d);
	memcpy(base.prev, d[4], SHA256_LEN);
	seg_put(&p->v, &base, d[5]);
	flip(p, "web01/root/00000000000000000002", SEG_HEADER_LEN + 100);
	finds(p, "damaged 02\n"
		 "lost web01/root 2 p2\n"
		 "lost web01/root 3 p3\n"
		 "lost web01/root 4 p4\n");
}

static void damage_beside_the_way_costs_nothing(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 4, d);
	seg_merged(&p->v, 1, 3, d);
	flip(p, "web01/root/00000000000000000003", SEG_HEADER_LEN + 100);
	finds(p, "damaged 03\n");
}

static void a_missing_segment_is_damage(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 4, d);
	remove_object(p, "web01/root/00000000000000000002");
	finds(p, "damaged 03\n"
		 "lost web01/root 3 p3\n"
		 "lost web01/root 4 p4\n");
}

static void a_segment_of_another_history_is_damage(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];
	struct spec s = {.seq = 2};

	seg_chain(&p->v, 3, d);
	remove_object(p, "web01/root/00000000000000000002");
	memset(s.prev, 5, SHA256_LEN);
	seg_put(&p->v, &s, d[2]);
	finds(p, "damaged 02\n"
		 "damaged 03\n"
		 "lost web01/root 2 p2\n"
		 "lost web01/root 3 p3\n");
}

/* The block is not what its digest says, although every CRC is right. */
static void only_data_finds_a_block_that_never_was_right(void **state)
{
	struct place *p = *state;
	struct spec s = {.seq = 1};
	uint8_t raw[36 + 2 * SEGS_BLOCK], d[SHA256_LEN];
	const char *name = "web01/root/00000000000000000001";
	struct seg_record rec;
	char path[256];
	int fd;

	seg_put(&p->v, &s, d);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	fd = open(path, O_RDWR);
	assert_int_equal(io_pread_full(fd, raw, sizeof(raw), SEG_HEADER_LEN),
			 sizeof(raw));
	assert_int_equal(seg_record_unpack(&rec, raw, NULL), 0);
	raw[SEG_RECORD_LEN + 9] ^= 1;
	rec.payload_crc = crc32c(0, raw + SEG_RECORD_LEN, rec.stored_len);
	seg_record_pack(&rec, raw);
	assert_int_equal(io_pwrite_full(fd, raw, sizeof(raw), SEG_HEADER_LEN),
			 0);
	close(fd);
	assert_int_equal(verify(p, NULL, false), 0);
	assert_string_equal(p->found, "");
	assert_int_equal(verify(p, NULL, true), 0);
	assert_string_equal(p->found, "damaged 01\nlost web01/root 1 p1\n");
}

static void make(struct place *p, const char *name, bool folder)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	if (folder) {
		assert_int_equal(mkdir(path, 0700), 0);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void foreign_names_are_told(void **state)
{
	struct place *p = *state;
	uint8_t d[8][SHA256_LEN];

	seg_chain(&p->v, 1, d);
	make(p, "probe-1", false);
	make(p, "web01/notes", false);
	make(p, "web01/root/1", false);
	make(p, "web01/root/sub", true);
	finds(p, "foreign probe-1\n"
		 "foreign web01/notes\n"
		 "foreign web01/root/1\n"
		 "foreign web01/root/sub\n");
	assert_int_equal(p->totals.damaged, 0);
}

/* ---- every bit ---- */

static uint64_t size_of(struct place *p, const char *name)
{
	uint64_t size;

	assert_int_equal(p->v.store->ops->size(p->v.store, name, &size, NULL),
			 0);
	return size;
}

static void every_flip_is_found(struct place *p, const struct keyring *keys,
				bool data)
{
	const char *name = "web01/root/00000000000000000001";
	uint64_t size = size_of(p, name), at;

	assert_int_equal(verify(p, keys, data), 0);
	assert_int_equal(p->totals.damaged, 0);
	/* Payloads are long and all alike: every seventh byte of them. */
	for (at = 0;
	     at<size; at += at> SEG_HEADER_LEN + 64 && at < 8192 ? 7 : 1) {
		flip(p, name, (off_t)at);
		assert_int_equal(verify(p, keys, data), 0);
		if (p->totals.damaged != 1)
			fail_msg("bit at byte %d not found", (int)at);
		flip(p, name, (off_t)at);
	}
	assert_int_equal(verify(p, keys, data), 0);
	assert_int_equal(p->totals.damaged, 0);
}

static void put_one(struct place *p)
{
	struct spec s = {.seq = 1};
	uint8_t d[SHA256_LEN];

	seg_put(&p->v, &s, d);
}

static int sink(void *ctx, const void *buf, size_t n, struct err *e)
{
	return store_file.put_write(ctx, buf, n, e);
}

struct source {
	struct bytes b;
	size_t pos;
};

static ssize_t source(void *ctx, void *buf, size_t n, struct err *e)
{
	struct source *s = ctx;

	(void)e;
	if (n > s->b.n - s->pos)
		n = s->b.n - s->pos;
	memcpy(buf, s->b.p + s->pos, n);
	s->pos += n;
	return (ssize_t)n;
}

static void put_sealed(struct place *p)
{
	struct transform t = {
	    .kind = TRANSFORM_SEAL, .keys = p->keys, .threads = 1};
	struct spec s = {.seq = 1};
	struct source from = {0};
	struct store_put *w;
	struct io_in in;
	struct io_out out;
	struct transform_totals totals;
	uint8_t d[SHA256_LEN];

	seg_make(&from.b, &s, d);
	assert_int_equal(
	    p->v.store->ops->put_begin(
		p->v.store, "web01/root/00000000000000000001", &w, NULL),
	    0);
	assert_int_equal(io_in_open(&in, source, &from, "test", NULL), 0);
	assert_int_equal(io_out_open(&out, sink, w, "test", NULL), 0);
	assert_int_equal(transform_run(&t, &in, &out, &totals, NULL), 0);
	assert_int_equal(io_out_flush(&out, NULL), 0);
	assert_int_equal(p->v.store->ops->put_commit(w, NULL), 0);
	io_in_close(&in);
	io_out_close(&out);
	bytes_free(&from.b);
}

static void every_flip_is_found_in_a_clear_object(void **state)
{
	put_one(*state);
	every_flip_is_found(*state, NULL, false);
}

static void every_flip_is_found_in_a_sealed_object_without_a_key(void **state)
{
	struct place *p = *state;

	put_sealed(p);
	every_flip_is_found(p, NULL, false);
	assert_int_equal(p->totals.closed, 1);
}

static void every_flip_is_found_in_a_sealed_object_with_its_key(void **state)
{
	struct place *p = *state;

	put_sealed(p);
	every_flip_is_found(p, p->keys, true);
	assert_int_equal(p->totals.closed, 0);
}

static void every_truncation_is_found(void **state)
{
	struct place *p = *state;
	const char *name = "web01/root/00000000000000000001";
	char path[256];
	uint64_t size;

	put_one(p);
	size = size_of(p, name);
	snprintf(path, sizeof(path), "%s/%s", p->dir, name);
	while (size > 0) {
		size -= size > 97 ? 97 : size;
		assert_int_equal(truncate(path, (off_t)size), 0);
		assert_int_equal(verify(p, NULL, false), 0);
		assert_int_equal(p->totals.damaged, 1);
	}
}

static void the_wrong_key_is_no_damage(void **state)
{
	struct place *p = *state;
	struct keyring *other;

	put_sealed(p);
	assert_int_equal(keyring_new(&other, NULL), 0);
	assert_int_equal(keyring_add(other, NULL), 0);
	assert_int_equal(verify(p, other, false), -PS_NOPERM);
	keyring_free(other);
}

#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_sound_vault_is_sound),
	    T(damage_costs_every_point_behind_it),
	    T(damage_beside_the_way_costs_nothing),
	    T(a_missing_segment_is_damage),
	    T(a_segment_of_another_history_is_damage),
	    T(only_data_finds_a_block_that_never_was_right),
	    T(foreign_names_are_told),
	    T(every_flip_is_found_in_a_clear_object),
	    T(every_flip_is_found_in_a_sealed_object_without_a_key),
	    T(every_flip_is_found_in_a_sealed_object_with_its_key),
	    T(every_truncation_is_found),
	    T(the_wrong_key_is_no_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
