#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "cache/counters.h"
#include "cache/folder.h"
#include "cache/move.h"
#include "cache/put.h"
#include "cache/tally.h"

/* No segment that ps-scan makes by itself is so large. */
#define LARGE (2 * SEG_DATA_DEFAULT)
/* The kernel begins to write so early, that the fsync finds little left. */
#define WRITE_BEHIND (8 * 1024 * 1024u)

struct put {
	struct cache *c;
	struct seg_reader *r;
	struct cache_lease *lease;
	struct head head;
	enum cache_verdict verdict;
	char reason[ACK_REASON_SIZE];
	uint8_t digest[SHA256_LEN]; /* set when the trailer was read */
	uint64_t written;
	unsigned keep; /* percent, when that was in the way */
	bool too_large;
};

/* ---- the decision ---- */

static void say_gap(char *reason, const struct seg_header *h,
		    const struct mark *last)
{
	snprintf(reason, ACK_REASON_SIZE,
		 "segment %llu does not continue the head, which is %llu",
		 (unsigned long long)h->first_seq,
		 (unsigned long long)last->seq);
}

static void say_fork(char *reason, const struct seg_header *h,
		     const struct mark *last)
{
	char want[2 * 6 + 1], have[2 * 6 + 1];

	hex_encode(h->prev, 6, want);
	hex_encode(last->digest, 6, have);
	snprintf(reason, ACK_REASON_SIZE,
		 "segment %llu continues %s.., the head %llu is %s..",
		 (unsigned long long)h->first_seq, want,
		 (unsigned long long)last->seq, have);
}

enum put_case put_judge(const struct put_disk *d, const struct seg_header *h,
			char reason[ACK_REASON_SIZE])
{
	if (d->head->held) {
		memcpy(reason, d->head->reason, ACK_REASON_SIZE);
		return PUT_HELD;
	}
	if (!d->known && h->first_seq == 1) /* a base: the header says so */
		return PUT_TAKE;
	if (!d->known || !d->seated) {
		snprintf(reason, ACK_REASON_SIZE,
			 "no head here: the disk has to be seated");
		return PUT_UNSEATED;
	}
	if (h->seq <= d->last.seq)
		return PUT_SEEN;
	if (h->first_seq != d->last.seq + 1) {
		say_gap(reason, h, &d->last);
		return PUT_REFUSED;
	}
	if (memcmp(h->prev, d->last.digest, SHA256_LEN) != 0) {
		say_fork(reason, h, &d->last);
		return PUT_REFUSED;
	}
	return PUT_TAKE;
}

static const enum cache_verdict verdict_of[] = {
    [PUT_TAKE] = CACHE_DURABLE,	   [PUT_SEEN] = CACHE_DURABLE,
    [PUT_REFUSED] = CACHE_REFUSED, [PUT_UNSEATED] = CACHE_UNSEATED,
    [PUT_HELD] = CACHE_HELD,
};

static bool over_disk_limit(struct put *p, struct err *e)
{
	uint64_t max = p->c->limits.disk_bytes;

	if (max == 0 || p->lease->bytes < max)
		return false;
	/* Segments may have been acknowledged and removed meanwhile. */
	return lease_refresh(p->lease, e) < 0 || p->lease->bytes >= max;
}

/* Does the file system have room for this kind of segment? */
static int check_free(struct put *p, struct err *e)
{
	const struct cache_limits *l = &p->c->limits;
	bool initial = p->r->header.initial;
	unsigned keep = l->keep_free, percent;
	int rc = cache_free_percent(p->c, &percent, e);

	if (rc < 0)
		return rc;
	if (initial && l->keep_free_initial > keep)
		keep = l->keep_free_initial;
	if (percent < keep) {
		p->keep = keep;
		p->verdict = CACHE_THROTTLED;
		p->c->excess = cache_missing(p->c, keep);
		snprintf(p->reason, sizeof(p->reason),
			 "%u %% of the cache are free, %s waits for %u %%",
			 percent,
			 initial ? "initial replication" : "everything", keep);
	}
	return 0;
}

