#include "config.h"

#include <string.h>

#include "base/units.h"
#include "vault/restore-point.h"

/* What a point has of the disk; NULL: nothing. */
static const struct point_disk *disk_of(const struct point *p,
					const struct restore_wish *w)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (p->disks[i].seq != 0 &&
		    strcmp(p->disks[i].machine, w->machine) == 0 &&
		    strcmp(p->disks[i].disk, w->disk) == 0)
			return &p->disks[i];
	return NULL;
}

static uint64_t seq_of(const struct point *p, const struct restore_wish *w)
{
	const struct point_disk *d = disk_of(p, w);

	return d == NULL ? 0 : d->seq;
}

/*
 * Sequences order the points of one disk; the clock of a source may have
 * gone back. A name that was used twice counts as its later use.
 */
static int check_not_older(const struct points *p, const struct restore_wish *w,
			   const struct point *chosen, uint64_t seq,
			   struct err *e)
{
	char time[TIME_TEXT];
	uint64_t known = 0;
	size_t i;
	int rc;

	for (i = 0; i < p->n; i++) {
		const struct point *q = &p->items[i];
		uint64_t s = seq_of(q, w);

		if (strcmp(q->id, w->not_older) == 0 && s > known &&
		    (!w->need_proof || (q->authenticated && q->sealed)))
			known = s;
	}
	format_time(chosen->time, time);
	if (known == 0) {
		rc = err_set(e, PS_DATA,
			     "the vault does not know point %s of %s/%s: it "
			     "was rolled back, or retention removed the point "
			     "(the one chosen is %s of %s)",
			     w->not_older, w->machine, w->disk, chosen->id,
			     time);
		err_hint(e, "if it was retention, name a later point that is "
			    "known to have existed");
		return rc;
	}
	if (seq < known)
		return err_set(e, PS_DATA,
			       "point %s of %s is older than %s: the vault was "
			       "rolled back, or an old point was asked for",
			       chosen->id, time, w->not_older);
	return 0;
}

static bool by_name(const struct restore_wish *w)
{
	return w->what != NULL && strcmp(w->what, "latest") != 0 &&
	       strcmp(w->what, "latest-app") != 0;
}

/* Would this point have been chosen if its chain were whole? */
static bool wanted(const struct point *p, const struct restore_wish *w)
{
	if (w->what == NULL)
		return p->time <= w->at;
	return strcmp(w->what, "latest-app") != 0 ||
	       p->consistency == SEG_CONSISTENCY_APP;
}

/*
 * An older point must not stand in silently for one that was lost: segments
 * of a disk are stored in their order, so a newer point without its chain
 * means that something was damaged or taken away. (One that waits for other
 * disks is a different thing: its own chain is whole.) `chosen` may be NULL.
 */
static int check_nothing_lost(const struct points *p,
			      const struct restore_wish *w,
			      const struct point *chosen, struct err *e)
{
	uint64_t seq = chosen == NULL ? 0 : seq_of(chosen, w);
	size_t i;

	if (p->damaged > 0) {
		err_set(e, PS_DATA, "damaged objects in the vault (%zu): %s",
			p->damaged, p->damage);
		if (chosen != NULL)
			err_hint(e,
				 "the newest point that is whole is %s: "
				 "--point %s",
				 chosen->id, chosen->id);
		return -PS_DATA;
	}
	for (i = 0; chosen != NULL && i < p->n; i++) {
		const struct point_disk *d = disk_of(&p->items[i], w);

		if (d == NULL || d->covered || d->seq < seq ||
		    !wanted(&p->items[i], w))
			continue;
		err_set(e, PS_NO,
			"point %s of %s/%s is there, but not all segments "
			"that lead to it",
			p->items[i].id, w->machine, w->disk);
		err_hint(e, "the newest point that is whole is %s: --point %s",
			 chosen->id, chosen->id);
		return -PS_NO;
	}
	return 0;
}

int restore_point_choose(const struct points *p, const struct restore_wish *w,
			 const struct point **ret, uint64_t *ret_seq,
			 struct err *e)
{
	const struct point *chosen = NULL;
	int found =
	    points_choose(p, w->machine, w->disk, w->what, w->at, &chosen, e);
	int rc = found;

	/* Words of a loss say more than "no such point". */
	if (!by_name(w) || (found < 0 && p->damaged > 0))
		rc = check_nothing_lost(p, w, chosen, e);
	if (rc == 0)
		rc = found;
	if (rc == 0 && w->not_older != NULL)
		rc = check_not_older(p, w, chosen, seq_of(chosen, w), e);
	if (rc < 0)
		return rc;
	*ret = chosen;
	*ret_seq = seq_of(chosen, w);
	return 0;
}
