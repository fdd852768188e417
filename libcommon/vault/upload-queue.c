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
		   struct err *e)
{
	const struct fence *f = &job->disk->fence;
	struct ack a = {.seq = job->claim.seq};
	int64_t begun;
	int rc;

	memcpy(a.machine, f->machine, sizeof(a.machine));
	memcpy(a.disk, f->disk, sizeof(a.disk));
	memcpy(a.digest, job->claim.digest, SHA256_LEN);
	begun = mono_now_ns();
	rc = decide(q, job, &a, e);
	if (rc < 0)
		return rc;
	if (q->u->report != NULL && a.level == ACK_STORED)
		upload_report_stored(
		    q->u->report,
		    q->ops->paced ? 0
				  : (double)(mono_now_ns() - begun) / NS_PER_S);
	if (a.level == ACK_REFUSED)
		hold(q, job->disk, &a);
	rc = q->u->ack(q->u->ctx, &a, e);
	if (rc < 0)
		return rc;
	if (a.level == ACK_REFUSED)
		q->totals.refused++;
	else
		q->totals.stored++;
	return 0;
}

/* The reader may sleep in a read: the eventfd tells it at once. */
static void fail(struct upload_queue *q, const struct err *e)
{
	const uint64_t one = 1;
	ssize_t put;

	pthread_mutex_lock(&q->lock);
	q->failed = true;
	q->why = *e;
	pthread_mutex_unlock(&q->lock);
	put = write(q->wake_fd, &one, sizeof(one));
	(void)put;
}

static void *committer(void *arg)
{
	struct upload_queue *q = arg;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		const struct upload_job *job;
		struct err e = {0};
		bool failed;

		while (q->done == q->pushed && !q->closing)
			pthread_cond_wait(&q->changed, &q->lock);
		if (q->done == q->pushed)
			break;
		job = &q->jobs[q->done % QUEUE_DEPTH];
		failed = q->failed;
		pthread_mutex_unlock(&q->lock);
		if (failed)
			drop_put(q, job);
		else if (run_job(q, job, &e) < 0)
			fail(q, &e);
		pthread_mutex_lock(&q->lock);
		q->done++;
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- the reader's side ---- */

int queue_open(struct upload_queue *q, struct vault *v, const struct upload *u,
	       struct err *e)
{
	*q = (struct upload_queue){.u = u, .ops = v->store->ops};
	q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->wake_fd < 0)
		return err_sys(e, 0, "eventfd");
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	errno = pthread_create(&q->thread, NULL, committer, q);
	if (errno == 0)
		return 0;
	err_sys(e, PS_TEMPFAIL, "cannot start a thread");
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	close(q->wake_fd);
	return -PS_TEMPFAIL;
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
	if (rc == 0) {
		q->jobs[q->pushed++ % QUEUE_DEPTH] = *job;
		pthread_cond_broadcast(&q->changed);
	}
	pthread_mutex_unlock(&q->lock);
	if (rc < 0)
		drop_put(q, job);
	return rc;
}

int queue_idle(struct upload_queue *q, struct err *e)
{
	int rc;

	pthread_mutex_lock(&q->lock);
	while (q->done != q->pushed)
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
	int rc;

	pthread_mutex_lock(&q->lock);
	q->closing = true;
	pthread_cond_broadcast(&q->changed);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	rc = failure(q, e);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->changed);
	close(q->wake_fd);
	return rc;
}
