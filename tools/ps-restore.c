/* ps-restore(1): one disk as it was at a recovery point, bit for bit. */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "vault/restore-point.h"
#include "vault/restore.h"
#include "store-opts.h"

static const char *vault_url, *machine, *disk, *at_text, *key_file, *output;
static const char *what, *not_older;
static bool force, verify_only, json, allow_unsealed;
static uint64_t threads;

static const struct opt opts[] = {
    {0, "vault", OPT_TEXT, "VAULT", &vault_url,
     "the vault when no operand names one", "PS_VAULT", "vault", 0, 0, 0},
    {'m', "machine", OPT_TEXT, "M", &machine, "machine of the disk", 0, 0, 0, 0,
     0},
    {'d', "disk", OPT_TEXT, "D", &disk, "disk to restore", 0, 0, 0, 0, 0},
    {'p', "point", OPT_TEXT, "POINT", &what,
     "latest (default), latest-app or the id of a point", 0, 0, 0, 0, 0},
    {0, "at", OPT_TEXT, "TIME", &at_text,
     "the newest complete point at or before this time", 0, 0, 0, 0, 0},
    {'k', "key", OPT_FILE, "KEYFILE", &key_file, "key file of the vault",
     "PS_KEY_FILE", "key", 0, 0, 0},
    {'o', "output", OPT_FILE, "FILE", &output,
     "new file, block device, or - for standard output", 0, 0, 0, 0, 0},
    {'f', "force", OPT_FLAG, NULL, &force,
     "replace an existing file, overwrite a device", 0, 0, 0, 0, 0},
    {0, "not-older-than", OPT_TEXT, "POINT", &not_older,
     "refuse a vault that does not have this point or a later one", 0, 0, 0, 0,
     0},
    {0, "verify-only", OPT_FLAG, NULL, &verify_only, "do everything but write",
     0, 0, 0, 0, 0},
    {0, "allow-unsealed", OPT_FLAG, NULL, &allow_unsealed,
     "accept an unsealed point although a key is given", 0, 0, 0, 0, 0},
    {'j', "jobs", OPT_NUMBER, "N", &threads,
     "threads (default: one for each processor, at most 16)", 0, 0, 0, 1,
     RESTORE_THREADS_MAX},
    STORE_OPTIONS,
    {0, "json", OPT_FLAG, NULL, &json, "print the result as JSON", 0, 0, 0, 0,
     0},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-restore",
    .about = "Restores a disk as it was at a recovery point.",
    .synopsis = "VAULT --machine M --disk D [--point POINT | --at TIME] "
		"[-k KEYFILE] [--force] -o FILE\n"
		"VAULT --machine M --disk D [--point POINT | --at TIME] "
		"[-k KEYFILE] --verify-only\n",
    .opts = opts,
    .operands = "dir",
};

/* ---- what the command line says ---- */

static void check_names(void)
{
	struct err e = {0};

	if (machine == NULL || disk == NULL)
		opt_misuse("--machine and --disk must be given");
	if (name_check("machine", machine, PS_USAGE, &e) < 0 ||
	    name_check("disk", disk, PS_USAGE, &e) < 0)
		tool_die(&e);
}

static struct restore_wish read_wish(void)
{
	struct restore_wish w = {.machine = machine,
				 .disk = disk,
				 .what = what,
				 .not_older = not_older,
				 .need_proof =
				     key_file != NULL && !allow_unsealed};

	if (what != NULL && at_text != NULL)
		opt_misuse("--point and --at exclude each other");
	if (at_text != NULL && !parse_time(at_text, &w.at))
		opt_misuse("'%s' is no time (2026-11-20T10:00:00Z, @SECONDS)",
			   at_text);
	if (w.what == NULL && at_text == NULL)
		w.what = "latest";
	return w;
}

static void read_options(int argc, char **argv)
{
	int i = opt_parse(&tool, argc, argv);

	if (i < argc)
		vault_url = argv[i++];
	if (i < argc)
		opt_misuse("'%s' is one operand too many", argv[i]);
	if (vault_url == NULL)
		opt_misuse("name a vault");
	check_names();
	if (verify_only == (output != NULL))
		opt_misuse("give either -o or --verify-only");
	if (output != NULL && strcmp(output, "-") == 0)
		tool_no_terminal(STDOUT_FILENO, "a disk");
}

