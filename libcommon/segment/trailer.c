#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/format.h"

static const uint8_t magic_trailer[4] = {'T', 'R', 'L', 'R'};
static const uint8_t magic_end[4] = {'P', 'S', 'G', 'E'};

#define TRAILER_FLAG_LAST 1u

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "damaged segment: %s", what);
}

static size_t members_size(const struct seg_trailer *t)
{
	size_t n = 0;
	uint32_t i;

	for (i = 0; i < t->nmembers; i++)
		n += 2 + strlen(t->members[i].machine) +
		     strlen(t->members[i].disk);
	return n;
}

int64_t seg_trailer_size(const struct seg_trailer *t)
{
	if (t->nmembers > SEG_MEMBERS_MAX || t->nreplaced > SEG_REPLACED_MAX)
		return -PS_DATA;
	return (int64_t)(SEG_TRAILER_FIXED + members_size(t) +
			 (size_t)t->nreplaced * (8 + SHA256_LEN) + SHA256_LEN +
			 SEG_TAIL_LEN);
}

/* Members and replaced digests, as they stand; gives the byte behind. */
static uint8_t *lists_pack(const struct seg_trailer *t, uint8_t *p)
{
	uint32_t i;

	for (i = 0; i < t->nmembers; i++) {
		const struct seg_member *m = &t->members[i];

		p[0] = (uint8_t)strlen(m->machine);
		p[1] = (uint8_t)strlen(m->disk);
		memcpy(p + 2, m->machine, p[0]);
		memcpy(p + 2 + p[0], m->disk, p[1]);
		p += 2 + p[0] + p[1];
	}
	for (i = 0; i < t->nreplaced; i++) {
		put_le64(p, t->replaced[i].seq);
		memcpy(p + 8, t->replaced[i].digest, SHA256_LEN);
		p += 8 + SHA256_LEN;
	}
	return p;
}

void seg_trailer_pack(const struct seg_trailer *t, uint8_t *out)
{
	uint8_t *p;

	memcpy(out, magic_trailer, 4);
	put_le32(out + 4, t->last_part ? TRAILER_FLAG_LAST : 0);
	put_le64(out + 8, (uint64_t)t->change_time);
	put_le64(out + 16, t->data_bytes);
	put_le64(out + 24, t->zero_bytes);
	put_le64(out + 32, t->data_records);
	put_le64(out + 40, t->zero_records);
	put_le64(out + 48, t->stored_bytes);
	put_le32(out + 56, t->nmembers);
	put_le32(out + 60, t->nreplaced);
	p = lists_pack(t, out + SEG_TRAILER_FIXED);
	memcpy(p, t->digest, SHA256_LEN);
	p += SHA256_LEN;
	put_le64(p, t->index_pos);
	put_le64(p + 8, t->seg_len);
	put_le32(p + 16, t->dir_len);
	put_le32(p + 20, t->trailer_len);
	put_le32(p + 24, crc32c(0, out, (size_t)(p + 24 - out)));
	memcpy(p + 28, magic_end, 4);
}

int seg_tail_unpack(struct seg_tail *t, const uint8_t in[SEG_TAIL_LEN],
		    struct err *e)
{
	uint64_t behind; /* header, directory and trailer at least */

	if (memcmp(in + 28, magic_end, 4) != 0)
		return bad(e, "the end is missing");
	t->index_pos = get_le64(in);
	t->seg_len = get_le64(in + 8);
	t->dir_len = get_le32(in + 16);
	t->trailer_len = get_le32(in + 20);
	behind = (uint64_t)t->dir_len + t->trailer_len;
	if (t->trailer_len < SEG_TRAILER_FIXED + SHA256_LEN + SEG_TAIL_LEN ||
	    t->trailer_len > SEG_TRAILER_MAX || t->dir_len < SEG_DIR_LEN ||
	    t->dir_len > SEG_DIR_LEN + SEG_RANDOM_LEN + SHA256_LEN +
			     SEG_TAG_LEN + SEG_PAGES_MAX * SEG_DIR_ENTRY_LEN ||
	    t->index_pos < SEG_HEADER_LEN || t->seg_len < behind ||
	    t->index_pos > t->seg_len - behind)
		return bad(e, "places in the trailer");
	return 0;
}

static int members_unpack(struct seg_trailer *t, const uint8_t **p,
			  const uint8_t *end, struct err *e)
{
	uint32_t i;

	for (i = 0; i < t->nmembers; i++) {
		struct seg_member *m = &t->members[i];
		const uint8_t *q = *p;

		if (end - q < 2 || end - q < 2 + q[0] + q[1] ||
		    !name_ok_n((const char *)q + 2, q[0]) ||
		    !name_ok_n((const char *)q + 2 + q[0], q[1]))
			return bad(e, "members in the trailer");
		memcpy(m->machine, q + 2, q[0]);
		memcpy(m->disk, q + 2 + q[0], q[1]);
		*p += 2 + q[0] + q[1];
	}
	return 0;
}

static int lists_unpack(struct seg_trailer *t, const uint8_t *p,
			const uint8_t *end, struct err *e)
{
	uint32_t i;

	t->members = calloc((size_t)t->nmembers + 1, sizeof(*t->members));
	t->replaced = calloc((size_t)t->nreplaced + 1, sizeof(*t->replaced));
	if (t->members == NULL || t->replaced == NULL)
		return err_sys(e, PS_TEMPFAIL, "trailer");
	if (members_unpack(t, &p, end, e) < 0)
		return -PS_DATA;
	if ((size_t)(end - p) != (size_t)t->nreplaced * (8 + SHA256_LEN))
		return bad(e, "length of the trailer");
	for (i = 0; i < t->nreplaced; i++, p += 8 + SHA256_LEN) {
		t->replaced[i].seq = get_le64(p);
		memcpy(t->replaced[i].digest, p + 8, SHA256_LEN);
	}
	return 0;
}

