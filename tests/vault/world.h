/*
 * A vault in memory and a model of the disk in it, for unit tests of the
 * restore: every segment is kept with what the disk held after it.
 */
#ifndef PS_TESTS_VAULT_WORLD_H
#define PS_TESTS_VAULT_WORLD_H

#include <pthread.h>

#include "vault/vault.h"

#define WORLD_SEGMENTS 1200
#define WORLD_OBJECTS 1300

struct world_object {
	char name[VAULT_NAME_SIZE];
	uint8_t *p;
	size_t n, cap;
};

struct world {
	struct store store; /* first: the store is the world */
	struct vault vault;
	uint32_t block_size;
	uint64_t blocks;
	uint64_t sizes[WORLD_SEGMENTS];	  /* of the disk after segment i */
	uint8_t *states[WORLD_SEGMENTS];  /* seed of each block; 0: zero */
	uint8_t *touched[WORLD_SEGMENTS]; /* by segment i */
	uint8_t digests[WORLD_SEGMENTS][SHA256_LEN];
	/* The last digest of each whole block, and of which seed it is. */
	uint8_t *known_digests;
	uint8_t *known_seeds; /* 0: of none */
	uint64_t seq;	      /* newest */
	/* A block that was a short tail once: zero behind this length. */
	uint64_t tail_block;
	uint32_t tail_len; /* 0: there is none */
	uint32_t record_blocks;
	uint8_t lie; /* makes the disk digest of the next segments wrong */
	struct world_object objects[WORLD_OBJECTS];
	unsigned nobjects;
	/* what the store sees */
	pthread_mutex_t lock;
	unsigned long reads;
	unsigned long read_bytes;
	unsigned long trip_at;	       /* at this read ... */
	void (*trip)(struct world *w); /* ... this happens first */
};

void world_new(struct world *w, uint32_t block_size, uint64_t max_size);
void world_free(struct world *w);

/* Begins the next segment: the disk is as before, of this size. */
void world_begin(struct world *w, uint64_t size);
/* Blocks first .. first + n - 1 get this seed (0: zero) and are sent. */
void world_write(struct world *w, uint64_t first, uint64_t n, uint8_t seed);
/* Puts the segment into the vault. */
void world_end(struct world *w, enum seg_kind kind, bool last_part);
/* The same for an object that replaces first..seq (which stay). */
void world_merge(struct world *w, uint64_t first, uint64_t seq,
		 enum seg_kind kind);
void world_remove(struct world *w, uint64_t first, uint64_t seq);
struct world_object *world_object(struct world *w, uint64_t first,
				  uint64_t seq);

/* Fills a buffer with what block number b holds after segment seq. */
void world_block(const struct world *w, uint64_t seq, uint64_t b, uint8_t *out);
/* Compares an open file (or any seekable) with the disk after seq. */
void world_compare(const struct world *w, uint64_t seq, int fd);
/* The disk digest after seq. */
void world_digest(struct world *w, uint64_t seq, uint8_t out[SHA256_LEN]);

#endif
