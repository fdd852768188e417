/*
 * A change of an installation as steps in their order: upgrade, rollback,
 * registering again, uninstalling. Each step may be done again, so who is
 * killed begins anew and comes to the same end. When one fails, those before
 * it are taken back, the last one first: the machine is as before. Behind a
 * step that is marked `final` nothing is taken back any more: what was done
 * stays, and the same command goes on there.
 */
#ifndef PS_SETUP_STEPS_H
#define PS_SETUP_STEPS_H

#include "base/conf.h"
#include "setup/install.h"
#include "setup/record.h"

#define STEPS_MAX 48

struct remove_how {
	bool purge;	  /* data, too */
	bool discard;	  /* what is in the cache need not be stored first */
	bool yes;	  /* although others are not told, or still need it */
	uint64_t drain_s; /* how long the cache may take */
};

struct steps;
/* 0: done; 1: nothing had to be done; -CODE. */
typedef int step_fn(struct steps *s, struct err *e);

struct step {
	char words[PLACE_SIZE + 200];
	step_fn *run;  /* NULL: words alone, what is not done and why */
	step_fn *back; /* takes it back, also when it is half done; or NULL */
	bool final;
	char path[PLACE_SIZE]; /* what it works on, or names of services */
};

struct steps {
	struct setup_plan p; /* who, where; its list is not used */
	struct step list[STEPS_MAX];
	unsigned n;
	unsigned at; /* the step that runs */

	char yaml[PLACE_SIZE + 16];
	struct record was, now; /* what is installed, what is to be */
	struct doing doing;	/* a change that was not finished */
	struct doing begun;	/* as it was found */
	char keep[PLACE_SIZE];	/* copies of what is to be exchanged */
	bool changed;		/* by an earlier step: services read it anew */
	bool stuck;		/* something could not be taken back */
	bool boot;		/* what starts does so at boot, too */
	int64_t begun_ns;	/* when services were started; 0: not yet */

	/* What a file of the configuration is to become, and what it was. */
	struct {
		const char *name;
		char *text, *former; /* former NULL: was not there */
		mode_t mode;
	} files[4];
	unsigned nfiles;

	/* What the identity was, for the way back of a registration. */
	struct kept_file {
		char name[64], *text;
		size_t n;
		mode_t mode;
	} kept[8];
	unsigned nkept;

	/* Registering and leaving; a configuration server, at itself. */
	char identity[PLACE_SIZE];
	char data[300], serve[300]; /* "ADDRESS:PORT" of receiver, of CS */
	bool joins;		    /* ps.yaml says, or will, where */
	char host[256], port[8], pin[64], name[64];
	char address[300], data_port[8]; /* to be registered; "": as it is */
	char secret[PLACE_SIZE];	 /* file with passphrase or key */

	/* Uninstalling. */
	const struct remove_how *how;
	char cache[PLACE_SIZE];
};

/*
 * Finds out what is installed below c->root. -PS_NOINPUT: nothing is.
 * steps_free() in any case.
 */
int steps_begin(struct steps *s, const struct choices *c, struct err *e);
void steps_free(struct steps *s);

/* Another step; NULL: no room. */
struct step *steps_add(struct steps *s, step_fn *run, step_fn *back,
		       const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Words alone. */
int steps_note(struct steps *s, struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int steps_full(struct err *e);
/* The way back of a begin: what was unfinished before is so again. */
int steps_unbegin(struct steps *s, struct err *e);

/*
 * Does them all; each is told when it is over, as setup_run() does, and
 * written to the log. -PS_TEMPFAIL: somebody else is at it.
 */
int steps_run(struct steps *s, setup_tell_fn *tell, void *ctx, struct err *e);

/* How a step is told. */
void step_action(const struct step *st, bool same, struct action *ret);

/* ---- steps that are common ---- */

/* All services that ps.yaml names; without ps-service: a note. */
int steps_want_stop(struct steps *s, struct err *e);
int steps_want_start(struct steps *s, struct err *e);
/* Some of them, at once: "stop", "receive,heartbeat". */
int steps_service(struct steps *s, const char *what, const char *names,
		  struct err *e);
/* The configuration server has answered a heartbeat that is newer than the
 * start of the services. */
int steps_want_heartbeat(struct steps *s, struct err *e);
/* The files of s->files get their contents together. */
int steps_want_files(struct steps *s, const char *words, struct err *e);
/* Is it a configuration server? */
bool steps_is_cs(const struct steps *s);
/* One of them; takes `text` over. What is so already is left out. */
int steps_file(struct steps *s, const char *name, char *text, mode_t mode,
	       struct err *e);
/* What the files of s->identity are, into s->kept; and as they were again. */
int steps_keep_identity(struct steps *s, struct err *e);
int steps_put_identity(struct steps *s, struct err *e);
/* ps-config register: at s->host (with the passphrase that is kept here, and
 * s->pin), or, when that is empty, where it is registered. */
int steps_want_registration(struct steps *s, struct err *e);
/* The passphrase that is kept here, as a file. */
void steps_kept_passphrase(const struct steps *s, char out[PLACE_SIZE]);

/* ---- the process server of a configuration server (own-server.c) ---- */

/* Does it register, or can it from now on? */
bool steps_own_joins(const struct steps *s, const struct conf *conf);
/* The text of ps.yaml as that needs it: *text is exchanged. */
int steps_own_yaml(const struct steps *s, char **text, struct err *e);
/* Who it is, and where it registers: what run_registration() needs. */
int steps_find_own(struct steps *s, struct err *e);

/* ---- */

/* Runs a program as the services' user; its words are the error. */
int steps_program(struct steps *s, const char *const *argv, struct err *e);

/* ---- the changes ---- */

/*
 * To the version of this program. With nothing to do the plan is empty; where
 * only the process server of a configuration server does not register yet, it
 * is that.
 * -PS_CONFIG: the version that is there is newer, or too old, or (a process
 * server) ours would be newer than the configuration server. `yes`: goes on
 * although servers would be out of reach, or nobody has a copy of the
 * registry in MariaDB.
 */
int setup_upgrade(struct steps *s, bool yes, struct err *e);
/* Back to this program's version, from the one that replaced it. */
int setup_rollback(struct steps *s, bool yes, struct err *e);

/*
 * Registers again, with the same identity. NULL and 0: as before. -PS_NOPERM:
 * the passphrase is not that of the configuration server.
 */
struct reregister {
	const char *passphrase_file, *host;
	uint64_t port;
};
int setup_reregister(struct steps *s, const struct reregister *r,
		     struct err *e);

/*
 * Takes it away. -PS_NO: it would lose what is in the cache, or others need
 * it; -PS_UNAVAILABLE: the configuration server cannot be told.
 */
int setup_uninstall(struct steps *s, const struct remove_how *how,
		    struct err *e);

#endif
