/*
 * What a request to the configuration server means: ps-config-api(5). Here
 * nothing is known of HTTP and connections; desk.c calls it.
 */
#ifndef PS_CONFIG_API_H
#define PS_CONFIG_API_H

#include <jansson.h>

#include "config/desk.h"

struct api_ask {
	enum desk_what what;
	const char *login;  /* who asks */
	int64_t generation; /* of the passphrase that was used */
	const char *name;   /* of a machine, for DESK_MACHINE */
	const char *body;
	size_t len;
	/* of the server */
	const char *version, *pin;
	uint64_t interval, cert_s; /* seconds */
};

struct api_answer {
	unsigned status;
	unsigned retry_s;
	char cause[32];
	json_t *body; /* the caller's; NULL: no memory */
	bool held;    /* DESK_NEWS: no answer yet */
	bool moves;   /* an order was reported: others may be given now */
};

/* Always answers. True: the database was the trouble. */
bool api_answer(struct reg *r, const struct api_ask *q, struct api_answer *a);

/* {"error": word, "text": ..., "hint": ...} */
void api_refuse(struct api_answer *a, unsigned status, const char *word,
		const struct err *e);
/* The answer to a request that was held. */
void api_news(struct api_answer *a, bool refresh);

/* Clocks that differ more are refused (as published). */
#define API_CLOCK_MAX_S 900

#endif
