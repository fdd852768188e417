#include "config.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "segment/writer.h"
#include "segs.h"

static int sink(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct bytes *b = ctx;

	(void)e;
	if (b->n + n > b->cap) {
		b->cap = 2 * (b->n + n);
		b->p = realloc(b->p, b->cap);
		assert_non_null(b->p);
	}
	memcpy(b->p + b->n, buf, n);
	b->n += n;
	return 0;
}

void bytes_free(struct bytes *b)
{
	free(b->p);
	*b = (struct bytes){0};
}

static void copy_name(char out[NAME_SIZE], const char *name, const char *other)
{
	snprintf(out, NAME_SIZE, "%s", name != NULL ? name : other);
}

static void fill_header(struct seg_header *h, const struct spec *s)
{
	uint64_t seq = s->seq != 0 ? s->seq : 1;

	*h = (struct seg_header){
	    .kind = SEG_DELTA,
	    .consistency =
		s->consistency != 0 ? s->consistency : SEG_CONSISTENCY_CRASH,
	    .part = 1,
	    .block_size = SEGS_BLOCK,
	    .disk_size = s->size != 0 ? s->size : SEGS_DISK,
	    .first_seq = s->first != 0 ? s->first : seq,
	    .seq = seq,
	    .bookmark_time = s->time != 0 ? s->time : (int64_t)seq,
	};
	if (s->base || (h->first_seq == 1 && !s->delta))
		h->kind = SEG_BASE;
	memcpy(h->prev, s->prev, SHA256_LEN);
	copy_name(h->machine, s->machine, "web01");
	copy_name(h->disk, s->disk, "root");
	snprintf(h->bookmark, NAME_SIZE, "p%llu", (unsigned long long)seq);
	if (s->bookmark != NULL)
		copy_name(h->bookmark, s->bookmark, "");
}

/* "web01/root,db/data" */
static uint32_t parse_members(const char *text, struct seg_member *out)
{
	uint32_t n = 0;

	while (*text != '\0') {
		size_t m = strcspn(text, "/"), d;

		memset(&out[n], 0, sizeof(out[n]));
		memcpy(out[n].machine, text, m);
		text += m + 1;
		d = strcspn(text, ",");
		memcpy(out[n].disk, text, d);
		text += d + (text[d] == ',');
		n++;
	}
	return n;
}

/* One data record of two blocks, one of zeros. */
static void put_records(struct seg_writer *w, unsigned fill)
{
	uint8_t data[2 * SEGS_BLOCK], digests[2 * BLOCK_DIGEST_LEN];
	size_t i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 5 + fill + 1);
	for (i = 0; i < 2; i++)
		block_digest(data + i * SEGS_BLOCK, SEGS_BLOCK, SEGS_BLOCK,
			     digests + i * BLOCK_DIGEST_LEN);
	assert_int_equal(seg_writer_data(w, SEGS_BLOCK, sizeof(data), SEG_STORE,
					 data, sizeof(data), digests, NULL),
			 0);
	assert_int_equal(
	    seg_writer_zero(w, 4 * SEGS_BLOCK, 2 * SEGS_BLOCK, NULL), 0);
}

void seg_make(struct bytes *out, const struct spec *s,
	      uint8_t digest[SHA256_LEN])
{
	struct seg_trailer t = {.last_part = !s->part,
				.change_time = s->time,
				.replaced = s->replaced,
				.nreplaced = s->nreplaced};
	struct seg_member members[16];
	uint8_t disk_digest[SHA256_LEN] = {1, 2, 3};
	struct seg_header h;
	struct seg_writer *w;
	struct io_out io;
	const uint8_t *tail;
	size_t len;

	fill_header(&h, s);
	copy_name(members[0].machine, h.machine, "");
	copy_name(members[0].disk, h.disk, "");
	t.nmembers = t.last_part;
	t.members = members;
	if (t.last_part && s->members != NULL)
		t.nmembers = parse_members(s->members, members);
	assert_int_equal(io_out_open(&io, sink, out, "test", NULL), 0);
	assert_int_equal(seg_writer_new(&w, &io, NULL), 0);
	assert_int_equal(seg_writer_begin(w, &h, NULL), 0);
	if (!s->no_records)
		put_records(w, s->fill);
	assert_int_equal(seg_writer_tail(w, &t,
					 t.last_part ? disk_digest : NULL,
					 &tail, &len, NULL),
			 0);
	assert_int_equal(seg_writer_end(w, NULL), 0);
	memcpy(digest, t.digest, SHA256_LEN);
	seg_writer_free(w);
	io_out_close(&io);
}

