#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/commit.h"
#include "disk/dirty.h"
#include "disk/settle.h"

#define SEQ(n) ((unsigned long long)(n))

struct job {
	const struct commit *c;
	struct ledger l;
	bool have_map;
	unsigned lines;	    /* about this disk */
	uint64_t committed; /* segments */
	bool last;	    /* the newest of them ended its pass */
	bool have_head;
	struct mark head;   /* the newest one that was stated */
	uint64_t stored;    /* the newest one that is in the vault */
	bool unseated;	    /* the other side waits for a seat */
	struct ack refused; /* seq 0: none */
	uint64_t foreign;   /* newest sequence while there is no map */
};

/* A scan in the same pipeline may make the map after we have begun. */
static int open_map(struct job *j, struct err *e)
{
	int rc;

	if (j->have_map)
		return 0;
	rc = map_open(&j->l.map, j->c->map, true, e);
	if (rc == -PS_NOINPUT)
		return 0;
	j->have_map = rc == 0;
	return rc;
}

static bool about_us(const struct job *j, const struct ack *a)
{
	const char *machine = j->c->machine, *disk = j->c->disk;

	if (j->have_map) {
		machine = j->l.map.head.machine;
		disk = j->l.map.head.disk;
	}
	return (machine == NULL || strcmp(a->machine, machine) == 0) &&
	       (disk == NULL || strcmp(a->disk, disk) == 0);
}

/* ---- one line ---- */

static bool states_head(const struct job *j, const struct ack *a)
{
	return a->head || a->seq == 0 || j->c->settle || j->c->restart;
}

static void note_head(struct job *j, const struct ack *a)
{
	if (a->level == ACK_REFUSED && a->seq == 0)
		j->unseated = true;
	if (a->level == ACK_STORED && a->seq > j->stored)
		j->stored = a->seq;
	if (j->have_head && j->head.seq >= a->seq)
		return; /* what is stored may be older than what is durable */
	j->have_head = true;
	j->head.seq = a->seq;
	memcpy(j->head.digest, a->digest, SHA256_LEN);
}

/* An acknowledgement of what is in the map already. */
static int check_repeat(struct job *j, const struct ack *a, struct err *e)
{
	struct journal_entry en;
	const uint8_t *known = j->l.map.head.digest;
	uint8_t old[SHA256_LEN];

	if (a->seq < j->l.map.head.seq) {
		int rc = journal_get(&j->l.journal, a->seq, &en, e);

		if (rc == -PS_NOINPUT)
			return 0; /* long stored */
		if (rc < 0)
			return rc;
		memcpy(old, en.trailer.digest, SHA256_LEN);
		journal_entry_free(&en);
		known = old;
	}
	if (memcmp(known, a->digest, SHA256_LEN) == 0)
		return 0;
	err_set(e, PS_DATA,
		"%s: segment %llu was acknowledged with another digest",
		j->c->map, SEQ(a->seq));
	err_hint(e, "somebody else sends this disk, or map and server do not "
		    "belong together");
	return -PS_DATA;
}

static int take_ack(struct job *j, const struct ack *a, struct err *e)
{
	struct mark to = {.seq = a->seq};
	uint64_t before = j->l.map.head.seq;
	int rc;

	j->have_head = false; /* it was stated before this was taken */
	memcpy(to.digest, a->digest, SHA256_LEN);
	if (to.seq <= before)
		rc = check_repeat(j, a, e);
	else
		rc = ledger_forward(&j->l, &to, &j->last, e);
	j->committed += j->l.map.head.seq - before;
	if (rc == 0 && a->level == ACK_STORED)
		rc = ledger_stored(&j->l, a->seq, e);
	return rc;
}

static int take_line(struct job *j, const struct ack *a, struct err *e)
{
	int rc;

	if (!j->have_map && a->level != ACK_REFUSED && a->seq > j->foreign &&
	    about_us(j, a))
		j->foreign = a->seq;
	if (!about_us(j, a))
		return 0;
	j->lines++;
	if (a->level == ACK_REFUSED && a->seq > 0) {
		j->refused = *a;
		return 0;
	}
	if (states_head(j, a)) {
		note_head(j, a);
		return 0;
	}
	if (!j->have_map)
		return 0;
	rc = journal_lock(&j->l.journal, LOCK_STATE, e);
	if (rc == 0) {
		rc = take_ack(j, a, e);
		journal_unlock(&j->l.journal, LOCK_STATE);
	}
	return rc;
}

/* ---- the end of the input ---- */

static int wait_for_seat(struct job *j, struct err *e)
{
	err_set(e, PS_TEMPFAIL,
		"%s: the server does not know where this disk stands",
		j->c->map);
	err_hint(e, "it has to be seated: ps-vault head VAULT ... | ps-cache "
		    "seat");
	return -PS_TEMPFAIL;
}

static int settle_locked(struct job *j, struct err *e)
{
	int rc = journal_lock(&j->l.journal, LOCK_STATE, e);

	if (rc < 0)
		return rc;
	rc = ledger_settle(&j->l, &j->head, e);
	if (rc == -PS_DATA && j->c->restart)
		rc = ledger_restart(&j->l, &j->head, e);
	if (rc == 0 && j->stored > 0 && j->stored <= j->l.map.head.seq)
		rc = ledger_stored(&j->l, j->stored, e);
	journal_unlock(&j->l.journal, LOCK_STATE);
	return rc;
}

