/*
 * The segment format, version 1. The manual is ps-segment(5).
 *
 *	Stream  = Segment*
 *	Segment = Header Record* Page* Directory Trailer
 *
 * Little-endian, fixed-width fields; reserved fields are zero and checked.
 * Every part carries a CRC-32C of its stored bytes, so that each hop can
 * check it without a key. Functions here pack and unpack one part each; no
 * struct is ever laid over bytes.
 */
#ifndef PS_SEGMENT_FORMAT_H
#define PS_SEGMENT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "base/name.h"

#define SEG_VERSION 1

#define SEG_HEADER_LEN 512
#define SEG_RECORD_LEN 36 /* header of a record; stored_len bytes follow */
#define SEG_PAGE_LEN 32
#define SEG_DIR_LEN 24
#define SEG_TRAILER_FIXED 64 /* before members, replaced, digest and tail */
#define SEG_TAIL_LEN 32	     /* the last bytes of every segment */
#define SEG_ENTRY_LEN 24     /* an index entry without its digests */
#define SEG_DIR_ENTRY_LEN 32
#define SEG_TAG_LEN 16 /* AES-256-GCM */
#define SEG_KEY_ID_LEN 16
#define SEG_SALT_LEN 16
#define SEG_PASS_LEN 16
#define SEG_RANDOM_LEN 16
#define BLOCK_DIGEST_LEN 16 /* SHA-256, truncated; zeros: a zero block */

/* Limits of every variable part; a reader refuses what exceeds them. */
#define SEG_BLOCK_MIN (4 * 1024u)
#define SEG_BLOCK_MAX (1024 * 1024u)
#define SEG_BLOCK_DEFAULT (64 * 1024u)
#define SEG_BLOCKS_MAX (1ull << 30)	  /* of a disk */
#define SEG_RECORD_RAW_MAX (1024 * 1024u) /* of a DATA record */
#define SEG_RECORDS_MAX (1u << 22)	  /* merged segments included */
#define SEG_PAGE_MAX (1024 * 1024u)	  /* payload of a page, without tag */
#define SEG_PAGES_MAX 65536u
#define SEG_MEMBERS_MAX 4096u
#define SEG_REPLACED_MAX 65536u
#define SEG_TRAILER_MAX (4 * 1024 * 1024u)
/* What ps-scan makes: 64 MiB of data, and this many records. */
#define SEG_DATA_DEFAULT (64 * 1024 * 1024u)
#define SEG_SCAN_RECORDS_MAX 16384u

enum seg_kind {
	SEG_BASE = 1,  /* before it the disk counts as all zero */
	SEG_DELTA = 2, /* goes on from its predecessor */
};

enum seg_consistency {
	SEG_CONSISTENCY_NONE = 0,
	SEG_CONSISTENCY_CRASH = 1,
	SEG_CONSISTENCY_APP = 2,
};

enum seg_codec { SEG_STORE = 0, SEG_DEFLATE = 1, SEG_ZSTD = 2 };

/* encoding: how the same content is stored; not part of its digest */
#define SEG_COMPRESSED 1u
#define SEG_SEALED 2u

struct seg_header {
	uint32_t encoding; /* SEG_COMPRESSED | SEG_SEALED */
	uint8_t kind;
	uint8_t consistency;
	bool initial;  /* no point yet since the newest base */
	uint32_t part; /* of the pass, from 1 */
	uint32_t block_size;
	uint64_t disk_size;
	uint64_t first_seq, seq;  /* equal unless merged; from 1 */
	uint8_t prev[SHA256_LEN]; /* digest of first_seq - 1; 0 for none */
	uint8_t pass[SEG_PASS_LEN];
	int64_t bookmark_time; /* ns since 1970, UTC */
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
	char bookmark[NAME_SIZE];
	uint8_t key_id[SEG_KEY_ID_LEN]; /* sealed only, else zero */
	uint8_t salt[SEG_SALT_LEN];	/* sealed only, else zero */
};

/* DATA has a payload; ZERO has none (or only a tag when sealed). */
struct seg_record {
	bool zero;
	uint8_t codec;
	uint64_t offset;     /* in the disk; a multiple of the block size */
	uint64_t raw_len;    /* multiple of the block size but at disk's end */
	uint32_t stored_len; /* bytes that follow the header, tag included */
	uint32_t payload_crc;
};

struct seg_page {
	uint32_t number; /* from 0 */
	uint32_t entries;
	uint32_t stored_len; /* tag included */
	uint64_t record_pos; /* in the segment, of the first record */
	uint32_t payload_crc;
};

/*
 * One record in the index; BLOCK_DIGEST_LEN * blocks bytes of digests follow
 * it when it is DATA. Records stand one after another, so the position of a
 * record is the page's record_pos plus the lengths of those before it.
 */
struct seg_entry {
	bool zero;
	uint8_t codec;
	uint32_t stored_len;
	uint64_t offset, raw_len;
};

struct seg_dir {
	uint32_t pages;
	bool has_disk_digest;
	uint32_t stored_len; /* tag included */
	uint32_t payload_crc;
};

struct seg_dir_entry {
	uint64_t pos; /* of the page, in the segment */
	uint32_t stored_len;
	uint32_t entries;
	uint64_t first_offset; /* of the first record in the disk */
	uint64_t end_offset;   /* behind the last record */
};

/* A disk that shares the bookmark. */
struct seg_member {
	char machine[NAME_SIZE];
	char disk[NAME_SIZE];
};

struct seg_replaced {
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
};