/* ---- what came of it ---- */

struct report {
	FILE *to;
	const struct point *point;
	uint64_t seq;
	int64_t now;
	double seconds;
	struct restore_result result;
};

/* As numbers that cannot overflow: the point's time comes from outside. */
static double age_seconds(const struct report *r)
{
	return ((double)r->now - (double)r->point->time) / NS_PER_S;
}

static void say_point(const struct report *r)
{
	char time[TIME_TEXT], age[32];
	double old = age_seconds(r);

	format_time(r->point->time, time);
	format_duration(old < 0 ? -old : old, age, sizeof(age));
	fprintf(r->to, "point        %s, %s, %s %s, consistency %s%s\n",
		r->point->id, time, age,
		old < 0 ? "in the future (check the clocks)" : "old",
		seg_consistency_name(r->point->consistency),
		r->point->complete ? ""
				   : ", incomplete: other disks are missing");
	fflush(r->to);
}

static double rate(const struct report *r)
{
	return r->seconds > 0 ? (double)r->result.data_bytes / r->seconds : 0;
}

static void say_result(const struct report *r)
{
	const struct restore_result *x = &r->result;
	char size[32], data[32], read[32], time[32], digest[SHA256_HEX];

	format_size(x->disk_size, size, sizeof(size));
	format_size(x->data_bytes, data, sizeof(data));
	format_size(x->fetched_bytes, read, sizeof(read));
	format_duration(r->seconds, time, sizeof(time));
	hex_encode(x->disk_digest, SHA256_LEN, digest);
	fprintf(r->to,
		"disk         %s/%s, %s (%" PRIu64 " bytes), %s of data\n",
		machine, disk, size, x->disk_size, data);
	fprintf(r->to,
		"%s %s read from %" PRIu32 " object%s in %s, %.0f MB/s\n",
		verify_only ? "verified    " : "restored    ", read, x->objects,
		x->objects == 1 ? "" : "s", time, rate(r) / 1e6);
	fprintf(r->to, "disk digest  %s\n", digest);
	fprintf(r->to, "verified equal to the source's digest%s\n",
		x->authenticated ? ", authenticated by the key" : "");
}

/* `e` NULL: it succeeded. */
static void print_json(const struct report *r, const struct err *e)
{
	const struct restore_result *x = &r->result;
	char time[TIME_TEXT], digest[SHA256_HEX];
	json_t *o;

	format_time(r->point->time, time);
	hex_encode(x->disk_digest, SHA256_LEN, digest);
	o = json_pack("{ss ss ss ss sf ss sb sI ss? sb}", "machine", machine,
		      "disk", disk, "point", r->point->id, "time", time,
		      "age_seconds", age_seconds(r), "consistency",
		      seg_consistency_name(r->point->consistency), "complete",
		      (int)r->point->complete, "seq", (json_int_t)r->seq,
		      "output", output, "verified", (int)(e == NULL));
	if (o != NULL && e == NULL)
		json_object_update_new(
		    o,
		    json_pack("{sI sI sI sI sI sf sf ss sb}", "disk_bytes",
			      (json_int_t)x->disk_size, "data_bytes",
			      (json_int_t)x->data_bytes, "read_bytes",
			      (json_int_t)x->fetched_bytes, "objects",
			      (json_int_t)x->objects, "replans",
			      (json_int_t)x->replans, "seconds", r->seconds,
			      "bytes_per_second", rate(r), "disk_digest",
			      digest, "authenticated", (int)x->authenticated));
	else if (o != NULL)
		json_object_update_new(
		    o, json_pack("{ss si}", "error", e->msg, "code", e->code));
	if (o == NULL || json_dumpf(o, r->to, JSON_INDENT(2)) < 0)
		tool_die_errno(PS_IOERR, "JSON");
	fputc('\n', r->to);
	json_decref(o);
}

/* ---- the work ---- */

