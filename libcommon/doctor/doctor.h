/*
 * The steps of the troubleshooting guide of a process server, done by a
 * machine as far as one can: what is wrong, what shows it, what to do next.
 *
 * Each step runs in a process of its own and is ended at its deadline, so a
 * resolver that hangs, a dead mount or a crash costs one step, never the
 * answer. Steps run in the order of the guide and stop at the first that
 * explains the fault.
 */
#ifndef PS_DOCTOR_DOCTOR_H
#define PS_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/agent-conf.h"
#include "base/conf.h"
#include "base/opt.h"
#include "health/roles.h"
#include "pipeline/vaults.h"
#include "vault/settings.h"

#define DOCTOR_LINES 8
#define DOCTOR_LINE_SIZE 240

enum doctor_verdict {
	DOCTOR_PASSED,
	DOCTOR_WARNED, /* works, but somebody should look */
	DOCTOR_FAILED,
	DOCTOR_SKIPPED, /* `what` says why */
};

/*
 * How much a failure explains. The greatest is named as the cause, of equals
 * the first; DOCTOR_CAUSE ends the run.
 */
enum doctor_weight {
	DOCTOR_NOTHING,
	DOCTOR_SIGN,   /* a consequence of something */
	DOCTOR_PARTLY, /* may be the cause, may have one */
	DOCTOR_LIKELY, /* unless a later step knows better */
	DOCTOR_CAUSE,
};

/* What a step has found. */
struct finding {
	bool over; /* the step has run */
	enum doctor_verdict verdict;
	enum doctor_weight weight; /* of a failure */
	char what[DOCTOR_LINE_SIZE];
	char evidence[DOCTOR_LINES][DOCTOR_LINE_SIZE];
	unsigned n;
	char next[2 * DOCTOR_LINE_SIZE]; /* what to do; empty: nothing */
	double seconds;
	double rate; /* bytes per second that were measured; 0: none */
	char whom[DOCTOR_LINE_SIZE / 2]; /* who, or what, is waited for */
	unsigned vaults_failed;		 /* of several vaults: bits */
	double vault_rates[VAULTS_MAX];
	unsigned down; /* bits of enum service that do not run */
};

#define DOCTOR_STEPS_MAX 24

struct redact;

struct doctor_step;

/* What is examined. Texts are borrowed; NULL: not configured. */
struct doctor {
	/* Steps instead of those of the guide, and what they know beside
	 * this; NULL: the guide's. */
	const struct doctor_step *steps;
	unsigned nsteps;
	const void *more;
	bool source;	   /* a machine with an agent, not a process server */
	unsigned services; /* that must run here, bits */
	const struct conf *conf;	/* ps.yaml; NULL or empty: none */
	const char *config;		/* its path; NULL: none */
	const struct agent_conf *agent; /* agent.yaml, of a source */
	const char *agent_path;
	/* of a process server */
	const char *cache, *vault, *listen, *cert, *passphrase, *health;
	struct vaults vaults; /* when there are several; vault: the first */
	struct store_settings settings; /* as store: and proxy: have them */
	unsigned at;			/* which of them is looked at */
	const char *vault_name;		/* of its follower; NULL: it has none */
	const char *log_dir;		/* of cxps.err and cxps.xfer */
	uint64_t limit_rate; /* of the upload, bytes a second; 0: none */
	/* of both */
	bool service_env;     /* ours was made that of ps-pipeline */
	const char *host;     /* the process server as sources know it */
	struct opt_list logs; /* files, where there is no journal */
	const char *restart[SERVICES]; /* commands, where there is no systemd */
	const char *proxy_place; /* of our own; NULL: ps.yaml or an option */
	uint64_t step_s;	 /* limit of each step; 0: its own */
	/* While steps run: what is taken out of words of others. */
	const struct redact *secrets;
	/* What the steps have found so far, in the order of doctor_steps(). */
	struct finding *findings;
};

struct doctor_step {
	const char *name;    /* one word */
	const char *title;   /* what it asks */
	unsigned guide;	     /* number in the published guide */
	bool server, source; /* where it makes sense */
	bool remote; /* it asks others: no answer in time is a failure */
	unsigned seconds;
	void (*run)(const struct doctor *d, struct finding *f);
};

/* Takes over the first of d->vaults, if any; store_settings are set for it. */
void vault_first(struct doctor *d);

/* The steps of the guide in their order; *ret_n of them. */
const struct doctor_step *doctor_steps(unsigned *ret_n);
/* The same, or those that the caller has put in their place. */
const struct doctor_step *doctor_steps_of(const struct doctor *d,
					  unsigned *ret_n);

/*
 * Where systemd runs ps-pipeline, its environment counts, not that of who asks:
 * it is taken over, as far as it says how a store is reached. Of a server.
 */
void doctor_take_environment(struct doctor *d);

struct doctor_run {
	bool all;		 /* go on behind the cause */
	const char *const *only; /* names of steps; NULL: all */
	unsigned nonly;
	/* Each step when it begins (f NULL) and when it is over. */
	void (*tell)(void *ctx, unsigned i, const struct finding *f);
	void *ctx;
};

/*
 * Allocates d->findings (doctor_free) and fills it. Returns the number of the
 * step that explains the fault, DOCTOR_WELL when nothing failed, or -CODE:
 * -PS_USAGE when `only` names a step that there is not.
 */
#define DOCTOR_WELL DOCTOR_STEPS_MAX
int doctor_run(struct doctor *d, const struct doctor_run *run, struct err *e);
void doctor_free(struct doctor *d);

/*
 * Starts what does not run again: a unit of systemd, else the command that is
 * configured. `words` gets what was done or why it could not be.
 */
int doctor_restart(const struct doctor *d, enum service s, char *words,
		   size_t size, struct err *e);

#endif
