/*
 * One option table for each tool. It feeds the parser, --help, the defaults
 * from environment and ps.yaml, and (by --dump-options) the completions and
 * the tests that hold the manual against it.
 *
 * A value is taken from the command line, else from the option's environment
 * variable, else from its key in ps.yaml, else what `to` held before.
 */
#ifndef PS_BASE_OPT_H
#define PS_BASE_OPT_H

#include <stdbool.h>
#include <stdint.h>

enum opt_kind {
	OPT_FLAG,     /* bool *: becomes true */
	OPT_VALUE,    /* int *: becomes .min (for -1 .. -9) */
	OPT_COUNT,    /* int *: one more each time */
	OPT_TEXT,     /* const char ** */
	OPT_FILE,     /* const char **: completed as a file name */
	OPT_DIR,      /* const char **: completed as a folder */
	OPT_NUMBER,   /* uint64_t *: .min .. .max */
	OPT_SIZE,     /* uint64_t *: bytes, .min .. .max */
	OPT_DURATION, /* uint64_t *: seconds, .min .. .max */
	OPT_RATE,     /* uint64_t *: bytes per second, as parse_rate() reads */
	OPT_CHOICE,   /* const char **: one of .choices, "a|b|c" */
	OPT_LIST,     /* struct opt_list *: may be given several times */
};

struct opt_list {
	const char **items;
	unsigned n;
};

struct opt {
	char letter;	  /* 0: long only */
	const char *name; /* long name without "--" */
	enum opt_kind kind;
	const char *arg; /* name of the argument in --help: "FILE" */
	void *to;
	const char *help; /* one line, no final stop */
	const char *env;  /* environment variable, or NULL */
	const char *conf; /* key in ps.yaml ("cache", "receive.listen") */
	const char *choices;
	uint64_t min, max; /* max 0: no upper limit */
};

struct opt_cmd {
	const char *name;
	const char *help;
};

struct opt_tool {
	const char *name;	    /* "ps-scan" */
	const char *about;	    /* one line */
	const char *synopsis;	    /* without the name; lines end in '\n' */
	const struct opt *opts;	    /* ends with a zero entry */
	const struct opt_cmd *cmds; /* NULL: no subcommands */
	const char *operands; /* how operands complete: "file", "dir", NULL */
	/* Commands that a damaged ps.yaml is not in the way of: it is told, and
	 * they go on as if it were empty. Ends with NULL. */
	const char *const *without_conf;
};

/*
 * Reads the command line; never returns on --help, --version or misuse (exit
 * 64). Returns the index in argv of the first operand: options and operands
 * may be mixed, operands are moved behind. With .cmds the first operand must
 * be one of them and is still at the returned index.
 *
 * Every tool also has -h/--help, -V/--version, -q/--quiet, -v/--verbose and
 * --config FILE (default: SYSCONFDIR/ps-toolkit/ps.yaml, or $PS_CONFIG).
 */
int opt_parse(const struct opt_tool *tool, int argc, char **argv);

/* True when the option got its value from command line, env or ps.yaml. */
bool opt_given(const struct opt *opts, const char *name);

/* True when that was ps.yaml, which may be read again. */
bool opt_from_conf(const struct opt *opts, const char *name);

/* -q and -v as they were given. */
extern bool opt_quiet;
extern int opt_verbose;

struct conf;
/* The configuration file of this run; an empty one when there is none. */
const struct conf *opt_conf(void);

/* Ends with exit 64: "prog: words", and where to find help. */
_Noreturn void opt_misuse(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

#endif
