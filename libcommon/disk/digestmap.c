#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "disk/digestmap.h"
#include "disk/layout.h"

static const uint8_t magic[8] = {'P', 'S', 'D', 'M', '\r', '\n', 0x1a, '\n'};

#define DIGESTMAP_VERSION 1
#define FLAG_POINT 1u
#define H_RESERVED 72
#define H_MACHINE 112
#define H_DISK 176
#define H_CRC (DIGESTMAP_HEAD_LEN - 4)
#define RUN_LEN 16
#define RUN_MAX MAP_CHUNK_ENTRIES
#define END_BLOCK UINT64_MAX

/* ---- head ---- */

static void head_pack(const struct map_head *m, uint8_t out[DIGESTMAP_HEAD_LEN])
{
	memset(out, 0, DIGESTMAP_HEAD_LEN);
	memcpy(out, magic, sizeof(magic));
	put_le32(out + 8, DIGESTMAP_VERSION);
	put_le32(out + 12, m->has_point ? FLAG_POINT : 0);
	put_le64(out + 16, m->disk_size);
	put_le32(out + 24, m->block_size);
	put_le64(out + 32, m->seq);
	memcpy(out + 40, m->digest, SHA256_LEN);
	memcpy(out + H_MACHINE, m->machine, strlen(m->machine));
	memcpy(out + H_DISK, m->disk, strlen(m->disk));
	put_le32(out + H_CRC, crc32c(0, out, H_CRC));
}

int digestmap_head_unpack(struct digestmap_head *h,
			  const uint8_t in[DIGESTMAP_HEAD_LEN], struct err *e)
{
	uint32_t flags = get_le32(in + 12);

	*h = (struct digestmap_head){0};
	if (memcmp(in, magic, sizeof(magic)) != 0 ||
	    get_le32(in + H_CRC) != crc32c(0, in, H_CRC))
		return err_set(e, PS_DATA, "not a digest map, or damaged");
	if (get_le32(in + 8) != DIGESTMAP_VERSION || (flags & ~FLAG_POINT) != 0)
		return err_set(e, PS_PROTOCOL, "digest map of version %u",
			       get_le32(in + 8));
	h->has_point = (flags & FLAG_POINT) != 0;
	h->disk_size = get_le64(in + 16);
	h->block_size = get_le32(in + 24);
	h->seq = get_le64(in + 32);
	memcpy(h->digest, in + 40, SHA256_LEN);
	memcpy(h->machine, in + H_MACHINE, NAME_MAX_LEN);
	memcpy(h->disk, in + H_DISK, NAME_MAX_LEN);
	if (!name_ok(h->machine) || !name_ok(h->disk) || h->seq == 0 ||
	    !bytes_all_zero(in + H_RESERVED, H_MACHINE - H_RESERVED) ||
	    !bytes_all_zero(in + H_DISK + NAME_SIZE,
			    H_CRC - H_DISK - NAME_SIZE) ||
	    get_le32(in + 28) != 0)
		return err_set(e, PS_DATA, "not a digest map, or damaged");
	return seg_geometry_check(h->disk_size, h->block_size, PS_DATA, e);
}

/* ---- writing ---- */

struct writer {
	struct io_out *out;
	struct sha256 sha;
};

static int put(struct writer *w, const void *p, size_t n, struct err *e)
{
	sha256_update(&w->sha, p, n);
	return io_out_write(w->out, p, n, e);
}

static int put_run(struct writer *w, uint64_t first, uint64_t n,
		   const uint8_t *digests, struct err *e)
{
	uint8_t raw[RUN_LEN];
	size_t len = (size_t)n * BLOCK_DIGEST_LEN;
	int rc;

	put_le64(raw, first);
	put_le32(raw + 8, (uint32_t)n);
	put_le32(raw + 12, crc32c(crc32c(0, raw, 12), digests, len));
	rc = put(w, raw, sizeof(raw), e);
	return rc == 0 && n > 0 ? put(w, digests, len, e) : rc;
}

static bool is_zero(const uint8_t *entries, uint64_t i)
{
	return bytes_all_zero(entries + i * BLOCK_DIGEST_LEN, BLOCK_DIGEST_LEN);
}

/* n entries from block `first`: the runs among them that are not zero. */
static int put_entries(struct writer *w, uint64_t first, uint64_t n,
		       const uint8_t *entries, struct err *e)
{
	uint64_t i = 0, from;
	int rc = 0;

	while (rc == 0 && i < n) {
		while (i < n && is_zero(entries, i))
			i++;
		for (from = i; i < n && !is_zero(entries, i); i++)
			if (map_entry_unknown(entries + i * BLOCK_DIGEST_LEN))
				return err_set(e, PS_DATA,
					       "the map does not know block "
					       "%llu",
					       (unsigned long long)(first + i));
		if (i > from)
			rc = put_run(w, first + from, i - from,
				     entries + from * BLOCK_DIGEST_LEN, e);
	}
	return rc;
}

static int put_all(struct writer *w, const struct map *m, uint8_t *buf,
		   struct err *e)
{
	uint64_t blocks = map_blocks(m), at = map_next_data(m, 0), n;
	int rc = 0;

