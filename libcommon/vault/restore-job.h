/*
 * One job of a restore: a few MiB of disk. A worker fetches the records (what
 * stands together in an object with one read), checks, opens and expands
 * them, hashes every block that is wanted and compares it with its digest.
 * Targets that take any place are written by the worker; for a stream the
 * blocks are put together in a buffer that the owner writes in order.
 */
#ifndef PS_VAULT_RESTORE_JOB_H
#define PS_VAULT_RESTORE_JOB_H

#include "vault/plan.h"
#include "vault/restore-target.h"

#define JOB_PIECES 1024u
#define JOB_OBJECTS 16u

struct job_piece {
	const struct plan_item *item;
	const struct seg_object *object;
	uint16_t first, count; /* blocks of the record: of the item's */
};

struct job {
	/* prepared once */
	uint8_t *in;	 /* as stored */
	uint8_t *record; /* expanded */
	uint8_t *out;	 /* streams: the blocks in order */
	struct codec_state *codec;
	/* what to do */
	struct job_piece pieces[JOB_PIECES];
	uint32_t npieces;
	uint32_t objects[JOB_OBJECTS]; /* kept open, numbers in the chain */
	uint32_t nobjects;
	uint64_t offset, len; /* streams: bytes of the disk */
	/* what came of it */
	int rc;
	struct err err;
	uint64_t fetched;
};

/* What all jobs share. */
struct job_ctx {
	struct plan *plan;
	struct target *target;
	bool stream;
	size_t bytes; /* room in `in` and `out` */
};

int job_prepare(struct job *j, const struct job_ctx *ctx, struct err *e);
void job_release(struct job *j); /* frees what job_prepare made */

/* pool_work_fn: slot is a struct job, ctx a struct job_ctx. */
void job_work(void *slot, void *ctx);

#endif
