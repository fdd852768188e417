/*
 * What a process server was ordered to do (orders-run.h): each order in a
 * process of its own, so that heartbeats go on, a few at a time.
 */
#ifndef PS_CONFIG_BEAT_ORDERS_H
#define PS_CONFIG_BEAT_ORDERS_H

#include <poll.h>
#include <stdbool.h>

#include <jansson.h>

#include "config/orders-run.h"

#define BEAT_ORDERS_MAX 1024 /* more are taken later */
#define BEAT_ORDERS_RUN 8    /* at a time */
/* Seconds until it is told how far one is, or that it could not be done yet. */
#define BEAT_ORDERS_AGAIN_S 2

struct beat_order {
	struct order o;
	pid_t pid; /* 0: does not run */
	int fd;	   /* what it says */
	bool ended, told;
};

struct beat_orders {
	const char *cache;
	struct beat_order *list;
	unsigned n;
	bool news;	  /* a heartbeat is due: one has ended */
	int64_t again_at; /* mono_now_ns(): then news, too; 0: never */
};

int beat_orders_open(struct beat_orders *b, const char *cache, struct err *e);
/* Ends what runs: it is run again when it is ordered again. */
void beat_orders_close(struct beat_orders *b);

/* The list for a heartbeat; NULL: no memory. */
json_t *beat_orders_word(struct beat_orders *b);
/* The heartbeat that had that list was answered, with these orders. */
void beat_orders_take(struct beat_orders *b, const json_t *orders);

/* Descriptors to wait for: how many of `max` were written. */
unsigned beat_orders_poll(const struct beat_orders *b, struct pollfd *p,
			  unsigned max);
/*
 * Hears what they say, without waiting; starts those that wait. To be called
 * at least every BEAT_ORDERS_AGAIN_S.
 */
void beat_orders_turn(struct beat_orders *b);

#endif
