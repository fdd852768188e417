#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/format.h"

/* CR LF and 0x1a: a transfer that changes text shows at once (as PNG). */
static const uint8_t header_magic[8] = {'P',  'S',  'S',  'G',
					'\r', '\n', 0x1a, '\n'};
static const uint8_t magic_data[4] = {'D', 'A', 'T', 'A'};
static const uint8_t magic_zero[4] = {'Z', 'E', 'R', 'O'};
static const uint8_t magic_page[4] = {'P', 'A', 'G', 'E'};
static const uint8_t magic_dir[4] = {'D', 'I', 'R', 'Y'};
static const uint8_t magic_trailer[4] = {'T', 'R', 'L', 'R'};

/* Offsets of header fields that the digest leaves out. */
#define H_ENCODING 16
#define H_KEY_ID 320
#define H_CRC 508
#define H_RESERVED 352 /* up to the CRC */

#define HEADER_FLAG_INITIAL 1u
#define DIR_FLAG_DISK_DIGEST 1u

static int bad(struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "damaged segment: %s", what);
}

enum seg_part seg_part_of(const uint8_t m[4])
{
	if (memcmp(m, magic_data, 4) == 0 || memcmp(m, magic_zero, 4) == 0)
		return SEG_PART_RECORD;
	if (memcmp(m, header_magic, 4) == 0)
		return SEG_PART_HEADER;
	if (memcmp(m, magic_page, 4) == 0)
		return SEG_PART_PAGE;
	if (memcmp(m, magic_dir, 4) == 0)
		return SEG_PART_DIR;
	if (memcmp(m, magic_trailer, 4) == 0)
		return SEG_PART_TRAILER;
	return SEG_PART_NONE;
}

/* ---- header ---- */

void seg_header_pack(const struct seg_header *h, uint8_t out[SEG_HEADER_LEN])
{
	memset(out, 0, SEG_HEADER_LEN);
	memcpy(out, header_magic, 8);
	put_le16(out + 8, SEG_VERSION);
	put_le16(out + 10, SEG_HEADER_LEN);
	put_le32(out + 12, 0); /* must-understand features: none yet */
	put_le32(out + H_ENCODING, h->encoding);
	put_le32(out + 20, h->initial ? HEADER_FLAG_INITIAL : 0);
	out[24] = h->kind;
	out[25] = h->consistency;
	out[26] = (uint8_t)strlen(h->machine);
	out[27] = (uint8_t)strlen(h->disk);
	out[28] = (uint8_t)strlen(h->bookmark);
	put_le32(out + 32, h->block_size);
	put_le32(out + 36, h->part);
	put_le64(out + 40, h->disk_size);
	put_le64(out + 48, h->first_seq);
	put_le64(out + 56, h->seq);
	memcpy(out + 64, h->prev, SHA256_LEN);
	memcpy(out + 96, h->pass, SEG_PASS_LEN);
	put_le64(out + 112, (uint64_t)h->bookmark_time);
	memcpy(out + 128, h->machine, strlen(h->machine));
	memcpy(out + 192, h->disk, strlen(h->disk));
	memcpy(out + 256, h->bookmark, strlen(h->bookmark));
	memcpy(out + H_KEY_ID, h->key_id, SEG_KEY_ID_LEN);
	memcpy(out + 336, h->salt, SEG_SALT_LEN);
	put_le32(out + H_CRC, crc32c(0, out, H_CRC));
}

/* A name in a field of 64 bytes: valid, zero behind its length. */
static bool field_name(const uint8_t *in, uint8_t len, char out[NAME_SIZE])
{
	if (!name_ok_n((const char *)in, len) ||
	    !bytes_all_zero(in + len, (size_t)(64 - len)))
		return false;
	memcpy(out, in, len);
	out[len] = '\0';
	return true;
}

