#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fleet/series.h"

#define SPREAD_STEP 1.01

/* Makes the series reach from `from` to `to`, both included. */
static int reach(struct series *s, int64_t from, int64_t to, struct err *e)
{
	size_t before = (size_t)(s->first - from), n, cap, i;
	float *v;

	if (to - from >= SERIES_MINUTES_MAX)
		return err_set(e, PS_DATA,
			       "samples are more than a year from each other");
	n = (size_t)(to - from) + 1;
	if (n <= s->cap && before == 0) {
		for (i = s->n; i < n; i++)
			s->v[i] = NAN;
		s->n = n;
		return 0;
	}
	cap = n + n / 2 + 64;
	v = malloc(cap * sizeof(*v));
	if (v == NULL)
		return err_sys(e, PS_TEMPFAIL, "samples");
	for (i = 0; i < n; i++)
		v[i] =
		    i >= before && i - before < s->n ? s->v[i - before] : NAN;
	free(s->v);
	*s = (struct series){from, n, cap, v};
	return 0;
}

int series_add(struct series *s, int64_t minute, double value, struct err *e)
{
	int64_t from, to;
	float *at;
	int rc;

	if (s->n == 0)
		s->first = minute;
	from = minute < s->first ? minute : s->first;
	to = s->first + (int64_t)s->n - 1;
	if (from != s->first || minute > to) {
		rc = reach(s, from, minute > to ? minute : to, e);
		if (rc < 0)
			return rc;
	}
	at = &s->v[minute - s->first];
	*at = (float)((isnan(*at) ? 0 : (double)*at) + value);
	return 0;
}

void series_free(struct series *s)
{
	free(s->v);
	*s = (struct series){0};
}

size_t series_count(const struct series *s, double *sum)
{
	size_t n = 0;

	*sum = 0;
	for (size_t i = 0; i < s->n; i++) {
		if (isnan(s->v[i]))
			continue;
		n++;
		*sum += (double)s->v[i];
	}
	return n;
}

static int smaller_first(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return x < y ? -1 : x > y;
}

/* Nearest rank: 1 .. n. */
static uint64_t rank_of(double percent, uint64_t n)
{
	double r = ceil(percent / 100 * (double)n);

	return r < 1 ? 1 : r > (double)n ? n : (uint64_t)r;
}

double series_percentile(const struct series *s, double percent)
{
	float *v = malloc((s->n + 1) * sizeof(*v));
	double ret = 0;
	size_t n = 0;

	if (v == NULL)
		return -1;
	for (size_t i = 0; i < s->n; i++) {
		if (!isnan(s->v[i]))
			v[n++] = s->v[i];
	}
	if (n > 0) {
		qsort(v, n, sizeof(*v), smaller_first);
		ret = (double)v[rank_of(percent, n) - 1];
	}
	free(v);
	return ret;
}

static double value_at(const struct series *s, size_t i)
{
	return isnan(s->v[i]) ? 0 : (double)s->v[i];
}

double series_most(const struct series *s, size_t minutes)
{
	double sum = 0, most = 0;

	for (size_t i = 0; i < s->n; i++) {
		sum += value_at(s, i);
		if (i >= minutes)
			sum -= value_at(s, i - minutes);
		most = sum > most ? sum : most;
	}
	if (s->n > 0 && minutes > s->n)
		most *= (double)minutes / (double)s->n;
	return most;
}

void spread_add(struct spread *s, double value, uint32_t times)
{
	double b = value < 1 ? 0 : 1 + floor(log(value) / log(SPREAD_STEP));

	s->n[b < SPREAD_BUCKETS ? (size_t)b : SPREAD_BUCKETS - 1] += times;
	s->count += times;
	s->sum += value * times;
}

double spread_percentile(const struct spread *s, double percent)
{
	uint64_t want = s->count > 0 ? rank_of(percent, s->count) : 0;
	size_t i = 0;

	for (uint64_t seen = s->n[0]; seen < want && i + 1 < SPREAD_BUCKETS;)
		seen += s->n[++i];
	return i == 0 ? 0 : pow(SPREAD_STEP, (double)i - 0.5);
}
