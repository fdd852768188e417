#include "config.h"

#include <math.h>
#include <stdlib.h>

#include "fleet/bound.h"

static int larger_first(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? 1 : x > y ? -1 : 0;
}

/*
 * Of n machines on m servers, some server has k + 1 of the k * m + 1 largest:
 * at least the k + 1 smallest of those. With k = 0: the largest of all.
 */
static double crowd(const double *sums, size_t n, size_t m)
{
	double most = 0, load;

	for (size_t k = 0; k * m < n; k++) {
		load = sums[k * m + 1] - sums[k * m - k];
		most = load > most ? load : most;
	}
	return most;
}

#define THRESHOLDS 256 /* sizes at which machines are counted */
#define BOUND_STEPS 40
#define BOUND_MOST 1e6 /* a load that cannot be meant */

/* What the bound is worked out from. */
struct bound {
	const struct fleet *f;
	const double *sums; /* of the i largest machines */
	size_t n;	    /* machines */
	struct can *can;    /* servers, but silent ones */
	size_t ncan;
};

/* One server: what it may take, a critical one at most what it has. */
struct can {
	double power, churn; /* churn: what it may have at all */
	size_t most;
};

/* Machines that are larger than this. */
static size_t larger_than(const struct bound *b, double churn)
{
	size_t from = 0, to = b->n;

	while (from < to) {
		size_t mid = (from + to) / 2;

		if (b->sums[mid + 1] - b->sums[mid] > churn)
			from = mid + 1;
		else
			to = mid;
	}
	return from;
}

/* So much churn one server can have: of machines that it takes at all. */
static double carries(const struct bound *b, const struct can *c, double load)
{
	double churn = load * c->power, all;
	size_t from, to;

	churn = c->churn < churn ? c->churn : churn;
	from = larger_than(b, churn * (1 + 1e-9));
	to = from + c->most < b->n ? from + c->most : b->n;
	all = b->sums[to] - b->sums[from];
	return all < churn ? all : churn;
}

/*
 * So much all servers can have. Those that have few places for their power
 * (they stand first) do not get more than the largest machines together.
 */
static double carry_all(const struct bound *b, double load)
{
	double all = 0, first = 0, least, some;
	size_t places = 0;

	for (size_t i = 0; i < b->ncan; i++)
		all += carries(b, &b->can[i], load);
	least = all;
	for (size_t i = 0; i < b->ncan && places < b->n; i++) {
		first += carries(b, &b->can[i], load);
		places += b->can[i].most;
		places = places < b->n ? places : b->n;
		some = b->sums[places] + all - first;
		least = some < least ? some : least;
	}
	return least;
}

/* So many machines of at least this churn all servers can have. */
static double count_all(const struct bound *b, double load, double churn)
{
	double all = 0, n;

	for (size_t i = 0; i < b->ncan; i++) {
		n = floor(load * b->can[i].power / churn + 1e-9);
		all += n < (double)b->can[i].most ? n : (double)b->can[i].most;
	}
	return all;
}

/* Whether nothing that can be counted speaks against such a highest load. */
static bool thinkable(const struct bound *b, double load)
{
	size_t step = b->n / THRESHOLDS + 1;
	double churn;

	if (carry_all(b, load) < b->sums[b->n] * (1 - 1e-9))
		return false;
	for (size_t i = 1; i <= b->n; i += step) {
		churn = b->sums[i] - b->sums[i - 1];
		if (churn > 0 && count_all(b, load, churn) < (double)i)
			return false;
	}
	return true;
}

static double search_bound(const struct bound *b)
{
	double low = 0, high = BOUND_MOST;

	if (b->n == 0 || !thinkable(b, high))
		return 0;
	for (int i = 0; i < BOUND_STEPS && low < high * 0.9999; i++) {
		/* Over many magnitudes first. */
		double mid = high > 2 * low + 1e-6 ? sqrt((low + 1e-6) * high)
						   : (low + high) / 2;

		if (thinkable(b, mid))
			high = mid;
		else
			low = mid;
	}
	return low;
}

/* One that is pinned to a silent server goes nowhere. */
static bool takes_part(const struct fleet *f, const struct machine *m)
{
	return !m->pinned || (m->server != NO_SERVER &&
			      f->servers[m->server].state != SERVER_SILENT);
}

/* Machines that somebody has to take, the largest first, as sums. */
static void add_up(struct bound *b, double *sums)
{
	for (size_t i = 0; i < b->f->nmachines; i++) {
		const struct machine *m = &b->f->machines[i];

		if (!m->pinned || takes_part(b->f, m))
			sums[++b->n] = (double)m->churn;
	}
	qsort(sums + 1, b->n, sizeof(*sums), larger_first);
	for (size_t i = 1; i <= b->n; i++)
		sums[i] += sums[i - 1];
}

static int fewer_places_first(const void *a, const void *b)
{
	const struct can *x = a, *y = b;
	double p = x->power * (double)y->most, q = y->power * (double)x->most;

	return p > q ? -1 : p < q;
}

static void add_servers(struct bound *b)
{
	struct can *own = calloc(b->f->nservers + 1, sizeof(*own));

	for (size_t i = 0; own != NULL && i < b->f->nmachines; i++) {
		const struct machine *m = &b->f->machines[i];

		if (m->server == NO_SERVER)
			continue;
		own[m->server].churn += (double)m->churn;
		own[m->server].most++;
	}
	for (size_t i = 0; own != NULL && i < b->f->nservers; i++) {
		const struct server *s = &b->f->servers[i];

		own[i].power = (double)s->churn;
		if (s->state < SERVER_CRITICAL)
			own[i].churn = INFINITY;
		if (s->state < SERVER_CRITICAL || own[i].most > s->machines)
			own[i].most = s->machines;
		if (s->state != SERVER_SILENT)
			own[b->ncan++] = own[i];
	}
	b->can = own;
	if (own != NULL)
		qsort(own, b->ncan, sizeof(*own), fewer_places_first);
}

double bound_of(const struct fleet *f)
{
	double *sums = calloc(f->nmachines + 2, sizeof(*sums));
	struct bound b = {.f = f, .sums = sums};
	double largest = 0, ret = -1, load;

	add_servers(&b);
	for (size_t i = 0; b.can != NULL && i < b.ncan; i++)
		largest = fmax(largest, b.can[i].power);
	if (sums != NULL && b.can != NULL) {
		add_up(&b, sums);
		ret = search_bound(&b);
		load = b.ncan > 0 ? crowd(sums, b.n, b.ncan) / largest : 0;
		ret = fmax(ret, load);
	}
	free(sums);
	free(b.can);
	return ret;
}