static int header_rules(const struct seg_header *h, struct err *e)
{
	bool sealed = (h->encoding & SEG_SEALED) != 0;

	if ((h->encoding & ~(SEG_COMPRESSED | SEG_SEALED)) != 0)
		return err_set(e, PS_PROTOCOL,
			       "segment with an unknown encoding");
	if (h->kind != SEG_BASE && h->kind != SEG_DELTA)
		return bad(e, "kind in the header");
	if (h->consistency > SEG_CONSISTENCY_APP)
		return bad(e, "consistency in the header");
	if (seg_geometry_check(h->disk_size, h->block_size, PS_DATA, e) < 0)
		return -PS_DATA;
	if (h->first_seq < 1 || h->seq < h->first_seq || h->part < 1)
		return bad(e, "sequence in the header");
	if (h->first_seq == 1 &&
	    (h->kind != SEG_BASE || !bytes_all_zero(h->prev, SHA256_LEN)))
		return bad(e, "a first segment must be a base");
	if (!sealed && (!bytes_all_zero(h->key_id, SEG_KEY_ID_LEN) ||
			!bytes_all_zero(h->salt, SEG_SALT_LEN)))
		return bad(e, "a key without a seal in the header");
	return 0;
}

int seg_header_unpack(struct seg_header *h, const uint8_t in[SEG_HEADER_LEN],
		      struct err *e)
{
	struct seg_header r = {0};
	uint32_t flags = get_le32(in + 20);
	int rc;

	if (memcmp(in, header_magic, 8) != 0)
		return err_set(e, PS_DATA, "not a segment");
	if (get_le32(in + H_CRC) != crc32c(0, in, H_CRC))
		return bad(e, "CRC of the header");
	if (get_le16(in + 8) != SEG_VERSION || get_le32(in + 12) != 0) {
		err_set(e, PS_PROTOCOL,
			"segment of version %u with features %#x, this "
			"program reads version %u",
			get_le16(in + 8), get_le32(in + 12), SEG_VERSION);
		err_hint(e, "use a newer ps-toolkit");
		return -PS_PROTOCOL;
	}
	if (get_le16(in + 10) != SEG_HEADER_LEN ||
	    (flags & ~HEADER_FLAG_INITIAL) != 0 ||
	    !bytes_all_zero(in + 29, 3) || !bytes_all_zero(in + 120, 8) ||
	    !bytes_all_zero(in + H_RESERVED, H_CRC - H_RESERVED))
		return bad(e, "reserved field in the header");
	r.encoding = get_le32(in + H_ENCODING);
	r.initial = (flags & HEADER_FLAG_INITIAL) != 0;
	r.kind = in[24];
	r.consistency = in[25];
	r.block_size = get_le32(in + 32);
	r.part = get_le32(in + 36);
	r.disk_size = get_le64(in + 40);
	r.first_seq = get_le64(in + 48);
	r.seq = get_le64(in + 56);
	memcpy(r.prev, in + 64, SHA256_LEN);
	memcpy(r.pass, in + 96, SEG_PASS_LEN);
	r.bookmark_time = (int64_t)get_le64(in + 112);
	memcpy(r.key_id, in + H_KEY_ID, SEG_KEY_ID_LEN);
	memcpy(r.salt, in + 336, SEG_SALT_LEN);
	if (!field_name(in + 128, in[26], r.machine) ||
	    !field_name(in + 192, in[27], r.disk) ||
	    !field_name(in + 256, in[28], r.bookmark))
		return bad(e, "name in the header");
	rc = header_rules(&r, e);
	if (rc == 0)
		*h = r;
	return rc;
}

bool seg_header_same_content(const struct seg_header *a,
			     const struct seg_header *b)
{
	uint8_t x[SEG_HEADER_LEN], y[SEG_HEADER_LEN];
	struct seg_header c = *b;

	c.encoding = a->encoding;
	memcpy(c.key_id, a->key_id, SEG_KEY_ID_LEN);
	memcpy(c.salt, a->salt, SEG_SALT_LEN);
	seg_header_pack(a, x);
	seg_header_pack(&c, y);
	return memcmp(x, y, sizeof(x)) == 0;
}

/* ---- records ---- */

void seg_record_pack(const struct seg_record *r, uint8_t out[SEG_RECORD_LEN])
{
	memcpy(out, r->zero ? magic_zero : magic_data, 4);
	put_le32(out + 4, r->codec);
	put_le64(out + 8, r->offset);
	put_le64(out + 16, r->raw_len);
	put_le32(out + 24, r->stored_len);
	put_le32(out + 28, r->payload_crc);
	put_le32(out + 32, crc32c(0, out, 32));
}