int seg_trailer_unpack(struct seg_trailer *t, const uint8_t *in, size_t len,
		       struct err *e)
{
	struct seg_trailer r = {0};
	struct seg_tail tail;
	const uint8_t *end;
	uint32_t flags;
	int rc;

	if (len < SEG_TRAILER_FIXED + SHA256_LEN + SEG_TAIL_LEN ||
	    memcmp(in, magic_trailer, 4) != 0)
		return bad(e, "no trailer where one should be");
	if (get_le32(in + len - 8) != crc32c(0, in, len - 8))
		return bad(e, "CRC of the trailer");
	rc = seg_tail_unpack(&tail, in + len - SEG_TAIL_LEN, e);
	if (rc < 0)
		return rc;
	flags = get_le32(in + 4);
	r.last_part = (flags & TRAILER_FLAG_LAST) != 0;
	r.change_time = (int64_t)get_le64(in + 8);
	r.data_bytes = get_le64(in + 16);
	r.zero_bytes = get_le64(in + 24);
	r.data_records = get_le64(in + 32);
	r.zero_records = get_le64(in + 40);
	r.stored_bytes = get_le64(in + 48);
	r.nmembers = get_le32(in + 56);
	r.nreplaced = get_le32(in + 60);
	r.index_pos = tail.index_pos;
	r.seg_len = tail.seg_len;
	r.dir_len = tail.dir_len;
	r.trailer_len = tail.trailer_len;
	if ((flags & ~TRAILER_FLAG_LAST) != 0 || r.trailer_len != len ||
	    r.nmembers > SEG_MEMBERS_MAX || r.nreplaced > SEG_REPLACED_MAX ||
	    (r.last_part && r.nmembers == 0))
		return bad(e, "trailer");
	end = in + len - SEG_TAIL_LEN - SHA256_LEN;
	memcpy(r.digest, end, SHA256_LEN);
	rc = lists_unpack(&r, in + SEG_TRAILER_FIXED, end, e);
	if (rc < 0)
		seg_trailer_free(&r);
	else
		*t = r;
	return rc;
}

void seg_trailer_free(struct seg_trailer *t)
{
	free(t->members);
	free(t->replaced);
	t->members = NULL;
	t->replaced = NULL;
	t->nmembers = t->nreplaced = 0;
}

/* ---- digests ---- */

void seg_digest_entry(struct seg_digest *d, const struct seg_entry *en,
		      const uint8_t *digests, size_t nblocks)
{
	uint8_t buf[17];

	buf[0] = en->zero ? 2 : 1;
	put_le64(buf + 1, en->offset);
	put_le64(buf + 9, en->raw_len);
	sha256_update(&d->sha, buf, sizeof(buf));
	if (!en->zero)
		sha256_update(&d->sha, digests, nblocks * BLOCK_DIGEST_LEN);
}

void seg_digest_end(struct seg_digest *d, const uint8_t random[SEG_RANDOM_LEN],
		    const uint8_t disk_digest[SHA256_LEN],
		    const struct seg_trailer *t, uint8_t out[SHA256_LEN])
{
	static const uint8_t none[SHA256_LEN];
	uint8_t fixed[56];

	put_le32(fixed, t->last_part ? TRAILER_FLAG_LAST : 0);
	put_le64(fixed + 4, (uint64_t)t->change_time);
	put_le64(fixed + 12, t->data_bytes);
	put_le64(fixed + 20, t->zero_bytes);
	put_le64(fixed + 28, t->data_records);
	put_le64(fixed + 36, t->zero_records);
	put_le32(fixed + 44, t->nmembers);
	put_le32(fixed + 48, t->nreplaced);
	put_le32(fixed + 52, 0);
	sha256_update(&d->sha, random, SEG_RANDOM_LEN);
	sha256_update(&d->sha, disk_digest != NULL ? disk_digest : none,
		      SHA256_LEN);
	sha256_update(&d->sha, fixed, sizeof(fixed));
	if (t->nmembers > 0 || t->nreplaced > 0) {
		size_t n =
		    members_size(t) + (size_t)t->nreplaced * (8 + SHA256_LEN);
		uint8_t *lists = malloc(n);

		if (lists == NULL)
			abort();
		lists_pack(t, lists);
		sha256_update(&d->sha, lists, n);
		free(lists);
	}
	sha256_final(&d->sha, out);
}

void seg_digest_drop(struct seg_digest *d)
{
	sha256_drop(&d->sha);
}

void block_digest(const void *data, size_t len, size_t block_size,
		  uint8_t out[BLOCK_DIGEST_LEN])
{
	uint8_t full[SHA256_LEN];

	if (bytes_all_zero(data, len)) {
		memset(out, 0, BLOCK_DIGEST_LEN);
		return;
	}
	if (len == block_size) {
		sha256_of(data, len, full);
	} else {
		static const uint8_t zeros[4096];
		struct sha256 s;

		sha256_init(&s);
		sha256_update(&s, data, len);
		for (size_t left = block_size - len; left > 0;) {
			size_t n = left < sizeof(zeros) ? left : sizeof(zeros);

			sha256_update(&s, zeros, n);
			left -= n;
		}
		sha256_final(&s, full);
	}
	memcpy(out, full, BLOCK_DIGEST_LEN);
}
