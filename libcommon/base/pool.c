#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/pool.h"

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work_ready; /* workers wait for it */
	pthread_cond_t work_done;  /* the owner waits for it */
	pthread_t *threads;
	unsigned nthreads;
	unsigned depth;
	size_t slot_size;
	char *slots;
	bool *done;
	/* Counters that only grow; a slot is counter % depth. */
	unsigned long released, taken, started, submitted;
	bool stop;
	pool_work_fn *work;
	void *ctx;
};

unsigned pool_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

void *pool_at(struct pool *p, unsigned i)
{
	return p->slots + (size_t)i * p->slot_size;
}

unsigned pool_depth(const struct pool *p)
{
	return p->depth;
}

static void *worker(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		unsigned i;

		while (!p->stop && p->started == p->submitted)
			pthread_cond_wait(&p->work_ready, &p->lock);
		if (p->started == p->submitted)
			break;
		i = (unsigned)(p->started++ % p->depth);
		pthread_mutex_unlock(&p->lock);
		p->work(pool_at(p, i), p->ctx);
		pthread_mutex_lock(&p->lock);
		p->done[i] = true;
		if (i == p->taken % p->depth)
			pthread_cond_signal(&p->work_done);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int pool_new(struct pool **ret, unsigned threads, unsigned depth,
	     size_t slot_size, pool_work_fn *work, void *ctx, struct err *e)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "thread pool");
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work_ready, NULL);
	pthread_cond_init(&p->work_done, NULL);
	if (threads == 0)
		threads = pool_cpus();
	p->depth = depth == 0 ? 2 * threads : depth;
	p->slot_size = slot_size;
	p->work = work;
	p->ctx = ctx;
	p->slots = calloc(p->depth, slot_size);
	p->done = calloc(p->depth, sizeof(*p->done));
	p->threads = calloc(threads, sizeof(*p->threads));
	if (p->slots == NULL || p->done == NULL || p->threads == NULL) {
		pool_free(p);
		errno = ENOMEM;
		return err_sys(e, PS_TEMPFAIL, "thread pool");
	}
	for (; p->nthreads < threads; p->nthreads++) {
		errno =
		    pthread_create(&p->threads[p->nthreads], NULL, worker, p);
		if (errno != 0 && p->nthreads > 0)
			break; /* fewer threads do, only slower */
		if (errno != 0) {
			int rc =
			    err_sys(e, PS_TEMPFAIL, "cannot start a thread");

			pool_free(p);
			return rc;
		}
	}
	*ret = p;
	return 0;
}

void *pool_slot(struct pool *p)
{
	if (p->submitted - p->released >= p->depth)
		return NULL;
	return pool_at(p, (unsigned)(p->submitted % p->depth));
}

void pool_submit(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->done[p->submitted % p->depth] = false;
	p->submitted++;
	pthread_cond_signal(&p->work_ready);
	pthread_mutex_unlock(&p->lock);
}

static void *take(struct pool *p, bool wait)
{
	unsigned i = (unsigned)(p->taken % p->depth);
	bool ready;

	if (p->taken == p->submitted)
		return NULL;
	pthread_mutex_lock(&p->lock);
	while (wait && !p->done[i])
		pthread_cond_wait(&p->work_done, &p->lock);
	ready = p->done[i];
	if (ready)
		p->taken++;
	pthread_mutex_unlock(&p->lock);
	return ready ? pool_at(p, i) : NULL;
}

void *pool_take(struct pool *p)
{
	return take(p, true);
}

void *pool_peek(struct pool *p)
{
	return take(p, false);
}

void pool_release(struct pool *p)
{
	p->released++;
}

void pool_free(struct pool *p)
{
	unsigned i;

	if (p == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work_ready);
	pthread_mutex_unlock(&p->lock);
	for (i = 0; i < p->nthreads; i++)
		pthread_join(p->threads[i], NULL);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work_ready);
	pthread_cond_destroy(&p->work_done);
	free(p->threads);
	free(p->done);
	free(p->slots);
	free(p);
}
