/* What is known of the servers that give and take machines. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "base/units.h"
#include "config/contacts.h"
#include "ps-balance.h"

struct showing {
	bool (*wanted)(void *ctx, const char *server);
	void *ctx;
	bool begun;
};

/* A figure of ps-health check; -1: not told. */
static json_int_t figure(const json_t *health, const char *name)
{
	const json_t *v =
	    json_object_get(json_object_get(health, "figures"), name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static void percent(json_int_t n, char out[32])
{
	if (n < 0)
		snprintf(out, 32, "-");
	else
		snprintf(out, 32, "%lld %%", (long long)n);
}

static int show_server(void *ctx, const struct reg_server *s,
		       const struct contact_word *w, struct err *e)
{
	struct showing *show = ctx;
	char room[32], memory[32], churn[32] = "-", heard[32] = "never";
	json_t *health;
	json_int_t rate;

	(void)e;
	if (!show->wanted(show->ctx, s->name))
		return 0;
	health = json_loads(w->health, 0, NULL);
	percent(figure(health, "cache_free_percent"), room);
	percent(figure(health, "memory_percent"), memory);
	rate = figure(health, "ingest_bytes_per_second");
	json_decref(health);
	if (rate >= 0)
		format_size((uint64_t)rate, churn, sizeof(churn));
	if (s->contact != 0)
		format_duration((double)(time_now_ns() - s->contact) / 1e9,
				heard, sizeof(heard));
	if (!show->begun)
		printf("%-20s %-12s %9s %11s %12s %14s\n", "SERVER", "HEARD",
		       "MACHINES", "CACHE FREE", "MEMORY USED", "CHURN/S NOW");
	show->begun = true;
	printf("%-20s %-12s %9lld %11s %12s %14s\n", s->name, heard,
	       (long long)s->machines, room, memory, churn);
	return 0;
}

int show_servers(struct reg *r, bool (*wanted)(void *ctx, const char *server),
		 void *ctx, struct err *e)
{
	struct showing show = {wanted, ctx, false};
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
};

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
	{
		const char *machine, *disk;
		json_int_t accepted, stored;

		if (json_unpack(d, "{s:s, s:s, s:I, s:I}", "machine", &machine,
				"disk", &disk, "accepted", &accepted, "stored",
				&stored) == 0 &&
		    last->wanted(last->ctx, machine))
			printf("%s/%s: when %s was heard last it had taken "
			       "segment %lld and stored %lld\n",
			       machine, disk, s->name, (long long)accepted,
			       (long long)stored);
	}
	json_decref(health);
	return 0;
}

int show_last_word(struct reg *r, const char *server,
		   bool (*wanted)(void *ctx, const char *machine), void *ctx,
		   struct err *e)
{
	struct last_word last = {server, wanted, ctx};

	return contact_each(r, show_last, &last, e);
}
