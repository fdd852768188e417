/* Process servers and master targets, as the registry knows them. */
#ifndef PS_CONFIG_SERVERS_H
#define PS_CONFIG_SERVERS_H

#include "config/registry.h"

#define SERVER_PS "ps"
#define SERVER_MT "mt"

/* Nothing heard for so long is critical, code 806 (as published). */
#define SERVER_SILENT_S (15 * 60)
#define SERVER_SILENT_CODE 806

struct reg_server {
	char name[NAME_SIZE];
	char role[8];			/* SERVER_PS, SERVER_MT */
	char machine_id[REG_TEXT_SIZE]; /* of the machine; "" not told */
	char address[REG_TEXT_SIZE];
	int64_t port; /* of the data: 9443 */
	char version[REG_TEXT_SIZE];
	int64_t generation; /* of the passphrase it last used; 0: none */
	int64_t registered; /* ns */
	int64_t contact;    /* ns; 0: never heard */
	int64_t machines;   /* that use it; not stored */
};

/*
 * Adds a server, or changes the one that it was: the name with the same
 * machine id (or without one) keeps its identity. Nothing is changed, nor
 * audited, when it says what is known. -PS_USAGE: name, role,
 * address or port; -PS_NO: another machine has the name, a protected one too,
 * or (a clone?) this machine id has another name, or it would have another
 * role than that for which machines use it.
 */
int server_register(struct reg *r, const struct reg_server *s, struct err *e);
/*
 * Upgrades go from process servers to master targets: one that would be newer
 * than a process server is refused (-PS_CONFIG). 0 for all others.
 */
int server_check_order(struct reg *r, const struct reg_server *s,
		       struct err *e);
/* The part of -PS_USAGE alone. */
int server_check(const struct reg_server *s, struct err *e);

/*
 * Removes it. -PS_NO: there is none, or machines use it; with `force` those
 * lose their server, which *ret_machines counts.
 */
int server_delete(struct reg *r, const char *name, bool force,
		  int64_t *ret_machines, struct err *e);

/* The same within reg_change(), as with `force`. */
int server_delete_here(struct reg *r, const char *name, int64_t *ret_machines,
		       struct err *e);

int server_get(struct reg *r, const char *name, struct reg_server *ret,
	       struct err *e);
typedef int server_fn(void *ctx, const struct reg_server *s, struct err *e);
int server_each(struct reg *r, server_fn *fn, void *ctx, struct err *e);

/* ---- for who reads the table together with another ---- */

#define SERVER_COLUMNS                                                         \
	"servers.name, role, servers.machine_id, address, port, version, "     \
	"generation, registered, contact, (SELECT COUNT(*) FROM machines "     \
	"WHERE machines.server = servers.name OR target = servers.name)"
#define SERVER_COLUMNS_N 10
void server_take(struct reg_server *s, const struct sql_row *row);

/*
 * "ok"; "silent" (code 806): no word of it for SERVER_SILENT_S, since it
 * registered when there was none at all; "never": none yet, for a shorter time.
 */
const char *server_state(const struct reg_server *s, int64_t now_ns);

#endif
