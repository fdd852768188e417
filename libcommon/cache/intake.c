#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "cache/intake.h"

struct left_out {
	char machine[NAME_SIZE], disk[NAME_SIZE];
};

struct intake {
	struct cache *c;
	const struct cache_intake *opt;
	struct left_out *out;
	size_t nout;
	bool refused;
};

static bool is_left_out(const struct intake *in, const struct ack *a)
{
	size_t i;

	for (i = 0; i < in->nout; i++)
		if (strcmp(in->out[i].machine, a->machine) == 0 &&
		    strcmp(in->out[i].disk, a->disk) == 0)
			return true;
	return false;
}

/* Says it once for each disk. */
static int leave_out(struct intake *in, const struct ack *a, struct err *e)
{
	char words[512];
	struct left_out *grown;

	if (is_left_out(in, a))
		return 0;
	grown = realloc(in->out, (in->nout + 1) * sizeof(*grown));
	if (grown == NULL)
		return err_sys(e, 0, "list of disks");
	in->out = grown;
	memcpy(grown[in->nout].machine, a->machine, NAME_SIZE);
	memcpy(grown[in->nout++].disk, a->disk, NAME_SIZE);
	snprintf(words, sizeof(words),
		 "%s/%s: not taken from segment %llu on: "
		 "%s",
		 a->machine, a->disk, (unsigned long long)a->seq, a->reason);
	in->opt->say(in->opt->ctx, words);
	return 0;
}

static int answer(struct intake *in, struct seg_reader *r, enum cache_verdict v,
		  const struct ack *a, struct err *e)
{
	int rc = cache_must_wait(v) ? cache_drop(r, e) : 0;

	if (rc < 0)
		return rc;
	/* What follows a segment that was left out does not fit: of course. */
	if (cache_must_wait(v) || (v == CACHE_REFUSED && is_left_out(in, a)))
		return leave_out(in, a, e);
	in->refused |= v == CACHE_REFUSED;
	return ack_print(in->opt->out, a, e);
}

static int run(struct intake *in, struct seg_reader *r, struct err *e)
{
	enum cache_verdict v;
	struct ack a;
	int rc;

	while ((rc = cache_put(in->c, r, NULL, NULL, &v, &a, e)) > 0) {
		rc = answer(in, r, v, &a, e);
		if (rc < 0)
			break;
	}
	return rc;
}

int cache_intake(struct cache *c, const struct cache_intake *opt, struct err *e)
{
	struct intake in = {.c = c, .opt = opt};
	struct seg_reader r;
	struct io_in src;
	int rc = io_in_open_fd(&src, opt->in, "standard input", e);

	if (rc < 0)
		return rc;
	rc = seg_reader_open(&r, &src, e);
	if (rc == 0) {
		rc = run(&in, &r, e);
		seg_reader_close(&r);
	}
	io_in_close(&src);
	if (rc == 0 && in.nout > 0)
		rc = err_set(e, PS_TEMPFAIL,
			     "%zu disks were left out: send again later",
			     in.nout);
	free(in.out);
	return rc < 0 ? rc : in.refused;
}