static int record_rules(bool zero, uint8_t codec, uint64_t raw_len,
			uint32_t stored_len, struct err *e)
{
	if (codec > SEG_ZSTD)
		return err_set(e, PS_PROTOCOL,
			       "segment with an unknown codec %u", codec);
	if (raw_len == 0)
		return bad(e, "empty record");
	if (zero) {
		if (codec != SEG_STORE ||
		    (stored_len != 0 && stored_len != SEG_TAG_LEN))
			return bad(e, "zero record with data");
		return 0;
	}
	if (raw_len > SEG_RECORD_RAW_MAX || stored_len == 0 ||
	    stored_len > raw_len + SEG_TAG_LEN)
		return bad(e, "length of a record");
	return 0;
}

int seg_record_unpack(struct seg_record *r, const uint8_t in[SEG_RECORD_LEN],
		      struct err *e)
{
	if (seg_part_of(in) != SEG_PART_RECORD)
		return bad(e, "no record where one should be");
	if (get_le32(in + 32) != crc32c(0, in, 32))
		return bad(e, "CRC of a record header");
	if (!bytes_all_zero(in + 5, 3))
		return bad(e, "reserved field in a record");
	r->zero = memcmp(in, magic_zero, 4) == 0;
	r->codec = in[4];
	r->offset = get_le64(in + 8);
	r->raw_len = get_le64(in + 16);
	r->stored_len = get_le32(in + 24);
	r->payload_crc = get_le32(in + 28);
	return record_rules(r->zero, r->codec, r->raw_len, r->stored_len, e);
}

/* ---- index ---- */

void seg_page_pack(const struct seg_page *p, uint8_t out[SEG_PAGE_LEN])
{
	memcpy(out, magic_page, 4);
	put_le32(out + 4, p->number);
	put_le32(out + 8, p->entries);
	put_le32(out + 12, p->stored_len);
	put_le64(out + 16, p->record_pos);
	put_le32(out + 24, p->payload_crc);
	put_le32(out + 28, crc32c(0, out, 28));
}

int seg_page_unpack(struct seg_page *p, const uint8_t in[SEG_PAGE_LEN],
		    struct err *e)
{
	if (memcmp(in, magic_page, 4) != 0)
		return bad(e, "no index page where one should be");
	if (get_le32(in + 28) != crc32c(0, in, 28))
		return bad(e, "CRC of an index page header");
	p->number = get_le32(in + 4);
	p->entries = get_le32(in + 8);
	p->stored_len = get_le32(in + 12);
	p->record_pos = get_le64(in + 16);
	p->payload_crc = get_le32(in + 24);
	if (p->entries == 0 || p->number >= SEG_PAGES_MAX ||
	    p->stored_len < SEG_ENTRY_LEN ||
	    p->stored_len > SEG_PAGE_MAX + SEG_TAG_LEN)
		return bad(e, "length of an index page");
	return 0;
}

void seg_dir_pack(const struct seg_dir *d, uint8_t out[SEG_DIR_LEN])
{
	memcpy(out, magic_dir, 4);
	put_le32(out + 4, d->pages);
	put_le32(out + 8, d->has_disk_digest ? DIR_FLAG_DISK_DIGEST : 0);
	put_le32(out + 12, d->stored_len);
	put_le32(out + 16, d->payload_crc);
	put_le32(out + 20, crc32c(0, out, 20));
}

int seg_dir_unpack(struct seg_dir *d, const uint8_t in[SEG_DIR_LEN],
		   struct err *e)
{
	uint32_t flags = get_le32(in + 8);
	uint32_t least;

	if (memcmp(in, magic_dir, 4) != 0)
		return bad(e, "no directory where one should be");
	if (get_le32(in + 20) != crc32c(0, in, 20))
		return bad(e, "CRC of the directory header");
	d->pages = get_le32(in + 4);
	d->has_disk_digest = (flags & DIR_FLAG_DISK_DIGEST) != 0;
	d->stored_len = get_le32(in + 12);
	d->payload_crc = get_le32(in + 16);
	if (d->pages > SEG_PAGES_MAX || (flags & ~DIR_FLAG_DISK_DIGEST) != 0)
		return bad(e, "directory header");
	least = SEG_RANDOM_LEN + SHA256_LEN + d->pages * SEG_DIR_ENTRY_LEN;
	if (d->stored_len != least && d->stored_len != least + SEG_TAG_LEN)
		return bad(e, "length of the directory");
	return 0;
}

