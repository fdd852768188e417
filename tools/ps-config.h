/* Private to ps-config: what its groups of commands share. */
#ifndef PS_TOOLS_PS_CONFIG_H
#define PS_TOOLS_PS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"
#include "config/forms.h"
#include "config/registry.h"
#include "print-json.h"

#define NOT_GIVEN UINT64_MAX

/* The options of all groups. */
struct ask {
	bool json, force, yes, keep, keep_points, purge, open_only;
	const char *dir;
	/* passphrase */
	uint64_t overlap;
	/* server */
	const char *role, *address, *machine_id, *instance;
	uint64_t port;
	/* policy */
	uint64_t rpo, retention, app;
	const char *multi_vm;
	/* machine */
	const char *policy, *server, *target, *vault;
	const char *recovered_name, *recovered_size, *recovered_network;
	uint64_t size;
	/* cert */
	bool all;
	const char *csr, *alt, *proof, *output;
	uint64_t valid;
	/* account */
	const char *login, *secret_file;
	/* restore */
	bool replace;
	/* serve */
	const struct reg_where *where;
	const char *listen, *cert, *key, *user, *log_dir;
	uint64_t max_connections, interval;
	/* register, heartbeat */
	const char *identity, *cs, *cs_port, *name, *pin, *health, *cache;
	bool once;
	/* jobs */
	uint64_t step, percent;
	const char *note;
	/* audit */
	const char *object;
	uint64_t last;
};
extern struct ask ask;

#define OPERAND_OPTIONAL (-1)

/* One action of a group: "policy add NAME". */
struct action {
	const char *name; /* NULL: the group is the action */
	int operands;	  /* as many, exactly; or none or one: */
	const char *usage;
	int (*run)(struct reg *r, char **operands, struct err *e);
};

/* Each ends with an entry without `run`. */
extern const struct action account_actions[], audit_actions[], backup_actions[],
    restore_actions[], cert_actions[], init_actions[], jobs_actions[],
    machine_actions[], passphrase_actions[], policy_actions[], server_actions[],
    list_actions[], serve_actions[], show_actions[], register_actions[],
    heartbeat_actions[], status_actions[], refresh_actions[],
    unregister_actions[], fetch_actions[];

/* ---- answers ---- */

/* For people; "-" when there is nothing. */
const char *dash(const char *text);
void when_text(int64_t ns, char out[40]);

/* A list that is printed line by line, or gathered as JSON. */
struct listing {
	json_t *array; /* NULL: for people */
	unsigned n;
};
/* `heading` is printed before the first line for people. */
void listing_begin(struct listing *l);
/* Adds one; `heading` is printed before the first. True: print a line. */
bool listing_line(struct listing *l, const char *heading);
int listing_add(struct listing *l, json_t *item, struct err *e);
/* Prints what was gathered. */
int listing_end(struct listing *l, int rc, struct err *e);

/* An id given as an operand. */
int64_t operand_id(const char *text);

#endif
