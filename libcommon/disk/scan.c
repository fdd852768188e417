#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "base/durable.h"
#include "base/progress.h"
#include "base/units.h"
#include "disk/changes.h"
#include "disk/dirty.h"
#include "disk/pass.h"
#include "disk/scan.h"
#include "disk/scrub.h"
#include "disk/sweep.h"

struct job {
	const struct scan *s;
	struct source src;
	struct journal journal;
	struct map map;
	struct dirty dirty;
	struct ranges changes;
	struct pass pass;
	uint32_t block_size;
	uint8_t consistency;
	bool base; /* the pass begins with a base segment */
	/* scrubbing, when the slice is not empty */
	struct scrub_state scrub;
	struct range slice;
	struct ranges reads;		 /* dirty ranges and the slice */
	struct scrub_found found, fresh; /* told now; of this pass's slice */
	struct ranges suspects;		 /* of this pass */
	uint64_t counted; /* of found.blocks: on stable storage */
	size_t hint;
};

/* ---- checks: nothing has been changed yet but that a map may be new ---- */

static int check_call(struct job *j, struct err *e)
{
	const struct scan *s = j->s;
	int rc = name_check("machine", s->machine, PS_USAGE, e);

	if (rc == 0)
		rc = name_check("disk", s->disk, PS_USAGE, e);
	if (rc == 0 && s->bookmark != NULL)
		rc = name_check("bookmark", s->bookmark, PS_USAGE, e);
	if (rc == 0 && !seg_consistency_parse(s->consistency, &j->consistency))
		rc = err_set(e, PS_USAGE,
			     "consistency: '%s' is none of none, "
			     "crash, app",
			     s->consistency);
	if (rc == 0)
		rc = members_parse(s->members, s->machine, s->disk,
				   &j->pass.members, &j->pass.nmembers, e);
	return rc;
}

static int check_mounted(struct job *j, struct err *e)
{
	if (!j->src.mounted || j->s->held)
		return 0;
	if (!j->s->fuzzy) {
		err_set(e, PS_USAGE, "%s: mounted read-write", j->s->source);
		err_hint(e, "scan a snapshot, or accept an inconsistent image "
			    "with --fuzzy");
		return -PS_USAGE;
	}
	j->consistency = SEG_CONSISTENCY_NONE;
	return 0;
}

/* Opens the map; makes one for a disk that has none. */
static int open_map(struct job *j, struct err *e)
{
	const struct scan *s = j->s;
	int rc = map_open(&j->map, s->map, false, e);

	if (rc == -PS_NOINPUT) {
		j->block_size = s->block_size != 0 ? (uint32_t)s->block_size
						   : SEG_BLOCK_DEFAULT;
		rc =
		    seg_geometry_check(j->src.size, j->block_size, PS_USAGE, e);
		if (rc == 0)
			rc = map_create(s->map, s->machine, s->disk,
					j->src.size, j->block_size, e);
		if (rc == 0)
			rc = map_open(&j->map, s->map, false, e);
	}
	if (rc == 0)
		j->block_size = j->map.head.block_size;
	return rc;
}

static int check_map(struct job *j, struct err *e)
{
	const struct map_head *h = &j->map.head;
	const struct scan *s = j->s;

	if (strcmp(h->machine, s->machine) != 0 ||
	    strcmp(h->disk, s->disk) != 0)
		return err_set(e, PS_DATA, "%s: is the map of %s/%s, not %s/%s",
			       s->map, h->machine, h->disk, s->machine,
			       s->disk);
	if (s->block_size != 0 && s->block_size != h->block_size)
		return err_set(e, PS_USAGE,
			       "%s: has blocks of %u bytes; --block-size is "
			       "for a new map",
			       s->map, h->block_size);
	j->base = s->full || map_counts_as_zero(&j->map);
	if (!j->base && j->src.size < h->disk_size) {
		err_set(e, PS_DATA, "%s: has shrunk from %llu to %llu bytes",
			s->source, (unsigned long long)h->disk_size,
			(unsigned long long)j->src.size);
		err_hint(e, "start a new base with --full");
		return -PS_DATA;
	}
	return seg_geometry_check(j->src.size, h->block_size, PS_DATA, e);
}

