#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/units.h"
#include "vault/probe.h"
#include "vault/store.h"

#define PIECE (1u << 20)
/* Azure refuses what is signed with a clock 15 minutes off; S3 as well. */
#define SKEW_MAX 900

struct probe {
	struct store *s;
	char name[32];
	uint64_t bytes;
	uint8_t *data, *back; /* PIECE bytes each */
	probe_tell_fn *tell;
	void *ctx;
};

__attribute__((format(printf, 3, 4))) static void ok(const struct probe *p,
						     const char *step,
						     const char *fmt, ...)
{
	char words[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	p->tell(p->ctx, step, true, words);
}

static int no(const struct probe *p, const char *step, const struct err *e)
{
	char words[sizeof(e->msg) + sizeof(e->hint) + 2];

	snprintf(words, sizeof(words), "%s%s%s", e->msg,
		 e->hint[0] != '\0' ? "; " : "", e->hint);
	p->tell(p->ctx, step, false, words);
	return -e->code;
}

static double since(int64_t begun)
{
	return (double)(mono_now_ns() - begun) / NS_PER_S;
}

static double mbit(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (double)bytes * 8 / 1e6 / seconds : 0;
}

/* Connection, name, certificate and credentials: one request shows them. */
static int reach(struct probe *p, const char *url, struct err *e)
{
	int64_t begun = mono_now_ns();
	int rc = store_open(&p->s, url, 0, e);

	if (rc < 0)
		return no(p, rc == -PS_NOPERM ? "credentials" : "reach", e);
	ok(p, "reach", "%.0f ms", since(begun) * 1000);
	ok(p, "credentials", "accepted");
	return 0;
}

static int look_at_clock(const struct probe *p, struct err *e)
{
	int64_t skew;

	if (p->s->ops->skew == NULL || p->s->ops->skew(p->s, &skew) < 0)
		return 0;
	if (skew > SKEW_MAX || skew < -SKEW_MAX) {
		err_set(e, PS_CONFIG,
			"this machine's clock is %lld s %s that of the service",
			(long long)(skew < 0 ? -skew : skew),
			skew > 0 ? "behind" : "ahead of");
		err_hint(e, "set the clock; 15 minutes are the most that is "
			    "accepted");
		return no(p, "clock", e);
	}
	ok(p, "clock", "%+lld s", (long long)skew);
	return 0;
}

static int write_object(const struct probe *p, struct err *e)
{
	const struct store_ops *ops = p->s->ops;
	struct store_put *put;
	int64_t begun = mono_now_ns();
	uint64_t at;
	int rc = ops->put_begin(p->s, p->name, &put, e);

	if (rc < 0)
		return no(p, "write", e);
	for (at = 0; rc == 0 && at < p->bytes; at += PIECE)
		rc = ops->put_write(put, p->data, PIECE, e);
	if (rc == 0)
		rc = ops->put_commit(put, e);
	else
		ops->put_abort(put);
	if (rc == -PS_NO)
		rc = err_set(e, PS_TEMPFAIL, "%s: is there already", p->name);
	if (rc < 0)
		return no(p, "write", e);
	ok(p, "write", "%.1f Mbit/s", mbit(p->bytes, since(begun)));
	return 0;
}

static int read_object(const struct probe *p, struct err *e)
{
	int64_t begun = mono_now_ns();
	uint64_t at;
	int rc = 0;

	for (at = 0; rc == 0 && at < p->bytes; at += PIECE) {
		rc = p->s->ops->read(p->s, p->name, at, p->back, PIECE, e);
		if (rc == 0 && memcmp(p->back, p->data, PIECE) != 0)
			rc = err_set(e, PS_DATA,
				     "%s: other bytes than were written",
				     p->name);
	}
	if (rc < 0)
		return no(p, "read", e);
	ok(p, "read", "%.1f Mbit/s", mbit(p->bytes, since(begun)));
	return 0;
}

static int refuse_second(const struct probe *p, struct err *e)
{
	const struct store_ops *ops = p->s->ops;
	struct store_put *put;
	int rc = ops->put_begin(p->s, p->name, &put, e);

	if (rc == 0)
		rc = ops->put_commit(put, e);
	if (rc == -PS_NO) {
		ok(p, "fence", "a second create is refused");
		return 0;
	}
	if (rc < 0)
		return no(p, "fence", e);
	ok(p, "fence",
	   "none: a second create is accepted, so the vault must "
	   "have a single writer");
	return 0;
}

static void delete_object(const struct probe *p)
{
	struct err e = {0};

	if (p->s->ops->remove(p->s, p->name, &e) == 0)
		ok(p, "delete", "done");
	else
		no(p, "delete", &e);
}

static int steps(struct probe *p, const char *url, struct err *e)
{
	int rc = reach(p, url, e);

	if (rc == 0)
		rc = look_at_clock(p, e);
	if (rc < 0)
		return rc;
	rc = write_object(p, e);
	if (rc < 0)
		return rc;
	rc = read_object(p, e);
	if (rc == 0)
		rc = refuse_second(p, e);
	delete_object(p);
	return rc;
}

int probe_run(const char *url, uint64_t bytes, probe_tell_fn *tell, void *ctx,
	      struct err *e)
{
	struct probe p = {.bytes = bytes, .tell = tell, .ctx = ctx};
	uint64_t r = 0;
	int rc;

	p.data = malloc(PIECE);
	p.back = malloc(PIECE);
	if (p.data == NULL || p.back == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "probe");
	else if (getrandom(&r, sizeof(r), 0) != (ssize_t)sizeof(r))
		rc = err_sys(e, PS_IOERR, "getrandom");
	else {
		size_t i;

		for (i = 0; i < PIECE; i++) {
			r = r * 6364136223846793005u + 1442695040888963407u;
			p.data[i] = (uint8_t)(r >> 56);
		}
		snprintf(p.name, sizeof(p.name), "probe-%016llx",
			 (unsigned long long)r);
		rc = steps(&p, url, e);
	}
	store_close(p.s);
	free(p.data);
	free(p.back);
	return rc;
}
