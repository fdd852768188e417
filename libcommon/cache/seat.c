#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "cache/follower.h"
#include "cache/move.h"
#include "cache/settle.h"
#include "cache/tally.h"

struct seating {
	struct cache *c;
	const struct cache_settle *opt;
	struct follower_list all; /* registered followers */
};

/* What a seating makes of the segments of one disk. */
struct plan {
	struct mark vault; /* the vault's head */
	size_t below;	   /* segments up to it: list[0 .. below) */
	size_t end;	   /* those that continue it: list[below .. end) */
	struct mark last;  /* of them, or the vault's head */
	bool initial;
	bool keep_below; /* another follower needs those */
};

/*
 * Walks the segments behind the vault's head as long as each continues the
 * one before; never from the one on that put the disk on hold.
 */
static int find_chain(struct folder *f, const struct folder_state *s,
		      struct plan *p, struct err *e)
{
	const struct head *h = &s->head;
	uint64_t stop =
	    h->held && h->held_seq > p->vault.seq ? h->held_seq : UINT64_MAX;
	struct spool_info info;
	size_t i;
	int rc;

	p->last = p->vault;
	p->initial = p->vault.seq == 0;
	while (p->below < s->list.n && s->list.seqs[p->below] <= p->vault.seq)
		p->below++;
	for (i = p->below; i < s->list.n && s->list.seqs[i] < stop; i++) {
		rc = spool_peek(f->dirfd, s->list.seqs[i], f->machine, f->disk,
				&info, e);
		if (rc < 0 && !spool_is_damage(rc))
			return rc;
		if (rc < 0 || info.header.first_seq != p->last.seq + 1 ||
		    memcmp(info.header.prev, p->last.digest, SHA256_LEN) != 0)
			break;
		p->last = info.at;
		p->initial = info.header.initial && !info.last_part;
	}
	p->end = i;
	return 0;
}

/* Registered followers but this one; `going`: those that are not on hold. */
static unsigned others(const struct seating *s, const struct head *h,
		       bool going)
{
	unsigned i, n = 0;

	for (i = 0; i < s->all.n; i++)
		n += strcmp(s->all.names[i], s->opt->follower) != 0 &&
		     !(going && head_refusal(h, s->all.names[i]) != NULL);
	return n;
}

/* Segments at or under the vault's head: whole, and of the same chain? */
static int judge_below(struct seating *s, struct folder *f,
		       const struct folder_state *st, struct plan *p,
		       struct err *e)
{
	struct spool_info info;
	int rc;

	if (others(s, &st->head, false) == 0 || p->below == 0 ||
	    st->head.unseated)
		return 0;
	rc = spool_peek(f->dirfd, st->list.seqs[p->below - 1], f->machine,
			f->disk, &info, e);
	if (rc < 0 && !spool_is_damage(rc))
		return rc;
	p->keep_below = rc == 0 && mark_equal(&info.at, &p->vault);
	return 0;
}

/* The vault's head lies on our chain, and nothing behind it is missing. */
static bool fits(const struct folder_state *s, const struct plan *p)
{
	return s->seated && !s->head.held && p->end == s->list.n &&
	       mark_equal(&p->last, &s->last);
}

/* A fit is an acknowledgement, or takes one back that the vault lost. */
static int move_on(struct seating *s, struct folder *f, struct folder_state *st,
		   const struct plan *p, struct err *e)
{
	const struct mark *at = head_position(&st->head, s->opt->follower);
	int rc;

	if (at != NULL && mark_equal(at, &p->vault) &&
	    head_refusal(&st->head, s->opt->follower) == NULL)
		return 0;
	head_lift(&st->head, s->opt->follower);
	if (at != NULL && p->vault.seq < at->seq)
		st->head.epoch++;
	rc = head_set_position(&st->head, s->opt->follower, &p->vault, e);
	return rc < 0 ? rc : follower_retire(f, st, &s->all, e);
}

/*
 * One vault's head says nothing of what the others have: those without a
 * place on this chain begin with what is here.
 */
static int new_head(struct seating *s, const struct folder_state *st,
		    const struct plan *p, struct head *ret, struct err *e)
{
	struct head h = {.epoch = st->head.epoch + 1,
			 .accepted = p->last,
			 .initial = p->initial};
	int rc = head_set_position(&h, s->opt->follower, &p->vault, e);
	unsigned i;

	if (p->keep_below)
		h.stored = st->head.stored.seq < p->vault.seq ? st->head.stored
							      : p->vault;
	else if (others(s, &h, false) == 0 || s->c->limits.stored_after == 1)
		h.stored = p->vault;
	for (i = 0; i < s->all.n && rc == 0; i++) {
		const char *name = s->all.names[i];
		const struct mark *at = head_position(&st->head, name);

		if (strcmp(name, s->opt->follower) == 0 || !p->keep_below ||
		    at == NULL)
			continue;
		if (at->seq > p->vault.seq)
			at = &p->vault;
		rc = head_set_position(&h, name, at, e);
	}
	*ret = h;
	return rc;
}

