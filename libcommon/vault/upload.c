#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/rate.h"
#include "segment/reader.h"
#include "vault/upload-queue.h"

/* One segment on its way: where it goes is decided at its header. */
struct run {
	struct vault *v;
	int fd;
	const char *name; /* of the input */
	struct upload_queue queue;
	struct upload_disk *disks;
	struct seg_reader reader;
	struct io_out out; /* gathers small parts; its end is `job.put` */
	struct upload_job job;
	struct rate *rate; /* NULL: no limit, or the store keeps it */
	struct upload_report *report; /* NULL: none */
	uint64_t bytes, before;
};

/* ---- ends ---- */

static void waits_for_input(struct run *r, bool waits)
{
	if (r->report != NULL)
		upload_report_input(r->report, waits);
}

/* Waits for input, or for the committer to fail: then nothing is worth it. */
static ssize_t read_input(void *ctx, void *buf, size_t n, struct err *e)
{
	struct run *r = ctx;
	struct pollfd fds[2] = {{.fd = r->fd, .events = POLLIN},
				{.fd = r->queue.wake_fd, .events = POLLIN}};

	for (;;) {
		ssize_t got;
		int ready;

		waits_for_input(r, true);
		ready = poll(fds, 2, -1);
		waits_for_input(r, false);
		if (ready < 0 && errno != EINTR)
			return err_sys(e, 0, "%s", r->name);
		if (fds[1].revents != 0)
			return queue_failure(&r->queue, e);
		if (fds[0].revents == 0)
			continue;
		got = read(r->fd, buf, n);
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return err_sys(e, 0, "%s", r->name);
	}
}

/* A store that is paced does both by itself. */
static void limit(struct run *r, size_t n)
{
	if (r->rate == NULL)
		return;
	if (r->report != NULL) {
		upload_report_moved(r->report, n);
		upload_report_limit(r->report, true);
	}
	rate_take(r->rate, n);
	if (r->report != NULL)
		upload_report_limit(r->report, false);
}

static int write_put(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct run *r = ctx;
	int rc = r->v->store->ops->put_write(r->job.put, buf, n, e);

	if (rc < 0)
		return rc;
	r->bytes += n;
	progress_at(r->before + r->bytes);
	limit(r, n);
	return 0;
}

/* ---- deciding at the header ---- */

static int refuse(struct upload_job *job, const char *reason)
{
	job->what = UPLOAD_REFUSE;
	snprintf(job->reason, sizeof(job->reason), "%s", reason);
	return 0;
}

/*
 * Looks where the vault's history ends. An end that cannot be read refuses
 * this disk's segments, not those of others.
 */
static int look(struct run *r, struct upload_disk *d, struct err *e)
{
	int rc = queue_idle(&r->queue, d, e);

	if (rc == 0)
		rc = fence_look(&d->fence, e);
	if (rc == 0) {
		d->seq = d->fence.seq;
		memcpy(d->digest, d->fence.digest, SHA256_LEN);
	}
	return rc;
}

/*
 * A disk that was refused may have been seated since: then what comes now
 * goes on from the vault's end. 1 when it is so, and the hold is gone.
 */
static int seated_since(struct run *r, struct upload_disk *d,
			const struct seg_header *h, struct err *e)
{
	int rc = look(r, d, e);

	if (rc == -PS_DATA || rc == -PS_PROTOCOL)
		return 0;
	if (rc < 0 ||
	    fence_judge(d->seq, d->digest, h->seq, h->prev) != FENCE_NEXT)
		return rc;
	queue_release(&r->queue, d);
	return 1;
}

static struct upload_disk *find_disk(const struct run *r,
				     const struct seg_header *h)
{
	struct upload_disk *d;

	for (d = r->disks; d != NULL; d = d->next)
		if (strcmp(d->fence.machine, h->machine) == 0 &&
		    strcmp(d->fence.disk, h->disk) == 0)
			break;
	return d;
}

static int new_disk(struct run *r, const struct seg_header *h,
		    struct upload_disk **ret, struct err *e)
{
	struct upload_disk *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_sys(e, PS_TEMPFAIL, "upload");
	d->fence.vault = r->v;
	memcpy(d->fence.machine, h->machine, sizeof(d->fence.machine));
	memcpy(d->fence.disk, h->disk, sizeof(d->fence.disk));
	d->next = r->disks;
	r->disks = d;
	*ret = d;
	return 0;
}

/* The rule, by what the vault will hold when all that is queued is there. */
static int decide(struct run *r, const struct seg_header *h, bool fresh,
		  struct err *e)
{
	struct upload_job *job = &r->job;
	struct upload_disk *d = job->disk;
	enum fence_verdict verdict =
	    fence_judge(d->seq, d->digest, h->seq, h->prev);

	if (!fresh && (verdict == FENCE_GAP || verdict == FENCE_FORK)) {
		/* Somebody else may have gone on since we looked. */
		int rc = look(r, d, e);

		if (rc < 0)
			return rc;
		verdict = fence_judge(d->seq, d->digest, h->seq, h->prev);
	}
	job->what = UPLOAD_CHECK;
	if (verdict == FENCE_NEXT)
		job->what = UPLOAD_COMMIT;
	if (verdict == FENCE_GAP || verdict == FENCE_FORK) {
		job->what = UPLOAD_REFUSE;
		fence_reason(verdict, d->seq, h->seq, job->reason);
	}
	return 0;
}

