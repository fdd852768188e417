#include "config.h"

#include <string.h>

#include "disk/apply.h"
#include "disk/dirty.h"
#include "disk/settle.h"

#define SEQ(n) ((unsigned long long)(n))

static int no_way(struct ledger *l, struct err *e, const char *what,
		  uint64_t seq)
{
	err_set(e, PS_DATA, "%s: segment %llu %s", l->map.path, SEQ(seq), what);
	err_hint(e, "fetch the digest map (cxpsclient --map), or start a new "
		    "base behind the server's head: ps-scan --commit "
		    "--restart");
	return -PS_DATA;
}

static bool same(const uint8_t a[SHA256_LEN], const uint8_t b[SHA256_LEN])
{
	return memcmp(a, b, SHA256_LEN) == 0;
}

/* ---- forward ---- */

/* The pass is with the other side to its end: its ranges are done. */
static int forget_generation(struct ledger *l, uint64_t generation,
			     struct err *e)
{
	struct dirty d;
	int rc = dirty_load(&d, &l->journal, l->map.head.id, e);

	if (rc <= 0)
		return rc;
	dirty_forget(&d, generation);
	rc = dirty_save(&d, &l->journal, e);
	dirty_free(&d);
	return rc;
}

/* Commits one entry of a chain that was checked. */
static int forward_one(struct ledger *l, uint64_t seq, bool *ret_last,
		       struct err *e)
{
	struct journal_entry en;
	bool ends;
	int rc = journal_get(&l->journal, seq, &en, e);

	if (rc < 0)
		return rc;
	rc = map_apply(&l->map, &en, e);
	ends = en.ends || en.trailer.last_part;
	if (rc == 0 && ends)
		rc = forget_generation(l, en.generation, e);
	if (rc == 0)
		*ret_last = ends;
	journal_entry_free(&en);
	return rc;
}

/*
 * The chain from the map to the mark is checked before anything is changed:
 * a wrong acknowledgement must not move the map part of the way.
 */
static int check_chain(struct ledger *l, const struct mark *to, struct err *e)
{
	uint8_t prev[SHA256_LEN];
	uint64_t seq;
	int rc = 0;

	memcpy(prev, l->map.head.digest, SHA256_LEN);
	for (seq = l->map.head.seq + 1; rc == 0 && seq <= to->seq; seq++) {
		struct journal_entry en;

		rc = journal_get(&l->journal, seq, &en, e);
		if (rc == -PS_NOINPUT)
			return no_way(l, e, "is not in the journal", seq);
		if (rc < 0)
			return rc;
		if (!same(en.header.prev, prev))
			rc = no_way(l, e,
				    "in the journal does not continue the map",
				    seq);
		memcpy(prev, en.trailer.digest, SHA256_LEN);
		journal_entry_free(&en);
	}
	if (rc == 0 && !same(prev, to->digest))
		rc = no_way(l, e, "was acknowledged with another digest",
			    to->seq);
	return rc;
}

int ledger_forward(struct ledger *l, const struct mark *to, bool *ret_last,
		   struct err *e)
{
	int rc = check_chain(l, to, e);

	while (rc == 0 && l->map.head.seq < to->seq)
		rc = forward_one(l, l->map.head.seq + 1, ret_last, e);
	return rc;
}

int ledger_stored(struct ledger *l, uint64_t seq, struct err *e)
{
	size_t i;
	int rc = 0;

	if (seq <= l->forgotten)
		return 0;
	rc = journal_list(&l->journal, e);
	for (i = 0; rc == 0 && i < l->journal.n; i++)
		if (l->journal.seqs[i] <= seq)
			rc = journal_drop(&l->journal, l->journal.seqs[i], e);
	if (rc == 0)
		l->forgotten = seq;
	return rc;
}

/* ---- back ---- */

/* What is known of the entries behind a head. */
struct lost {
	struct ranges ranges;
	bool any, base; /* there are some; a base is among them */
	bool committed; /* the first of them is in the map */
	bool had_point; /* before the first of them */
};

/*
 * Looks at each entry behind the head. Those that are in the map must lead
 * from the head to the map without a gap, else we do not know what is lost.
 */
static int lost_find(struct ledger *l, const struct mark *head,
		     struct lost *lost, struct err *e)
{
	const struct map_head *m = &l->map.head;
	uint64_t next = head->seq + 1;
	uint8_t prev[SHA256_LEN];
	size_t i;
	int rc = 0;

