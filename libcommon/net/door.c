#include "config.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/digest.h"
#include "base/units.h"
#include "net/door.h"

#define WAYS 8
#define SETS (DOOR_PAST_MAX / WAYS) /* 230 KiB */
#define MACHINES 2048 /* 64 KiB; two that meet in one place share it */

/* Connections that may come now, and how fast there are more. */
struct bucket {
	double tokens;
	int64_t at;
};

struct address {
	struct door_key key;
	bool used, known;
	int64_t seen_s; /* last login */
	struct bucket bucket;
};

struct door {
	uint32_t seed; /* so that nobody can fill one set on purpose */
	struct bucket fresh;
	bool news;
	struct address sets[SETS][WAYS];
	struct machine {
		struct bucket logins, told;
	} machines[MACHINES];
};

void door_key(const struct sockaddr_storage *a, struct door_key *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct door_key k = {{0}};

	if (a->ss_family == AF_INET) {
		memcpy(k.bytes, mapped, 12);
		memcpy(k.bytes + 12, &((const struct sockaddr_in *)a)->sin_addr,
		       4);
	} else if (a->ss_family == AF_INET6) {
		const uint8_t *six =
		    ((const struct sockaddr_in6 *)a)->sin6_addr.s6_addr;

		memcpy(k.bytes, six, memcmp(six, mapped, 12) == 0 ? 16 : 8);
	}
	*ret = k;
}

int door_open(struct door **ret, struct err *e)
{
	struct door *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_sys(e, PS_TEMPFAIL, "table of addresses");
	if (getrandom(&d->seed, sizeof(d->seed), 0) < 0)
		d->seed = (uint32_t)mono_now_ns();
	*ret = d;
	return 0;
}

void door_close(struct door *d)
{
	free(d);
}

