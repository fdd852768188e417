/* A vault of its own for each test, and what is uploaded to it. */
#ifndef PS_TESTS_VAULT_PLACE_H
#define PS_TESTS_VAULT_PLACE_H

#include "segs.h"

struct place {
	struct vault v;
	char dir[64];
	struct bytes b;		   /* added, not yet uploaded */
	struct answers a;	   /* of the last upload */
	uint8_t d[16][SHA256_LEN]; /* digests of web01/root, by sequence */
};

/* Setup and teardown of a test: *state is a place with an empty vault. */
int place_begin(void **state);
int place_end(void **state);

/* Appends segment `seq` of web01/root, the successor of the one before. */
void place_add(struct place *p, uint64_t seq);

/* Uploads what was added; gives the code. */
int place_go(struct place *p);

/* The vault of a test with 1..n in it. */
void place_fill(struct place *p, uint64_t n);

/* Takes the object first..seq of web01/root away, as retention does. */
void place_remove(struct place *p, uint64_t first, uint64_t seq);

#endif
