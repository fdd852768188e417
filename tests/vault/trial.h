/* Restores of one world, each checked against the model of its disk. */
#ifndef PS_TESTS_VAULT_TRIAL_H
#define PS_TESTS_VAULT_TRIAL_H

#include "vault/restore.h"
#include "world.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* The vault; made by the test, freed by trial_end. */
extern struct world world;
/* Where a restore of this test goes; nothing is there at its begin. */
extern char trial_path[64];
/* What the last restore that had to fail said. */
extern char trial_words[512];

/* Setup and teardown: a folder; fails when a restore left something in it. */
int trial_begin(void **state);
int trial_end(void **state);

/*
 * Restores segment `seq` of the world to a target (NULL: to nowhere) and
 * gives the code. `limit` is the plan's; 0: the usual one.
 */
int trial_run(const char *to, uint64_t seq, uint32_t limit,
	      struct restore_result *res, struct err *e);
/* A restore to a file, which must be what the disk was after `seq`. */
void trial_check(uint64_t seq, uint32_t limit);
/* A restore that must fail with this code and leave no file. */
void trial_must_fail(uint64_t seq, int code);

/* A random number below n. */
uint64_t trial_number(uint64_t n);
/* One segment with a few random runs of blocks. */
void trial_segment(uint64_t size, enum seg_kind kind, unsigned runs,
		   uint64_t longest);
/* A world of five random segments: a base and its successors. */
void trial_five(void);

#endif
