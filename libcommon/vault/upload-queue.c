#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/units.h"
#include "vault/upload-queue.h"

/* ---- the committer's side ---- */

static void held_reason(const struct upload_disk *d, char out[ACK_REASON_SIZE])
{
	snprintf(out, ACK_REASON_SIZE, "held since segment %llu: %.180s",
		 (unsigned long long)d->held_at, d->held_for);
}

static void drop_put(struct upload_queue *q, const struct upload_job *job)
{
	if (job->put != NULL)
		q->ops->put_abort(job->put);
}

/* Stores, compares or refuses; the put is used up. */
static int decide(struct upload_queue *q, const struct upload_job *job,
		  struct ack *a, struct err *e)
{
	struct fence *f = &job->disk->fence;

	if (queue_held(q, job->disk, a->reason)) {
		drop_put(q, job);
		a->level = ACK_REFUSED;
		return 0;
	}
	switch (job->what) {
	case UPLOAD_COMMIT:
		return fence_commit(f, &job->claim, job->put, a, e);
	case UPLOAD_CHECK:
		return fence_check(f, &job->claim, a, e);
	default:
		a->level = ACK_REFUSED;
		memcpy(a->reason, job->reason, sizeof(a->reason));
		return 0;
	}
}

static void hold(struct upload_queue *q, struct upload_disk *d,
		 const struct ack *a)
{
	pthread_mutex_lock(&q->lock);
	if (d->held_at == 0) {
		d->held_at = a->seq;
		memcpy(d->held_for, a->reason, sizeof(d->held_for));
	}
	pthread_mutex_unlock(&q->lock);
}

static int run_job(struct upload_queue *q, const struct upload_job *job,
		   struct ack *a, struct err *e)
{
	const struct fence *f = &job->disk->fence;
	int64_t begun = mono_now_ns();
	int rc;

	*a = (struct ack){.seq = job->claim.seq};
	memcpy(a->machine, f->machine, sizeof(a->machine));
	memcpy(a->disk, f->disk, sizeof(a->disk));
	memcpy(a->digest, job->claim.digest, SHA256_LEN);
	rc = decide(q, job, a, e);
	if (rc == 0 && a->level == ACK_REFUSED)
		hold(q, job->disk, a);
	/* Of a store over HTTP each request tells how long it took. */
	if (rc == 0 && a->level == ACK_STORED && q->u->report != NULL)
		upload_report_stored(
		    q->u->report,
		    q->ops->paced ? 0
				  : (double)(mono_now_ns() - begun) / NS_PER_S);
	return rc;
}

/*
 * With the lock held; the first failure counts. The reader may sleep in a
 * read: the eventfd tells it at once.
 */
static void fail(struct upload_queue *q, const struct err *e)
{
	const uint64_t one = 1;
	ssize_t put;

	if (q->failed)
		return;
	q->failed = true;
	q->why = *e;
	put = write(q->wake_fd, &one, sizeof(one));
	(void)put;
}

static struct queue_slot *slot_at(struct upload_queue *q, unsigned long i)
{
	return &q->slots[i % QUEUE_DEPTH];
}

/* With the lock held: is a job of this disk before number `end` not done? */
static bool is_busy(struct upload_queue *q, const struct upload_disk *d,
		    unsigned long end)
{
	unsigned long i;

	for (i = q->done; i < end; i++) {
		const struct queue_slot *s = slot_at(q, i);

		if (s->job.disk == d && s->state <= QUEUE_RUNS)
			return true;
	}
	return false;
}

/* With the lock held: the first job that need not wait; NULL: none. */
static struct queue_slot *next_job(struct upload_queue *q)
{
	unsigned long i;

	for (i = q->done; i < q->pushed; i++) {
		struct queue_slot *s = slot_at(q, i);

		if (s->state == QUEUE_WAITS && !is_busy(q, s->job.disk, i))
			return s;
	}
	return NULL;
}

static int give_ack(struct upload_queue *q, const struct ack *a, struct err *e)
{
	int rc = q->u->ack(q->u->ctx, a, e);

	if (rc < 0)
		return rc;
	if (a->level == ACK_REFUSED)
		q->totals.refused++;
	else
		q->totals.stored++;
	return 0;
}

/*
 * With the lock held, which is let go meanwhile: acknowledges what has ended
 * and stands first. What was stored is told even after another's failure.
 */
static void give_acks(struct upload_queue *q)
{
	while (!q->acking && q->done < q->pushed &&
	       slot_at(q, q->done)->state >= QUEUE_ENDED) {
		const struct queue_slot *s = slot_at(q, q->done);
		struct err e = {0};
		int rc = 0;

		q->acking = true;
		if (s->state == QUEUE_ENDED && !q->ack_broke) {
			pthread_mutex_unlock(&q->lock);
			rc = give_ack(q, &s->ack, &e);
			pthread_mutex_lock(&q->lock);
		}
		if (rc < 0) {
			q->ack_broke = true;
			fail(q, &e);
		}
		q->acking = false;
		q->done++;
		pthread_cond_broadcast(&q->changed);
	}
}