/* What was sent and is neither acknowledged nor known to be lost. */
static int check_settled(struct job *j, struct err *e)
{
	const struct map_head *h = &j->map.head;
	int rc = journal_list(&j->journal, e);

	if (rc < 0 || j->journal.n == 0 ||
	    j->journal.seqs[j->journal.n - 1] <= h->seq)
		return rc;
	err_set(e, PS_TEMPFAIL,
		"%s: segments up to %llu were sent, acknowledged is %llu",
		j->s->map,
		(unsigned long long)j->journal.seqs[j->journal.n - 1],
		(unsigned long long)h->seq);
	err_hint(e,
		 "cxpsclient --status --machine %s --disk %s ... | ps-scan "
		 "--commit --map %s",
		 h->machine, h->disk, j->s->map);
	return -PS_TEMPFAIL;
}

static int read_changes(struct job *j, struct err *e)
{
	const char *name = j->s->changed;
	FILE *f = stdin;
	int rc;

	if (name == NULL)
		return ranges_add(&j->changes, 0, j->src.size, e);
	if (strcmp(name, "-") == 0)
		name = "change list";
	else
		f = fopen(name, "re");
	if (f == NULL)
		return err_sys(e, 0, "%s", name);
	rc = changes_read(f, name, j->src.size, &j->changes, e);
	if (f != stdin)
		fclose(f);
	return rc;
}

/* ---- what this pass has to read ---- */

static int freeze(struct job *j, struct err *e)
{
	const struct map_head *h = &j->map.head;
	uint64_t size = j->src.size;
	int rc = dirty_load(&j->dirty, &j->journal, h->id, e);

	if (rc < 0)
		return rc;
	if (rc == 0 || j->base)
		rc = ranges_add(&j->dirty.open, 0, size, e);
	else if (size > h->disk_size)
		rc = ranges_add(&j->dirty.open,
				h->disk_size - h->disk_size % h->block_size,
				size, e);
	else
		rc = 0;
	if (rc == 0)
		rc = ranges_add_all(&j->dirty.open, &j->changes, e);
	if (rc == 0)
		rc = dirty_freeze(&j->dirty, &j->pass.generation, e);
	if (rc == 0)
		rc = dirty_save(&j->dirty, &j->journal, e);
	return rc;
}

/* ---- scrubbing ---- */

/*
 * Suspects that this list does not name were missed by the one before. A pass
 * without a list cannot tell: they are sent, and forgotten.
 */
static int judge_suspects(struct job *j, struct err *e)
{
	struct ranges old = {0};
	size_t i, hint = 0;
	int rc = suspects_load(&j->journal, &old, e);

	ranges_tidy(&old);
	ranges_tidy(&j->changes);
	if (j->s->changed == NULL || j->base)
		j->found.unjudged = old.n;
	for (i = 0; j->found.unjudged == 0 && i < old.n; i++)
		scrub_note(&j->found, &j->changes, &hint, j->block_size,
			   old.items[i].start, old.items[i].end);
	ranges_free(&old);
	return rc;
}

/* A pass that reads all anyway has no list that could have missed anything. */
static int scrub_begin(struct job *j, struct err *e)
{
	const struct scan *s = j->s;
	int rc;

	scrub_load(&j->journal, &j->scrub);
	rc = judge_suspects(j, e);
	if (rc < 0 || s->scrub_n == 0 || s->changed == NULL || j->base)
		return rc;
	if (s->fuzzy)
		j->fresh.suspects = &j->suspects;
	j->slice = scrub_slice(&j->scrub, j->src.size, j->block_size,
			       s->scrub_k, s->scrub_n);
	rc = ranges_add_all(&j->reads, &j->dirty.frozen, e);
	if (rc == 0)
		rc = ranges_add(&j->reads, j->slice.start, j->slice.end, e);
	ranges_tidy(&j->reads);
	return rc;
}

static void scrub_differs(struct job *j, uint64_t offset, uint64_t len)
{
	struct scrub_found *f = j->s->fuzzy ? &j->fresh : &j->found;

	scrub_note(f, &j->dirty.frozen, &j->hint, j->block_size, offset,
		   offset + len);
}

static int scrub_data(void *ctx, uint64_t offset, uint32_t len,
		      const void *bytes, const uint8_t *digests, struct err *e)
{
	struct job *j = ctx;

	scrub_differs(j, offset, len);
	return pass_data(&j->pass, offset, len, bytes, digests, e);
}