static bool same(const struct door_key *a, const struct door_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static bool take(struct bucket *b, double rate, double most, int64_t now)
{
	double more = (double)(now - b->at) / (double)NS_PER_S * rate;

	b->tokens = b->tokens + more < most ? b->tokens + more : most;
	b->at = now;
	if (b->tokens < 1)
		return false;
	b->tokens -= 1;
	return true;
}

static struct address *set_of(struct door *d, const struct door_key *k)
{
	return d->sets[crc32c(d->seed, k, sizeof(*k)) % SETS];
}

static struct address *find(struct door *d, const struct door_key *k)
{
	struct address *set = set_of(d, k);
	unsigned i;

	for (i = 0; i < WAYS; i++)
		if (set[i].used && same(&set[i].key, k))
			return &set[i];
	return NULL;
}

/* A place for a new address: the one unused for longest, known ones last. */
static struct address *enter(struct door *d, const struct door_key *k,
			     int64_t now)
{
	struct address *set = set_of(d, k), *a = &set[0];
	unsigned i;

	for (i = 1; i < WAYS && a->used; i++)
		if (!set[i].used || (a->known && !set[i].known) ||
		    (a->known == set[i].known &&
		     set[i].bucket.at < a->bucket.at))
			a = &set[i];
	*a = (struct address){
	    .key = *k, .used = true, .bucket = {DOOR_BURST_ADDRESS, now}};
	return a;
}

bool door_may(struct door *d, const struct door_key *k, int64_t now)
{
	struct address *a = find(d, k);

	if (a == NULL)
		a = enter(d, k, now);
	if (a->known)
		return take(&a->bucket, DOOR_RATE_KNOWN, DOOR_BURST_KNOWN, now);
	return take(&a->bucket, DOOR_RATE_ADDRESS, DOOR_BURST_ADDRESS, now) &&
	       take(&d->fresh, DOOR_RATE_NEW, DOOR_BURST_NEW, now);
}

static void know(struct door *d, const struct door_key *k, int64_t seen_s,
		 int64_t now)
{
	struct address *a = find(d, k);

	if (a == NULL)
		a = enter(d, k, now);
	if (!a->known)
		a->bucket = (struct bucket){DOOR_BURST_KNOWN, now};
	a->known = true;
	/* The day is enough to tell who has gone for good. */
	d->news |= seen_s - a->seen_s > 86400;
	a->seen_s = seen_s;
}

void door_known(struct door *d, const struct door_key *k, int64_t now)
{
	know(d, k, time_now_ns() / NS_PER_S, now);
}

bool door_has_news(const struct door *d)
{
	return d->news;
}

unsigned door_past(struct door *d, struct door_past *list)
{
	unsigned i, j, n = 0;

	for (i = 0; i < SETS; i++)
		for (j = 0; j < WAYS; j++)
			if (d->sets[i][j].used && d->sets[i][j].known)
				list[n++] = (struct door_past){
				    d->sets[i][j].key, d->sets[i][j].seen_s};
	d->news = false;
	return n;
}

void door_remember(struct door *d, const struct door_past *p, int64_t now)
{
	bool news = d->news;

	know(d, &p->key, p->seen_s, now);
	d->news = news;
}

static struct machine *machine_of(struct door *d, const char *name)
{
	return &d->machines[crc32c(d->seed, name, strlen(name)) % MACHINES];
}

/* A place that was never used has all that may be saved up. */
static bool take_saved(struct bucket *b, double rate, double most, int64_t now)
{
	if (b->at == 0)
		*b = (struct bucket){most, now};
	return take(b, rate, most, now);
}

bool door_login(struct door *d, const struct door_key *k, const char *machine,
		int64_t now)
{
	struct address *a = find(d, k);

	if (take_saved(&machine_of(d, machine)->logins, DOOR_RATE_MACHINE,
		       DOOR_BURST_MACHINE, now))
		return true;
	if (a != NULL)
		a->bucket.tokens -= DOOR_CHARGE;
	/* What it had saved up is gone, but it need not wait for ever. */
	if (a != NULL && a->bucket.tokens > 0)
		a->bucket.tokens = 0;
	if (a != NULL && a->bucket.tokens < -DOOR_RATE_KNOWN)
		a->bucket.tokens = -DOOR_RATE_KNOWN;
	return false;
}

bool door_tell(struct door *d, const char *machine, int64_t now)
{
	return take_saved(&machine_of(d, machine)->told, DOOR_RATE_TOLD,
			  DOOR_BURST_TOLD, now);
}

static bool is_known(struct door *d, const struct door_key *k)
{
	const struct address *a = find(d, k);

	return a != NULL && a->known;
}

static unsigned count(const struct door_guest *guests, unsigned n,
		      const struct door_key *k)
{
	unsigned i, sum = 0;

	for (i = 0; i < n; i++)
		sum += same(guests[i].key, k);
	return sum;
}

/* The oldest of one address. */
static int oldest(const struct door_guest *guests, unsigned n,
		  const struct door_key *k)
{
	int best = -2;
	unsigned i;

	for (i = 0; i < n; i++)
		if (same(guests[i].key, k) &&
		    (best < 0 || guests[i].number < guests[best].number))
			best = (int)i;
	return best;
}

int door_victim(struct door *d, const struct door_guest *guests, unsigned n,
		unsigned max, const struct door_key *k)
{
	bool known = is_known(d, k), best_known = true;
	unsigned share = known ? DOOR_PER_KNOWN : DOOR_PER_ADDRESS;
	unsigned i, most = 0;
	int best = -2;

	if (count(guests, n, k) >= share)
		return oldest(guests, n, k);
	if (n < max)
		return -1;
	for (i = 0; i < n; i++) {
		bool this_known = is_known(d, guests[i].key);
		unsigned c = count(guests, n, guests[i].key);

		if (this_known && !known)
			continue;
		if (best < 0 || this_known < best_known ||
		    (this_known == best_known &&
		     (c > most ||
		      (c == most && guests[i].number < guests[best].number)))) {
			best = (int)i;
			best_known = this_known;
			most = c;
		}
	}
	return best;
}
