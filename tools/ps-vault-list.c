/* ps-vault list, and what it shares with show. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/tool.h"
#include "base/units.h"
#include "ps-vault.h"

void warn_damage(size_t n, const char *first)
{
	if (n > 0)
		tool_warn("%zu %s cannot be read (%s): see ps-vault verify", n,
			  n == 1 ? "object" : "objects", first);
}

const char *heading_note(const struct request *r, bool proved)
{
	if (r->keys == NULL)
		return " (unauthenticated: no key was given)";
	return proved ? ""
		      : " (unauthenticated: not all is sealed by this "
			"key)";
}

bool is_proved(const struct point *p)
{
	return p->sealed && p->authenticated;
}

/* The next machine of a point, from disk `i` on; NULL behind the last. */
static const char *machine_at(const struct request *r, const struct point *p,
			      size_t *i)
{
	for (; *i < p->ndisks; (*i)++) {
		const char *m = p->disks[*i].machine;

		if (*i > 0 && strcmp(p->disks[*i - 1].machine, m) == 0)
			continue;
		if (r->machine == NULL || strcmp(m, r->machine) == 0)
			return m;
	}
	return NULL;
}

/* Calls fn for each machine of each point that is asked for. */
typedef int row_fn(void *ctx, const struct point *p, const char *machine);

static bool wanted(const struct request *r, const struct point *p,
		   const char *machine)
{
	size_t i;

	for (i = 0; i < p->ndisks; i++)
		if (strcmp(p->disks[i].machine, machine) == 0 &&
		    (r->disk == NULL || strcmp(p->disks[i].disk, r->disk) == 0))
			return true;
	return false;
}

static int each_row(const struct request *r, const struct points *all,
		    row_fn *fn, void *ctx)
{
	size_t i, k;
	int rc = 0;

	for (i = 0; i < all->n; i++) {
		const struct point *p = &all->items[i];
		const char *m;

		for (k = 0; rc == 0 && (m = machine_at(r, p, &k)) != NULL; k++)
			if (wanted(r, p, m))
				rc = fn(ctx, p, m);
	}
	return rc;
}

/* ---- list as JSON ---- */

static json_t *disks_json(const struct point *p, const char *machine)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list != NULL && i < p->ndisks; i++) {
		const struct point_disk *d = &p->disks[i];

		if (strcmp(d->machine, machine) != 0)
			continue;
		json_array_append_new(
		    list,
		    json_pack("{s:s, s:I, s:I, s:b}", "disk", d->disk, "seq",
			      (json_int_t)d->seq, "size", (json_int_t)d->size,
			      "complete", (int)d->covered));
	}
	return list;
}

static int row_json(void *ctx, const struct point *p, const char *machine)
{
	char time[TIME_TEXT];
	json_t *o;

	format_time(p->time, time);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:b, s:b, s:b}",
		      "machine", machine, "point", p->id, "time", time,
		      "consistency", seg_consistency_name(p->consistency),
		      "bookmark", p->id, "disks", disks_json(p, machine),
		      "complete", (int)p->complete, "sealed", (int)p->sealed,
		      "authenticated", (int)is_proved(p));
	return json_array_append_new(ctx, o);
}

/* ---- list for people ---- */

/* One machine's part of a point, as text. */
struct row {
	char time[TIME_TEXT], size[32], age[32];
	char *disks;
	const char *machine;
	const struct point *point;
};

struct table {
	struct row *rows;
	size_t n, cap;
	int64_t now;
	int id, machine, disks; /* widths */
	bool proved;
};

/* "root,data": a disk that is not there is put in brackets. */
static char *disks_text(const struct point *p, const char *machine,
			uint64_t *ret_size)
{
	size_t cap = p->ndisks * (NAME_SIZE + 3) + 1, n = 0, i;
	char *text = calloc(1, cap);

	*ret_size = 0;
	for (i = 0; text != NULL && i < p->ndisks; i++) {
		const struct point_disk *d = &p->disks[i];

		if (strcmp(d->machine, machine) != 0)
			continue;
		*ret_size += d->size;
		n += (size_t)snprintf(text + n, cap - n,
				      d->covered ? "%s%s" : "%s[%s]",
				      n > 0 ? "," : "", d->disk);
	}
	return text;
}