void seg_entry_pack(const struct seg_entry *en, uint8_t out[SEG_ENTRY_LEN])
{
	out[0] = en->zero ? 2 : 1;
	out[1] = en->codec;
	put_le16(out + 2, 0);
	put_le32(out + 4, en->stored_len);
	put_le64(out + 8, en->offset);
	put_le64(out + 16, en->raw_len);
}

int seg_entry_unpack(struct seg_entry *en, const uint8_t in[SEG_ENTRY_LEN],
		     struct err *e)
{
	if (in[0] < 1 || in[0] > 2 || get_le16(in + 2) != 0)
		return bad(e, "index entry");
	en->zero = in[0] == 2;
	en->codec = in[1];
	en->stored_len = get_le32(in + 4);
	en->offset = get_le64(in + 8);
	en->raw_len = get_le64(in + 16);
	return record_rules(en->zero, en->codec, en->raw_len, en->stored_len,
			    e);
}

void seg_dir_entry_pack(const struct seg_dir_entry *d,
			uint8_t out[SEG_DIR_ENTRY_LEN])
{
	put_le64(out, d->pos);
	put_le32(out + 8, d->stored_len);
	put_le32(out + 12, d->entries);
	put_le64(out + 16, d->first_offset);
	put_le64(out + 24, d->end_offset);
}

void seg_dir_entry_unpack(struct seg_dir_entry *d,
			  const uint8_t in[SEG_DIR_ENTRY_LEN])
{
	d->pos = get_le64(in);
	d->stored_len = get_le32(in + 8);
	d->entries = get_le32(in + 12);
	d->first_offset = get_le64(in + 16);
	d->end_offset = get_le64(in + 24);
}

/* ---- rules ---- */

bool seg_block_size_ok(uint64_t n)
{
	return n >= SEG_BLOCK_MIN && n <= SEG_BLOCK_MAX && (n & (n - 1)) == 0;
}

int seg_geometry_check(uint64_t disk_size, uint64_t block_size, int code,
		       struct err *e)
{
	if (!seg_block_size_ok(block_size))
		return err_set(e, code,
			       "block size %llu: not a power of two from 4 "
			       "KiB to 1 MiB",
			       (unsigned long long)block_size);
	if (disk_size > INT64_MAX ||
	    seg_blocks(disk_size, (uint32_t)block_size) > SEG_BLOCKS_MAX)
		return err_set(e, code,
			       "disk of %llu bytes: too large for blocks of "
			       "%llu bytes",
			       (unsigned long long)disk_size,
			       (unsigned long long)block_size);
	return 0;
}

int seg_extent_check(const struct seg_header *h, bool zero, uint64_t offset,
		     uint64_t raw_len, uint64_t after, struct err *e)
{
	uint64_t end;

	if (raw_len == 0 || add_overflows(offset, raw_len, &end) ||
	    end > h->disk_size)
		return bad(e, "record outside the disk");
	if (offset < after)
		return bad(e, "records out of order");
	if (offset % h->block_size != 0 ||
	    (end % h->block_size != 0 && end != h->disk_size) ||
	    (!zero && raw_len > SEG_RECORD_RAW_MAX))
		return bad(e, "record not on block borders");
	return 0;
}

const char *seg_consistency_name(uint8_t c)
{
	static const char *const names[] = {"none", "crash", "app"};

	return c < 3 ? names[c] : "unknown";
}

bool seg_consistency_parse(const char *name, uint8_t *ret)
{
	uint8_t c;

	for (c = 0; c < 3; c++)
		if (strcmp(name, seg_consistency_name(c)) == 0) {
			*ret = c;
			return true;
		}
	return false;
}

const char *seg_codec_name(uint8_t codec)
{
	static const char *const names[] = {"none", "deflate", "zstd"};

	return codec < 3 ? names[codec] : "unknown";
}

/* ---- the content of a header ---- */

void seg_digest_begin(struct seg_digest *d, const struct seg_header *h)
{
	uint8_t buf[SEG_HEADER_LEN];

	seg_header_pack(h, buf);
	memset(buf + H_ENCODING, 0, 4);
	memset(buf + H_KEY_ID, 0, SEG_KEY_ID_LEN + SEG_SALT_LEN);
	memset(buf + H_CRC, 0, 4);
	sha256_init(&d->sha);
	sha256_update(&d->sha, buf, sizeof(buf));
}
