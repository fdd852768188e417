/*
 * The chain of a process server as programs and their arguments:
 *
 *	ps-cache follow | ps-compress | ps-encrypt | ps-upload | ps-cache ack
 *
 * The same plan is started as processes and printed for people.
 */
#ifndef PS_PIPELINE_PLAN_H
#define PS_PIPELINE_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLAN_STAGES 5
#define PLAN_ARGS 40

struct plan_stage {
	const char *argv[PLAN_ARGS + 1]; /* ends in NULL; borrowed */
	unsigned argc;
};

struct plan {
	struct plan_stage stages[PLAN_STAGES];
	unsigned n;
	char number[24];   /* the text of --level or --at */
	char report[4096]; /* the file of ps-upload --report */
};

/*
 * Another stage, the last one so far: the program and its words, the last one
 * NULL, and --config unless `config` is NULL.
 */
struct plan_stage *plan_stage(struct plan *p, const char *config,
			      const char *program, ...)
    __attribute__((sentinel));
/* Another word of a stage; borrowed. */
void plan_word(struct plan_stage *s, const char *word);
/* Two of them, unless the value is NULL. */
void plan_option(struct plan_stage *s, const char *name, const char *value);

#define PLAN_DEFAULT "default" /* the follower of a vault without a name */

/* One vault: where it is and how to get there; NULL: as usual. */
struct plan_vault {
	const char *name; /* of the follower */
	const char *url;
	const char *endpoint, *credentials, *ca_file, *retry_for;
	const char *proxy, *proxy_auth, *jobs;
	/* ps-upload reads these itself, again and again. */
	const char *limit_rate, *schedule;
	bool listed; /* in ps.yaml's `vaults` */
};

/* What the chains are made from; all borrowed. */
struct plan_input {
	const char *config; /* a ps.yaml for every stage, or NULL */
	const char *cache;
	const struct plan_vault *vaults;
	unsigned nvaults;
	unsigned stored_after; /* vaults that must have it; 0: all */
	const char *key;       /* NULL: nothing is sealed */
	const char *codec;     /* "none": nothing is compressed */
	uint64_t level;	       /* 0: what ps-compress takes by itself */
	bool once;	       /* end when the cache is empty */
};

/* Into one vault. `ret` must stay where it is: it points into itself. */
void plan_chain(const struct plan_input *in, const struct plan_vault *v,
		struct plan *ret);

/* ps-vault head: where a disk ends in a vault, as a line. */
void plan_head(const struct plan_input *in, const struct plan_vault *v,
	       const char *machine, const char *disk, struct plan *ret);
/* ps-cache seat: takes that line. */
void plan_seat(const struct plan_input *in, const struct plan_vault *v,
	       struct plan *ret);

/* ps-vault map ... | ps-cache put-map: the digest map after segment `seq`. */
void plan_map(const struct plan_input *in, const struct plan_vault *v,
	      const char *machine, const char *disk, uint64_t seq,
	      struct plan *ret);

/*
 * Prints a plan as a command of the shell without a newline, each word quoted
 * where it has to be. Errors of the stream are left to its owner (ferror).
 */
void plan_print(const struct plan *p, FILE *f);

#endif
