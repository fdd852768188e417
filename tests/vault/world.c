#include "config.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/digest.h"
#include "segment/writer.h"
#include "world.h"

#define MACHINE "web01"
#define DISK "root"

/* ---- the store ---- */

static struct world *of(struct store *s)
{
	return (struct world *)(void *)s;
}

static struct world_object *find(struct world *w, const char *name)
{
	unsigned i;

	for (i = 0; i < w->nobjects; i++)
		if (strcmp(w->objects[i].name, name) == 0)
			return &w->objects[i];
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct world_object *)a)->name,
		      ((const struct world_object *)b)->name);
}

/* Only the folder of the one disk is ever listed by the code under test. */
static int mem_list(struct store *s, const char *dir, store_list_fn *fn,
		    void *ctx, struct err *e)
{
	struct world *w = of(s);
	unsigned i;
	int rc = 0;

	assert_string_equal(dir, MACHINE "/" DISK);
	qsort(w->objects, w->nobjects, sizeof(*w->objects), by_name);
	for (i = 0; rc == 0 && i < w->nobjects; i++)
		rc = fn(
		    ctx,
		    &(struct store_entry){.name = w->objects[i].name +
						  strlen(MACHINE "/" DISK "/"),
					  .size = w->objects[i].n},
		    e);
	return rc;
}

static int mem_read(struct store *s, const char *name, uint64_t pos, void *buf,
		    size_t n, struct err *e)
{
	struct world *w = of(s);
	const struct world_object *o;
	int rc = 0;

	pthread_mutex_lock(&w->lock);
	if (++w->reads == w->trip_at)
		w->trip(w);
	w->read_bytes += n;
	o = find(w, name);
	if (o == NULL)
		rc = err_set(e, PS_NOINPUT, "%s: gone", name);
	else if (pos > o->n || n > o->n - pos)
		rc = err_set(e, PS_DATA, "%s: cut short", name);
	else
		memcpy(buf, o->p + pos, n);
	pthread_mutex_unlock(&w->lock);
	return rc;
}

static const struct store_ops ops = {
    .scheme = "memory", .list = mem_list, .read = mem_read};

/* ---- the model ---- */

void world_new(struct world *w, uint32_t block_size, uint64_t max_size)
{
	memset(w, 0, sizeof(*w));
	pthread_mutex_init(&w->lock, NULL);
	w->store.ops = &ops;
	w->vault.store = &w->store;
	w->block_size = block_size;
	w->blocks = seg_blocks(max_size, block_size);
	w->record_blocks = SEG_RECORD_RAW_MAX / block_size;
	w->states[0] = calloc(w->blocks + 1, 1);
	w->known_digests = malloc((w->blocks + 1) * BLOCK_DIGEST_LEN);
	w->known_seeds = calloc(w->blocks + 1, 1);
}

void world_free(struct world *w)
{
	unsigned i;

	for (i = 0; i < WORLD_SEGMENTS; i++) {
		free(w->states[i]);
		free(w->touched[i]);
	}
	free(w->known_digests);
	free(w->known_seeds);
	for (i = 0; i < w->nobjects; i++)
		free(w->objects[i].p);
}

void world_begin(struct world *w, uint64_t size)
{
	w->seq++;
	assert_true(w->seq < WORLD_SEGMENTS);
	w->sizes[w->seq] = size;
	w->states[w->seq] = malloc(w->blocks + 1);
	w->touched[w->seq] = calloc(w->blocks + 1, 1);
	memcpy(w->states[w->seq], w->states[w->seq - 1], w->blocks);
}

void world_write(struct world *w, uint64_t first, uint64_t n, uint8_t seed)
{
	memset(w->states[w->seq] + first, seed, n);
	memset(w->touched[w->seq] + first, 1, n);
}

static uint64_t block_len(const struct world *w, uint64_t seq, uint64_t b)
{
	uint64_t left = w->sizes[seq] - b * w->block_size;

	return left < w->block_size ? left : w->block_size;
}

