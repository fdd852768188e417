/* Small segments, vaults and uploads for the unit tests of this room. */
#ifndef PS_TESTS_VAULT_SEGS_H
#define PS_TESTS_VAULT_SEGS_H

#include "vault/point.h"
#include "vault/upload.h"

#define SEGS_BLOCK 4096u
#define SEGS_DISK (8 * SEGS_BLOCK)

/* Bytes that grow. */
struct bytes {
	uint8_t *p;
	size_t n, cap;
};
void bytes_free(struct bytes *b);

/* What a segment is to be; zero fields get sensible values. */
struct spec {
	const char *machine, *disk; /* web01, root */
	uint64_t seq;		    /* 1 */
	uint64_t first;		    /* merged: covers first..seq */
	bool delta;		    /* although first is given or seq is 1 */
	bool base;		    /* a new base in the middle */
	bool part;		    /* not the last part of its pass */
	const char *bookmark;	    /* pSEQ */
	int64_t time;		    /* seq */
	uint8_t consistency;
	const char *members; /* "web01/root,db/data"; this disk alone */
	unsigned fill;	     /* content */
	uint64_t size;	     /* SEGS_DISK */
	/* Digest of the predecessor; of first..seq when merged. */
	uint8_t prev[SHA256_LEN];
	struct seg_replaced *replaced;
	uint32_t nreplaced;
	bool no_records;
};

/* Appends a segment; its digest goes to `digest`. */
void seg_make(struct bytes *out, const struct spec *s,
	      uint8_t digest[SHA256_LEN]);

/* Puts it into the vault as it is, past every rule. */
void seg_put(struct vault *v, const struct spec *s, uint8_t digest[SHA256_LEN]);

/* n segments of web01/root in the vault, each the last of its pass. */
void seg_chain(struct vault *v, unsigned n, uint8_t digests[][SHA256_LEN]);

/*
 * The segments of a chain as one object first..seq. `digests` are those of
 * the single segments, from 1.
 */
void seg_merged(struct vault *v, uint64_t first, uint64_t seq,
		uint8_t digests[][SHA256_LEN]);

/* A folder that goes away with segs_vault_end; a vault in it. */
void segs_vault(struct vault *v, char dir[64]);
void segs_vault_end(struct vault *v, const char *dir);
void segs_remove(const char *dir);

/* Is there an object of this name below the folder? */
bool segs_exists(const char *dir, const char *name);
/* Temporary files anywhere below the folder. */
unsigned segs_leftovers(const char *dir);
void segs_drop_leftovers(const char *dir);

/* What an upload answered. */
struct answers {
	struct ack acks[64];
	unsigned n;
	struct upload_totals totals;
	struct err err;
};

/* Uploads bytes; the code that upload_run gives. */
int segs_upload(struct vault *v, const struct bytes *b, struct answers *ret);

#endif