static int check_room(struct put *p, struct err *e)
{
	int rc = check_free(p, e);

	if (rc == 0 && p->verdict == CACHE_DURABLE && over_disk_limit(p, e)) {
		p->verdict = CACHE_LIMITED;
		p->c->excess = p->lease->bytes - p->c->limits.disk_bytes;
		snprintf(p->reason, sizeof(p->reason),
			 "the disk's segments have reached its limit");
	}
	return rc;
}

/* Has the machine moved? */
static int check_moved(struct put *p, struct err *e)
{
	struct move_mark m;
	int rc = cache_move_mark(p->c, p->r->header.machine, &m, e);

	if (rc < 0 || m.state == MOVE_NONE)
		return rc;
	p->verdict = m.state == MOVE_LEAVING ? CACHE_MOVING : CACHE_MOVED;
	cache_move_words(&m, p->reason);
	return 0;
}

/*
 * Whether it has moved is asked before the lease, which would make a folder
 * that waits for a seat here; and with the lease: who writes the mark then
 * takes the leases, and so nothing comes behind the mark.
 */
static int take_disk(struct put *p, struct err *e)
{
	const struct seg_header *h = &p->r->header;
	int rc = check_moved(p, e);

	if (rc < 0 || cache_must_wait(p->verdict))
		return rc;
	rc = lease_get(p->c, h->machine, h->disk, &p->lease, e);
	if (rc == 0)
		rc = check_moved(p, e);
	if (rc == 0 && p->verdict == CACHE_MOVED) {
		cache_move_sweep(p->c, h->machine, h->disk);
		p->lease = NULL;
	}
	return rc;
}

/* Takes the disk, and decides. */
static int admit(struct put *p, enum put_case *ret, struct err *e)
{
	const struct seg_header *h = &p->r->header;
	struct put_disk d;
	int rc = take_disk(p, e), there;

	if (rc < 0 || cache_must_wait(p->verdict))
		return rc;
	/* Without the lock: one small file, replaced as a whole. */
	there = head_read(p->lease->f.dirfd, &p->head, e);
	if (there < 0)
		return there;
	if (there == 0)
		p->head = (struct head){0};
	d = (struct put_disk){.known = p->lease->known || there > 0,
			      .seated = !p->head.unseated,
			      .head = &p->head,
			      .last = p->lease->last};
	*ret = put_judge(&d, h, p->reason);
	p->verdict = verdict_of[*ret];
	return *ret == PUT_TAKE ? check_room(p, e) : 0;
}

/* ---- the bytes ---- */

/* Reads the rest of the segment away; keeps its digest. */
static int drain(struct put *p, struct err *e)
{
	struct seg_item item;
	int rc;

	while ((rc = seg_reader_next(p->r, &item, e)) > 0)
		if (item.part == SEG_PART_TRAILER) {
			memcpy(p->digest, p->r->trailer.digest, SHA256_LEN);
			return 0;
		}
	return rc < 0 ? rc : err_set(e, PS_DATA, "segment without an end");
}

/*
 * It was admitted by its header, which does not tell how much follows: one
 * machine must not take with one endless segment what is kept for all.
 */
static int check_large(struct put *p, uint64_t written, struct err *e)
{
	uint64_t max = p->c->limits.disk_bytes;
	int rc;

	if (written < LARGE)
		return 0;
	if (max != 0 && p->lease->bytes + (written - LARGE) >= max) {
		p->too_large = p->lease->bytes == 0;
		rc = err_set(e, PS_TEMPFAIL,
			     "the disk's segments have reached its limit");
	} else {
		rc = check_free(p, e);
		if (rc == 0 && p->verdict == CACHE_THROTTLED)
			rc = err_set(e, PS_TEMPFAIL, "%s", p->reason);
	}
	if (rc == -PS_TEMPFAIL && e != NULL)
		e->sys = ENOSPC;
	return rc;
}

