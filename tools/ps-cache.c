/* ps-cache: segments that arrived and are not yet stored in the vault. */
#include "config.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/units.h"
#include "cache/check.h"
#include "cache/follow.h"
#include "cache/follower.h"
#include "cache/intake.h"
#include "cache/mapfile.h"
#include "cache/move.h"
#include "cache/report.h"
#include "cache/settle.h"

static const char *dir, *follower = FOLLOWER_DEFAULT, *level = "stored";
static const char *to;
static bool once, json, gone, drop;
static uint64_t keep_free, keep_free_initial, disk_limit, stored_after;

static const struct opt opts[] = {
    {'C', "cache", OPT_DIR, "DIR", &dir, "the cache", "PS_CACHE", "cache", 0, 0,
     0},
    {0, "for", OPT_TEXT, "NAME", &follower,
     "follow or acknowledge under this name (default: default)", 0, 0, 0, 0, 0},
    {0, "once", OPT_FLAG, 0, &once,
     "follow: end when all is sent; move-out: do not wait until all is stored",
     0, 0, 0, 0, 0},
    {0, "to", OPT_TEXT, "NAME", &to,
     "move-out: the process server that the machine moves to", 0, 0, 0, 0, 0},
    {0, "gone", OPT_FLAG, 0, &gone,
     "move-out: it is there already; hold what was never stored", 0, 0, 0, 0,
     0},
    {0, "drop", OPT_FLAG, 0, &drop,
     "move-in: remove what was never stored before it went", 0, 0, 0, 0, 0},
    {0, "level", OPT_CHOICE, "LEVEL", &level,
     "ack, seat: the level that counts (default: stored)", 0, 0,
     "stored|durable", 0, 0},
    {0, "json", OPT_FLAG, 0, &json,
     "list, stat, maps, verify, followers: as JSON", 0, 0, 0, 0, 0},
    {0, "keep-free", OPT_NUMBER, "PERCENT", &keep_free,
     "init: with less free space nothing is taken (default: 20)", 0, 0, 0, 0,
     100},
    {0, "keep-free-initial", OPT_NUMBER, "PERCENT", &keep_free_initial,
     "init: the same for initial replication (default: 25)", 0, 0, 0, 0, 100},
    {0, "disk-limit", OPT_SIZE, "SIZE", &disk_limit,
     "init: bytes that one disk may have here, 0: no limit", 0, 0, 0, 0, 0},
    {0, "stored-after", OPT_NUMBER, "N", &stored_after,
     "init: followers that must have what is called stored, 0: all", 0, 0, 0, 0,
     HEAD_FOLLOWERS_MAX},
    {0},
};

static const struct opt_cmd commands[] = {
    {"init", "make a cache, or change its limits"},
    {"put", "take segments from standard input, acknowledge them"},
    {"list", "show the segments"},
    {"stat", "show the disks and totals; exit 1 when one is on hold"},
    {"follow", "send segments to standard output as they arrive"},
    {"cat", "write one segment to standard output"},
    {"ack", "read acknowledgements, remove what is stored"},
    {"seat", "read the vault's heads, go on from there"},
    {"hold", "put a disk on hold"},
    {"maps", "show digest maps and who asks for one"},
    {"put-map", "keep a digest map from standard input, for who asked"},
    {"drop-map", "drop a digest map and the request; REASON refuses it"},
    {"move-out", "let a machine go to another process server"},
    {"move-stay", "take that back while it has not gone"},
    {"move-in", "take a machine that comes from another one"},
    {"verify", "read everything and find what is damaged"},
    {"followers", "show the names that segments are kept for"},
    {"drop-follower", "forget one of them"},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-cache",
    .about = "Keeps segments that arrived until they are stored.",
    .synopsis = "init [--keep-free N] [--keep-free-initial N] "
		"[--disk-limit SIZE]\n"
		"     [--stored-after N] -C DIR\n"
		"put -C DIR <STREAM\n"
		"list [--json] [MACHINE [DISK]] -C DIR\n"
		"stat [--json] -C DIR\n"
		"follow [--once] [--for NAME] -C DIR >STREAM\n"
		"cat MACHINE DISK SEQ -C DIR >SEGMENT\n"
		"ack [--for NAME] [--level stored|durable] -C DIR <ACKS >ACKS\n"
		"seat [--for NAME] [--level stored|durable] -C DIR <ACKS\n"
		"hold MACHINE DISK REASON -C DIR\n"
		"maps [--json] [MACHINE] -C DIR\n"
		"put-map MACHINE DISK -C DIR <DIGESTMAP\n"
		"drop-map MACHINE DISK [REASON] -C DIR\n"
		"move-out MACHINE --to NAME [--once|--gone] -C DIR\n"
		"move-stay MACHINE -C DIR\n"
		"move-in MACHINE [--drop] -C DIR\n"
		"verify [--json] [MACHINE] -C DIR\n"
		"followers [--json] -C DIR\n"
		"drop-follower NAME -C DIR\n",
    .opts = opts,
    .cmds = commands,
};

