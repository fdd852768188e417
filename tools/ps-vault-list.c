/* ps-vault list and show. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/tool.h"
#include "base/units.h"
#include "ps-vault.h"

int print_json(json_t *j, struct err *e)
{
	int rc = 0;

	if (j == NULL)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	if (json_dumpf(j, stdout, JSON_INDENT(2)) < 0 || putchar('\n') == EOF)
		rc = err_sys(e, 0, "standard output");
	json_decref(j);
	return rc;
}

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

static bool is_proved(const struct point *p)
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
	format_duration((double)(t->now - p->time) / NS_PER_S, row->age,
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
	int rc = points_list(&v, r->machine, r->keys, &all, e);

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

/* ---- show ---- */

static uint64_t chain_bytes(const struct vault_chain *c)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < c->n; i++)
		sum += c->objects[i]->seg.size;
	return sum;
}

/* The digest of the whole disk; "" when the key for it is missing. */
static void disk_digest(const struct vault_chain *c, char hex[SHA256_HEX])
{
	const struct seg_object *seg = &c->objects[0]->seg;

	hex[0] = '\0';
	if (seg->readable && seg->has_disk_digest)
		hex_encode(seg->disk_digest, SHA256_LEN, hex);
}

static json_t *chain_json(const struct point_disk *d,
			  const struct vault_chain *c)
{
	json_t *list = json_array();
	char hex[SHA256_HEX], digest[SHA256_HEX];
	size_t i;

	for (i = 0; list != NULL && i < c->n; i++) {
		const struct seg_object *seg = &c->objects[i]->seg;

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:I, s:I, s:s, s:I}", "name",
			      c->objects[i]->name, "first",
			      (json_int_t)seg->header.first_seq, "seq",
			      (json_int_t)seg->header.seq, "kind",
			      seg->header.kind == SEG_BASE ? "base" : "delta",
			      "bytes", (json_int_t)seg->size));
	}
	disk_digest(c, hex);
	hex_encode(c->objects[0]->seg.trailer.digest, SHA256_LEN, digest);
	return json_pack(
	    "{s:s, s:s, s:I, s:I, s:b, s:s*, s:s, s:I, s:o}", "machine",
	    d->machine, "disk", d->disk, "seq", (json_int_t)d->seq, "size",
	    (json_int_t)d->size, "complete", 1, "disk_digest",
	    hex[0] != '\0' ? hex : NULL, "segment_digest", digest,
	    "bytes_to_read", (json_int_t)chain_bytes(c), "objects", list);
}

static void print_chain(const struct point_disk *d, const struct vault_chain *c)
{
	char size[32], bytes[32], hex[SHA256_HEX];
	size_t i;

	format_size(d->size, size, sizeof(size));
	format_size(chain_bytes(c), bytes, sizeof(bytes));
	disk_digest(c, hex);
	printf("\ndisk         %s/%s, %s (%llu bytes)\n", d->machine, d->disk,
	       size, (unsigned long long)d->size);
	printf("disk digest  %s\n",
	       hex[0] != '\0' ? hex : "sealed: give the key");
	printf("to read      %s at most, %zu %s, newest first:\n", bytes, c->n,
	       c->n == 1 ? "object" : "objects");
	for (i = 0; i < c->n; i++) {
		const struct seg_object *seg = &c->objects[i]->seg;

		format_size(seg->size, bytes, sizeof(bytes));
		printf("  %s  %s  %s\n", c->objects[i]->name,
		       seg->header.kind == SEG_BASE ? "base " : "delta", bytes);
	}
}

/* A disk without its chain is shown as missing. */
static int show_disk(const struct request *r, const struct point_disk *d,
		     json_t *list, struct err *e)
{
	struct vault v = r->vault;
	struct vault_chain c = {0};
	int rc = -PS_NO;

	if (d->covered)
		rc = vault_chain(&v, d->machine, d->disk, d->seq, r->keys, &c,
				 e);
	if (rc == -PS_NO || rc == -PS_DATA) {
		if (list != NULL)
			json_array_append_new(
			    list,
			    json_pack("{s:s, s:s, s:I, s:I, s:b}", "machine",
				      d->machine, "disk", d->disk, "seq",
				      (json_int_t)d->seq, "size",
				      (json_int_t)d->size, "complete", 0));
		else
			printf("\ndisk         %s/%s: %s\n", d->machine,
			       d->disk,
			       d->seq != 0 ? "what it needs is missing"
					   : "missing");
		return 0;
	}
	if (rc < 0)
		return rc;
	if (list != NULL)
		json_array_append_new(list, chain_json(d, &c));
	else
		print_chain(d, &c);
	vault_chain_free(&c);
	return 0;
}

static void show_head(const struct request *r, const struct point *p)
{
	char time[TIME_TEXT], change[TIME_TEXT], age[32];

	format_time(p->time, time);
	format_time(p->change_time, change);
	format_duration((double)(time_now_ns() - p->time) / NS_PER_S, age,
			sizeof(age));
	printf("point        %s%s\n", p->id, heading_note(r, is_proved(p)));
	printf("time         %s, %s ago\n", time, age);
	printf("last change  %s\n", change);
	printf("consistency  %s\n", seg_consistency_name(p->consistency));
	printf("complete     %s\n", p->complete ? "yes" : "no");
}

static int show(const struct request *r, const struct point *p, struct err *e)
{
	json_t *list = r->json ? json_array() : NULL;
	char time[TIME_TEXT], change[TIME_TEXT];
	size_t i;
	int rc = 0;

	if (!r->json)
		show_head(r, p);
	for (i = 0; rc == 0 && i < p->ndisks; i++)
		if (r->disk == NULL || strcmp(r->disk, p->disks[i].disk) == 0)
			rc = show_disk(r, &p->disks[i], list, e);
	if (rc < 0 || !r->json) {
		json_decref(list);
		return rc;
	}
	format_time(p->time, time);
	format_time(p->change_time, change);
	return print_json(
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:o}",
		      "machine", r->machine, "point", p->id, "bookmark", p->id,
		      "time", time, "change_time", change, "consistency",
		      seg_consistency_name(p->consistency), "complete",
		      (int)p->complete, "sealed", (int)p->sealed,
		      "authenticated", (int)is_proved(p), "disks", list),
	    e);
}

int cmd_show(const struct request *r, struct err *e)
{
	struct vault v = r->vault;
	const struct point *p;
	struct points all;
	int rc = points_list(&v, r->machine, r->keys, &all, e);

	if (rc < 0)
		return rc;
	warn_damage(all.damaged, all.damage);
	rc = choose_point(r, &all, &p, e);
	if (rc == 0)
		rc = show(r, p, e);
	points_free(&all);
	return rc;
}
