/* ps-vault show. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "ps-vault.h"
#include "vault/tails.h"

/* One disk of the point, with the objects that lead to it. */
struct shown {
	const struct point_disk *disk;
	struct tails tails;
	size_t newest;	/* in tails; TAIL_NONE: what it needs is gone */
	size_t objects; /* in the chain */
	uint64_t bytes; /* of all of them */
	char disk_digest[SHA256_HEX]; /* empty: the key for it is missing */
	char digest[SHA256_HEX];
};

/* The digest of the whole disk stands in the newest object's directory. */
static int read_digest(const struct request *r, struct shown *s, struct err *e)
{
	const struct tail *t = &s->tails.items[s->newest];
	struct vault v = r->vault;
	struct vault_object *o;
	int rc;

	s->disk_digest[0] = '\0';
	if (t->sealed && !t->authentic)
		return 0;
	rc = vault_object_open(&v, s->disk->machine, s->disk->disk, &t->cover,
			       r->keys, &o, e);
	if (rc < 0)
		return rc;
	if (o->seg.has_disk_digest)
		hex_encode(o->seg.disk_digest, SHA256_LEN, s->disk_digest);
	vault_object_close(o);
	return 0;
}

static int load(const struct request *r, const struct point_disk *d,
		struct shown *s, struct err *e)
{
	struct vault v = r->vault;
	size_t i;
	int rc;

	v.cached = true;
	*s = (struct shown){.disk = d};
	rc = tails_load(&v, d->machine, d->disk, r->keys, &s->tails, e);
	if (rc < 0)
		return rc;
	s->newest = d->seq != 0 ? tails_find(&s->tails, d->seq) : TAIL_NONE;
	if (s->newest == TAIL_NONE)
		return 0;
	for (i = s->newest; i != TAIL_NONE; i = s->tails.items[i].older) {
		s->objects++;
		s->bytes += s->tails.items[i].cover.size;
	}
	hex_encode(s->tails.items[s->newest].digest, SHA256_LEN, s->digest);
	rc = read_digest(r, s, e);
	if (rc < 0)
		tails_free(&s->tails);
	return rc;
}

/* ---- as JSON ---- */

static json_t *objects_json(const struct shown *s)
{
	json_t *list = json_array();
	char name[VAULT_NAME_SIZE];
	size_t i;

	for (i = s->newest; list != NULL && i != TAIL_NONE;
	     i = s->tails.items[i].older) {
		const struct tail *t = &s->tails.items[i];

		vault_name(s->disk->machine, s->disk->disk, &t->cover, name);
		json_array_append_new(
		    list, json_pack("{s:s, s:I, s:I, s:s, s:I}", "name", name,
				    "first", (json_int_t)t->cover.first, "seq",
				    (json_int_t)t->cover.seq, "kind",
				    t->base ? "base" : "delta", "bytes",
				    (json_int_t)t->cover.size));
	}
	return list;
}

static json_t *disk_json(const struct shown *s)
{
	const struct point_disk *d = s->disk;

	if (s->newest == TAIL_NONE)
		return json_pack("{s:s, s:s, s:I, s:I, s:b}", "machine",
				 d->machine, "disk", d->disk, "seq",
				 (json_int_t)d->seq, "size",
				 (json_int_t)d->size, "complete", 0);
	return json_pack("{s:s, s:s, s:I, s:I, s:b, s:s*, s:s, s:I, s:o}",
			 "machine", d->machine, "disk", d->disk, "seq",
			 (json_int_t)d->seq, "size", (json_int_t)d->size,
			 "complete", 1, "disk_digest",
			 s->disk_digest[0] != '\0' ? s->disk_digest : NULL,
			 "segment_digest", s->digest, "bytes_to_read",
			 (json_int_t)s->bytes, "objects", objects_json(s));
}

static int point_json(const struct request *r, const struct point *p,
		      json_t *disks, struct err *e)
{
	char time[TIME_TEXT], change[TIME_TEXT];

	format_time(p->time, time);
	format_time(p->change_time, change);
	return print_json(
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:b, s:o}",
		      "machine", r->machine, "point", p->id, "bookmark", p->id,
		      "time", time, "change_time", change, "consistency",
		      seg_consistency_name(p->consistency), "complete",
		      (int)p->complete, "sealed", (int)p->sealed,
		      "authenticated", (int)is_proved(p), "disks", disks),
	    e);
}

/* ---- for people ---- */

static void print_disk(const struct shown *s)
{
	const struct point_disk *d = s->disk;
	char size[32], bytes[32], name[VAULT_NAME_SIZE];
	size_t i;

	if (s->newest == TAIL_NONE) {
		printf("\ndisk         %s/%s: %s\n", d->machine, d->disk,
		       d->seq != 0 ? "what it needs is missing" : "missing");
		return;
	}
	format_size(d->size, size, sizeof(size));
	format_size(s->bytes, bytes, sizeof(bytes));
	printf("\ndisk         %s/%s, %s (%llu bytes)\n", d->machine, d->disk,
	       size, (unsigned long long)d->size);
	printf("disk digest  %s\n", s->disk_digest[0] != '\0'
					? s->disk_digest
					: "sealed: give the key");
	printf("to read      %s at most, %zu %s, newest first:\n", bytes,
	       s->objects, s->objects == 1 ? "object" : "objects");
	for (i = s->newest; i != TAIL_NONE; i = s->tails.items[i].older) {
		const struct tail *t = &s->tails.items[i];

		vault_name(d->machine, d->disk, &t->cover, name);
		format_size(t->cover.size, bytes, sizeof(bytes));
		printf("  %s  %s  %s\n", name, t->base ? "base " : "delta",
		       bytes);
	}
}

static void show_head(const struct request *r, const struct point *p)
{
	char time[TIME_TEXT], change[TIME_TEXT], age[32];

	format_time(p->time, time);
	format_time(p->change_time, change);
	format_duration(((double)time_now_ns() - (double)p->time) / NS_PER_S,
			age, sizeof(age));
	printf("point        %s%s\n", p->id, heading_note(r, is_proved(p)));
	printf("time         %s, %s ago\n", time, age);
	printf("last change  %s\n", change);
	printf("consistency  %s\n", seg_consistency_name(p->consistency));
	printf("complete     %s\n", p->complete ? "yes" : "no");
}

static int show(const struct request *r, const struct point *p, struct err *e)
{
	json_t *list = r->json ? json_array() : NULL;
	size_t i;

	if (!r->json)
		show_head(r, p);
	for (i = 0; i < p->ndisks; i++) {
		struct shown s;
		int rc;

		if (r->disk != NULL && strcmp(r->disk, p->disks[i].disk) != 0)
			continue;
		rc = load(r, &p->disks[i], &s, e);
		if (rc < 0) {
			json_decref(list);
			return rc;
		}
		if (list != NULL)
			json_array_append_new(list, disk_json(&s));
		else
			print_disk(&s);
		tails_free(&s.tails);
	}
	return r->json ? point_json(r, p, list, e) : 0;
}

int cmd_show(const struct request *r, struct err *e)
{
	struct vault v = r->vault;
	const struct point *p;
	struct points all;
	int rc;

	v.cached = true;
	rc = points_list(&v, r->machine, r->keys, &all, e);

	if (rc < 0)
		return rc;
	warn_damage(all.damaged, all.damage);
	rc = choose_point(r, &all, &p, e);
	if (rc == 0)
		rc = show(r, p, e);
	points_free(&all);
	return rc;
}
