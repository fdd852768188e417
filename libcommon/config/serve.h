/*
 * The configuration server: the listener, gates and keeper of net/server.h, a
 * worker that passes requests on, and the desk (desk.h), which answers them.
 */
#ifndef PS_CONFIG_SERVE_H
#define PS_CONFIG_SERVE_H

#include "config/registry.h"

struct serve {
	const struct reg_where *where;
	const char *listen;	/* "[ADDR:]PORT" */
	const char *cert, *key; /* NULL: of the site's own authority */
	const char *alt;	/* more names for that one, or NULL */
	const char *user;	/* to become, or NULL */
	const char *log_dir;	/* NULL: below the folder of the registry */
	unsigned max_connections;
	uint64_t interval; /* of heartbeats, seconds */
	uint64_t cert_s;   /* certificates are made for so long */
};

/*
 * Serves until SIGTERM or SIGINT. `ready` is told the port when everybody may
 * come.
 */
typedef int serve_ready_fn(unsigned port, struct err *e);
int serve_run(const struct serve *s, serve_ready_fn *ready, struct err *e);

#endif
