/* What is known of the servers that give and take machines. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/contacts.h"
#include "ps-balance.h"

struct showing {
	bool (*wanted)(void *ctx, const char *server);
	void *ctx;
	json_t *list; /* NULL: for people */
	bool begun;
};

/* What a server told of itself, -1 where it did not. */
struct told {
	const char *state;
	json_int_t room, cache;	     /* bytes free, bytes of its volume */
	json_int_t unused, memory;   /* bytes */
	json_int_t churn, churn_now; /* bytes in a day, in a second */
};

static json_int_t integer(const json_t *v)
{
	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static json_int_t figure(const json_t *health, const char *name)
{
	return integer(
	    json_object_get(json_object_get(health, "figures"), name));
}

/* Of what is known of its disks. */
static json_int_t churn_of(const json_t *health)
{
	json_int_t sum = -1, day;
	const json_t *d;
	size_t i;

	json_array_foreach(json_object_get(health, "disks"), i, d)
	{
		day = integer(json_object_get(d, "churn_bytes_per_day"));
		if (day >= 0)
			sum = day + (sum < 0 ? 0 : sum);
	}
	return sum;
}

static json_int_t part(json_int_t all, json_int_t percent)
{
	return all < 0 || percent < 0 || percent > 100
		   ? -1
		   : (json_int_t)((double)all * (double)percent / 100);
}

static void read_told(struct told *t, const struct reg_server *s,
		      const char *words)
{
	json_t *h = json_loads(words, 0, NULL);
	json_int_t used = figure(h, "memory_percent");

	t->state = server_health(s, h);
	t->cache = figure(h, "cache_size_bytes");
	t->room = part(t->cache, figure(h, "cache_free_percent"));
	t->memory = integer(
	    json_object_get(json_object_get(h, "host"), "memory_bytes"));
	t->unused = part(t->memory, used < 0 ? -1 : 100 - used);
	t->churn = churn_of(h);
	t->churn_now = figure(h, "ingest_bytes_per_second");
	json_decref(h);
}

static void size_text(json_int_t n, char out[32])
{
	if (n < 0)
		snprintf(out, 32, "-");
	else
		format_size((uint64_t)n, out, 32);
}

static void of_text(json_int_t n, json_int_t all, char out[80])
{
	char a[32], b[32];

	size_text(n, a);
	size_text(all, b);
	snprintf(out, 80, n < 0 ? "-" : "%s of %s", a, b);
}

static void print_server(struct showing *show, const struct reg_server *s,
			 const struct told *t)
{
	char room[80], memory[80], day[32], now[32], heard[32] = "never";

	if (s->contact != 0)
		format_duration((double)(time_now_ns() - s->contact) / 1e9,
				heard, sizeof(heard));
	of_text(t->room, t->cache, room);
	of_text(t->unused, t->memory, memory);
	size_text(t->churn, day);
	size_text(t->churn_now, now);
	if (!show->begun)
		printf("%-16s %-8s %-10s %8s %21s %21s %10s %10s\n", "SERVER",
		       "STATE", "HEARD", "MACHINES", "CACHE FREE",
		       "MEMORY FREE", "CHURN/DAY", "CHURN/S");
	show->begun = true;
	printf("%-16s %-8s %-10s %8lld %21s %21s %10s %10s\n", s->name,
	       t->state, heard, (long long)s->machines, room, memory, day, now);
	if (strcmp(t->state, "critical") == 0)
		tool_warn("%s is critical: a plan would give it nothing new",
			  s->name);
	if (t->room < 0 || t->unused < 0)
		tool_warn("%s has not told its free space and memory: does "
			  "ps-health sample run there each minute?",
			  s->name);
}

static json_t *known(json_int_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *json_server(const struct reg_server *s, const struct told *t)
{
	json_t *heard = json_null();
	char text[TIME_TEXT];

	if (s->contact != 0) {
		format_time(s->contact, text);
		heard = json_string(text);
	}
	return json_pack("{s:s, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "name", s->name, "state", t->state, "heard", heard,
			 "machines", (json_int_t)s->machines,
			 "cache_free_bytes", known(t->room), "cache_size_bytes",
			 known(t->cache), "memory_free_bytes", known(t->unused),
			 "memory_bytes", known(t->memory),
			 "churn_bytes_per_day", known(t->churn),
			 "churn_bytes_per_second", known(t->churn_now));
}

static int show_server(void *ctx, const struct reg_server *s,
		       const struct contact_word *w, struct err *e)
{
	struct showing *show = ctx;
	struct told t;

	(void)e;
	if (!show->wanted(show->ctx, s->name))
		return 0;
	read_told(&t, s, w->health);
	if (show->list != NULL)
		json_array_append_new(show->list, json_server(s, &t));
	else
		print_server(show, s, &t);
	return 0;
}

int show_servers(struct reg *r, bool (*wanted)(void *ctx, const char *server),
		 void *ctx, json_t *list, struct err *e)
{
	struct showing show = {wanted, ctx, list, false};
	int rc = contact_each(r, show_server, &show, e);

	if (rc == 0 && show.begun)
		putchar('\n');
	return rc;
}

/* ---- what a dead server had told ---- */

struct last_word {
	const char *server;
	bool (*wanted)(void *ctx, const char *machine);
	void *ctx;
	json_t *list; /* NULL: for people */
};

/* What is lost with it, as far as that is known before it comes back. */
static void print_last(const char *server, const char *machine,
		       const char *disk, long long accepted, long long stored,
		       const char *point)
{
	printf("%s/%s: when %s was heard last it had taken segment %lld and "
	       "stored %lld: ",
	       machine, disk, server, accepted, stored);
	if (accepted <= stored)
		printf("nothing was missing then\n");
	else
		printf("%lld to %lld%s%s are missing, if it has not stored "
		       "them after that\n",
		       stored + 1, accepted,
		       point != NULL ? ", and points up to " : "",
		       point != NULL ? point : "");
}

static void show_last_disk(const struct last_word *last, const json_t *d)
{
	const char *machine, *disk, *point;
	json_int_t accepted, stored;

	if (json_unpack((json_t *)(uintptr_t)d, "{s:s, s:s, s:I, s:I}",
			"machine", &machine, "disk", &disk, "accepted",
			&accepted, "stored", &stored) != 0 ||
	    !last->wanted(last->ctx, machine))
		return;
	point = json_string_value(json_object_get(d, "crash_point"));
	if (last->list == NULL)
		print_last(last->server, machine, disk, accepted, stored,
			   point);
	else
		json_array_append_new(
		    last->list,
		    json_pack("{s:s, s:s, s:I, s:I, s:s?}", "machine", machine,
			      "disk", disk, "accepted", accepted, "stored",
			      stored, "newest_point", point));
}

static int show_last(void *ctx, const struct reg_server *s,
		     const struct contact_word *w, struct err *e)
{
	const struct last_word *last = ctx;
	json_t *health, *d;
	size_t i;

	(void)e;
	if (strcmp(s->name, last->server) != 0)
		return 0;
	health = json_loads(w->health, 0, NULL);
	json_array_foreach(json_object_get(health, "disks"), i, d)
	    show_last_disk(last, d);
	json_decref(health);
	return 0;
}

int show_last_word(struct reg *r, const char *server,
		   bool (*wanted)(void *ctx, const char *machine), void *ctx,
		   json_t *list, struct err *e)
{
	struct last_word last = {server, wanted, ctx, list};

	return contact_each(r, show_last, &last, e);
}