static int scrub_zero(void *ctx, uint64_t offset, uint64_t len, struct err *e)
{
	struct job *j = ctx;

	scrub_differs(j, offset, len);
	return pass_zero(&j->pass, offset, len, e);
}

/* What was found is on record before it can be repaired, and so unseen. */
static int scrub_count(void *ctx, struct err *e)
{
	struct job *j = ctx;
	int rc = 0;

	if (j->found.blocks > j->counted) {
		j->scrub.found += j->found.blocks - j->counted;
		j->counted = j->found.blocks;
		rc = scrub_save(&j->journal, &j->scrub, e);
	}
	if (rc == 0 && j->suspects.n > 0)
		rc = suspects_save(&j->journal, &j->suspects, e);
	return rc;
}

/* The journal has all that the slice brought: the next one may come. */
static int scrub_end(struct job *j, struct err *e)
{
	int rc = scrub_count(j, e);

	if (rc == 0)
		rc = suspects_save(&j->journal, &j->suspects, e);
	if (rc < 0 || j->slice.end == 0)
		return rc;
	scrub_advance(&j->scrub, &j->slice, j->src.size);
	return scrub_save(&j->journal, &j->scrub, e);
}

/* ---- the pass ---- */

static int random_bytes(void *p, size_t n, struct err *e)
{
	if (getrandom(p, n, 0) != (ssize_t)n)
		return err_sys(e, PS_IOERR, "getrandom");
	return 0;
}