	while (rc == 0 && at < blocks) {
		n = blocks - at < RUN_MAX ? blocks - at : RUN_MAX;
		rc = map_read(m, at, n, buf, e);
		if (rc == 0)
			rc = put_entries(w, at, n, buf, e);
		at = at + n < blocks ? map_next_data(m, at + n) : blocks;
	}
	return rc < 0 ? rc : put_run(w, END_BLOCK, 0, NULL, e);
}

int digestmap_write(const struct map *m, struct io_out *out, struct err *e)
{
	uint8_t *buf = malloc((size_t)RUN_MAX * BLOCK_DIGEST_LEN);
	uint8_t head[DIGESTMAP_HEAD_LEN], sum[SHA256_LEN];
	struct writer w = {.out = out};
	int rc;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "digest map");
	sha256_init(&w.sha);
	head_pack(&m->head, head);
	rc = put(&w, head, sizeof(head), e);
	if (rc == 0)
		rc = put_all(&w, m, buf, e);
	free(buf);
	sha256_final(&w.sha, sum);
	if (rc == 0)
		rc = io_out_write(out, sum, sizeof(sum), e);
	return rc < 0 ? rc : io_out_flush(out, e);
}

/* ---- reading ---- */

struct reader {
	struct io_in *in;
	const struct digestmap_sink *to;
	struct digestmap_head head;
	struct sha256 sha;
	uint64_t after; /* end of the run before */
	uint8_t *buf;
};

/* Exactly n bytes; the end of the input is as bad as damage. */
static int take_raw(struct reader *r, void *p, size_t n, struct err *e)
{
	int rc = io_in_read(r->in, p, n, e);

	return rc > 0	? 0
	       : rc < 0 ? rc
			: err_set(e, PS_DATA, "digest map cut short");
}

static int take(struct reader *r, void *p, size_t n, struct err *e)
{
	int rc = take_raw(r, p, n, e);

	if (rc == 0)
		sha256_update(&r->sha, p, n);
	return rc;
}

/* 1, 0 behind the last run, -CODE. */
static int take_run(struct reader *r, struct err *e)
{
	uint64_t blocks = seg_blocks(r->head.disk_size, r->head.block_size);
	uint64_t first, n, i;
	uint8_t raw[RUN_LEN];
	int rc = take(r, raw, sizeof(raw), e);

	if (rc < 0)
		return rc;
	first = get_le64(raw);
	n = get_le32(raw + 8);
	if (n > RUN_MAX || (n == 0) != (first == END_BLOCK) ||
	    (n > 0 &&
	     (first < r->after || first > blocks || n > blocks - first)))
		return err_set(e, PS_DATA, "damaged digest map");
	rc = n > 0 ? take(r, r->buf, (size_t)n * BLOCK_DIGEST_LEN, e) : 0;
	if (rc == 0 &&
	    get_le32(raw + 12) != crc32c(crc32c(0, raw, 12), r->buf,
					 (size_t)n * BLOCK_DIGEST_LEN))
		rc = err_set(e, PS_DATA, "damaged digest map");
	for (i = 0; rc == 0 && i < n; i++)
		if (map_entry_unknown(r->buf + i * BLOCK_DIGEST_LEN))
			rc = err_set(e, PS_DATA, "damaged digest map");
	if (rc < 0 || n == 0)
		return rc;
	r->after = first + n;
	if (r->to->run != NULL)
		rc = r->to->run(r->to->ctx, first, n, r->buf, e);
	return rc < 0 ? rc : 1;
}

static int take_all(struct reader *r, struct err *e)
{
	uint8_t raw[DIGESTMAP_HEAD_LEN], sum[SHA256_LEN], told[SHA256_LEN];
	int rc = take(r, raw, sizeof(raw), e);

	if (rc == 0)
		rc = digestmap_head_unpack(&r->head, raw, e);
	if (rc == 0 && r->to->head != NULL)
		rc = r->to->head(r->to->ctx, &r->head, e);
	if (rc < 0)
		return rc;
	do
		rc = take_run(r, e);
	while (rc > 0);
	sha256_final(&r->sha, sum);
	if (rc == 0)
		rc = take_raw(r, told, sizeof(told), e);
	if (rc == 0 && memcmp(sum, told, sizeof(sum)) != 0)
		rc = err_set(e, PS_DATA, "damaged digest map");
	if (rc < 0)
		return rc;
	rc = io_in_read(r->in, raw, 1, e);
	return rc > 0 ? err_set(e, PS_DATA, "bytes behind the digest map") : rc;
}

int digestmap_read(struct io_in *in, const struct digestmap_sink *to,
		   struct digestmap_head *ret, struct err *e)
{
	struct reader r = {.in = in, .to = to};
	int rc;

	r.buf = malloc((size_t)RUN_MAX * BLOCK_DIGEST_LEN);
	if (r.buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "digest map");
	sha256_init(&r.sha);
	rc = take_all(&r, e);
	sha256_drop(&r.sha);
	free(r.buf);
	*ret = r.head;
	return rc;
}