/*
 * Removes what does not stay. Until the new head is written the disk counts
 * as unseated, so an interrupted seating is simply done again; and none of
 * these segments may come back after a power loss.
 */
static int drop(struct folder *f, struct folder_state *s, const struct plan *p,
		struct err *e)
{
	size_t i, from = p->keep_below ? p->end : 0;
	int rc;

	s->head.unseated = true;
	rc = head_write(f->dirfd, &s->head, e);
	for (i = s->list.n; i > from && rc == 0; i--)
		if (i - 1 >= p->end || i - 1 < p->below)
			rc = spool_remove(f->dirfd, s->list.seqs[i - 1], e);
	if (p->below > from)
		tally_forget(f->dirfd, s->list.seqs[from], p->vault.seq);
	if (s->list.n > p->end)
		tally_forget(f->dirfd, p->last.seq + 1, UINT64_MAX);
	return rc < 0 ? rc : durable_sync(f->dirfd, "removed segments", e);
}

static size_t dropped(const struct folder_state *s, const struct plan *p)
{
	return s->list.n - p->end + (p->keep_below ? 0 : p->below);
}

static int report(struct seating *s, const char *what, struct folder *f,
		  const struct folder_state *st, const struct plan *p,
		  size_t gone, struct err *e)
{
	char line[ACK_LINE_SIZE], hex[SHA256_HEX];
	int n;

	hex_encode(p->last.digest, SHA256_LEN, hex);
	n = snprintf(line, sizeof(line), "%s\t%s\t%s\t%llu\t%s\t%zu\t%zu\n",
		     what, f->machine, f->disk, (unsigned long long)p->last.seq,
		     hex, st->list.n - gone, gone);
	if (io_write_full(s->opt->out, line, (size_t)n) < 0)
		return err_sys(e, 0, "standard output");
	return 0;
}

/* Reads the folder and makes the plan; the lock is held. */
static int plan(struct seating *s, struct folder *f, const struct mark *vault,
		struct folder_state *st, struct plan *ret, struct err *e)
{
	struct plan p = {.vault = *vault};
	int rc = folder_state(f, st, e);

	if (rc < 0)
		return rc;
	rc = find_chain(f, st, &p, e);
	if (rc == 0)
		rc = judge_below(s, f, st, &p, e);
	if (rc < 0)
		folder_state_free(st);
	else
		*ret = p;
	return rc;
}

/*
 * This vault's head does not fit, and others are served: they are not
 * disturbed. It stays behind until somebody has filled it.
 */
static int stay_behind(struct seating *s, struct folder *f,
		       struct folder_state *st, const struct plan *p,
		       struct err *e)
{
	const char *who = s->opt->follower;
	uint64_t next =
	    st->list.n > p->below ? st->list.seqs[p->below] : st->last.seq + 1;
	char words[ACK_REASON_SIZE];
	int rc = 0;

	if (p->vault.seq + 1 < next)
		snprintf(words, sizeof(words),
			 "the vault ends with segment %llu, here %llu is next: "
			 "ps-vault copy has to fill it",
			 (unsigned long long)p->vault.seq,
			 (unsigned long long)next);
	else
		snprintf(words, sizeof(words),
			 "the vault's segment %llu is not of the chain that is "
			 "here",
			 (unsigned long long)p->vault.seq);
	if (head_refusal(&st->head, who) == NULL) {
		rc = head_refuse(&st->head, who, p->vault.seq + 1, words, e);
		if (rc == 0)
			rc = follower_retire(f, st, &s->all, e);
	}
	return rc < 0 ? rc
		      : err_set(e, PS_TEMPFAIL, "%s/%s: for %s: %s", f->machine,
				f->disk, who, words);
}

/*
 * Nothing is here and the vault has nothing: only the first base may come,
 * which a writer may be sending already. Nothing that it has decided by
 * changes, so it goes on.
 */
static bool blank(const struct folder_state *s, const struct plan *p)
{
	return !s->known && p->vault.seq == 0;
}

/* Drops what the plan does not keep, and writes the new head. */
static int seat_by(struct seating *s, struct folder *f, struct folder_state *st,
		   const struct plan *p, struct err *e)
{
	struct head h;
	int rc = new_head(s, st, p, &h, e);

	if (rc == 0 && dropped(st, p) > 0)
		rc = drop(f, st, p, e);
	if (rc == 0)
		rc = head_write(f->dirfd, &h, e);
	return rc < 0 ? rc : report(s, "seated", f, st, p, dropped(st, p), e);
}

