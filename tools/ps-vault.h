/* Private to ps-vault: what its commands share. */
#ifndef PS_TOOLS_PS_VAULT_H
#define PS_TOOLS_PS_VAULT_H

#include "print-json.h"
#include "vault/point.h"

/* What was asked for; names are checked. */
struct request {
	struct vault vault;
	const char *url;
	const char *machine, *disk; /* NULL: all */
	const char *point;	    /* NULL: not given */
	int64_t at;		    /* 0: not given */
	uint64_t seq;		    /* 0: not given */
	const char *output;
	const char *to;		    /* copy: the other vault */
	uint64_t rate;		    /* copy: bytes per second; 0: no limit */
	bool dry_run;		    /* copy */
	const struct keyring *keys; /* NULL: none given */
	const char *health;	    /* kit: folder of ps-health */
	bool json, data;
};

/* Each prints its answer and returns 0, -PS_NO or another -CODE. */
int cmd_list(const struct request *r, struct err *e);
int cmd_show(const struct request *r, struct err *e);
int cmd_head(const struct request *r, struct err *e);
int cmd_stat(const struct request *r, struct err *e);
int cmd_verify(const struct request *r, struct err *e);
int cmd_copy(const struct request *r, struct err *e);
int cmd_map(const struct request *r, struct err *e);
int cmd_kit(const struct request *r, struct err *e);

/* All of a point was opened with a key. */
bool is_proved(const struct point *p);
/* Says on standard error that some objects could not be read. */
void warn_damage(size_t n, const char *first);
/* The point that is asked for (latest, when nothing is said). */
int choose_point(const struct request *r, const struct points *all,
		 const struct point **ret, struct err *e);
/*
 * " (unauthenticated: ...)" or nothing, for headings. `proved`: all of it was
 * opened with a key.
 */
const char *heading_note(const struct request *r, bool proved);

#endif
