/* ps-vault head and stat. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/tool.h"
#include "base/units.h"
#include "ps-vault.h"
#include "segment/ack.h"
#include "vault/tails.h"

struct job {
	const struct request *r;
	struct vault v;
	json_t *list; /* NULL: text */
	uint64_t disks, objects, bytes;
};

static int add_json(json_t *list, json_t *o, struct err *e)
{
	if (json_array_append_new(list, o) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

/* ---- head ---- */

static int head_disk(void *ctx, const char *machine, const char *disk,
		     struct err *e)
{
	struct job *j = ctx;
	struct ack a = {.level = ACK_STORED, .head = true};
	char hex[SHA256_HEX], line[ACK_LINE_SIZE];
	int rc;

	if (j->r->disk != NULL && strcmp(disk, j->r->disk) != 0)
		return 0;
	rc = vault_head(&j->v, machine, disk, &a.seq, a.digest, e);
	if (rc < 0)
		return rc;
	j->disks++;
	snprintf(a.machine, sizeof(a.machine), "%s", machine);
	snprintf(a.disk, sizeof(a.disk), "%s", disk);
	if (j->list == NULL) {
		ack_format(&a, line);
		return fputs(line, stdout) < 0 ? tool_no_output(e) : 0;
	}
	hex_encode(a.digest, SHA256_LEN, hex);
	return add_json(j->list,
			json_pack("{s:s, s:s, s:I, s:s}", "machine", machine,
				  "disk", disk, "seq", (json_int_t)a.seq,
				  "digest", hex),
			e);
}

int cmd_head(const struct request *r, struct err *e)
{
	struct job j = {.r = r, .v = r->vault};
	int rc;

	j.list = r->json ? json_array() : NULL;
	/* A disk that was asked for by name has a head even if it is empty. */
	if (r->machine != NULL && r->disk != NULL)
		rc = head_disk(&j, r->machine, r->disk, e);
	else
		rc = vault_disks(&j.v, r->machine, head_disk, &j, e);
	if (rc == 0 && r->json)
		return print_json(j.list, e);
	json_decref(j.list);
	return rc;
}

/* ---- stat ---- */

struct figures {
	uint64_t objects, merged, sealed, points;
	uint64_t bytes, data; /* as stored; of the disk */
	uint64_t first, seq, size;
	int64_t oldest, newest; /* times of points; 0: none */
};

static void add_tail(struct figures *f, const struct tails *t, size_t i)
{
	const struct tail *x = &t->items[i];

	f->objects++;
	f->bytes += x->cover.size;
	if (f->first == 0 || x->cover.first < f->first)
		f->first = x->cover.first;
	f->seq = x->cover.seq;
	if (x->damaged)
		return;
	f->merged += x->cover.first != x->cover.seq;
	f->sealed += x->sealed;
	f->data += x->data_bytes;
	f->size = x->disk_size;
	if (!x->last_part || tails_find(t, x->cover.seq) != i)
		return;
	f->points++;
	if (f->oldest == 0 || x->time < f->oldest)
		f->oldest = x->time;
	if (x->time > f->newest)
		f->newest = x->time;
}

/* Bytes of the disk for each byte stored. */
static double ratio(const struct figures *f)
{
	return f->bytes > 0 ? (double)f->data / (double)f->bytes : 0;
}

static int stat_json(json_t *list, const struct tails *t,
		     const struct figures *f, struct err *e)
{
	char oldest[TIME_TEXT] = "", newest[TIME_TEXT] = "";
	json_t *o;

	if (f->points > 0) {
		format_time(f->oldest, oldest);
		format_time(f->newest, newest);
	}
	o = json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, "
	    "s:f, s:I, s:s*, s:s*}",
	    "machine", t->machine, "disk", t->disk, "size", (json_int_t)f->size,
	    "first", (json_int_t)f->first, "seq", (json_int_t)f->seq, "objects",
	    (json_int_t)f->objects, "merged", (json_int_t)f->merged, "sealed",
	    (json_int_t)f->sealed, "damaged", (json_int_t)t->damaged, "bytes",
	    (json_int_t)f->bytes, "data_bytes", (json_int_t)f->data, "ratio",
	    ratio(f), "points", (json_int_t)f->points, "oldest",
	    f->points > 0 ? oldest : NULL, "newest",
	    f->points > 0 ? newest : NULL);
	return add_json(list, o, e);
}

static void stat_text(const struct tails *t, const struct figures *f)
{
	char who[2 * NAME_SIZE], bytes[32], data[32], newest[TIME_TEXT] = "-";

	snprintf(who, sizeof(who), "%s/%s", t->machine, t->disk);
	format_size(f->bytes, bytes, sizeof(bytes));
	format_size(f->data, data, sizeof(data));
	if (f->points > 0)
		format_time(f->newest / NS_PER_S * NS_PER_S, newest);
	printf("%-24s %8llu %10s %10s %6.2f %7llu  %s\n", who,
	       (unsigned long long)f->objects, bytes, data, ratio(f),
	       (unsigned long long)f->points, newest);
}

static int stat_disk(void *ctx, const char *machine, const char *disk,
		     struct err *e)
{
	struct job *j = ctx;
	struct figures f = {0};
	struct tails t;
	size_t i;
	int rc;

	if (j->r->disk != NULL && strcmp(disk, j->r->disk) != 0)
		return 0;
	rc = tails_load(&j->v, machine, disk, j->r->keys, &t, e);
	if (rc < 0)
		return rc;
	warn_damage(t.damaged, t.damage);
	for (i = 0; i < t.n; i++)
		add_tail(&f, &t, i);
	j->disks++;
	j->objects += f.objects;
	j->bytes += f.bytes;
	if (j->list != NULL)
		rc = stat_json(j->list, &t, &f, e);
	else
		stat_text(&t, &f);
	tails_free(&t);
	return rc;
}

int cmd_stat(const struct request *r, struct err *e)
{
	const char *fence = r->vault.single_writer ? "single-writer" : "store";
	struct job j = {.r = r, .v = r->vault};
	char bytes[32];
	int rc;

	j.list = r->json ? json_array() : NULL;
	if (!r->json) {
		printf("Vault %s, fence: %s\n", r->url,
		       r->vault.single_writer
			   ? "none, a single writer is assumed"
			   : "the store refuses a second create");
		printf("%-24s %8s %10s %10s %6s %7s  %s\n", "DISK", "OBJECTS",
		       "STORED", "DATA", "RATIO", "POINTS", "NEWEST");
	}
	rc = vault_disks(&j.v, r->machine, stat_disk, &j, e);
	if (rc < 0) {
		json_decref(j.list);
		return rc;
	}
	if (r->json)
		return print_json(
		    json_pack("{s:s, s:s, s:I, s:I, s:o}", "vault", r->url,
			      "fence", fence, "objects", (json_int_t)j.objects,
			      "bytes", (json_int_t)j.bytes, "disks", j.list),
		    e);
	format_size(j.bytes, bytes, sizeof(bytes));
	printf("%llu %s, %llu objects, %s\n", (unsigned long long)j.disks,
	       j.disks == 1 ? "disk" : "disks", (unsigned long long)j.objects,
	       bytes);
	return 0;
}
