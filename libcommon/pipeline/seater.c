#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "cache/follower.h"
#include "pipeline/seater.h"
#include "pipeline/vaults.h"

/* One errand: all its vaults are asked, then told to the cache. */
struct seating {
	unsigned to_ask, to_seat; /* one bit for each vault */
	unsigned at;		  /* the one whose turn it is */
	unsigned told;		  /* heads that the cache was told */
	bool failed;		  /* it did not take one that it had to */
	struct ack heads[VAULTS_MAX];
	int fd; /* the line between the programs */
};

/* ---- which disks ---- */

struct looking {
	struct errands *r;
	struct cache *c;
};

static unsigned all_vaults(const struct errands *r)
{
	return (1u << r->in->nvaults) - 1;
}

/* The vaults for which this disk alone is on hold. */
static unsigned refusing(const struct looking *l, const char *machine,
			 const char *disk)
{
	const struct plan_input *in = l->r->in;
	struct follower_at at;
	unsigned i, set = 0;

	for (i = 0; i < in->nvaults; i++)
		if (follower_at(l->c, machine, disk, in->vaults[i].name, &at,
				NULL) > 0 &&
		    at.held)
			set |= 1u << i;
	return set;
}

static int consider(void *ctx, const char *machine, const char *disk,
		    const struct cache_head *h, struct err *e)
{
	struct looking *l = ctx;
	unsigned vaults = all_vaults(l->r);
	bool alone = h->seated && !h->held; /* for single vaults */
	struct errand *d;

	(void)e;
	if (h->held && h->seated && !l->r->holds)
		return 0;
	if (alone)
		vaults = h->refused_by > 0 ? refusing(l, machine, disk) : 0;
	if (vaults == 0)
		return 0;
	d = errand_due(l->r, machine, disk);
	if (d != NULL) {
		/* A disk that was only on hold for one begins to wait now. */
		if (d->seq != alone)
			d->since = l->r->now;
		d->held = h->held;
		d->seq = alone;
		d->vaults = vaults;
	}
	return 0;
}

static void find(struct errands *r, struct cache *c)
{
	struct looking l = {r, c};

	(void)cache_disks(c, NULL, consider, &l, NULL);
}

/* ---- steps ---- */

static unsigned lowest(unsigned set)
{
	unsigned i = 0;

	while ((set >> i & 1) == 0)
		i++;
	return i;
}

/* The furthest of those that have answered. */
static unsigned furthest(const struct seating *s)
{
	unsigned i, best = lowest(s->to_seat);

	for (i = best + 1; i < VAULTS_MAX; i++)
		if ((s->to_seat >> i & 1) != 0 &&
		    s->heads[i].seq > s->heads[best].seq)
			best = i;
	return best;
}

/*
 * What one program is given, or nothing for one to write into. Where this
 * fails the program sees no line, and says so.
 */
static void set_line(int fd, const char *text)
{
	if (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
	    io_write_full(fd, text, strlen(text)) == 0)
		(void)lseek(fd, 0, SEEK_SET);
}

static void plan(struct errands *r, const struct errand *d, struct plan *ret)
{
	struct seating *s = r->state;
	char line[ACK_LINE_SIZE];

	if (r->fresh)
		*s = (struct seating){.to_ask = d->vaults, .fd = s->fd};
	if (s->to_ask != 0) {
		s->at = lowest(s->to_ask);
		plan_head(r->in, &r->in->vaults[s->at], d->machine, d->disk,
			  ret);
		set_line(s->fd, "");
		r->output = s->fd;
		return;
	}
	s->at = furthest(s);
	plan_seat(r->in, &r->in->vaults[s->at], ret);
	ack_format(&s->heads[s->at], line);
	set_line(s->fd, line);
	r->input = s->fd;
}

/* Has the vault said where this disk ends? */
static bool answered(struct seating *s, const struct errand *d)
{
	char line[ACK_LINE_SIZE + 1];
	struct ack *a = &s->heads[s->at];
	ssize_t n = io_pread_full(s->fd, line, ACK_LINE_SIZE, 0);
	char *end;

	if (n <= 0)
		return false;
	line[n] = '\0';
	end = strchr(line, '\n');
	if (end == NULL)
		return false;
	*end = '\0';
	return ack_parse(a, line, NULL) == 0 && a->level == ACK_STORED &&
	       strcmp(a->machine, d->machine) == 0 &&
	       strcmp(a->disk, d->disk) == 0;
}

/* May those that have answered decide? */
static bool enough(const struct errands *r, const struct errand *d)
{
	const struct seating *s = r->state;
	unsigned have = (unsigned)__builtin_popcount(s->to_seat);
	unsigned all = r->in->nvaults, after = r->in->stored_after;

	if (have == 0)
		return false;
	if (s->to_seat == d->vaults || d->seq != 0)
		return true;
	if (after == 0 || after > all)
		after = all;
	return have > all - after &&
	       mono_now_ns() - d->since >= (int64_t)r->wait_s * NS_PER_S;
}

static void say_done(struct errands *r, const struct errand *d)
{
	errand_say(r, d,
		   d->seq != 0 ? "a vault that was left behind goes on"
		   : d->held   ? "hold lifted, goes on from the vault's head"
			       : "seated at the vault's head");
}

/* The next of those that were asked, or the first to tell of. */
static int asked(struct errands *r, const struct errand *d, bool well)
{
	struct seating *s = r->state;
	unsigned bit = 1u << s->at;

	s->to_ask &= ~bit;
	if (well && answered(s, d))
		s->to_seat |= bit;
	return s->to_ask != 0 || enough(r, d) ? ERRAND_STEP : -1;
}

static int ended(struct errands *r, const struct errand *d, bool well)
{
	struct seating *s = r->state;
	bool alone = d->seq != 0;

	if (s->to_ask != 0)
		return asked(r, d, well);
	s->to_seat &= ~(1u << s->at);
	/* One that lags stays behind: that is no failure of the seating. */
	if (!well && (alone || s->told == 0))
		s->failed = true;
	s->told++;
	if (s->to_seat != 0 && (alone || !s->failed))
		return ERRAND_STEP;
	if (s->failed)
		return -1;
	say_done(r, d);
	return d->held || alone ? SEATER_HOLD_S : 0;
}

/* A vault may be far away. */
static const struct errand_kind seating = {2,	 300,  "could not be seated",
					   find, plan, ended};

int seater_init(struct errands *r, const struct plan_input *in,
		enum seat_policy policy, uint64_t wait_s, errand_say_fn *say,
		void *ctx, struct err *e)
{
	struct seating *s = calloc(1, sizeof(*s));

	errands_init(r, &seating, in, say, ctx);
	r->holds = policy == SEAT_AUTO;
	r->wait_s = wait_s;
	r->state = s;
	if (s == NULL)
		return err_sys(e, PS_TEMPFAIL, "seating");
	s->fd = memfd_create("seat", MFD_CLOEXEC);
	return s->fd < 0 ? err_sys(e, 0, "seating") : 0;
}
