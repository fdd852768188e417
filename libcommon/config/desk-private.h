/* Private to config/desk*.c: what a worker and the desk say to each other. */
#ifndef PS_CONFIG_DESK_PRIVATE_H
#define PS_CONFIG_DESK_PRIVATE_H

#include "config/desk.h"

/* Then `len` bytes. */
struct desk_head {
	uint32_t what; /* enum desk_what */
	uint32_t len;
	char name[NAME_SIZE]; /* of a machine, or empty */
};

struct desk_reply {
	uint32_t status, retry_s, len;
	char cause[32];
};

/* The process: tells on `ready` (a struct err) how it began. Never returns. */
_Noreturn void desk_run(const struct desk_place *p, int listener, int roots);

/*
 * Gives up all that answering does not need (ps-config(8), threat model):
 * files but those of the registry's folder, processes, and the network but
 * for the database, whose port is 0 when it is on this machine.
 */
int desk_lock(const struct reg_where *where, unsigned port, struct err *e);

/*
 * Our own certificate: makes key and certificate when there are none, or the
 * certificate is not (any more) what it should be. Gives its pin.
 */
int own_cert(struct reg *r, const struct desk_place *p, char *ret_pin,
	     struct err *e);

#endif