/* A block depends on its place, so that swapped ones are seen. */
void world_block(const struct world *w, uint64_t seq, uint64_t b, uint8_t *out)
{
	uint64_t len = block_len(w, seq, b), i;
	uint8_t seed = w->states[seq][b];

	if (seed == 0)
		memset(out, 0, len);
	for (i = 0; seed != 0 && i < len; i += 64)
		memset(out + i, (int)(seed + b * 7 + i / 64 + 1),
		       len - i < 64 ? len - i : 64);
	if (w->tail_len != 0 && b == w->tail_block && len > w->tail_len)
		memset(out + w->tail_len, 0, len - w->tail_len);
}

/* The digest of a block that is not zero. */
static void digest_block(struct world *w, uint64_t seq, uint64_t b,
			 uint8_t *space, uint8_t *out)
{
	uint64_t len = block_len(w, seq, b);
	bool whole =
	    len == w->block_size && (w->tail_len == 0 || b != w->tail_block);
	uint8_t *known = w->known_digests + b * BLOCK_DIGEST_LEN;

	if (!whole || w->known_seeds[b] != w->states[seq][b]) {
		world_block(w, seq, b, space);
		block_digest(space, len, w->block_size, out);
		if (!whole)
			return;
		memcpy(known, out, BLOCK_DIGEST_LEN);
		w->known_seeds[b] = w->states[seq][b];
	}
	memcpy(out, known, BLOCK_DIGEST_LEN);
}

void world_digest(struct world *w, uint64_t seq, uint8_t out[SHA256_LEN])
{
	uint64_t size = w->sizes[seq], ngroups = disk_groups(size), g, b = 0;
	uint8_t *groups = malloc((ngroups + 1) * SHA256_LEN);
	uint8_t *block = malloc(w->block_size);
	uint8_t *entries =
	    calloc(disk_group_blocks(w->block_size), BLOCK_DIGEST_LEN);

	for (g = 0; g < ngroups; g++) {
		uint32_t n = disk_blocks_in_group(size, w->block_size, g), i;

		memset(entries, 0, (size_t)n * BLOCK_DIGEST_LEN);
		for (i = 0; i < n; i++, b++) {
			if (w->states[seq][b] != 0)
				digest_block(w, seq, b, block,
					     entries + i * BLOCK_DIGEST_LEN);
		}
		disk_group_digest(entries, n, groups + g * SHA256_LEN);
	}
	disk_digest_of(size, w->block_size, groups, out);
	free(groups);
	free(block);
	free(entries);
}

void world_compare(const struct world *w, uint64_t seq, int fd)
{
	uint8_t *want = malloc(w->block_size), *got = malloc(w->block_size);
	uint64_t b, n = seg_blocks(w->sizes[seq], w->block_size);
	uint64_t data = 0; /* what is before is known to be a hole */
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, w->sizes[seq]);
	for (b = 0; b < n; b++) {
		uint64_t len = block_len(w, seq, b), at = b * w->block_size;

		world_block(w, seq, b, want);
		if (at >= data) {
			off_t next = lseek(fd, (off_t)at, SEEK_DATA);

			data = next < 0 ? UINT64_MAX : (uint64_t)next;
		}
		if (at + len <= data)
			memset(got, 0, len);
		else
			assert_int_equal(io_pread_full(fd, got, len, at), len);
		if (memcmp(want, got, len) != 0)
			fail_msg("block %llu differs", (unsigned long long)b);
	}
	free(want);
	free(got);
}

/* ---- segments ---- */

static int sink(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct world_object *o = ctx;

	(void)e;
	if (o->n + n > o->cap) {
		o->cap = 2 * (o->n + n);
		o->p = realloc(o->p, o->cap);
	}
	memcpy(o->p + o->n, buf, n);
	o->n += n;
	return 0;
}

static void put_record(const struct world *w, struct seg_writer *sw,
		       uint64_t seq, uint64_t first, uint64_t n)
{
	uint8_t *data = malloc(n * w->block_size);
	uint8_t digests[256 * BLOCK_DIGEST_LEN];
	uint64_t len = 0, b;

	for (b = first; b < first + n; b++) {
		world_block(w, seq, b, data + len);
		block_digest(data + len, block_len(w, seq, b), w->block_size,
			     digests + (b - first) * BLOCK_DIGEST_LEN);
		len += block_len(w, seq, b);
	}
	assert_int_equal(seg_writer_data(sw, first * w->block_size, len,
					 SEG_STORE, data, (uint32_t)len,
					 digests, NULL),
			 0);
	free(data);
}