static int settle(struct job *j, struct err *e)
{
	int rc;

	if (j->unseated && j->head.seq == 0 && j->l.map.head.seq > 0)
		return wait_for_seat(j, e);
	rc = journal_lock(&j->l.journal, LOCK_SCAN, e);
	if (rc < 0)
		return rc;
	rc = settle_locked(j, e);
	journal_unlock(&j->l.journal, LOCK_SCAN);
	return rc;
}

/* No map: nothing to settle, unless the other side has something. */
static int end_without_map(struct job *j, struct err *e)
{
	const struct commit *c = j->c;
	int rc;

	if (j->foreign == 0)
		return 0;
	if (!c->restart || c->machine == NULL || c->disk == NULL) {
		err_set(e, PS_DATA,
			"%s: there is no map, and the other side has %llu "
			"segments",
			c->map, SEQ(j->foreign));
		err_hint(e, "fetch the digest map (cxpsclient --map), or start "
			    "a new base: ps-scan --commit --restart --machine "
			    "M --disk D");
		return -PS_DATA;
	}
	rc = map_create(c->map, c->machine, c->disk, 0,
			c->block_size != 0 ? (uint32_t)c->block_size
					   : SEG_BLOCK_DEFAULT,
			e);
	if (rc == 0)
		rc = open_map(j, e);
	if (rc == 0)
		rc = settle(j, e);
	return rc;
}

/* Is all that was sent acknowledged? */
static int end_of_acks(struct job *j, struct err *e)
{
	uint64_t newest;
	int rc = journal_list(&j->l.journal, e);

	if (rc < 0)
		return rc;
	newest = j->l.journal.n > 0 ? j->l.journal.seqs[j->l.journal.n - 1] : 0;
	if (newest > j->l.map.head.seq) {
		err_set(e, PS_TEMPFAIL,
			"%s: segments up to %llu were sent, acknowledged is "
			"%llu",
			j->c->map, SEQ(newest), SEQ(j->l.map.head.seq));
		err_hint(e,
			 "cxpsclient --status --machine %s --disk %s ... | "
			 "ps-scan --commit --map %s",
			 j->l.map.head.machine, j->l.map.head.disk, j->c->map);
		return -PS_TEMPFAIL;
	}
	if (j->committed > 0 && !j->last)
		return err_set(e, PS_TEMPFAIL,
			       "%s: the pass ended before its last part",
			       j->c->map);
	return 0;
}

/*
 * No line came. That is fine behind a pass without point that had nothing to
 * send; it left a note, which is good for one time.
 */
static int end_of_silence(struct job *j, struct err *e)
{
	struct dirty d = {0};
	bool fine = false;
	int rc = 0;

	if (j->have_map) {
		rc = journal_lock(&j->l.journal, LOCK_STATE, e);
		if (rc < 0)
			return rc;
		rc = dirty_load(&d, &j->l.journal, j->l.map.head.id, e);
		fine = rc > 0 && d.nothing_sent;
		d.nothing_sent = false;
		if (fine)
			rc = dirty_save(&d, &j->l.journal, e);
		dirty_free(&d);
		journal_unlock(&j->l.journal, LOCK_STATE);
	}
	if (rc < 0 || fine)
		return rc < 0 ? rc : 0;
	return err_set(e, PS_TEMPFAIL, "%s: nothing was said about this disk",
		       j->c->map);
}

static int finish(struct job *j, struct err *e)
{
	int rc = open_map(j, e);

	if (rc == 0 && j->lines == 0)
		rc = end_of_silence(j, e);
	else if (rc == 0 && !j->have_map)
		rc = end_without_map(j, e);
	else if (rc == 0 && j->refused.seq == 0 && j->have_head)
		rc = settle(j, e); /* the head of a disk on hold may go back */
	else if (rc == 0 && j->refused.seq == 0)
		rc = end_of_acks(j, e);
	if (rc == 0 && j->refused.seq > 0)
		rc = err_set(e, PS_NO, "%s: segment %llu was refused: %s",
			     j->c->map, SEQ(j->refused.seq), j->refused.reason);
	return rc;
}

int commit_run(const struct commit *c, FILE *in, FILE *out, struct err *e)
{
	struct job j = {
	    .c = c,
	    .l = {.journal = {.dirfd = -1, .lockfd = -1}, .map.fd = -1}};
	struct ack a;
	int rc = journal_open(&j.l.journal, c->map, e);

	if (rc == 0)
		rc = journal_lock(&j.l.journal, LOCK_COMMIT, e);
	while (rc == 0 && (rc = ack_read(in, &a, e)) > 0) {
		rc = open_map(&j, e);
		if (rc == 0)
			rc = take_line(&j, &a, e);
		if (rc == 0)
			rc = ack_print(out, &a, e);
	}
	if (rc == 0)
		rc = finish(&j, e);
	map_close(&j.l.map);
	journal_close(&j.l.journal);
	return rc;
}
