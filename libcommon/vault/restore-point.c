#include "config.h"

#include <string.h>

#include "base/units.h"
#include "vault/restore-point.h"

/* The last segment of the disk for this point; 0: it is not there. */
static uint64_t seq_of(const struct point *p, const struct restore_wish *w)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (strcmp(p->disks[i].machine, w->machine) == 0 &&
		    strcmp(p->disks[i].disk, w->disk) == 0)
			return p->disks[i].seq;
	return 0;
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
		    (q->authenticated || !w->need_proof))
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

int restore_point_choose(const struct points *p, const struct restore_wish *w,
			 const struct point **ret, uint64_t *ret_seq,
			 struct err *e)
{
	const struct point *chosen;
	uint64_t seq;
	int rc =
	    points_choose(p, w->machine, w->disk, w->what, w->at, &chosen, e);

	if (rc < 0) {
		if (rc == -PS_NO && e != NULL && e->hint[0] == '\0')
			err_hint(e,
				 "'ps-vault list VAULT --machine %s' lists "
				 "the points",
				 w->machine);
		return rc;
	}
	seq = seq_of(chosen, w);
	if (seq == 0)
		return err_set(e, PS_NO, "point %s has no disk %s/%s",
			       chosen->id, w->machine, w->disk);
	if (w->not_older != NULL) {
		rc = check_not_older(p, w, chosen, seq, e);
		if (rc < 0)
			return rc;
	}
	*ret = chosen;
	*ret_seq = seq;
	return 0;
}