static void say(void *ctx, const char *words)
{
	(void)ctx;
	tool_warn("%s", words);
}

/* Opens the cache or ends the program. */
static struct cache *opened(bool look)
{
	struct cache *c;
	struct err e = {0};

	if ((look ? cache_look : cache_open)(&c, dir, &e) < 0)
		tool_die(&e);
	return c;
}

/* What a library call came to, as an exit code. */
static int result(struct cache *c, int rc, const struct err *e)
{
	cache_close(c);
	return rc < 0 ? tool_fail(e) : rc;
}

/* ---- the commands ---- */

static int cmd_init(char **args)
{
	struct cache_limits l = {CACHE_KEEP_FREE, CACHE_KEEP_FREE_INITIAL, 0,
				 0};
	bool all = opt_given(opts, "keep-free"),
	     initial = opt_given(opts, "keep-free-initial"),
	     disk = opt_given(opts, "disk-limit"),
	     after = opt_given(opts, "stored-after");
	struct err e = {0};

	(void)args;
	if (!all && !initial && !disk && !after)
		return cache_init(dir, NULL, &e) < 0 ? tool_fail(&e) : PS_OK;
	if (access(dir, F_OK) == 0 && cache_limits(dir, &l, &e) < 0 &&
	    e.code != PS_CONFIG)
		return tool_fail(&e);
	if (all)
		l.keep_free = (unsigned)keep_free;
	if (initial)
		l.keep_free_initial = (unsigned)keep_free_initial;
	if (disk)
		l.disk_bytes = disk_limit;
	if (cache_init(dir, &l, &e) < 0 ||
	    (after &&
	     follower_stored_after(dir, (unsigned)stored_after, &e) < 0))
		return tool_fail(&e);
	return PS_OK;
}

static int cmd_put(char **args)
{
	struct cache_intake in = {STDIN_FILENO, stdout, say, NULL};
	struct cache *c = opened(false);
	struct err e = {0};

	(void)args;
	return result(c, cache_intake(c, &in, &e), &e);
}

static int cmd_list(char **args)
{
	struct cache *c = opened(true);
	struct err e = {0};

	return result(c,
		      cache_report_list(c, args[0],
					args[0] != NULL ? args[1] : NULL, json,
					stdout, &e),
		      &e);
}

static int cmd_stat(char **args)
{
	struct cache *c = opened(true);
	struct cache_health h;
	struct err e = {0};
	int rc = cache_report_stat(c, json, stdout, &h, &e);

	(void)args;
	if (rc == 0)
		rc = h.failed ? PS_STORAGE : h.held > 0 ? PS_NO : PS_OK;
	return result(c, rc, &e);
}

/* A signal becomes a byte in a pipe, which the waiting can be woken by. */
static int stop_pipe[2] = {-1, -1};

static void on_stop(int sig)
{
	int saved = errno;

	(void)sig;
	if (write(stop_pipe[1], "", 1) < 0)
		errno = saved;
	errno = saved;
}

static void catch_stop(void)
{
	/* The second one ends the program where it stands. */
	struct sigaction a = {.sa_handler = on_stop, .sa_flags = SA_RESETHAND};

	if (pipe(stop_pipe) < 0)
		tool_die_errno(0, "pipe");
	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
}

static int cmd_follow(char **args)
{
	struct cache_follow f = {.follower = follower,
				 .once = once,
				 .out = STDOUT_FILENO,
				 .say = say};
	struct cache *c;
	struct err e = {0};

	(void)args;
	tool_no_terminal(STDOUT_FILENO, "segments");
	c = opened(false);
	catch_stop();
	f.stop = stop_pipe[0];
	return result(c, cache_follow(c, &f, &e), &e);
}

static int cmd_cat(char **args)
{
	struct err e = {0};
	struct cache *c;
	uint64_t seq;

	if (!parse_u64(args[2], UINT64_MAX, &seq) || seq == 0)
		opt_misuse("'%s' is no sequence", args[2]);
	tool_no_terminal(STDOUT_FILENO, "a segment");
	c = opened(true);
	return result(c, cache_cat(c, args[0], args[1], seq, STDOUT_FILENO, &e),
		      &e);
}

