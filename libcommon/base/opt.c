#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/opt.h"
#include "base/rate.h"
#include "base/tool.h"
#include "base/units.h"

#define MAX_OPTS 96
/* What getopt gives for long options: behind every letter. */
#define DUMP 256
#define LONG 257
#define DEFAULT_CONFIG SYSCONFDIR "/ps-toolkit/ps.yaml"

bool opt_quiet;
int opt_verbose;

static const char *config_path;
static bool want_help, want_version, want_dump;
static struct conf *conf;
static bool given[MAX_OPTS], in_conf[MAX_OPTS];

static const struct opt common[] = {
    {'h', "help", OPT_FLAG, NULL, &want_help, "print this help", 0, 0, 0, 0, 0},
    {'V', "version", OPT_FLAG, NULL, &want_version, "print the version", 0, 0,
     0, 0, 0},
    {'q', "quiet", OPT_FLAG, NULL, &opt_quiet, "say only what failed", 0, 0, 0,
     0, 0},
    {'v', "verbose", OPT_COUNT, NULL, &opt_verbose, "say more", 0, 0, 0, 0, 0},
    {0, "config", OPT_FILE, "FILE", &config_path,
     "configuration, see ps.yaml(5)", "PS_CONFIG", 0, 0, 0, 0},
    {0},
};

const struct conf *opt_conf(void)
{
	return conf;
}

void opt_misuse(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", tool_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry '%s --help'.\n", tool_name);
	exit(PS_USAGE);
}

static bool takes_arg(const struct opt *o)
{
	return o->kind != OPT_FLAG && o->kind != OPT_VALUE &&
	       o->kind != OPT_COUNT;
}

static void print_opt(const struct opt *o)
{
	char left[64];

	snprintf(left, sizeof(left), "%c%c%s--%s%s%s", o->letter ? '-' : ' ',
		 o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
		 takes_arg(o) ? " " : "", takes_arg(o) ? o->arg : "");
	printf("  %-28s %s", left, o->help);
	if (o->choices != NULL)
		printf(" (%s)", o->choices);
	putchar('\n');
}

static void print_help(const struct opt_tool *t)
{
	const char *line = t->synopsis, *end;
	const char *lead = "usage:";
	const struct opt *o;
	const struct opt_cmd *c;

	for (; *line != '\0'; line = end + (*end == '\n')) {
		end = strchrnul(line, '\n');
		printf("%s %s %.*s\n", lead, t->name, (int)(end - line), line);
		lead = "      ";
	}
	printf("%s\n", t->about);
	if (t->cmds != NULL)
		puts("\nCommands:");
	for (c = t->cmds; c != NULL && c->name != NULL; c++)
		printf("  %-28s %s\n", c->name, c->help);
	puts("\nOptions:");
	for (o = t->opts; o->name != NULL; o++)
		print_opt(o);
	for (o = common; o->name != NULL; o++)
		print_opt(o);
	printf("\nThe manual: man %s\nThe configuration: %s\n", t->name,
	       DEFAULT_CONFIG);
}

static void dump_opt(const struct opt *o)
{
	static const char *const kinds[] = {
	    "flag",   "flag", "count",	  "text", "file",   "dir",
	    "number", "size", "duration", "rate", "choice", "list"};
	char letter[2] = {o->letter, '\0'};

	printf("opt\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", letter, o->name,
	       kinds[o->kind], takes_arg(o) ? o->arg : "",
	       o->choices != NULL ? o->choices : "", o->help,
	       o->env != NULL ? o->env : "", o->conf != NULL ? o->conf : "");
}

/*
 * For completions and tests: one line for each thing, fields separated by
 * tabs: "tool" name about operands; "cmd" name help; "opt" letter name kind
 * argument choices help environment key-in-ps.yaml. The kinds are flag,
 * count (a flag that may be repeated), text, file, dir, number, size,
 * duration, rate, choice and list (a text that may be repeated).
 */
static void dump(const struct opt_tool *t)
{
	const struct opt *o;
	const struct opt_cmd *c;

	printf("tool\t%s\t%s\t%s\n", t->name, t->about,
	       t->operands != NULL ? t->operands : "");
	for (c = t->cmds; c != NULL && c->name != NULL; c++)
		printf("cmd\t%s\t%s\n", c->name, c->help);
	for (o = t->opts; o->name != NULL; o++)
		dump_opt(o);
	for (o = common; o->name != NULL; o++)
		dump_opt(o);
}

