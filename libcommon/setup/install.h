/*
 * Installs what was chosen: folders, cache, keys, ps.yaml, then registration
 * and services by the programs that do those. What is there already and right
 * is left alone, so that to do it again changes nothing.
 *
 * Files of the configuration change together or not at all (setup/stage.h),
 * folders that were made for them go again. Registration and services come
 * after that: when one fails, what is installed stays, and the same call goes
 * on there.
 */
#ifndef PS_SETUP_INSTALL_H
#define PS_SETUP_INSTALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/digest.h"
#include "setup/choices.h"
#include "setup/place.h"

enum action_kind {
	ACT_DIR,    /* a folder */
	ACT_CACHE,  /* an empty cache */
	ACT_FILE,   /* a file of the configuration */
	ACT_KEY,    /* a new key of a vault */
	ACT_CERT,   /* a new certificate and its key */
	ACT_RUN,    /* a program */
	ACT_CHECK,  /* it is looked whether all works */
	ACT_CALL,   /* a function of ours */
	ACT_UNLINK, /* a file goes */
	ACT_TREE,   /* a folder goes, with all in it */
	ACT_EMPTY,  /* a folder goes, if nothing is in it */
	ACT_NOTE,   /* nothing: what is not done, and why */
};

#define ACTIONS_MAX 64
#define ACTION_WORDS 24
#define CONFIG_SERVICE "config" /* the first of those of a CS */

struct setup_plan;
/* Looks at what is installed, or does something to it: 0 when that works. */
typedef int setup_check_fn(const struct setup_plan *p, struct err *e);

struct action {
	enum action_kind kind;
	char path[PLACE_SIZE]; /* ACT_FILE and the like: name of the file */
	char words[PLACE_SIZE + 100];
	mode_t mode;
	char *text;		  /* ACT_FILE; may be secret, is wiped */
	char *argv[ACTION_WORDS]; /* ACT_RUN; the output is not kept */
	char watch[PLACE_SIZE];	  /* ACT_RUN: a folder that it changes, or "" */
	bool same;  /* it ran, and the files of that folder are as before */
	bool test;  /* ACT_RUN: it changes nothing, as ACT_CHECK */
	bool warns; /* ACT_RUN: exit status 1 is no failure, but told */
	setup_check_fn *check; /* ACT_CHECK, ACT_CALL */
};

/* How it is told when it is over: "done", "same", "passed", "note". */
const char *action_word(const struct action *a);

struct setup_plan {
	const struct choices *c;
	char etc[PLACE_SIZE];
	struct action list[ACTIONS_MAX];
	unsigned n;
	bool joins;  /* registered here, too: that brings the certificate */
	bool begins; /* services are started, or started anew */
	int64_t begun_ns;   /* when setup_run() was called */
	char services[100]; /* as ps-service names them, by commas */
	uid_t uid;	    /* of the services; -1: who runs this */
	gid_t gid;
};

/* What is to be done; nothing is changed. After choices_read(). */
int setup_install(struct setup_plan *p, const struct choices *c, struct err *e);
/*
 * Does it; each action is told when it is over. Returns 0, or -CODE of the
 * first that failed, which was told with its error.
 */
typedef void setup_tell_fn(void *ctx, const struct action *a,
			   const struct err *e);
int setup_run(struct setup_plan *p, setup_tell_fn *tell, void *ctx,
	      struct err *e);
void setup_free(struct setup_plan *p);

/*
 * Completes what a killed run left half named (setup/stage.h); to be called
 * before a plan is made. Nothing is installed: nothing is done.
 */
int setup_recover(const struct choices *c, struct err *e);

/*
 * What changes when the way to the vault does: c->proxy (host empty: directly)
 * goes into the ps.yaml that is there, of which all else stays.
 */
int setup_set_proxy(struct setup_plan *p, const struct choices *c,
		    struct err *e);
/*
 * Reads from that ps.yaml which vault it is, so that the way can be tried;
 * what `c` points to then lives as long as the program. -PS_NOINPUT: nothing
 * is installed.
 */
int choices_installed(struct choices *c, struct err *e);

/* ---- for those who make plans ---- */

/* Another action; words as printf; NULL: no room. */
struct action *setup_add(struct setup_plan *p, enum action_kind kind,
			 const char *path, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A program and its words, ended by NULL; NULLs in between end it. */
int setup_program(struct setup_plan *p, const char *what,
		  const char *const *argv, struct err *e);
/* Does a program have this command? (TOOL --dump-options) */
bool setup_has_command(const char *tool, const char *command);
/*
 * Runs a program as who the services run as (one that starts those: as who
 * runs this). *ret: what it said, for free(3), to be wiped.
 */
int setup_command(const struct setup_plan *p, const char *const *argv,
		  char **ret, int *ret_status, struct err *e);
/* What a program says of its failure: its line that begins with its name. */
void setup_words(const char *text, const char *program, char *out, size_t size);
void setup_words_of_others(const char *text, const char *program, char *out,
			   size_t size);
/* Of the files of a folder, by name and contents. */
void setup_digest(const char *dir, uint8_t out[SHA256_LEN]);
/* Can what is installed here register? A configuration server does that at
 * itself, which has to run then. */
bool setup_can_join(bool cs);
/* The services of such a server, as ps-service names them; after p->joins. */
void setup_find_services(const struct setup_plan *p, bool cs, bool vault,
			 char *out, size_t size);
/*
 * What to do with services, by `ps-service status --json ...`: "start",
 * "restart", or NULL: nothing, all run, with the files as they are.
 */
const char *setup_services_need(const struct setup_plan *p,
				const char *const *status_argv);
/*
 * A configuration server whose process server had a key of its own making: that
 * one becomes the key of the identity, so that who knows it by that is not
 * turned away, before an upgrade and behind the way back.
 */
bool setup_has_own_key(const struct setup_plan *p);
int setup_keep_own_key(const struct setup_plan *p, struct err *e);
/*
 * Waits until the configuration server has answered a heartbeat that was sent
 * at that time or later.
 */
int setup_wait_heartbeat(const struct choices *c, int64_t since_ns,
			 struct err *e);
/* The folder of the configuration and who owns it. */
int setup_begin(struct setup_plan *p, const struct choices *c, struct err *e);

/* The log of all steps, opened to add to it: the descriptor. */
int setup_log_open(const struct choices *c, struct err *e);
/* A line of it. */
void setup_log(int fd, const struct action *a, const struct err *e);
/* Deletes a folder and all in it; -1 with errno. */
int setup_remove_tree(const char *path);

/* A file of the configuration, if it is not so already; takes `text` over. */
int setup_want_file(struct setup_plan *p, const char *name, char *text,
		    mode_t mode, const char *what, struct err *e);
/* A line "KEY: "DIR/NAME"" of YAML; without a name "KEY: "DIR"". */
void yaml_line(FILE *f, const char *key, const char *dir, const char *name);

/* The last steps: it is looked whether all works (install-after.c). */
int setup_want_checks(struct setup_plan *p, const char *yaml, struct err *e);

/* What is left to do by hand: lines of words and commands, for free(3). */
char *setup_next(const struct choices *c);

/* ps.yaml, for free(3); NULL: no memory. */
char *server_yaml(const struct setup_plan *p);

#endif