static int begin_put(struct run *r, struct err *e)
{
	struct store *s = r->v->store;
	struct vault_cover c = {.first = r->job.claim.seq,
				.seq = r->job.claim.seq};
	char name[VAULT_NAME_SIZE];

	vault_name(r->job.disk->fence.machine, r->job.disk->fence.disk, &c,
		   name);
	r->out.used = 0;
	return s->ops->put_begin(s, name, &r->job.put, e);
}

static int begin(struct run *r, struct err *e)
{
	const struct seg_header *h = &r->reader.header;
	struct upload_job *job = &r->job;
	struct upload_disk *d = find_disk(r, h);
	bool fresh = d == NULL;
	char reason[ACK_REASON_SIZE];
	int rc = 0;

	if (fresh)
		rc = new_disk(r, h, &d, e);
	if (rc < 0)
		return rc;
	*job = (struct upload_job){.disk = d};
	job->claim.seq = h->seq;
	memcpy(job->claim.prev, h->prev, SHA256_LEN);
	if (queue_held(&r->queue, d, reason)) {
		rc = seated_since(r, d, h, e);
		if (rc < 0)
			return rc;
		if (rc == 0)
			return refuse(job, reason);
	}
	if (h->first_seq != h->seq)
		return refuse(job, "a merged segment is no upload: its name "
				   "would pass the fence");
	if (fresh)
		rc = look(r, d, e);
	if (rc == 0)
		rc = decide(r, h, fresh, e);
	if (rc == -PS_DATA || rc == -PS_PROTOCOL)
		return refuse(job, "the vault's last object of this disk "
				   "cannot be read: see ps-vault verify");
	if (rc == 0 && job->what == UPLOAD_COMMIT)
		rc = begin_put(r, e);
	return rc;
}

/* ---- the stream ---- */

static int finish(struct run *r, struct err *e)
{
	const struct store_ops *ops = r->v->store->ops;
	struct upload_job job = r->job;
	int rc = 0;

	memcpy(job.claim.digest, r->reader.trailer.digest, SHA256_LEN);
	if (job.put != NULL)
		rc = io_out_flush(&r->out, e);
	if (rc == 0 && job.put != NULL && ops->put_end != NULL)
		rc = ops->put_end(job.put, queue_waits(&r->queue, job.disk), e);
	if (rc < 0)
		return rc;
	if (job.what == UPLOAD_COMMIT) {
		job.disk->seq = job.claim.seq;
		memcpy(job.disk->digest, job.claim.digest, SHA256_LEN);
	}
	r->job.put = NULL;
	return queue_push(&r->queue, &job, e);
}

static int take_part(struct run *r, const struct seg_item *item, struct err *e)
{
	int rc = 0;

	if (item->part == SEG_PART_HEADER)
		rc = begin(r, e);
	if (rc == 0 && r->job.put != NULL)
		rc = io_out_write(&r->out, item->raw, item->raw_len, e);
	if (rc == 0 && item->part == SEG_PART_TRAILER)
		rc = finish(r, e);
	return rc;
}

static int take_stream(struct run *r, struct err *e)
{
	struct seg_item item;
	int rc;

	while ((rc = seg_reader_next(&r->reader, &item, e)) > 0) {
		rc = take_part(r, &item, e);
		if (rc < 0)
			break;
	}
	if (r->job.put != NULL)
		r->v->store->ops->put_abort(r->job.put);
	r->job.put = NULL;
	return rc;
}

static void free_disks(struct run *r)
{
	while (r->disks != NULL) {
		struct upload_disk *next = r->disks->next;

		free(r->disks);
		r->disks = next;
	}
}

/* With input and sink open. */
static int run(struct run *r, struct io_in *in, const struct upload *u,
	       struct err *e)
{
	struct err late = {0};
	int rc, closed;

	rc = seg_reader_open(&r->reader, in, e);
	if (rc < 0)
		return rc;
	rc = queue_open(&r->queue, r->v, u, e);
	if (rc == 0) {
		rc = take_stream(r, e);
		/* What is complete is stored even if the input broke off. */
		closed = queue_close(&r->queue, &late);
		if (closed < 0) {
			rc = closed;
			if (e != NULL)
				*e = late;
		}
	}
	seg_reader_close(&r->reader);
	return rc;
}

int upload_run(struct vault *v, int fd, const char *name,
	       const struct upload *u, struct upload_totals *ret, struct err *e)
{
	struct run r = {.v = v,
			.fd = fd,
			.name = name,
			.report = u->report,
			.before = u->before};
	struct io_in in;
	int rc;

	r.rate = u->rate;
	rc = io_in_open(&in, read_input, &r, name, e);
	if (rc < 0)
		return rc;
	io_grow_pipe(fd);
	rc = io_out_open(&r.out, write_put, &r, "vault", e);
	if (rc == 0) {
		rc = run(&r, &in, u, e);
		io_out_close(&r.out);
	}
	io_in_close(&in);
	free_disks(&r);
	*ret = r.queue.totals;
	ret->bytes = r.bytes;
	return rc;
}