static struct cache_settle settle_options(void)
{
	return (struct cache_settle){
	    .follower = follower,
	    .level = strcmp(level, "durable") == 0 ? ACK_DURABLE : ACK_STORED,
	    .in = STDIN_FILENO,
	    .out = STDOUT_FILENO,
	    .say = say};
}

static int cmd_ack(char **args)
{
	struct cache_settle s = settle_options();
	struct cache *c = opened(false);
	struct err e = {0};

	(void)args;
	return result(c, cache_ack(c, &s, &e), &e);
}

static int cmd_seat(char **args)
{
	struct cache_settle s = settle_options();
	struct cache *c = opened(false);
	struct err e = {0};

	(void)args;
	return result(c, cache_seat(c, &s, &e), &e);
}

static int cmd_hold(char **args)
{
	struct cache *c = opened(false);
	struct err e = {0};

	return result(c, cache_hold(c, args[0], args[1], args[2], &e), &e);
}

static const char *map_state(const struct mapfile_state *s)
{
	if (s->wanted)
		return "wanted";
	if (s->refused)
		return "refused";
	return s->fits ? "ready" : "old";
}

static int print_map(void *ctx, const struct mapfile_state *s, struct err *e)
{
	json_t *list = ctx;

	(void)e;
	if (list != NULL)
		json_array_append_new(
		    list,
		    json_pack("{s:s, s:s, s:s, s:I, s:I, s:s}", "machine",
			      s->machine, "disk", s->disk, "state",
			      map_state(s), "seq", (json_int_t)s->seq, "bytes",
			      (json_int_t)s->bytes, "reason", s->why));
	else
		printf("%s/%s  %s  %llu  %llu bytes%s%s\n", s->machine, s->disk,
		       map_state(s), (unsigned long long)s->seq,
		       (unsigned long long)s->bytes,
		       s->why[0] != '\0' ? "  " : "", s->why);
	return 0;
}

static int cmd_maps(char **args)
{
	struct cache *c = opened(true);
	json_t *list = json ? json_array() : NULL;
	struct err e = {0};
	int rc = cache_maps(c, args[0], print_map, list, &e);

	if (json && rc == 0) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
	return result(c, rc, &e);
}

static int cmd_put_map(char **args)
{
	struct cache *c = opened(false);
	struct io_in in = {0};
	struct err e = {0};
	int rc = io_in_open_fd(&in, STDIN_FILENO, "standard input", &e);

	if (rc == 0)
		rc = cache_map_put(c, args[0], args[1], &in, &e);
	io_in_close(&in);
	return result(c, rc, &e);
}

static int cmd_drop_map(char **args)
{
	struct cache *c = opened(false);
	struct err e = {0};

	return result(c, cache_map_drop(c, args[0], args[1], args[2], &e), &e);
}

/* Until all of it is stored; with --once it is only looked at. */
static int let_go(struct cache *c, const char *machine, struct err *e)
{
	const struct timespec pause = {0, 200 * 1000 * 1000};
	struct move_left left;
	uint64_t most = 0;
	int rc;

	while ((rc = cache_move_out(c, machine, to, &left, e)) == 1 && !once) {
		if (most == 0)
			progress_begin("storing", most = left.bytes);
		progress_at(most > left.bytes ? most - left.bytes : 0);
		nanosleep(&pause, NULL);
	}
	if (most > 0)
		progress_end();
	if (rc == 1)
		rc = err_set(e, PS_TEMPFAIL, "%s: has to be stored first: %s",
			     machine, left.words);
	if (rc == -PS_TEMPFAIL && left.followers == 0)
		err_hint(e, "nobody follows this cache: start ps-pipeline");
	return rc;
}

static int cmd_move_out(char **args)
{
	struct move_left left;
	struct cache *c;
	struct err e = {0};
	int rc;

	if (to == NULL)
		opt_misuse("move-out: say where to: --to NAME");
	c = opened(false);
	if (!gone)
		return result(c, let_go(c, args[0], &e), &e);
	rc = cache_move_left(c, args[0], to, &left, &e);
	if (rc == 0 && left.segments > 0)
		printf("%s: never stored: %s\n", args[0], left.words);
	return result(c, rc, &e);
}