/* With the lock held, which is let go meanwhile. */
static void work(struct upload_queue *q, struct queue_slot *s)
{
	bool failed = q->failed;
	struct err e = {0};
	int rc = 0;

	s->state = QUEUE_RUNS;
	pthread_mutex_unlock(&q->lock);
	if (failed)
		drop_put(q, &s->job);
	else
		rc = run_job(q, &s->job, &s->ack, &e);
	pthread_mutex_lock(&q->lock);
	if (rc < 0)
		fail(q, &e);
	s->state = failed || rc < 0 ? QUEUE_LOST : QUEUE_ENDED;
	pthread_cond_broadcast(&q->changed);
	give_acks(q);
}

static void *committer(void *arg)
{
	struct upload_queue *q = arg;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		struct queue_slot *s = next_job(q);

		if (s != NULL)
			work(q, s);
		else if (q->closing && q->done == q->pushed)
			break;
		else
			pthread_cond_wait(&q->changed, &q->lock);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- the reader's side ---- */

/* One more while there are fewer than jobs that could run; one must start. */
static int start_one(struct upload_queue *q, struct err *e)
{
	if (q->nthreads == COMMITTERS || q->nthreads > q->pushed - q->done)
		return 0;
	errno = pthread_create(&q->threads[q->nthreads], NULL, committer, q);
	if (errno == 0)
		q->nthreads++;
	else if (q->nthreads == 0)
		return err_sys(e, PS_TEMPFAIL, "cannot start a thread");
	return 0;
}

int queue_open(struct upload_queue *q, struct vault *v, const struct upload *u,
	       struct err *e)
{
	*q = (struct upload_queue){.u = u, .ops = v->store->ops};
	q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->wake_fd < 0)
		return err_sys(e, 0, "eventfd");
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	return 0;
}

/* With the lock held. */
static int failure(struct upload_queue *q, struct err *e)
{
	if (!q->failed)
		return 0;
	if (e != NULL)
		*e = q->why;
	return -q->why.code;
}

int queue_failure(struct upload_queue *q, struct err *e)
{
	int rc;

	pthread_mutex_lock(&q->lock);
	rc = failure(q, e);
	pthread_mutex_unlock(&q->lock);
	return rc;
}

int queue_push(struct upload_queue *q, const struct upload_job *job,
	       struct err *e)
{
	int rc;

	pthread_mutex_lock(&q->lock);
	while (q->pushed - q->done == QUEUE_DEPTH)
		pthread_cond_wait(&q->changed, &q->lock);
	rc = failure(q, e);
	if (rc == 0)
		rc = start_one(q, e);
	if (rc == 0) {
		*slot_at(q, q->pushed++) = (struct queue_slot){.job = *job};
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	if (rc < 0)
		drop_put(q, job);
	return rc;
}

bool queue_waits(struct upload_queue *q, const struct upload_disk *d)
{
	bool waits;

	pthread_mutex_lock(&q->lock);
	waits = q->pushed - q->done >= COMMITTERS || is_busy(q, d, q->pushed);
	pthread_mutex_unlock(&q->lock);
	return waits;
}

int queue_idle(struct upload_queue *q, const struct upload_disk *d,
	       struct err *e)
{
	int rc;

	pthread_mutex_lock(&q->lock);
	while (is_busy(q, d, q->pushed))
		pthread_cond_wait(&q->changed, &q->lock);
	rc = failure(q, e);
	pthread_mutex_unlock(&q->lock);
	return rc;
}

void queue_release(struct upload_queue *q, struct upload_disk *d)
{
	pthread_mutex_lock(&q->lock);
	d->held_at = 0;
	pthread_mutex_unlock(&q->lock);
}

bool queue_held(struct upload_queue *q, const struct upload_disk *d,
		char reason[ACK_REASON_SIZE])
{
	bool held;

	pthread_mutex_lock(&q->lock);
	held = d->held_at != 0;
	if (held)
		held_reason(d, reason);
	pthread_mutex_unlock(&q->lock);
	return held;
}

int queue_close(struct upload_queue *q, struct err *e)
{
	unsigned i;
	int rc;

	pthread_mutex_lock(&q->lock);
	q->closing = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
	for (i = 0; i < q->nthreads; i++)
		pthread_join(q->threads[i], NULL);
	rc = failure(q, e);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	close(q->wake_fd);
	return rc;
}
