/* Disks of a process server: on hold, not seated, or one behind the others. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/report.h"
#include "doctor/steps.h"
#include "health/disks.h"

/* A disk that is so much later than another of its machine holds it back. */
#define BEHIND_S (15 * 60)
/* What was not seen by a sample for so long is no longer here. */
#define GONE_S 3600
/* One that is so old is no longer protected, rather than slow. */
#define RETIRED_S 86400

struct looking {
	struct finding *f;
	unsigned disks, held, unseated;
	uint64_t pending;
	char first[3 * NAME_SIZE]; /* the first that is held */
};

static int look_at(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct looking *l = ctx;

	(void)e;
	l->disks++;
	l->pending += v->bytes;
	if (v->held) {
		if (l->held++ == 0)
			snprintf(l->first, sizeof(l->first), "%s/%s",
				 v->machine, v->disk);
		find_shows(l->f, "%s/%s is on hold: %s", v->machine, v->disk,
			   v->reason != NULL && *v->reason != '\0'
			       ? v->reason
			       : "no reason is noted");
	} else if (!v->seated) {
		l->unseated++;
		find_shows(l->f, "%s/%s waits to be seated", v->machine,
			   v->disk);
	}
	return 0;
}

/* ---- one disk behind the others of its machine ---- */

struct pace {
	struct finding *f;
	int64_t now;
	char machine[NAME_SIZE];
	/* The oldest and the newest of the machine that is looked at. */
	char slow[NAME_SIZE];
	int64_t oldest, newest;
	bool stored; /* it is accepted, but not stored */
	unsigned behind;
	char first[2 * NAME_SIZE];
};

static void end_machine(struct pace *p)
{
	char age[32], other[32];

	if (p->machine[0] == '\0' || p->newest - p->oldest <= BEHIND_S)
		return;
	format_duration((double)(p->now - p->oldest), age, sizeof(age));
	format_duration((double)(p->now - p->newest), other, sizeof(other));
	if (p->behind++ == 0)
		snprintf(p->first, sizeof(p->first), "%s/%s", p->machine,
			 p->slow);
	find_shows(p->f,
		   "%s/%s: nothing %s for %s; the newest disk of %s: %s ago",
		   p->machine, p->slow, p->stored ? "stored" : "arrived", age,
		   p->machine, other);
}

static int pace_of(void *ctx, const struct disk_record *r, struct err *e)
{
	struct pace *p = ctx;
	/* What has come and is not stored yet waits since it came. */
	bool waits = r->stored < r->accepted && r->stored_at != 0;
	int64_t at = waits ? r->stored_at : r->accepted_at;

	(void)e;
	if (at == 0)
		return 0;
	if (p->now - at > RETIRED_S) {
		find_shows(p->f,
			   "%s/%s: nothing for more than a day; is it "
			   "still protected?",
			   r->machine, r->disk);
		return 0;
	}
	if (strcmp(p->machine, r->machine) != 0) {
		end_machine(p);
		snprintf(p->machine, sizeof(p->machine), "%s", r->machine);
		p->oldest = p->newest = at;
		snprintf(p->slow, sizeof(p->slow), "%s", r->disk);
		p->stored = waits;
		return 0;
	}
	if (at < p->oldest) {
		p->oldest = at;
		p->stored = waits;
		snprintf(p->slow, sizeof(p->slow), "%s", r->disk);
	}
	if (at > p->newest)
		p->newest = at;
	return 0;
}

static void compare_disks(const struct doctor *d, struct pace *p)
{
	int dirfd = open(d->health, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct disks disks = {0};

	p->now = time_now_ns() / NS_PER_S;
	if (dirfd < 0)
		return;
	if (disks_open(&disks, dirfd, false, NULL, 0, NULL) == 0) {
		(void)disks_each(&disks, p->now - GONE_S, pace_of, p, NULL);
		end_machine(p);
		disks_close(&disks);
	}
	close(dirfd);
}

static void tell(const struct looking *l, const struct pace *p,
		 struct finding *f)
{
	char pending[32];

	format_size(l->pending, pending, sizeof(pending));
	if (l->held > 0) {
		find_failed(f, DOCTOR_CAUSE, "%u disk%s on hold: %s", l->held,
			    l->held == 1 ? "" : "s", l->first);
		find_next(f, "when the reason is known and mended, lift it: "
			     "ps-vault head VAULT --machine M --disk D | "
			     "ps-cache seat (see ps-pipeline(8), Holds)");
	} else if (p->behind > 0) {
		find_failed(f, DOCTOR_CAUSE,
			    "one slow disk holds the points of its machine "
			    "back: %s",
			    p->first);
		find_next(f, "on that machine: ps-agent status; is the disk "
			     "slow, paused, or changing more than the others?");
	} else if (l->unseated > 0) {
		find_failed(f, DOCTOR_SIGN, "%u disk%s to be seated",
			    l->unseated,
			    l->unseated == 1 ? " waits" : "s wait");
		find_next(f, "ps-pipeline seats them as soon as it reaches the "
			     "vault");
	} else {
		find_passed(f, "%u disk%s, %s pending, none on hold", l->disks,
			    l->disks == 1 ? "" : "s", pending);
	}
}

void step_disks(const struct doctor *d, struct finding *f)
{
	struct looking l = {.f = f};
	struct pace p = {.f = f};
	struct err e = {0};
	struct cache *c;
	int rc;

	if (d->cache == NULL) {
		find_skipped(f, "no cache in ps.yaml");
		return;
	}
	if (cache_look(&c, d->cache, &e) < 0) {
		if (!find_denied(f, &e))
			find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	rc = cache_views(c, look_at, &l, &e);
	cache_close(c);
	if (rc < 0) {
		if (!find_denied(f, &e))
			find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	compare_disks(d, &p);
	tell(&l, &p, f);
}