static int write_parts(struct put *p, struct io_out *out, struct err *e)
{
	struct seg_item item;
	uint64_t started = 0;
	int rc = io_out_write(out, p->r->header_raw, SEG_HEADER_LEN, e);

	while (rc == 0) {
		rc = seg_reader_next(p->r, &item, e);
		if (rc == 0)
			rc = err_set(e, PS_DATA, "segment without an end");
		if (rc < 0)
			return rc;
		rc = io_out_write(out, item.raw, item.raw_len, e);
		if (rc == 0 && item.part == SEG_PART_TRAILER)
			return io_out_flush(out, e);
		if (out->written - started >= WRITE_BEHIND) {
			/* Only a hint: what fails here, fsync reports. */
			(void)sync_file_range(out->fd, (off_t)started,
					      (off_t)(out->written - started),
					      SYNC_FILE_RANGE_WRITE);
			started = out->written;
			rc = rc < 0 ? rc : check_large(p, started, e);
		}
	}
	return rc;
}

/* Writes the parts under a temporary name. */
static int fill_file(struct put *p, int fd, struct err *e)
{
	const struct folder *f = &p->lease->f;
	char name[2 * NAME_SIZE + SPOOL_NAME_SIZE];
	struct io_out out;
	int rc;

	snprintf(name, sizeof(name), "%s/%s/%llu", f->machine, f->disk,
		 (unsigned long long)p->r->header.seq);
	rc = io_out_open_fd(&out, fd, name, e);
	if (rc == 0) {
		rc = write_parts(p, &out, e);
		p->written = out.written;
		io_out_close(&out);
	}
	return rc;
}

static int store(struct put *p, struct err *e)
{
	const struct folder *f = &p->lease->f;
	char name[SPOOL_NAME_SIZE];
	struct durable d;
	int rc;

	spool_name(p->r->header.seq, name);
	rc = durable_begin(&d, f->dirfd, name, 0600, e);
	if (rc < 0)
		return err_prefix(e, "%s/%s", f->machine, f->disk), rc;
	rc = fill_file(p, d.fd, e);
	if (rc < 0) {
		durable_abort(&d);
		return rc;
	}
	rc = durable_commit(&d, DURABLE_CREATE, e);
	if (rc == -PS_NO)
		rc = err_set(e, PS_SOFTWARE, "%s is there already", name);
	/* It has its name when the folder was not confirmed. Not this one. */
	if (rc == -PS_STORAGE)
		(void)unlinkat(f->dirfd, name, 0);
	if (rc < 0)
		err_prefix(e, "%s/%s", f->machine, f->disk);
	return rc;
}

/*
 * A segment for which there was no room, and never will be: nearly all that
 * the cache could ever have was not enough. Who sends it must hear that, or
 * waits for ever for what others leave.
 */
static int say_too_large(struct put *p, int rc, struct err *e)
{
	static const char alone[] = "the disk has reached its limit with this "
				    "segment alone: ps-cache init --disk-limit "
				    "raises it, or make segments smaller";
	uint64_t room = cache_room(p->c, p->keep);

	if (e == NULL || (e->sys != ENOSPC && e->sys != EDQUOT) ||
	    (!p->too_large && p->written < room - room / 10))
		return rc;
	(void)err_set(e, -rc, "%s",
		      p->too_large ? alone
				   : "larger than all that this cache "
				     "can take: enlarge the cache, or "
				     "make segments smaller");
	e->sys = EFBIG;
	return rc;
}

static int take_segment(struct put *p, struct err *e)
{
	struct cache_lease *l = p->lease;
	int rc = store(p, e);

	if (rc < 0)
		return cache_note_failure(p->c, say_too_large(p, rc, e), e);
	memcpy(p->digest, p->r->trailer.digest, SHA256_LEN);
	l->known = true;
	l->last.seq = p->r->header.seq;
	memcpy(l->last.digest, p->digest, SHA256_LEN);
	l->initial = p->r->header.initial && !p->r->trailer.last_part;
	l->bytes += p->r->trailer.seg_len;
	counter_add(p->c, COUNTER_ACCEPTED_BYTES, p->r->trailer.seg_len);
	counter_add(p->c, COUNTER_ACCEPTED_SEGMENTS, 1);
	tally_add(l->f.dirfd, &p->r->header, &p->r->trailer);
	return 0;
}

/* ---- what was seen before ---- */