struct seg_trailer {
	bool last_part;
	int64_t change_time;		 /* of the last change, ns since 1970 */
	uint64_t data_bytes, zero_bytes; /* of the disk */
	uint64_t data_records, zero_records;
	uint64_t stored_bytes;	    /* payloads as stored, tags included */
	struct seg_member *members; /* on the last part: at least this disk */
	uint32_t nmembers;
	struct seg_replaced *replaced; /* merged segments only */
	uint32_t nreplaced;
	uint8_t digest[SHA256_LEN]; /* of the segment */
	/* places */
	uint64_t index_pos; /* of the first page (or the directory) */
	uint64_t seg_len;   /* of the whole segment */
	uint32_t dir_len;   /* directory: header and payload */
	uint32_t trailer_len;
};

/* The last SEG_TAIL_LEN bytes, enough to find everything else. */
struct seg_tail {
	uint64_t index_pos, seg_len;
	uint32_t dir_len, trailer_len;
};

/* ---- pack and unpack ---- */

void seg_header_pack(const struct seg_header *h, uint8_t out[SEG_HEADER_LEN]);
/* -PS_DATA when it is no valid header; -PS_PROTOCOL for a newer version. */
int seg_header_unpack(struct seg_header *h, const uint8_t in[SEG_HEADER_LEN],
		      struct err *e);

void seg_record_pack(const struct seg_record *r, uint8_t out[SEG_RECORD_LEN]);
int seg_record_unpack(struct seg_record *r, const uint8_t in[SEG_RECORD_LEN],
		      struct err *e);

void seg_page_pack(const struct seg_page *p, uint8_t out[SEG_PAGE_LEN]);
int seg_page_unpack(struct seg_page *p, const uint8_t in[SEG_PAGE_LEN],
		    struct err *e);

void seg_dir_pack(const struct seg_dir *d, uint8_t out[SEG_DIR_LEN]);
int seg_dir_unpack(struct seg_dir *d, const uint8_t in[SEG_DIR_LEN],
		   struct err *e);

void seg_entry_pack(const struct seg_entry *en, uint8_t out[SEG_ENTRY_LEN]);
/* Checks the fields by themselves, not against the disk. */
int seg_entry_unpack(struct seg_entry *en, const uint8_t in[SEG_ENTRY_LEN],
		     struct err *e);

void seg_dir_entry_pack(const struct seg_dir_entry *d,
			uint8_t out[SEG_DIR_ENTRY_LEN]);
void seg_dir_entry_unpack(struct seg_dir_entry *d,
			  const uint8_t in[SEG_DIR_ENTRY_LEN]);

/* Bytes that the trailer takes; -PS_DATA over the limits. */
int64_t seg_trailer_size(const struct seg_trailer *t);
/* `out` has seg_trailer_size(t) bytes; t->trailer_len must be set to that. */
void seg_trailer_pack(const struct seg_trailer *t, uint8_t *out);
/* Allocates members and replaced: free with seg_trailer_free. */
int seg_trailer_unpack(struct seg_trailer *t, const uint8_t *in, size_t len,
		       struct err *e);
void seg_trailer_free(struct seg_trailer *t);

int seg_tail_unpack(struct seg_tail *t, const uint8_t in[SEG_TAIL_LEN],
		    struct err *e);

/* What a part is, by its first four bytes. */
enum seg_part {
	SEG_PART_NONE,
	SEG_PART_HEADER,
	SEG_PART_RECORD,
	SEG_PART_PAGE,
	SEG_PART_DIR,
	SEG_PART_TRAILER,
};
enum seg_part seg_part_of(const uint8_t magic[4]);

/* ---- rules shared by readers and writers ---- */

/* Blocks of a length (the last one may be partial). */
static inline uint64_t seg_blocks(uint64_t len, uint32_t block_size)
{
	return len / block_size + (len % block_size != 0);
}

bool seg_block_size_ok(uint64_t block_size);
/* Disk size and block size fit together: at most SEG_BLOCKS_MAX blocks. */
int seg_geometry_check(uint64_t disk_size, uint64_t block_size, int code,
		       struct err *e);

/*
 * Checks a record (or its index entry) against the disk and against the end
 * of the record before it (0 for the first).
 */
int seg_extent_check(const struct seg_header *h, bool zero, uint64_t offset,
		     uint64_t raw_len, uint64_t after, struct err *e);

/* Two headers that differ at most in how the content is stored. */
bool seg_header_same_content(const struct seg_header *a,
			     const struct seg_header *b);

const char *seg_consistency_name(uint8_t c);
/* false when `name` is none of none, crash, app */
bool seg_consistency_parse(const char *name, uint8_t *ret);
const char *seg_codec_name(uint8_t codec);

/* ---- the segment digest ---- */

/*
 * SHA-256 over, in this order: the header with encoding, key id, salt and CRC
 * zeroed; for each record kind (1: DATA, 2: ZERO, one byte), offset, raw
 * length (8 bytes each) and the block digests; the 16 random bytes; the disk
 * digest (zeros when there is none); the trailer without stored total,
 * digest, places and CRC. So it does not change when a segment is compressed
 * or sealed.
 */
struct seg_digest {
	struct sha256 sha;
};

void seg_digest_begin(struct seg_digest *d, const struct seg_header *h);
void seg_digest_entry(struct seg_digest *d, const struct seg_entry *en,
		      const uint8_t *digests, size_t nblocks);
void seg_digest_end(struct seg_digest *d, const uint8_t random[SEG_RANDOM_LEN],
		    const uint8_t disk_digest[SHA256_LEN],
		    const struct seg_trailer *t, uint8_t out[SHA256_LEN]);
/* Frees the state of a digest that was begun and will not be ended. */
void seg_digest_drop(struct seg_digest *d);

/* The 16-byte digest of one block, the missing tail counted as zeros. */
void block_digest(const void *data, size_t len, size_t block_size,
		  uint8_t out[BLOCK_DIGEST_LEN]);

#endif
