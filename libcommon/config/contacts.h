/*
 * The word that servers send: heartbeats, what is wanted of them, and what
 * they say of their machines.
 */
#ifndef PS_CONFIG_CONTACTS_H
#define PS_CONFIG_CONTACTS_H

#include "config/servers.h"

#define CONTACT_TEXT_SIZE (1024 * 1024)

struct contact_word {
	int64_t generation;   /* of the passphrase it logged in with; 0: keep */
	const char *health;   /* JSON of ps-health check, or "" */
	const char *machines; /* JSON: a list of its machines, or "" */
	int64_t clock_s;      /* its clock is ahead by so much */
	const char *version;  /* its program's; "": as it was */
};

/* What is wanted of a server. */
struct contact_wish {
	bool refresh; /* it shall be heard now */
	bool leave;   /* it shall unregister itself */
};

/*
 * It was heard: with that it is heard now, which *ret says it still was to be.
 * -PS_NO: there is no such server.
 */
int contact_heard(struct reg *r, const char *server,
		  const struct contact_word *w, struct contact_wish *ret,
		  struct err *e);

/* It shall be heard now (NULL: all of them). -PS_NO: there is none. */
int contact_want(struct reg *r, const char *server, struct err *e);
/* The same within reg_change(). */
int contact_want_here(struct reg *r, const char *server, struct err *e);

/* It shall unregister itself, or shall not any more. -PS_NO. */
int contact_leave(struct reg *r, const char *server, bool leave, struct err *e);

/* The same within reg_change(). */
int contact_leave_here(struct reg *r, const char *server, bool leave,
		       struct err *e);

/* Is something wanted of it? */
int contact_wish(struct reg *r, const char *server, struct contact_wish *ret,
		 struct err *e);

/*
 * Servers that were not heard for SERVER_SILENT_S: says so in the audit log,
 * once for each silence whoever looks, and calls `fn` with each that is new.
 * That it is heard again, contact_heard() says there.
 */
typedef int contact_silent_fn(void *ctx, const char *server, int64_t contact,
			      struct err *e);
int contact_each_silent(struct reg *r, contact_silent_fn *fn, void *ctx,
			struct err *e);

/*
 * Calls `fn` with the name of each server that shall be heard now: for
 * somebody wants that, or there is an order that it has not taken.
 */
typedef int contact_name_fn(void *ctx, const char *server, struct err *e);
int contact_each_wanted(struct reg *r, contact_name_fn *fn, void *ctx,
			struct err *e);

/* What it said last. Text is valid during the call; "" when there is none. */
typedef int contact_fn(void *ctx, const struct reg_server *s,
		       const struct contact_word *w, struct err *e);
int contact_each(struct reg *r, contact_fn *fn, void *ctx, struct err *e);

#endif