/* Everything that `touched` names, as it is after seq. */
static void put_records(const struct world *w, struct seg_writer *sw,
			uint64_t seq, const uint8_t *touched)
{
	uint64_t n = seg_blocks(w->sizes[seq], w->block_size), b = 0, end;

	while (b < n) {
		bool zero = w->states[seq][b] == 0;

		if (!touched[b]) {
			b++;
			continue;
		}
		for (end = b; end < n && touched[end] &&
			      (w->states[seq][end] == 0) == zero &&
			      (zero || end - b < w->record_blocks);
		     end++)
			;
		if (zero) {
			uint64_t len = (end - b) * w->block_size;

			if (end == n)
				len = w->sizes[seq] - b * w->block_size;
			assert_int_equal(
			    seg_writer_zero(sw, b * w->block_size, len, NULL),
			    0);
		} else {
			put_record(w, sw, seq, b, end - b);
		}
		b = end;
	}
}

static void put_object(struct world *w, uint64_t first, uint64_t seq,
		       enum seg_kind kind, bool last, const uint8_t *touched)
{
	struct world_object *o = &w->objects[w->nobjects++];
	struct vault_cover cover = {.first = first, .seq = seq};
	struct seg_header h = {
	    .kind = (uint8_t)kind,
	    .consistency = SEG_CONSISTENCY_CRASH,
	    .part = 1,
	    .block_size = w->block_size,
	    .disk_size = w->sizes[seq],
	    .first_seq = first,
	    .seq = seq,
	    .machine = MACHINE,
	    .disk = DISK,
	    .bookmark = "p",
	};
	struct seg_member member = {.machine = MACHINE, .disk = DISK};
	struct seg_replaced replaced[16];
	struct seg_trailer t = {.last_part = last,
				.members = &member,
				.nmembers = last ? 1 : 0,
				.replaced = replaced};
	uint8_t digest[SHA256_LEN];
	struct seg_writer *sw;
	const uint8_t *tail;
	struct io_out out;
	size_t len;
	uint64_t i;

	assert_true(w->nobjects <= WORLD_OBJECTS);
	memset(o, 0, sizeof(*o));
	vault_name(MACHINE, DISK, &cover, o->name);
	memcpy(h.prev, w->digests[first - 1], SHA256_LEN);
	for (i = first; first != seq && i <= seq; i++) {
		replaced[t.nreplaced].seq = i;
		memcpy(replaced[t.nreplaced++].digest, w->digests[i],
		       SHA256_LEN);
	}
	world_digest(w, seq, digest);
	digest[0] ^= w->lie;
	assert_int_equal(io_out_open(&out, sink, o, "object", NULL), 0);
	assert_int_equal(seg_writer_new(&sw, &out, NULL), 0);
	assert_int_equal(seg_writer_begin(sw, &h, NULL), 0);
	put_records(w, sw, seq, touched);
	assert_int_equal(
	    seg_writer_tail(sw, &t, last ? digest : NULL, &tail, &len, NULL),
	    0);
	assert_int_equal(seg_writer_end(sw, NULL), 0);
	if (first == seq)
		memcpy(w->digests[seq], t.digest, SHA256_LEN);
	seg_writer_free(sw);
	io_out_close(&out);
}

void world_end(struct world *w, enum seg_kind kind, bool last_part)
{
	put_object(w, w->seq, w->seq, kind, last_part, w->touched[w->seq]);
}

void world_merge(struct world *w, uint64_t first, uint64_t seq,
		 enum seg_kind kind)
{
	uint8_t *touched = calloc(w->blocks + 1, 1);
	uint64_t i, b;

	for (i = first; i <= seq; i++)
		for (b = 0; b < w->blocks; b++)
			touched[b] |= w->touched[i][b];
	put_object(w, first, seq, kind, true, touched);
	free(touched);
}

struct world_object *world_object(struct world *w, uint64_t first, uint64_t seq)
{
	struct vault_cover cover = {.first = first, .seq = seq};
	char name[VAULT_NAME_SIZE];

	vault_name(MACHINE, DISK, &cover, name);
	return find(w, name);
}

void world_remove(struct world *w, uint64_t first, uint64_t seq)
{
	struct world_object *o = world_object(w, first, seq);

	assert_non_null(o);
	free(o->p);
	*o = w->objects[--w->nobjects];
}