static volatile sig_atomic_t stop;

/*
 * Who is impatient ends the program at once, but one request may come as two
 * signals: timeout(1) sends one to us and one to our process group.
 */
static void on_signal(int signo)
{
	static int64_t first;
	int64_t now = mono_now_ns();

	if (stop == 0) {
		first = now;
		stop = signo;
	} else if (now - first > NS_PER_S) {
		signal(signo, SIG_DFL);
		raise(signo);
	}
}

/* A file under its temporary name is removed before we go. */
static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction sa = {.sa_handler = on_signal};
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaction(signals[i], &sa, NULL);
	/* A file that is too large is an error, not a signal. */
	signal(SIGXFSZ, SIG_IGN);
}

static int restore(struct vault *v, const struct keyring *keys,
		   struct target *t, struct report *rep, struct err *e)
{
	struct restore r = {
	    .vault = v,
	    .machine = machine,
	    .disk = disk,
	    .seq = rep->seq,
	    .keys = keys,
	    .target = t,
	    .threads = (unsigned)threads,
	    .allow_unsealed = allow_unsealed,
	    .stop = &stop,
	};
	int64_t begun = mono_now_ns();
	int rc = restore_run(&r, &rep->result, e);

	rep->seconds = (double)(mono_now_ns() - begun) / NS_PER_S;
	if (rc == 0 && rep->result.replans > 0)
		tool_note("planned again %u times: retention was at work",
			  rep->result.replans);
	return rc;
}

/* Chooses, says what was chosen, restores, says what came of it. */
static int run_point(struct vault *v, const struct keyring *keys,
		     struct target *t, const struct points *points,
		     struct err *e)
{
	struct report rep = {.to = target_kind(t) == TARGET_STREAM ? stderr
								   : stdout,
			     .now = time_now_ns()};
	struct restore_wish wish = read_wish();
	int rc = restore_point_choose(points, &wish, &rep.point, &rep.seq, e);

	if (rc < 0)
		return rc;
	/* Under -q too: an old point must not go unnoticed. */
	if (!json)
		say_point(&rep);
	rc = restore(v, keys, t, &rep, e);
	if (json)
		print_json(&rep, rc < 0 ? e : NULL);
	else if (rc == 0 && !opt_quiet)
		say_result(&rep);
	return rc;
}

static int run_vault(const struct keyring *keys, struct target *t,
		     struct err *e)
{
	struct points points = {0};
	struct vault v;
	int rc = vault_open(&v, vault_url, e);

	if (rc < 0)
		return rc;
	v.cached = true;
	rc = points_list(&v, machine, keys, &points, e);
	if (rc == 0)
		rc = run_point(&v, keys, t, &points, e);
	points_free(&points);
	vault_close(&v);
	return rc;
}

static int fail(const struct target *t, struct err *e)
{
	int code;

	if (e->code == PS_NOPERM && e->hint[0] == '\0' && key_file != NULL)
		err_hint(e, "is %s the key of this vault?", key_file);
	code = tool_fail(e);
	if (t != NULL && target_spoiled(t)) {
		struct err half = {0};

		err_set(&half, code, "%s is incomplete: do not use it",
			target_name(t));
		tool_fail(&half);
	}
	return code;
}

int main(int argc, char **argv)
{
	struct keyring *keys = NULL;
	struct target *t = NULL;
	struct err e = {0};
	int rc = 0, code = PS_OK;

	tool_init("ps-restore");
	read_options(argc, argv);
	read_wish();
	if (key_file != NULL) {
		secret_harden_process();
		rc = keyring_load(&keys, key_file, &e);
	}
	if (rc == 0)
		rc = target_open(&t, output, force, &e);
	if (rc == 0 && target_kind(t) != TARGET_STREAM)
		catch_signals();
	if (rc == 0)
		rc = run_vault(keys, t, &e);
	if (rc < 0)
		code = fail(t, &e);
	target_close(t);
	keyring_free(keys);
	code = tool_finish(code);
	if (stop != 0 && code != PS_OK) {
		signal(stop, SIG_DFL);
		raise(stop);
	}
	return code;
}