static int cmd_move_stay(char **args)
{
	struct cache *c = opened(false);
	struct err e = {0};

	return result(c, cache_move_stay(c, args[0], &e), &e);
}

static int cmd_move_in(char **args)
{
	struct cache *c = opened(false);
	struct move_left left;
	struct err e = {0};

	return result(c, cache_move_in(c, args[0], drop, &left, &e), &e);
}

static void print_fault(void *ctx, const struct cache_fault *f)
{
	json_t *list = ctx;

	if (list != NULL)
		json_array_append_new(
		    list, json_pack("{s:s, s:s, s:I, s:s}", "machine",
				    f->machine, "disk", f->disk, "seq",
				    (json_int_t)f->seq, "what", f->what));
	else if (f->seq == 0)
		printf("%s/%s: %s\n", f->machine, f->disk, f->what);
	else
		printf("%s/%s segment %llu: %s\n", f->machine, f->disk,
		       (unsigned long long)f->seq, f->what);
}

static void print_checked(const struct cache_checked *k, json_t *faults)
{
	char bytes[32];

	if (faults != NULL) {
		json_t *root = json_pack(
		    "{s:I, s:I, s:I, s:o}", "segments", (json_int_t)k->segments,
		    "bytes", (json_int_t)k->bytes, "sealed",
		    (json_int_t)k->sealed, "damaged", faults);

		json_dumpf(root, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(root);
		return;
	}
	format_size(k->bytes, bytes, sizeof(bytes));
	printf("%llu segments, %s, %llu damaged\n",
	       (unsigned long long)k->segments, bytes,
	       (unsigned long long)k->faults);
	if (k->sealed > 0)
		printf("%llu of them are sealed: CRCs, framing and links were "
		       "checked, contents need the key\n",
		       (unsigned long long)k->sealed);
}

static int cmd_verify(char **args)
{
	struct cache *c = opened(true);
	json_t *faults = json ? json_array() : NULL;
	struct cache_checked k = {0};
	struct err e = {0};
	int rc;

	progress_begin("verify", 0);
	rc = cache_verify(c, args[0], print_fault, faults, progress_at, &k, &e);
	progress_end();
	if (rc == 0)
		print_checked(&k, faults);
	return result(c, rc == 0 && k.faults > 0 ? PS_DATA : rc, &e);
}

static int cmd_followers(char **args)
{
	struct cache *c = opened(true);
	struct follower_list all = {0};
	struct err e = {0};
	int rc = follower_list(c, &all, &e);
	json_t *list = json ? json_array() : NULL;
	unsigned i;

	(void)args;
	for (i = 0; i < all.n; i++)
		if (json)
			json_array_append_new(list, json_string(all.names[i]));
		else
			puts(all.names[i]);
	if (json && rc == 0) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(list);
	return result(c, rc, &e);
}

static int cmd_drop_follower(char **args)
{
	struct cache *c = opened(false);
	struct err e = {0};

	return result(c, follower_drop(c, args[0], &e), &e);
}

static const struct {
	const char *name;
	int min, max; /* operands */
	int (*run)(char **args);
} table[] = {
    {"init", 0, 0, cmd_init},
    {"put", 0, 0, cmd_put},
    {"list", 0, 2, cmd_list},
    {"stat", 0, 0, cmd_stat},
    {"follow", 0, 0, cmd_follow},
    {"cat", 3, 3, cmd_cat},
    {"ack", 0, 0, cmd_ack},
    {"seat", 0, 0, cmd_seat},
    {"hold", 3, 3, cmd_hold},
    {"maps", 0, 1, cmd_maps},
    {"put-map", 2, 2, cmd_put_map},
    {"drop-map", 2, 3, cmd_drop_map},
    {"move-out", 1, 1, cmd_move_out},
    {"move-stay", 1, 1, cmd_move_stay},
    {"move-in", 1, 1, cmd_move_in},
    {"verify", 0, 1, cmd_verify},
    {"followers", 0, 0, cmd_followers},
    {"drop-follower", 1, 1, cmd_drop_follower},
};

int main(int argc, char **argv)
{
	int at, n;
	size_t i = 0;

	tool_init("ps-cache");
	at = opt_parse(&tool, argc, argv);
	while (strcmp(table[i].name, argv[at]) != 0)
		i++;
	n = argc - at - 1;
	if (n < table[i].min || n > table[i].max)
		opt_misuse("%s: wrong number of operands", argv[at]);
	if (dir == NULL)
		opt_misuse("say which cache: -C DIR");
	return tool_finish(table[i].run(argv + at + 1));
}