static void widen(int *width, const char *text)
{
	int n = (int)strlen(text);

	if (n > *width)
		*width = n;
}

static int row_table(void *ctx, const struct point *p, const char *machine)
{
	struct table *t = ctx;
	struct row *row;
	uint64_t size;

	if (t->n == t->cap) {
		size_t cap = 2 * t->cap + 64;

		row = realloc(t->rows, cap * sizeof(*row));
		if (row == NULL)
			return -1;
		t->rows = row;
		t->cap = cap;
	}
	row = &t->rows[t->n];
	*row = (struct row){.machine = machine, .point = p};
	row->disks = disks_text(p, machine, &size);
	if (row->disks == NULL)
		return -1;
	format_time(p->time / NS_PER_S * NS_PER_S, row->time);
	format_size(size, row->size, sizeof(row->size));
	/* As numbers that cannot overflow: times come from outside. */
	format_duration(((double)t->now - (double)p->time) / NS_PER_S, row->age,
			sizeof(row->age));
	widen(&t->id, p->id);
	widen(&t->machine, machine);
	widen(&t->disks, row->disks);
	t->proved = t->proved && is_proved(p);
	t->n++;
	return 0;
}

static void print_table(const struct request *r, const struct table *t)
{
	size_t i;

	printf("Recovery points in %s%s\n", r->url, heading_note(r, t->proved));
	if (t->n == 0) {
		puts("none");
		return;
	}
	printf("%-20s  %-*s  %-*s  %-11s  %-*s  %9s  %9s  %s\n", "TIME", t->id,
	       "POINT", t->machine, "MACHINE", "CONSISTENCY", t->disks, "DISKS",
	       "SIZE", "AGE", "COMPLETE");
	for (i = 0; i < t->n; i++) {
		const struct row *row = &t->rows[i];

		printf("%-20s  %-*s  %-*s  %-11s  %-*s  %9s  %9s  %s\n",
		       row->time, t->id, row->point->id, t->machine,
		       row->machine,
		       seg_consistency_name(row->point->consistency), t->disks,
		       row->disks, row->size, row->age,
		       row->point->complete ? "yes" : "no");
	}
}

static int list_table(const struct request *r, const struct points *all,
		      struct err *e)
{
	struct table t = {.now = time_now_ns(),
			  .id = 5,
			  .machine = 7,
			  .disks = 5,
			  .proved = true};
	size_t i;
	int rc = each_row(r, all, row_table, &t);

	if (rc < 0)
		rc = err_set(e, PS_TEMPFAIL, "no memory for the answer");
	else
		print_table(r, &t);
	for (i = 0; i < t.n; i++)
		free(t.rows[i].disks);
	free(t.rows);
	return rc;
}

static int list_json(const struct request *r, const struct points *all,
		     struct err *e)
{
	json_t *list = json_array();

	if (list != NULL && each_row(r, all, row_json, list) < 0) {
		json_decref(list);
		list = NULL;
	}
	return print_json(list, e);
}

int cmd_list(const struct request *r, struct err *e)
{
	struct vault v = r->vault;
	struct points all;
	int rc;

	v.cached = true;
	rc = points_list(&v, r->machine, r->keys, &all, e);

	if (rc < 0)
		return rc;
	warn_damage(all.damaged, all.damage);
	rc = r->json ? list_json(r, &all, e) : list_table(r, &all, e);
	points_free(&all);
	return rc;
}

int choose_point(const struct request *r, const struct points *all,
		 const struct point **ret, struct err *e)
{
	const char *what = r->point;

	if (what == NULL && r->at == 0)
		what = "latest";
	return points_choose(all, r->machine, r->disk, what, r->at, ret, e);
}