	memcpy(prev, head->digest, SHA256_LEN);
	for (i = 0; rc == 0 && i < l->journal.n; i++) {
		uint64_t seq = l->journal.seqs[i];
		struct journal_entry en;

		if (seq <= head->seq)
			continue;
		rc = journal_get(&l->journal, seq, &en, e);
		if (rc < 0)
			return rc;
		if (!lost->any)
			lost->had_point = !en.header.initial;
		lost->any = true;
		lost->base = lost->base || en.header.kind == SEG_BASE;
		rc = entry_ranges(&en, &lost->ranges, e);
		if (seq == next && seq <= m->seq &&
		    same(en.header.prev, prev)) {
			memcpy(prev, en.trailer.digest, SHA256_LEN);
			next++;
		}
		journal_entry_free(&en);
	}
	lost->committed = head->seq < m->seq;
	if (rc == 0 && lost->committed &&
	    (next != m->seq + 1 || !same(prev, m->digest))) {
		err_set(e, PS_DATA,
			"%s: is at segment %llu, the other side at %llu, and "
			"the journal does not lead back",
			l->map.path, SEQ(m->seq), SEQ(head->seq));
		err_hint(e, "fetch the digest map (cxpsclient --map), or start "
			    "a new base behind that head: ps-scan --commit "
			    "--restart");
		rc = -PS_DATA;
	}
	return rc;
}

/* Before the map forgets, the dirty list remembers. */
static int lost_dirty(struct ledger *l, const struct lost *lost, bool all,
		      struct err *e)
{
	struct dirty d;
	int rc = dirty_load(&d, &l->journal, l->map.head.id, e);

	if (rc <= 0)
		return rc; /* none: that stands for the whole disk */
	if (all)
		rc = ranges_add(&d.open, 0, l->map.head.disk_size, e);
	else
		rc = ranges_add_all(&d.open, &lost->ranges, e);
	if (rc == 0)
		rc = dirty_save(&d, &l->journal, e);
	dirty_free(&d);
	return rc;
}

static int forget_entries(struct ledger *l, uint64_t behind, struct err *e)
{
	/* A crash may have left entries behind the end of the disk. */
	int rc = map_resize(&l->map, l->map.head.disk_size, e);
	size_t i;

	for (i = 0; rc == 0 && i < l->journal.n; i++) {
		struct journal_entry en;

		if (l->journal.seqs[i] <= behind)
			continue;
		rc = journal_get(&l->journal, l->journal.seqs[i], &en, e);
		if (rc == 0) {
			rc = map_forget(&l->map, &en, e);
			journal_entry_free(&en);
		}
	}
	return rc;
}

static int drop_behind(struct ledger *l, uint64_t seq, struct err *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < l->journal.n; i++)
		if (l->journal.seqs[i] > seq)
			rc = journal_drop(&l->journal, l->journal.seqs[i], e);
	return rc < 0 ? rc : journal_sync(&l->journal, e);
}

/*
 * Also for entries that are not in the map: a crash may have put part of them
 * there.
 */
static int take_back(struct ledger *l, const struct mark *head,
		     const struct lost *lost, struct err *e)
{
	struct map_head next = l->map.head;
	bool all = lost->base || head->seq == 0;
	int rc = lost_dirty(l, lost, all, e);

	if (rc < 0)
		return rc;
	/*
	 * With a base to come the entries count for nothing. They must not be
	 * reset before the header says so: zeros would pass for knowledge.
	 */
	if (!all)
		rc = forget_entries(l, head->seq, e);
	if (rc < 0)
		return rc;
	next.seq = head->seq;
	memcpy(next.digest, head->digest, SHA256_LEN);
	if (lost->committed)
		next.has_point = lost->had_point;
	if (all) {
		next.has_point = false;
		next.restart = head->seq > 0;
	}
	rc = map_commit(&l->map, &next, e);
	return rc < 0 ? rc : drop_behind(l, head->seq, e);
}

int ledger_settle(struct ledger *l, const struct mark *head, struct err *e)
{
	struct lost lost = {0};
	bool last;
	int rc = 0;

	if (head->seq >= l->map.head.seq)
		rc = ledger_forward(l, head, &last, e);
	if (rc == 0)
		rc = journal_list(&l->journal, e);
	if (rc == 0)
		rc = lost_find(l, head, &lost, e);
	if (rc == 0 && lost.any)
		rc = take_back(l, head, &lost, e);
	ranges_free(&lost.ranges);
	return rc;
}

int ledger_restart(struct ledger *l, const struct mark *head, struct err *e)
{
	struct map_head next = l->map.head;
	struct lost none = {0};
	int rc = journal_list(&l->journal, e);

	if (rc == 0)
		rc = lost_dirty(l, &none, true, e);
	if (rc < 0)
		return rc;
	next.seq = head->seq;
	memcpy(next.digest, head->digest, SHA256_LEN);
	next.has_point = false;
	next.restart = head->seq > 0;
	rc = map_commit(&l->map, &next, e);
	return rc < 0 ? rc : drop_behind(l, 0, e);
}