static bool in_choices(const char *choices, const char *text)
{
	size_t n = strlen(text);

	for (;;) {
		const char *end = strchrnul(choices, '|');

		if ((size_t)(end - choices) == n &&
		    memcmp(choices, text, n) == 0)
			return true;
		if (*end == '\0')
			return false;
		choices = end + 1;
	}
}

static void push(struct opt_list *l, const char *text)
{
	const char **grown = realloc(l->items, (l->n + 1) * sizeof(*l->items));

	if (grown == NULL)
		tool_die_errno(PS_TEMPFAIL, "options");
	l->items = grown;
	l->items[l->n++] = text;
}

static bool set_number(const struct opt *o, const char *text)
{
	uint64_t v;
	bool ok = o->kind == OPT_SIZE	    ? parse_size(text, &v)
		  : o->kind == OPT_DURATION ? parse_duration(text, &v)
		  : o->kind == OPT_RATE	    ? parse_rate(text, &v)
					    : parse_u64(text, UINT64_MAX, &v);

	if (!ok || v < o->min || (o->max != 0 && v > o->max))
		return false;
	*(uint64_t *)o->to = v;
	return true;
}

/* Stores a value; `where` names its origin in messages. */
static void set(const struct opt *o, const char *text, const char *where,
		int code)
{
	bool ok = true;

	switch (o->kind) {
	case OPT_FLAG:
		if (text == NULL || strcmp(text, "true") == 0 ||
		    strcmp(text, "yes") == 0 || strcmp(text, "1") == 0)
			*(bool *)o->to = true;
		else if (strcmp(text, "false") == 0 ||
			 strcmp(text, "no") == 0 || strcmp(text, "0") == 0)
			*(bool *)o->to = false;
		else
			ok = false;
		break;
	case OPT_VALUE:
		*(int *)o->to = (int)o->min;
		break;
	case OPT_COUNT:
		++*(int *)o->to;
		break;
	case OPT_CHOICE:
		ok = in_choices(o->choices, text);
		if (ok)
			*(const char **)o->to = text;
		break;
	case OPT_TEXT:
	case OPT_FILE:
	case OPT_DIR:
		ok = *text != '\0';
		*(const char **)o->to = text;
		break;
	case OPT_LIST:
		push(o->to, text);
		break;
	default:
		ok = set_number(o, text);
	}
	if (ok)
		return;
	fprintf(stderr, "%s: %s: '%s' is not a valid %s", tool_name, where,
		text, takes_arg(o) ? o->arg : "yes or no");
	if (o->choices != NULL)
		fprintf(stderr, " (%s)", o->choices);
	else if (o->max != 0)
		fprintf(stderr, " (%llu to %llu)", (unsigned long long)o->min,
			(unsigned long long)o->max);
	fputc('\n', stderr);
	exit(code);
}

/* A mistake of ours: an option that is dropped would be one nobody misses. */
static _Noreturn void too_many(const struct opt *o)
{
	struct err e = {0};

	err_set(&e, PS_SOFTWARE, "--%s: more than %d options: raise MAX_OPTS",
		o->name, MAX_OPTS);
	tool_die(&e);
}

/* Fills getopt's tables; common options come after the tool's own. */
static unsigned tables(const struct opt_tool *t, const struct opt **all,
		       struct option *longs, char *shorts)
{
	const struct opt *o = t->opts;
	bool own = true;
	unsigned n = 0;

	*shorts = '\0';
	for (;; o++) {
		if (o->name == NULL && own) {
			o = common;
			own = false;
		}
		if (o->name == NULL)
			break;
		if (n == MAX_OPTS)
			too_many(o);
		all[n] = o;
		longs[n] = (struct option){
		    o->name, takes_arg(o) ? required_argument : no_argument,
		    NULL, LONG + (int)n};
		if (o->letter != '\0') {
			size_t len = strlen(shorts);

			shorts[len++] = o->letter;
			if (takes_arg(o))
				shorts[len++] = ':';
			shorts[len] = '\0';
		}
		n++;
	}
	longs[n] = (struct option){"dump-options", no_argument, NULL, DUMP};
	longs[n + 1] = (struct option){0};
	return n;
}

