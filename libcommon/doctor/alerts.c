/* Steps of a process server: its alerts, and the room in its cache. */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/folder.h"
#include "cache/report.h"
#include "doctor/steps.h"
#include "health/check.h"
#include "health/events.h"

/* ---- what ps-health says ---- */

static int judge(const struct doctor *d, int dirfd, struct health *h,
		 struct err *e)
{
	struct ring ring = {.fd = -1};
	struct disks disks = {0};
	struct book *book;
	struct rules rules;
	char aside[64];
	int rc, found;

	rules_default(&rules);
	rules.services = d->services;
	rc = rules_read(&rules, d->conf, e);
	if (rc < 0)
		return rc;
	rc = ring_open(&ring, dirfd, false, NULL, 0, e);
	if (rc < 0 && rc != -PS_NOINPUT)
		return rc;
	found = disks_open(&disks, dirfd, false, NULL, 0, NULL);
	rc = check_run(rc == 0 ? &ring : NULL, found == 0 ? &disks : NULL,
		       &rules, time_now_ns() / NS_PER_S, h, e);
	if (found == 0)
		disks_close(&disks);
	ring_close(&ring);
	/* Acknowledgements: somebody knows of these already. */
	if (rc == 0 &&
	    book_open(&book, dirfd, aside, sizeof(aside), NULL) == 0) {
		(void)book_update(book, h);
		book_close(book);
	}
	return rc;
}

static void show_alert(const struct health *h, const struct alert *a,
		       struct finding *f)
{
	char age[32];

	format_duration((double)(h->now - a->since), age, sizeof(age));
	find_shows(f, "%s %s%s%s%s%s: %s, for %s", level_name(a->level),
		   a->code, a->machine[0] != '\0' ? " " : "", a->machine,
		   a->disk[0] != '\0' ? "/" : "", a->disk, a->what, age);
}

static void tell_alerts(const struct health *h, struct finding *f)
{
	unsigned critical = 0, warnings = 0;
	const struct alert *worst = NULL;
	size_t i;

	for (i = 0; i < h->n; i++) {
		const struct alert *a = &h->alerts[i];

		if (a->acked_until > h->now || a->level < LEVEL_WARNING ||
		    strcmp(a->code, "no-samples") == 0)
			continue;
		show_alert(h, a, f);
		critical += a->level == LEVEL_CRITICAL;
		warnings += a->level == LEVEL_WARNING;
		worst = worst != NULL ? worst : a;
	}
	if (worst == NULL && !h->known) {
		find_skipped(f, "ps-health has too few samples to judge by");
		find_next(f, "run 'ps-health sample' each minute, by cron or a "
			     "timer");
	} else if (worst == NULL) {
		find_passed(f, "no alert in %u samples", h->samples);
	} else if (critical > 0) {
		find_failed(f, DOCTOR_SIGN, "%u critical, %u warning", critical,
			    warnings);
		find_next(f, "%s", worst->next);
	} else {
		find_warned(f, "%u warning%s", warnings,
			    warnings == 1 ? "" : "s");
		find_next(f, "%s", worst->next);
	}
}

void step_alerts(const struct doctor *d, struct finding *f)
{
	int dirfd = open(d->health, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct health h = {0};
	struct err e = {0};

	if (dirfd < 0) {
		find_skipped(f, "%s: no samples of ps-health", d->health);
		find_next(f, "run 'ps-health sample' each minute, by cron or a "
			     "timer");
		return;
	}
	if (judge(d, dirfd, &h, &e) < 0)
		find_error(f, DOCTOR_SIGN, &e);
	else
		tell_alerts(&h, f);
	health_free(&h);
	close(dirfd);
}

/* ---- the cache ---- */

static void show_room(struct cache *c, unsigned percent, struct finding *f)
{
	char left[32], all[32];
	struct statvfs v;

	if (statvfs(c->path, &v) < 0)
		return;
	format_size((uint64_t)v.f_bavail * v.f_frsize, left, sizeof(left));
	format_size((uint64_t)v.f_blocks * v.f_frsize, all, sizeof(all));
	find_shows(f, "%s: %s of %s free (%u %%)", c->path, left, all, percent);
	find_shows(f,
		   "initial replication is taken above %u %%, anything "
		   "above %u %%",
		   c->limits.keep_free_initial, c->limits.keep_free);
}

static void judge_room(struct cache *c, struct finding *f)
{
	struct err e = {0};
	unsigned percent;

	if (cache_free_percent(c, &percent, &e) < 0) {
		find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	show_room(c, percent, f);
	if (percent < c->limits.keep_free) {
		find_failed(f, DOCTOR_PARTLY,
			    "the cache is full: %u %% free, sources are held "
			    "under %u %%",
			    percent, c->limits.keep_free);
		find_next(f,
			  "see what waits: ps-cache stat; when nothing below "
			  "explains it, make room or add space");
	} else if (percent < c->limits.keep_free_initial) {
		find_warned(f,
			    "%u %% free: no initial replication is taken under "
			    "%u %%",
			    percent, c->limits.keep_free_initial);
		find_next(f, "see what waits: ps-cache stat; add no machine");
	} else {
		find_passed(f, "%u %% free", percent);
	}
}

void step_cache(const struct doctor *d, struct finding *f)
{
	struct err e = {0};
	struct cache *c;

	if (d->cache == NULL) {
		find_skipped(f, "no cache in ps.yaml");
		return;
	}
	if (cache_look(&c, d->cache, &e) < 0) {
		if (!find_denied(f, &e))
			find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	if (c->failed) {
		find_failed(f, DOCTOR_CAUSE,
			    "stable storage of the cache has failed: nothing "
			    "is taken");
		find_next(f,
			  "look at the disk and the kernel's log, then "
			  "ps-cache verify, then remove %s/failed",
			  d->cache);
	} else {
		judge_room(c, f);
	}
	cache_close(c);
}
