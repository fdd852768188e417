/*
 * Private to upload: what is written and waits for its name. Committers give
 * names to several segments at a time, but of one disk one after another;
 * acknowledgements keep the order of the stream.
 */
#ifndef PS_VAULT_UPLOAD_QUEUE_H
#define PS_VAULT_UPLOAD_QUEUE_H

#include <pthread.h>

#include "vault/fence.h"
#include "vault/upload.h"

/* Segments that may wait; their bytes are in the store, or few. */
#define QUEUE_DEPTH 16
/* Names that are given at a time, at most: a round trip each. */
#define COMMITTERS 8

struct upload_disk {
	struct upload_disk *next;
	struct fence fence; /* the committer's, while anything is queued */
	/* The reader's: where the history will end when all is committed. */
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
	/* Under the queue's lock: refused at this sequence (0: not held). */
	uint64_t held_at;
	char held_for[ACK_REASON_SIZE];
};

enum upload_what {
	UPLOAD_COMMIT, /* give the written object its name */
	UPLOAD_CHECK,  /* compare with what is there */
	UPLOAD_REFUSE,
};

struct upload_job {
	enum upload_what what;
	struct upload_disk *disk;
	struct store_put *put; /* UPLOAD_COMMIT only */
	struct fence_claim claim;
	char reason[ACK_REASON_SIZE]; /* UPLOAD_REFUSE only */
};

enum queue_state { QUEUE_WAITS, QUEUE_RUNS, QUEUE_ENDED, QUEUE_LOST };

struct queue_slot {
	struct upload_job job;
	struct ack ack; /* when ended; none when lost */
	enum queue_state state;
};

struct upload_queue {
	pthread_t threads[COMMITTERS];
	unsigned nthreads;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct queue_slot slots[QUEUE_DEPTH];
	unsigned long pushed, done; /* counters that only grow */
	bool closing, failed;
	bool acking;	/* by one of the threads */
	bool ack_broke; /* nobody takes acknowledgements any more */
	struct err why; /* when failed */
	int wake_fd;	/* eventfd: readable once it has failed */
	const struct upload *u;
	const struct store_ops *ops;
	struct upload_totals totals; /* stored, refused */
};

int queue_open(struct upload_queue *q, struct vault *v, const struct upload *u,
	       struct err *e);
/*
 * Hands a job over, waiting for room. The put is the queue's in every case.
 * Fails with what an earlier job failed with.
 */
int queue_push(struct upload_queue *q, const struct upload_job *job,
	       struct err *e);
/* Waits until nothing of a disk is queued; fails as queue_push does. */
int queue_idle(struct upload_queue *q, const struct upload_disk *d,
	       struct err *e);
/* Would a job of this disk have to wait for others? */
bool queue_waits(struct upload_queue *q, const struct upload_disk *d);
/* 0, or what a job has failed with. */
int queue_failure(struct upload_queue *q, struct err *e);
/* Forgets that a disk was refused. Nothing of it may be queued. */
void queue_release(struct upload_queue *q, struct upload_disk *d);
/* True, with the reason, when the disk was refused before. */
bool queue_held(struct upload_queue *q, const struct upload_disk *d,
		char reason[ACK_REASON_SIZE]);
/* Finishes what is queued, ends the threads; as queue_failure. */
int queue_close(struct upload_queue *q, struct err *e);

#endif
