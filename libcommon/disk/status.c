#include "config.h"

#include "disk/dirty.h"
#include "disk/status.h"

static int look(struct journal *j, struct map *m, struct map_status *st,
		struct err *e)
{
	struct dirty d;
	int rc = dirty_load(&d, j, m->head.id, e);

	if (rc < 0)
		return rc;
	if (rc == 0) {
		st->dirty_bytes = m->head.disk_size;
	} else {
		rc = ranges_add_all(&d.frozen, &d.open, e);
		ranges_tidy(&d.frozen);
		st->dirty_bytes = ranges_bytes(&d.frozen);
	}
	dirty_free(&d);
	if (rc >= 0)
		rc = journal_list(j, e);
	st->journal_entries = j->n;
	st->sent_seq = m->head.seq;
	if (j->n > 0 && j->seqs[j->n - 1] > st->sent_seq)
		st->sent_seq = j->seqs[j->n - 1];
	st->head = m->head;
	scrub_load(j, &st->scrub);
	st->scanning = journal_locked(j, LOCK_SCAN);
	return rc;
}

int map_status(const char *path, struct map_status *ret, struct err *e)
{
	struct map_status st = {0};
	struct journal j;
	struct map m;
	int rc = map_open(&m, path, false, e);

	if (rc < 0)
		return rc;
	map_close(&m); /* it was there: now look again under the lock */
	rc = journal_open(&j, path, e);
	if (rc < 0)
		return rc;
	rc = journal_lock(&j, LOCK_STATE, e);
	if (rc == 0)
		rc = map_open(&m, path, false, e);
	if (rc == 0)
		rc = look(&j, &m, &st, e);
	map_close(&m);
	journal_close(&j);
	if (rc == 0)
		*ret = st;
	return rc;
}
