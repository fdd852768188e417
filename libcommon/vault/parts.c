#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "vault/parts.h"
#include "vault/settings.h"

/* Parts that are filled or wait, beside those on their way. */
#define SPARE 4u

struct parts {
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct part *first, **last; /* to be sent */
	size_t used, budget;	    /* bytes of parts that are out */
	/* Parts that come back without the help of those who fill parts. */
	unsigned moving;
	unsigned jobs, running;
	bool closing;
	size_t usual;	    /* size of most parts */
	struct part *spare; /* of that size, to be used again */
	unsigned nspare;
	pthread_t threads[STORE_JOBS_MAX];
};

/* ---- memory ---- */

/* With the lock held. */
static void give_back(struct parts *p, struct part *part)
{
	p->used -= part->size;
	if (part->size == p->usual && (p->nspare + 1) * p->usual <= p->budget) {
		part->next = p->spare;
		p->spare = part;
		p->nspare++;
	} else {
		free(part);
	}
	pthread_cond_broadcast(&p->done);
}

static struct part *allocate(struct parts *p, size_t size)
{
	struct part *part = p->spare;

	if (size != p->usual || part == NULL)
		return malloc(sizeof(*part) + size);
	p->spare = part->next;
	p->nspare--;
	return part;
}

static int failure(const struct part_set *set, struct err *e)
{
	if (set->rc < 0 && e != NULL)
		*e = set->why;
	return set->rc;
}

/* Room for a part. */
static int take(struct parts *p, struct part_set *set, size_t size,
		struct part **ret, struct err *e)
{
	struct part *part = NULL;
	int rc;

	pthread_mutex_lock(&p->lock);
	while (set->rc == 0 && p->moving > 0 && p->used + size > p->budget)
		pthread_cond_wait(&p->done, &p->lock);
	rc = failure(set, e);
	if (rc == 0) {
		part = allocate(p, size);
		if (part == NULL)
			rc = err_sys(e, PS_TEMPFAIL, "part of an object");
		else
			p->used += size;
	}
	pthread_mutex_unlock(&p->lock);
	if (rc != 0)
		return rc;
	part->next = NULL;
	part->set = set;
	part->index = 0;
	part->len = 0;
	part->size = size;
	*ret = part;
	return 0;
}

int part_write(struct parts *p, struct part_set *set, const void *buf, size_t n,
	       struct err *e)
{
	const uint8_t *from = buf;

	while (n > 0) {
		struct part *part = set->part;
		size_t now;
		int rc = 0;

		/* Only now is it known that the part is not the last. */
		if (part != NULL && part->len == part->size)
			rc = set->full(set->ctx, e);
		if (rc == 0 && set->part == NULL)
			rc = take(p, set, set->size(set->count), &set->part, e);
		if (rc != 0)
			return rc;
		part = set->part;
		now = part->size - part->len;
		now = now < n ? now : n;
		memcpy(part->data + part->len, from, now);
		part->len += now;
		from += now;
		n -= now;
	}
	return 0;
}

void part_trim(struct parts *p, struct part_set *set)
{
	struct part *small = set->part;
	size_t size = small != NULL ? small->size : 0;

	if (small == NULL || small->len == size)
		return;
	small = malloc(sizeof(*small) + small->len);
	if (small == NULL)
		return;
	memcpy(small, set->part, sizeof(*small) + set->part->len);
	small->size = small->len;
	pthread_mutex_lock(&p->lock);
	p->used += small->size;
	give_back(p, set->part);
	pthread_mutex_unlock(&p->lock);
	set->part = small;
}

void part_sends(struct parts *p, struct part_set *set, bool now)
{
	if (set->part == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->moving += now ? 1 : -1u;
	pthread_cond_broadcast(&p->done);
	pthread_mutex_unlock(&p->lock);
}

void part_drop(struct parts *p, struct part *part)
{
	if (part == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	give_back(p, part);
	pthread_mutex_unlock(&p->lock);
}

/* ---- sending ---- */

/* With the lock held, which is let go meanwhile. */
static void send_one(struct parts *p, struct part *part)
{
	struct part_set *set = part->set;
	struct err e = {0};
	int rc = 0;
	bool skip = set->rc < 0;

	pthread_mutex_unlock(&p->lock);
	if (!skip)
		rc = set->send(set->ctx, part, &e);
	pthread_mutex_lock(&p->lock);
	if (rc < 0 && set->rc == 0) {
		set->rc = rc;
		set->why = e;
	}
	set->under_way--;
	p->moving--;
	give_back(p, part);
}

static void *worker(void *arg)
{
	struct parts *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct part *part;

		while (p->first == NULL && !p->closing)
			pthread_cond_wait(&p->work, &p->lock);
		part = p->first;
		if (part == NULL)
			break;
		p->first = part->next;
		if (p->first == NULL)
			p->last = &p->first;
		send_one(p, part);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

/* With the lock held: one more thread while there are fewer than jobs. */
static int start_one(struct parts *p, struct err *e)
{
	sigset_t every, before;

	if (p->running == p->jobs)
		return 0;
	/* Signals are for the thread that expects them. */
	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &before);
	errno = pthread_create(&p->threads[p->running], NULL, worker, p);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno == 0)
		p->running++;
	else if (p->running == 0)
		return err_sys(e, PS_TEMPFAIL, "cannot start a thread");
	return 0;
}

int part_send(struct parts *p, struct part *part, struct err *e)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	rc = start_one(p, e);
	if (rc == 0) {
		part->set->under_way++;
		p->moving++;
		part->next = NULL;
		*p->last = part;
		p->last = &part->next;
		pthread_cond_signal(&p->work);
	} else {
		give_back(p, part);
	}
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static void drop_waiting(struct parts *p, const struct part_set *set)
{
	struct part **at = &p->first, *part;

	while ((part = *at) != NULL) {
		if (part->set != set) {
			at = &part->next;
			continue;
		}
		*at = part->next;
		part->set->under_way--;
		p->moving--;
		give_back(p, part);
	}
	p->last = at;
}

int part_wait(struct parts *p, struct part_set *set, bool cancel, struct err *e)
{
	int rc;

	pthread_mutex_lock(&p->lock);
	if (cancel || set->rc < 0)
		drop_waiting(p, set);
	while (set->under_way > 0)
		pthread_cond_wait(&p->done, &p->lock);
	rc = failure(set, e);
	pthread_mutex_unlock(&p->lock);
	return rc;
}

/* ---- all of it ---- */

int parts_open(struct parts **ret, unsigned jobs, size_t size, struct err *e)
{
	struct parts *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "store");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->done, NULL);
	p->last = &p->first;
	p->jobs = jobs == 0		  ? STORE_JOBS
		  : jobs > STORE_JOBS_MAX ? STORE_JOBS_MAX
					  : jobs;
	p->budget = (size_t)(p->jobs + SPARE) * PART_SIZE;
	p->usual = size;
	*ret = p;
	return 0;
}

void parts_close(struct parts *p)
{
	unsigned i;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->closing = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->running; i++)
		pthread_join(p->threads[i], NULL);
	while (p->spare != NULL) {
		struct part *next = p->spare->next;

		free(p->spare);
		p->spare = next;
	}
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	free(p);
}
