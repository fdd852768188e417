/*
 * Sealing: AES-256-GCM over every part of a segment.
 *
 * machine key = HKDF-SHA-256(vault key, info "ps-toolkit machine" || machine)
 * segment key = HKDF-SHA-256(machine key, salt, SHA-256(header as stored))
 * nonce = 3 zero bytes, 8 bytes counter (little-endian), 1 byte last flag.
 * Records count from 0, index pages go on counting, the directory is last
 * with the last flag (STREAM, Hoang et al. 2015): cut, swapped, repeated or
 * mixed parts do not open. The associated data are the part's header without
 * its CRCs; the directory's also hold the whole trailer up to its CRC.
 */
#ifndef PS_SEGMENT_SEAL_H
#define PS_SEGMENT_SEAL_H

#include "segment/format.h"

struct keyring; /* the keys of a key file; the newest seals, all open */
struct seal;	/* the key of one segment; may be used by many threads */

/*
 * Reads a key file (secret_read rules). It holds vault keys, or the derived
 * keys of one machine.
 */
int keyring_load(struct keyring **ret, const char *path, struct err *e);
void keyring_free(struct keyring *k);

/*
 * Fills key id and a fresh salt into `h` and sets SEG_SEALED, then derives
 * the segment's key. -PS_NOPERM when the keyring is for another machine.
 */
int seal_new(struct seal **ret, const struct keyring *k, struct seg_header *h,
	     struct err *e);
/* For a sealed segment as stored. -PS_NOPERM: the key is not in the ring. */
int seal_for(struct seal **ret, const struct keyring *k,
	     const struct seg_header *h,
	     const uint8_t header_raw[SEG_HEADER_LEN], struct err *e);
void seal_free(struct seal *s);

/*
 * Seals n bytes; `out` has room for n + SEG_TAG_LEN. `out` may be `in`.
 * `counter` and `last` make the nonce.
 */
int seal_bytes(const struct seal *s, uint64_t counter, bool last,
	       const void *aad, size_t aad_len, const void *in, size_t n,
	       uint8_t *out, struct err *e);
/*
 * Opens n bytes (tag included) into `out` (n - SEG_TAG_LEN bytes; may be
 * `in`). -PS_DATA when they are not authentic; `out` is then zeroed.
 */
int open_bytes(const struct seal *s, uint64_t counter, bool last,
	       const void *aad, size_t aad_len, const void *in, size_t n,
	       uint8_t *out, struct err *e);

/* Lengths of the associated data: a part's header up to its payload CRC. */
#define SEAL_RECORD_AAD 28
#define SEAL_PAGE_AAD 24
#define SEAL_DIR_AAD 16

/* The trailer as associated data of the directory: without CRC and end. */
#define SEAL_TRAILER_AAD(len) ((len)-8)

#endif