/* Fills p->verdict for a segment at or under the head. */
static int compare(struct put *p, struct err *e)
{
	uint64_t seq = p->r->header.seq;
	struct folder *f = &p->lease->f;
	uint8_t digest[SHA256_LEN];
	struct folder_state s;
	int rc = folder_lock(f, false, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	if (rc == 0) {
		rc = folder_digest_at(f, &s, seq, digest, e);
		p->verdict =
		    seq <= s.head.stored.seq ? CACHE_STORED : CACHE_DURABLE;
		folder_state_free(&s);
	}
	folder_unlock(f);
	if (rc < 0)
		return rc;
	if (rc > 0 && memcmp(digest, p->digest, SHA256_LEN) == 0)
		return 0;
	p->verdict = CACHE_REFUSED;
	snprintf(p->reason, sizeof(p->reason),
		 rc > 0 ? "segment %llu was accepted with another content"
			: "segment %llu is long gone, it cannot be compared",
		 (unsigned long long)seq);
	return 0;
}

/* ---- one segment ---- */

static bool is_expected(const struct seg_header *h, const char *machine,
			const char *disk)
{
	return cache_machine_ok(h->machine) &&
	       (machine == NULL || strcmp(machine, h->machine) == 0) &&
	       (disk == NULL || strcmp(disk, h->disk) == 0);
}

static int refuse_name(struct put *p, struct err *e)
{
	const struct seg_header *h = &p->r->header;

	p->verdict = CACHE_REFUSED;
	snprintf(p->reason, sizeof(p->reason),
		 "%s/%s is not what may be put here", h->machine, h->disk);
	return drain(p, e);
}

static int one(struct put *p, const char *machine, const char *disk,
	       struct err *e)
{
	enum put_case which = PUT_HELD;
	int rc = cache_check_failed(p->c, e);

	if (rc < 0)
		return rc;
	if (!is_expected(&p->r->header, machine, disk))
		return refuse_name(p, e);
	rc = admit(p, &which, e);
	if (rc < 0)
		return rc;
	if (which == PUT_TAKE && p->verdict == CACHE_DURABLE)
		return take_segment(p, e);
	if (cache_must_wait(p->verdict))
		return 0;
	rc = drain(p, e);
	if (rc == 0 && which == PUT_SEEN)
		rc = compare(p, e);
	return rc;
}

static void fill_ack(const struct put *p, struct ack *ret)
{
	const struct seg_header *h = &p->r->header;

	*ret =
	    (struct ack){.seq = h->seq,
			 .level = p->verdict == CACHE_DURABLE  ? ACK_DURABLE
				  : p->verdict == CACHE_STORED ? ACK_STORED
							       : ACK_REFUSED};
	memcpy(ret->machine, h->machine, sizeof(ret->machine));
	memcpy(ret->disk, h->disk, sizeof(ret->disk));
	memcpy(ret->digest, p->digest, SHA256_LEN);
	if (ret->level == ACK_REFUSED)
		memcpy(ret->reason, p->reason, sizeof(ret->reason));
}

int cache_put(struct cache *c, struct seg_reader *r, const char *machine,
	      const char *disk, enum cache_verdict *verdict, struct ack *ack,
	      struct err *e)
{
	struct put p = {.c = c, .r = r};
	struct seg_item item;
	int rc = seg_reader_next(r, &item, e);

	if (rc <= 0)
		return rc;
	if (item.part != SEG_PART_HEADER)
		return err_set(e, PS_SOFTWARE, "put inside a segment");
	c->excess = 0;
	rc = one(&p, machine, disk, e);
	if (rc < 0)
		return rc;
	*verdict = p.verdict;
	fill_ack(&p, ack);
	return 1;
}

int cache_drop(struct seg_reader *r, struct err *e)
{
	struct put p = {.r = r};

	return drain(&p, e);
}

bool cache_must_wait(enum cache_verdict v)
{
	return v == CACHE_UNSEATED || v == CACHE_HELD || v == CACHE_THROTTLED ||
	       v == CACHE_LIMITED || v == CACHE_MOVING || v == CACHE_MOVED;
}
