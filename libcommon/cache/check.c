#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cache/check.h"
#include "cache/follower.h"
#include "cache/send.h"

struct checking {
	struct cache *c;
	cache_fault_fn *fn;
	void *ctx;
	void (*bytes_done)(uint64_t);
	struct follower_list followers;
	struct cache_checked sum;
};

/* A place that the next segment has to continue. */
struct chain {
	bool known;
	struct mark at;
};

static void fault(struct checking *k, const struct folder *f, uint64_t seq,
		  const char *what)
{
	struct cache_fault x = {f->machine, f->disk, seq, what};

	k->sum.faults++;
	k->fn(k->ctx, &x);
}

/* The head's own words about this sequence. */
static void check_marks(struct checking *k, struct folder *f,
			const struct head *h, const struct mark *at)
{
	const struct mark *all[3 + HEAD_FOLLOWERS_MAX];
	unsigned n = 0, i;

	all[n++] = &h->accepted;
	all[n++] = &h->stored;
	for (i = 0; i < h->nfollowers; i++)
		all[n++] = &h->followers[i].at;
	for (i = 0; i < n; i++)
		if (all[i]->seq == at->seq && !mark_equal(all[i], at)) {
			fault(k, f, at->seq, "not the content the head names");
			return;
		}
}

static void check_link(struct checking *k, struct folder *f,
		       const struct chain *before,
		       const struct spool_info *info)
{
	const struct seg_header *h = &info->header;
	char words[80];

	if (!before->known)
		return;
	if (h->first_seq != before->at.seq + 1) {
		snprintf(words, sizeof(words),
			 "segment %llu, which comes before it, is missing",
			 (unsigned long long)h->first_seq - 1);
		fault(k, f, h->seq, words);
	} else if (memcmp(h->prev, before->at.digest, SHA256_LEN) != 0) {
		fault(k, f, h->seq, "does not continue the one before it");
	}
}

/* One file; then the chain goes on behind it, or is not known. */
static int check_segment(struct checking *k, struct folder *f,
			 const struct head *h, uint64_t seq,
			 struct chain *chain, struct err *e)
{
	struct spool_info info;
	struct err why = {0};
	int fd, rc = send_open(f, seq, &fd, &info, &why);

	if (rc == -PS_NOINPUT) { /* acknowledged meanwhile */
		chain->known = false;
		return 0;
	}
	if (rc == -PS_TEMPFAIL || rc == -PS_NOPERM) {
		*e = why;
		return rc;
	}
	k->sum.segments++;
	if (rc < 0) {
		fault(k, f, seq, why.msg);
		chain->known = false;
		return 0;
	}
	close(fd);
	k->sum.bytes += info.bytes;
	k->sum.sealed += (info.header.encoding & SEG_SEALED) != 0;
	if (k->bytes_done != NULL)
		k->bytes_done(k->sum.bytes);
	check_link(k, f, chain, &info);
	check_marks(k, f, h, &info.at);
	chain->known = true;
	chain->at = info.at;
	return 0;
}

/* Is what a follower still has to get there? */
static void check_position(struct checking *k, struct folder *f,
			   const struct folder_state *s, const char *name,
			   const struct mark *at)
{
	char words[160];
	size_t i = 0;

	while (i < s->list.n && s->list.seqs[i] <= at->seq)
		i++;
	if (i < s->list.n || s->last.seq <= at->seq)
		return; /* the links tell the rest */
	snprintf(words, sizeof(words),
		 "segments behind %llu, which '%s' has to get, are missing",
		 (unsigned long long)at->seq, name);
	fault(k, f, 0, words);
}

static void check_positions(struct checking *k, struct folder *f,
			    const struct folder_state *s, struct chain *first)
{
	const struct mark *at, *low = NULL;
	unsigned i;

	for (i = 0; i < k->followers.n; i++) {
		at = head_position(&s->head, k->followers.names[i]);
		if (at == NULL)
			continue;
		check_position(k, f, s, k->followers.names[i], at);
		if (low == NULL || at->seq < low->seq)
			low = at;
	}
	/* The oldest segment must follow on the hindmost follower. */
	if (low != NULL && s->list.n > 0 && s->list.seqs[0] > low->seq) {
		first->known = true;
		first->at = *low;
	}
}

static int check_disk(void *ctx, struct folder *f, struct err *e)
{
	struct checking *k = ctx;
	struct folder_state s;
	struct chain chain = {0};
	size_t i;
	int rc = folder_lock(f, false, e);

	if (rc < 0)
		return rc;
	rc = folder_state(f, &s, e);
	folder_unlock(f);
	if (rc < 0)
		return rc;
	if (s.head.damaged)
		fault(k, f, 0, "the head file is damaged");
	else if (s.seated)
		check_positions(k, f, &s, &chain);
	for (i = 0; i < s.list.n && rc == 0; i++)
		rc = check_segment(k, f, &s.head, s.list.seqs[i], &chain, e);
	folder_state_free(&s);
	return rc;
}

int cache_verify(struct cache *c, const char *machine, cache_fault_fn *fn,
		 void *ctx, void (*bytes_done)(uint64_t),
		 struct cache_checked *ret, struct err *e)
{
	struct checking k = {
	    .c = c, .fn = fn, .ctx = ctx, .bytes_done = bytes_done};
	int rc = follower_list(c, &k.followers, e);

	if (rc == 0)
		rc = folder_each(c, machine, check_disk, &k, e);
	if (rc == 0)
		*ret = k.sum;
	return rc;
}