static void from_command_line(const struct opt **all, unsigned n,
			      const struct option *longs, const char *shorts,
			      int argc, char **argv)
{
	char where[64];
	int c;

	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		unsigned i;

		if (c == '?') { /* getopt has said what is wrong */
			fprintf(stderr, "Try '%s --help'.\n", tool_name);
			exit(PS_USAGE);
		}
		want_dump |= c == DUMP;
		for (i = 0; i < n; i++) {
			if (c != LONG + (int)i && c != all[i]->letter)
				continue;
			snprintf(where, sizeof(where), "--%s", all[i]->name);
			set(all[i], optarg, where, PS_USAGE);
			given[i] = true;
		}
	}
}

/* Is it a command that goes on without what is damaged? */
static bool forgives(const struct opt_tool *t, int argc, char **argv)
{
	const char *const *name = t->without_conf;

	while (name != NULL && *name != NULL && optind < argc)
		if (strcmp(*name++, argv[optind]) == 0)
			return true;
	return false;
}

static void read_conf(bool forgiven)
{
	const char *path = config_path;
	struct err e = {0};

	if (path == NULL)
		path = DEFAULT_CONFIG;
	if (conf_read(&conf, path, &e) == 0)
		return;
	/* The default one may be missing, one that was asked for may not. */
	if (config_path == NULL && e.code == PS_NOINPUT)
		return;
	if (!forgiven)
		tool_die(&e);
	tool_warn("%s", e.msg);
}

/* A list option takes every item of a sequence, or one plain value. */
static bool from_conf(const struct opt *o)
{
	char key[160], where[512];
	const char *text = conf_get(conf, o->conf);
	unsigned i = 0;

	if (text != NULL) {
		snprintf(where, sizeof(where), "%s:%u: %s", conf_path(conf),
			 conf_line(conf, o->conf), o->conf);
		set(o, text, where, PS_CONFIG);
		return true;
	}
	if (o->kind != OPT_LIST)
		return false;
	for (;; i++) {
		snprintf(key, sizeof(key), "%s.%u", o->conf, i);
		text = conf_get(conf, key);
		if (text == NULL)
			return i > 0;
		push(o->to, text);
	}
}

static void from_elsewhere(const struct opt **all, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		const struct opt *o = all[i];
		const char *text = o->env != NULL ? getenv(o->env) : NULL;

		if (given[i] || o->to == &config_path)
			continue;
		if (text != NULL && *text != '\0') {
			set(o, text, o->env, PS_USAGE);
			given[i] = true;
		} else if (o->conf != NULL && conf != NULL) {
			given[i] = in_conf[i] = from_conf(o);
		}
	}
}

static void check_command(const struct opt_tool *t, int argc, char **argv)
{
	const struct opt_cmd *c;

	if (optind >= argc)
		opt_misuse("a command is missing");
	for (c = t->cmds; c->name != NULL; c++)
		if (strcmp(c->name, argv[optind]) == 0)
			return;
	opt_misuse("'%s' is not a command", argv[optind]);
}

int opt_parse(const struct opt_tool *t, int argc, char **argv)
{
	const struct opt *all[MAX_OPTS];
	struct option longs[MAX_OPTS + 2];
	char shorts[2 * MAX_OPTS + 1];
	unsigned n = tables(t, all, longs, shorts);
	const char *env = getenv("PS_CONFIG");

	if (env != NULL && *env != '\0')
		config_path = env;
	from_command_line(all, n, longs, shorts, argc, argv);
	if (want_dump)
		dump(t);
	else if (want_help)
		print_help(t);
	else if (want_version)
		tool_version();
	if (want_dump || want_help || want_version)
		exit(tool_finish(PS_OK));
	read_conf(forgives(t, argc, argv));
	from_elsewhere(all, n);
	if (t->cmds != NULL)
		check_command(t, argc, argv);
	return optind;
}

static bool flag_of(const struct opt *opts, const char *name, const bool *flags)
{
	unsigned i;

	for (i = 0; opts[i].name != NULL; i++)
		if (strcmp(opts[i].name, name) == 0)
			return flags[i];
	return false;
}

bool opt_given(const struct opt *opts, const char *name)
{
	return flag_of(opts, name, given);
}

bool opt_from_conf(const struct opt *opts, const char *name)
{
	return flag_of(opts, name, in_conf);
}
