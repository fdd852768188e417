#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "cache/move.h"
#include "config/orders-run.h"

#define LOOK_NS (NS_PER_S / 5)
/* An agent that is off must not keep other orders from being run. */
#define ARRIVED_WAIT_S 20

struct running {
	const struct order_place *place;
	const struct order *order;
	struct cache *c;
	char *note;
};

static void note(struct running *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct running *r, const char *fmt, ...)
{
	char text[ORDER_NOTE_SIZE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reg_text_cut(text);
	if (strcmp(text, r->note) == 0)
		return;
	memcpy(r->note, text, sizeof(text));
	if (r->place->progress != NULL)
		r->place->progress(r->place->ctx, text);
}

/* ---- what each of them is: 0 done, 1 not yet, -CODE ---- */

static int move_in(struct running *r, struct err *e)
{
	struct move_left left;
	struct cache_limits l;
	unsigned room;
	int rc = cache_limits(r->place->cache, &l, e);

	if (rc == 0)
		rc = cache_free_percent(r->c, &room, e);
	if (rc == 0 && room < l.keep_free)
		return err_set(e, PS_NO,
			       "the cache has %u %% free, with less than %u %% "
			       "it takes nothing",
			       room, l.keep_free);
	if (rc == 0)
		rc = cache_move_in(r->c, r->order->machine, false, &left, e);
	if (rc == 0)
		note(r, "ready, %u %% of the cache are free", room);
	return rc;
}

static int move_out(struct running *r, struct err *e)
{
	struct move_left left;
	char bytes[32];
	int rc =
	    cache_move_out(r->c, r->order->machine, r->order->to, &left, e);

	if (rc == 0)
		note(r, "all of it is stored");
	if (rc != 1)
		return rc;
	format_size(left.bytes, bytes, sizeof(bytes));
	note(r, "%llu segments, %s, have to be stored first%s",
	     (unsigned long long)left.segments, bytes,
	     left.followers == 0 ? "; nobody follows this cache" : "");
	return 1;
}

static int stay(struct running *r, struct err *e)
{
	int rc = cache_move_stay(r->c, r->order->machine, e);

	if (rc == 0)
		note(r, "it stays");
	return rc;
}

static int left(struct running *r, struct err *e)
{
	struct move_left left;
	int rc =
	    cache_move_left(r->c, r->order->machine, r->order->to, &left, e);

	if (rc == 0 && left.segments > 0)
		note(r, "held here, never stored: %s", left.words);
	else if (rc == 0)
		note(r, "nothing of it was left here");
	return rc;
}

static int arrived(struct running *r, struct err *e)
{
	struct move_seats seats;
	int rc = cache_move_seats(r->c, r->order->machine, &seats, e);

	if (rc < 0)
		return rc;
	if (seats.seated == 0 && seats.waiting == 0) {
		note(r, "its agent has not come yet");
		return 1;
	}
	if (seats.waiting > 0) {
		note(r, "%u disks wait to be seated", seats.waiting);
		return 1;
	}
	note(r, "%s", seats.words);
	return 0;
}

static const struct {
	const char *what;
	int (*run)(struct running *r, struct err *e);
} table[] = {
    {ORDER_MOVE_IN, move_in}, {ORDER_MOVE_OUT, move_out}, {ORDER_STAY, stay},
    {ORDER_LEFT, left},	      {ORDER_ARRIVED, arrived},
};
#define ORDERS (sizeof(table) / sizeof(table[0]))

/* ---- one order ---- */

static int until_done(struct running *r, size_t which, struct err *e)
{
	unsigned wait_s = r->place->wait_s;
	const struct timespec pause = {0, LOOK_NS};
	int64_t end;
	int rc;

	if (table[which].run == arrived && wait_s > ARRIVED_WAIT_S)
		wait_s = ARRIVED_WAIT_S;
	end = mono_now_ns() + (int64_t)wait_s * NS_PER_S;
	while ((rc = table[which].run(r, e)) == 1 && mono_now_ns() < end)
		nanosleep(&pause, NULL);
	return rc == 1 ? err_set(e, PS_TEMPFAIL, "%s", r->note) : rc;
}

int order_run(const struct order_place *p, const struct order *o,
	      char out[ORDER_NOTE_SIZE], struct err *e)
{
	struct running r = {.place = p, .order = o, .note = out};
	struct err why = {0};
	size_t i = 0;
	int rc;

	memset(out, 0, ORDER_NOTE_SIZE);
	while (i < ORDERS && strcmp(table[i].what, o->what) != 0)
		i++;
	if (i == ORDERS)
		rc = err_set(&why, PS_NO,
			     "'%s': this server does not know such an order: "
			     "is it older than the configuration server?",
			     o->what);
	else
		rc = cache_open(&r.c, p->cache, &why);
	if (rc == 0) {
		rc = until_done(&r, i, &why);
		cache_close(r.c);
	}
	if (rc < 0)
		note(&r, "%s", why.msg);
	if (rc < 0 && e != NULL)
		*e = why;
	return rc;
}
