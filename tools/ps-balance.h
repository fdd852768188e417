/* Private to ps-balance: what its commands share. */
#ifndef PS_TOOLS_PS_BALANCE_H
#define PS_TOOLS_PS_BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "config/registry.h"
#include "config/servers.h"

/* The options of the commands that move machines. */
struct ask {
	struct reg_where where;
	bool json, dry_run, dead;
	uint64_t wait_s; /* until ended, at most */
};
extern struct ask ask;

/*
 * Each gives an exit code, or -CODE: 0 all is done, PS_NO some of it could
 * not be done.
 */
int run_move(int n, char **words, struct err *e);   /* FROM TO MACHINE... */
int run_switch(int n, char **words, struct err *e); /* FROM TO */
int run_apply(int n, char **words, struct err *e);  /* [PLAN] */
int run_resume(int n, char **words, struct err *e);
int run_inventory(int n, char **words, struct err *e);

/*
 * Each move of a plan, a file or `-`; from "": it had no server. -PS_DATA: it
 * is no plan, or has two servers for one machine.
 */
typedef int plan_fn(void *ctx, const char *machine, const char *from,
		    const char *to, struct err *e);
int plan_read(const char *path, plan_fn *fn, void *ctx, struct err *e);

/* "healthy", "warning", "critical", "silent"; `health`: what it told. */
const char *server_health(const struct reg_server *s, const json_t *health);

/*
 * Free space, memory and churn of the servers that are meant: printed for
 * people, or appended to `list`.
 */
int show_servers(struct reg *r, bool (*wanted)(void *ctx, const char *server),
		 void *ctx, json_t *list, struct err *e);
/* The same: what a server had of these machines when it was heard last. */
int show_last_word(struct reg *r, const char *server,
		   bool (*wanted)(void *ctx, const char *machine), void *ctx,
		   json_t *list, struct err *e);

#endif