/* UTC time and random: "20261120T100000Z-1a2b3c4d". */
static void default_bookmark(int64_t now, uint32_t random, char *out)
{
	time_t t = (time_t)(now / NS_PER_S);
	struct tm tm;
	char stamp[32];

	gmtime_r(&t, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(out, NAME_SIZE, "%s-%08x", stamp, random);
}

static int prepare_header(struct job *j, struct err *e)
{
	const struct map_head *m = &j->map.head;
	struct seg_header *h = &j->pass.header;
	uint32_t random;
	int rc = random_bytes(h->pass, SEG_PASS_LEN, e);

	if (rc == 0)
		rc = random_bytes(&random, sizeof(random), e);
	if (rc < 0)
		return rc;
	h->kind = j->base ? SEG_BASE : SEG_DELTA;
	h->consistency = j->consistency;
	h->initial = j->base || !m->has_point;
	h->part = 1;
	h->block_size = j->block_size;
	h->disk_size = j->src.size;
	h->first_seq = h->seq = m->seq + 1;
	memcpy(h->prev, m->digest, SHA256_LEN);
	h->bookmark_time = time_now_ns();
	memcpy(h->machine, m->machine, NAME_SIZE);
	memcpy(h->disk, m->disk, NAME_SIZE);
	if (j->s->bookmark != NULL)
		memcpy(h->bookmark, j->s->bookmark, strlen(j->s->bookmark) + 1);
	else
		default_bookmark(h->bookmark_time, random, h->bookmark);
	return 0;
}

/*
 * A pass without point for which the map has all: no acknowledgement will
 * end it, so its generation goes now, and --commit finds a note.
 */
static int nothing_sent(struct job *j, struct err *e)
{
	int rc = journal_lock(&j->journal, LOCK_STATE, e);

	if (rc < 0)
		return rc;
	dirty_forget(&j->dirty, j->pass.generation);
	j->dirty.nothing_sent = true;
	rc = dirty_save(&j->dirty, &j->journal, e);
	journal_unlock(&j->journal, LOCK_STATE);
	return rc;
}

static int make_pass(struct job *j, struct io_out *out, struct scan_totals *ret,
		     struct err *e)
{
	bool scrub = j->slice.end > 0;
	struct sweep sweep = {.src = &j->src,
			      .map = j->base ? NULL : &j->map,
			      .ranges = scrub ? &j->reads : &j->dirty.frozen,
			      .block_size = j->block_size,
			      .threads = j->s->threads,
			      .read_rate = j->s->read_rate,
			      .data = scrub ? scrub_data : pass_data,
			      .zero = scrub ? scrub_zero : pass_zero,
			      .ctx = scrub ? (void *)j : &j->pass};
	int rc = prepare_header(j, e);

	if (rc == 0)
		rc = seg_writer_new(&j->pass.writer, out, e);
	if (rc < 0)
		return rc;
	j->pass.journal = &j->journal;
	j->pass.leaving = scrub_count;
	j->pass.leaving_ctx = j;
	j->pass.no_point = j->s->no_point;
	j->pass.segment_size = j->s->segment_size;
	ret->first_seq = j->pass.header.seq;
	ret->read_bytes = ranges_bytes(sweep.ranges);
	memcpy(ret->bookmark, j->pass.header.bookmark, NAME_SIZE);
	progress_begin("scan", ret->read_bytes);
	rc = sweep_run(&sweep, ret->disk_digest, e);
	progress_end();
	if (rc == 0)
		rc = pass_end(&j->pass, ret->disk_digest, e);
	ret->last_seq = j->pass.header.seq - 1;
	if (rc == 0 && ret->last_seq < ret->first_seq)
		rc = nothing_sent(j, e);
	if (rc == 0)
		rc = scrub_end(j, e);
	ret->scrub = j->found;
	ret->data_bytes = j->pass.data_bytes;
	ret->zero_bytes = j->pass.zero_bytes;
	return rc;
}

/* Looks at what the last pass left; nothing but a missing map is made. */
static int check_state(struct job *j, struct err *e)
{
	int rc = journal_lock(&j->journal, LOCK_STATE, e);

	if (rc < 0)
		return rc;
	/* Nobody else writes there now: scan and state are both ours. */
	durable_sweep(j->journal.dirfd);
	rc = open_map(j, e);
	if (rc == 0)
		rc = check_map(j, e);
	if (rc == 0)
		rc = check_settled(j, e);
	journal_unlock(&j->journal, LOCK_STATE);
	return rc;
}

static int prepare(struct job *j, struct err *e)
{
	int rc = check_state(j, e);

	if (rc == 0)
		rc = read_changes(j, e); /* may wait for its writer */
	if (rc == 0)
		rc = journal_lock(&j->journal, LOCK_STATE, e);
	if (rc == 0) {
		rc = freeze(j, e);
		journal_unlock(&j->journal, LOCK_STATE);
	}
	if (rc == 0)
		rc = scrub_begin(j, e);
	return rc;
}

static void job_close(struct job *j)
{
	seg_writer_free(j->pass.writer);
	free(j->pass.members);
	ranges_free(&j->changes);
	ranges_free(&j->reads);
	ranges_free(&j->suspects);
	dirty_free(&j->dirty);
	map_close(&j->map);
	journal_close(&j->journal);
	source_close(&j->src);
}

int scan_run(const struct scan *s, struct io_out *out, struct scan_totals *ret,
	     struct err *e)
{
	struct job j = {.s = s,
			.src.fd = -1,
			.journal = {.dirfd = -1, .lockfd = -1},
			.map.fd = -1};
	int rc = check_call(&j, e);

	if (rc == 0)
		rc = source_open(&j.src, s->source, e);
	if (rc == 0)
		rc = check_mounted(&j, e);
	if (rc == 0)
		rc = journal_open(&j.journal, s->map, e);
	if (rc == 0)
		rc = journal_lock(&j.journal, LOCK_SCAN, e);
	if (rc == 0)
		rc = prepare(&j, e);
	if (rc == 0)
		rc = make_pass(&j, out, ret, e);
	/* Closing gives the locks back: before our end of the stream shows. */
	job_close(&j);
	return rc;
}

int scan_digest(const struct scan *s, uint8_t ret[SHA256_LEN], struct err *e)
{
	struct ranges all = {0};
	struct source src;
	struct sweep sweep = {.src = &src,
			      .ranges = &all,
			      .block_size = s->block_size != 0
						? (uint32_t)s->block_size
						: SEG_BLOCK_DEFAULT,
			      .threads = s->threads,
			      .read_rate = s->read_rate};
	int rc = source_open(&src, s->source, e);

	if (rc < 0)
		return rc;
	rc = seg_geometry_check(src.size, sweep.block_size, PS_USAGE, e);
	if (rc == 0)
		rc = ranges_add(&all, 0, src.size, e);
	progress_begin("digest", src.size);
	if (rc == 0)
		rc = sweep_run(&sweep, ret, e);
	progress_end();
	ranges_free(&all);
	source_close(&src);
	return rc;
}
