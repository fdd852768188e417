/*
 * run-orders REGISTRY SERVER CACHE [--once]: does what the registry orders a
 * process server to do, without a network between them.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "config/orders-run.h"
#include "config/servers.h"

#define ORDERS_MAX 64

struct todo {
	struct order list[ORDERS_MAX];
	unsigned n;
};

static int gather(void *ctx, const struct order *o, struct err *e)
{
	struct todo *t = ctx;

	(void)e;
	if (t->n < ORDERS_MAX)
		t->list[t->n++] = *o;
	return 0;
}

static int run(struct reg *r, const char *server, const char *cache,
	       struct err *e)
{
	struct order_place place = {.cache = cache};
	char note[ORDER_NOTE_SIZE];
	static struct todo todo;
	const char *state;
	unsigned i;
	int rc, did;

	todo.n = 0;
	rc = server_heard(r, server, 1, "", e);
	if (rc == 0)
		rc = order_each(r, server, gather, &todo, e);
	for (i = 0; i < todo.n && rc == 0; i++) {
		const struct order *o = &todo.list[i];

		did = order_run(&place, o, note, NULL);
		state = did == 0	      ? ORDER_DONE
			: did == -PS_TEMPFAIL ? ORDER_RUNNING
					      : ORDER_FAILED;
		if (strcmp(state, o->state) == 0 && strcmp(note, o->note) == 0)
			continue;
		printf("%s %s %s: %s\n", o->what, o->machine, state, note);
		fflush(stdout);
		rc = order_report(r, o->id, server, state, note, e);
		if (rc == -PS_NO)
			rc = 0; /* its job was given up meanwhile */
	}
	return rc;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {0, 100 * 1000 * 1000};
	struct reg_where where = {.dir = argv[1], .wait_s = REG_WAIT_S};
	bool once = argc == 5 && strcmp(argv[4], "--once") == 0;
	struct reg *r;
	struct err e = {0};
	int rc;

	if (argc != 4 && !once)
		return PS_USAGE;
	rc = reg_open(&r, &where, argv[2], &e);
	while (rc == 0) {
		rc = run(r, argv[2], argv[3], &e);
		if (once)
			break;
		nanosleep(&pause, NULL);
	}
	if (rc < 0)
		fprintf(stderr, "run-orders: %s\n", e.msg);
	return -rc;
}
