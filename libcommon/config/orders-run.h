/*
 * A process server does what the configuration server orders (orders.h), by
 * means of its own cache alone: no order reads or writes a vault.
 */
#ifndef PS_CONFIG_ORDERS_RUN_H
#define PS_CONFIG_ORDERS_RUN_H

#include "config/orders.h"

#define ORDER_WAIT_S 600

struct order_place {
	const char *cache; /* the folder of this server's cache */
	/* An order that takes longer is put off: -PS_TEMPFAIL. */
	unsigned wait_s;
	/* Is told how far it is, when that has changed; may be NULL. */
	void (*progress)(void *ctx, const char *note);
	void *ctx;
};

/*
 * Does an order, or goes on with one that was begun. 0: it is done, `note`
 * says what came of it. -PS_TEMPFAIL: not yet, it is to be run again; `note`
 * says how far it is, or why. Anything else: it has failed for good, with
 * words in `e` and in `note`. Several may run at one time.
 */
int order_run(const struct order_place *p, const struct order *o,
	      char note[ORDER_NOTE_SIZE], struct err *e);

#endif
