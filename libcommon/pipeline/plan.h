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

/* Another stage, the last one so far; `program` is its first word. */
struct plan_stage *plan_stage(struct plan *p, const char *program);
/* Another word of a stage; borrowed. */
void plan_word(struct plan_stage *s, const char *word);

/* What the chain is made from; all borrowed. */
struct plan_input {
	const char *config; /* a ps.yaml for every stage, or NULL */
	const char *cache;
	const char *vault;
	const char *key;   /* NULL: nothing is sealed */
	const char *codec; /* "none": nothing is compressed */
	uint64_t level;	   /* 0: what ps-compress takes by itself */
	bool once;	   /* end when the cache is empty */
};

/* `ret` must stay where it is: it points into itself. */
void plan_chain(const struct plan_input *in, struct plan *ret);

/* ps-vault head ... | ps-cache seat: seats one disk. */
void plan_seat(const struct plan_input *in, const char *machine,
	       const char *disk, struct plan *ret);

/* ps-vault map ... | ps-cache put-map: the digest map after segment `seq`. */
void plan_map(const struct plan_input *in, const char *machine,
	      const char *disk, uint64_t seq, struct plan *ret);

/*
 * Prints a plan as one command line of the shell, each word quoted where it
 * has to be. Errors of the stream are left to its owner (ferror).
 */
void plan_print(const struct plan *p, FILE *f);

#endif