void seg_put(struct vault *v, const struct spec *s, uint8_t digest[SHA256_LEN])
{
	const struct store_ops *ops = v->store->ops;
	struct vault_cover c = {.first = s->first != 0 ? s->first : s->seq,
				.seq = s->seq};
	struct store_put *p;
	struct bytes b = {0};
	char name[VAULT_NAME_SIZE];

	seg_make(&b, s, digest);
	vault_name(s->machine != NULL ? s->machine : "web01",
		   s->disk != NULL ? s->disk : "root", &c, name);
	assert_int_equal(ops->put_begin(v->store, name, &p, NULL), 0);
	assert_int_equal(ops->put_write(p, b.p, b.n, NULL), 0);
	assert_int_equal(ops->put_commit(p, NULL), 0);
	bytes_free(&b);
}

void seg_chain(struct vault *v, unsigned n, uint8_t digests[][SHA256_LEN])
{
	unsigned i;

	for (i = 1; i <= n; i++) {
		struct spec s = {.seq = i, .fill = i};

		if (i > 1)
			memcpy(s.prev, digests[i - 1], SHA256_LEN);
		seg_put(v, &s, digests[i]);
	}
}

void seg_merged(struct vault *v, uint64_t first, uint64_t seq,
		uint8_t digests[][SHA256_LEN])
{
	struct seg_replaced replaced[32];
	struct spec s = {.first = first,
			 .seq = seq,
			 .fill = 77,
			 .replaced = replaced,
			 .nreplaced = (uint32_t)(seq - first + 1)};
	uint8_t ignored[SHA256_LEN];
	uint32_t i;

	for (i = 0; i < s.nreplaced; i++) {
		replaced[i].seq = first + i;
		memcpy(replaced[i].digest, digests[first + i], SHA256_LEN);
	}
	if (first > 1)
		memcpy(s.prev, digests[first - 1], SHA256_LEN);
	seg_put(v, &s, ignored);
}

/* ---- folders ---- */

void segs_vault(struct vault *v, char dir[64])
{
	snprintf(dir, 64, "/tmp/ps-vault.XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_int_equal(vault_init(dir, NULL), 0);
	assert_int_equal(vault_open(v, dir, NULL), 0);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void segs_remove(const char *dir)
{
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void segs_vault_end(struct vault *v, const char *dir)
{
	vault_close(v);
	segs_remove(dir);
}

bool segs_exists(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

static unsigned leftovers;
static bool drop;

static int count_leftover(const char *path, const struct stat *st, int type,
			  struct FTW *ftw)
{
	(void)st;
	(void)type;
	if (strncmp(path + ftw->base, ".tmp.", 5) != 0)
		return 0;
	leftovers++;
	return drop ? remove(path) : 0;
}

unsigned segs_leftovers(const char *dir)
{
	leftovers = 0;
	nftw(dir, count_leftover, 16, FTW_PHYS);
	return leftovers;
}

void segs_drop_leftovers(const char *dir)
{
	drop = true;
	assert_int_equal(segs_leftovers(dir), 1);
	drop = false;
}

/* ---- uploads ---- */

static int note_ack(void *ctx, const struct ack *a, struct err *e)
{
	struct answers *r = ctx;

	(void)e;
	assert_true(r->n < sizeof(r->acks) / sizeof(r->acks[0]));
	r->acks[r->n++] = *a;
	return 0;
}

int segs_upload(struct vault *v, const struct bytes *b, struct answers *ret)
{
	struct upload u = {.ack = note_ack, .ctx = ret};
	int fd = memfd_create("stream", MFD_CLOEXEC), rc;

	*ret = (struct answers){0};
	assert_true(fd >= 0);
	assert_int_equal(io_write_full(fd, b->p, b->n), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	rc = upload_run(v, fd, "stream", &u, &ret->totals, &ret->err);
	close(fd);
	return rc;
}