/* Without ending anybody: 1 when that was enough, 0 when it is not. */
static int try_fit(struct seating *s, struct folder *f,
		   const struct mark *vault, struct err *e)
{
	struct folder_state st;
	struct plan p;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = plan(s, f, vault, &st, &p, e);
	if (rc == 0) {
		if (fits(&st, &p)) {
			rc = move_on(s, f, &st, &p, e);
			if (rc == 0)
				rc = report(s, "kept", f, &st, &p, 0, e);
			if (rc == 0)
				rc = 1;
		} else if (blank(&st, &p)) {
			rc = seat_by(s, f, &st, &p, e);
			if (rc == 0)
				rc = 1;
		} else if (st.seated && !st.head.held &&
			   others(s, &st.head, true) > 0) {
			rc = stay_behind(s, f, &st, &p, e);
		}
		folder_state_free(&st);
	}
	folder_unlock(f);
	return rc;
}

/* With the lease: nobody adds segments meanwhile. */
static int seat_now(struct seating *s, struct folder *f,
		    const struct mark *vault, struct err *e)
{
	struct folder_state st;
	struct plan p;
	int rc = folder_lock(f, true, e);

	if (rc < 0)
		return rc;
	rc = plan(s, f, vault, &st, &p, e);
	if (rc == 0) {
		rc = seat_by(s, f, &st, &p, e);
		folder_state_free(&st);
	}
	folder_unlock(f);
	return rc;
}

/*
 * A seat was asked for while the machine was here, and the vault was looked at
 * since. A folder that we have made must not stay: its disk is seated where
 * the machine is now. Who forgets a folder has written the mark before, so
 * asking once, with the folder open, is enough.
 */
static int check_moved(struct folder *f, struct err *e)
{
	char words[ACK_REASON_SIZE], path[2 * NAME_SIZE + 1];
	struct move_mark m;
	int rc = cache_move_mark(f->c, f->machine, &m, e);

	if (rc < 0 || (m.state != MOVE_MOVED && m.state != MOVE_LEFT))
		return rc;
	snprintf(path, sizeof(path), "%s/%s", f->machine, f->disk);
	(void)unlinkat(f->c->dirfd, path, AT_REMOVEDIR); /* if it is empty */
	cache_move_words(&m, words);
	return err_set(e, PS_TEMPFAIL, "%s/%s: not seated: %s", f->machine,
		       f->disk, words);
}

static int seat_disk(struct seating *s, const struct ack *a, struct err *e)
{
	struct mark vault = {.seq = a->seq};
	struct cache_lease *lease;
	struct folder f;
	int rc;

	if (a->seq > 0)
		memcpy(vault.digest, a->digest, SHA256_LEN);
	rc = folder_open(&f, s->c, a->machine, a->disk, true, e);
	if (rc < 0)
		return rc;
	rc = check_moved(&f, e);
	if (rc == 0)
		rc = try_fit(s, &f, &vault, e);
	if (rc == 0) {
		rc = cache_take(s->c, a->machine, a->disk, &lease, e);
		if (rc == 0) {
			rc = seat_now(s, &f, &vault, e);
			cache_release(lease);
		}
	}
	folder_close(&f);
	return rc < 0 ? cache_note_failure(s->c, rc, e) : 0;
}

int cache_seat(struct cache *c, const struct cache_settle *opt, struct err *e)
{
	struct seating s = {.c = c, .opt = opt};
	int fd = dup(opt->in), rc = follower_list(c, &s.all, e), busy = 0;
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	struct err why = {0};
	struct ack a;

	if (rc == 0 && in == NULL)
		rc = err_sys(e, 0, "standard input");
	while (rc == 0 && (rc = ack_read(in, &a, e)) > 0) {
		if (a.level == ACK_REFUSED ||
		    (a.level == ACK_DURABLE && opt->level != ACK_DURABLE)) {
			rc =
			    err_set(e, PS_DATA,
				    "%s/%s: a line '%s' seats "
				    "nothing",
				    a.machine, a.disk, ack_level_name(a.level));
			break;
		}
		rc = seat_disk(&s, &a, &why);
		if (rc == -PS_TEMPFAIL) { /* the others can be seated */
			opt->say(opt->ctx, why.msg);
			busy++;
			rc = 0;
		} else if (rc < 0 && e != NULL) {
			*e = why;
		}
	}
	if (in != NULL)
		fclose(in);
	if (rc == 0 && busy > 0)
		rc = err_set(e, PS_TEMPFAIL, "%d disks were not seated", busy);
	return rc;
}
