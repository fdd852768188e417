/*
 * ps-pipeline(8): runs the chain of a process server as one service.
 */
#include "config.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/notify.h"
#include "base/opt.h"
#include "base/tool.h"
#include "pipeline/supervise.h"
#include "pipeline/vaults.h"

static const char *cache, *key, *codec = "deflate", *seat = "manual";
static struct opt_list vault_options;
static uint64_t level, max_wait = 60, stop_timeout = 30, seat_wait = 600;
static uint64_t stored_after;
static bool once, print;

static const struct opt opts[] = {
    {'C', "cache", OPT_DIR, "DIR", &cache, "the cache", "PS_CACHE", "cache", 0,
     0, 0},
    {0, "vault", OPT_LIST, "[NAME=]VAULT", &vault_options,
     "a vault; several have names", "PS_VAULT", 0, 0, 0, 0},
    {0, "stored-after", OPT_NUMBER, "N", &stored_after,
     "vaults that must have what is called stored (default: all)", 0,
     "pipeline.stored-after", 0, 1, VAULTS_MAX},
    {'k', "key", OPT_FILE, "KEYFILE", &key,
     "seal with this key file (default: nothing is sealed)", "PS_KEY_FILE",
     "key", 0, 0, 0},
    {0, "codec", OPT_CHOICE, "CODEC", &codec, "how to compress", 0,
     "compress.codec", "deflate|zstd|none", 0, 0},
    {0, "level", OPT_NUMBER, "LEVEL", &level,
     "1 (fastest) to 9 (densest), default 1", 0, "compress.level", 0, 1, 9},
    {0, "seat", OPT_CHOICE, "POLICY", &seat,
     "auto: disks on hold are seated too", 0, "pipeline.seat", "auto|manual", 0,
     0},
    {0, "seat-wait", OPT_DURATION, "TIME", &seat_wait,
     "how long seating waits for vaults that do not answer (10m)", 0,
     "pipeline.seat-wait", 0, 0, 86400 * 7},
    {0, "max-wait", OPT_DURATION, "TIME", &max_wait,
     "longest wait before a restart (default: 60)", 0, "pipeline.max-wait", 0,
     1, 86400},
    {0, "stop-timeout", OPT_DURATION, "TIME", &stop_timeout,
     "time to finish what is under way (default: 30)", 0,
     "pipeline.stop-timeout", 0, 0, 86400},
    {0, "once", OPT_FLAG, 0, &once, "store what the cache holds, then end", 0,
     0, 0, 0, 0},
    {0, "print", OPT_FLAG, 0, &print,
     "print the chain as a command line, do not run it", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-pipeline",
    .about = "Runs the chain of a process server: "
	     "cache, compress, encrypt, upload, acknowledge.",
    .synopsis = "[--once] [-C DIR] [--vault VAULT] [-k KEYFILE]\n"
		"[--once] [-C DIR] [--stored-after N] --vault NAME=VAULT ...\n"
		"--print [-C DIR] [--vault VAULT] [-k KEYFILE]",
    .opts = opts};

static char **same_argv;   /* our own arguments */
static char **reload_argv; /* the same with --print before them */

static void say(void *ctx, const char *words)
{
	(void)ctx;
	tool_warn("%s", words);
}

/*
 * May the new configuration be used? The program itself is asked, in a
 * process of its own: what it refuses must not end the one that runs.
 */
static bool may_reload(void)
{
	pid_t pid = fork();
	int status = 0, null;

	if (pid == 0) {
		null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		if (null < 0 || dup2(null, STDOUT_FILENO) < 0)
			_exit(PS_SOFTWARE);
		reload_argv[1] = (char *)(uintptr_t) "--print";
		execv("/proc/self/exe", reload_argv);
		_exit(PS_SOFTWARE);
	}
	if (pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		return true;
	tool_warn("the new configuration is refused, the old one goes on");
	return false;
}

/*
 * Where nothing but rates has changed nothing has to be interrupted. Where
 * nothing has changed at all a key or a certificate may have.
 */
static enum supervise_reload reload(void *ctx)
{
	static struct conf *last; /* that the rates were read from */
	const struct conf *old = last != NULL ? last : opt_conf();
	struct conf *now;

	(void)ctx;
	if (!may_reload())
		return RELOAD_REFUSED;
	if (old == NULL || conf_read(&now, conf_path(old), NULL) < 0)
		return RELOAD_ALL;
	if (vaults_compare(old, now) != VAULTS_RATES) {
		conf_free(now);
		return RELOAD_ALL;
	}
	conf_free(last);
	last = now;
	return RELOAD_RATES;
}

/*
 * The same program with the same arguments in the same process: everything
 * is read again as at the beginning, and the service manager sees no change.
 */
static int start_anew(void)
{
	notify_state("RELOADING=1");
	execv("/proc/self/exe", same_argv);
	tool_die_errno(PS_SOFTWARE, "cannot run again");
}

/* getopt moves what it reads about: keep the arguments as they came. */
static char **copy_arguments(size_t argc, char **argv, size_t extra)
{
	char **copy = calloc(argc + extra + 1, sizeof(*copy));

	if (copy == NULL)
		tool_die_errno(PS_TEMPFAIL, "arguments");
	copy[0] = argv[0];
	memcpy(copy + 1 + extra, argv + 1, argc * sizeof(*copy));
	return copy;
}

static void need(bool there, const char *name)
{
	struct err e = {0};

	if (there)
		return;
	err_set(&e, PS_CONFIG, "no %s", name);
	err_hint(&e, "give --%s or '%s:' in %s", name, name,
		 opt_conf() != NULL ? conf_path(opt_conf()) : "ps.yaml");
	tool_die(&e);
}

/* Of the command line, else `vaults` of ps.yaml, else its `vault`. */
static void find_vaults(struct vaults *ret)
{
	const char *one = conf_get(opt_conf(), "vault");
	struct err e = {0};
	unsigned i;
	int rc = 0;

	*ret = (struct vaults){0};
	for (i = 0; i < vault_options.n && rc == 0; i++)
		rc = vaults_add(ret, vault_options.items[i], &e);
	if (rc == 0 && ret->n == 0)
		rc = vaults_from_conf(ret, opt_conf(), &e);
	if (rc == 0 && ret->n == 0 && one != NULL && *one != '\0') {
		ret->list[ret->n++] =
		    (struct plan_vault){.name = PLAN_DEFAULT, .url = one};
	}
	if (rc == 0 && ret->n > 0 && stored_after > ret->n)
		rc = err_set(&e, PS_CONFIG,
			     "stored after %u vaults, but there are %u",
			     (unsigned)stored_after, ret->n);
	if (rc < 0)
		tool_die(&e);
}

/* As the shell would run them: several at once. */
static void print_plans(const struct plan_input *in)
{
	struct plan plan;
	unsigned i;

	for (i = 0; i < in->nvaults; i++) {
		plan_chain(in, &in->vaults[i], &plan);
		plan_print(&plan, stdout);
		puts(in->nvaults > 1 ? " &" : "");
	}
	if (in->nvaults > 1)
		puts("wait");
}

static int run(const struct vaults *vaults)
{
	struct supervise s = {
	    .in = {.cache = cache,
		   .vaults = vaults->list,
		   .nvaults = vaults->n,
		   .stored_after = (unsigned)stored_after,
		   .key = key,
		   .codec = codec,
		   .level = level,
		   .once = once,
		   .config = opt_conf() != NULL ? conf_path(opt_conf()) : NULL},
	    .seat = strcmp(seat, "auto") == 0 ? SEAT_AUTO : SEAT_MANUAL,
	    .seat_wait_s = seat_wait,
	    .max_wait_s = max_wait,
	    .stop_timeout_s = stop_timeout,
	    /* Lines of several would not say which vault. */
	    .out = opt_quiet || vaults->n > 1 ? -1 : STDOUT_FILENO,
	    .say = say,
	    .reload = reload};
	struct err e = {0};
	int code;

	if (print) {
		print_plans(&s.in);
		return PS_OK;
	}
	if (key == NULL)
		tool_warn("no key: what is not sealed yet is stored readable");
	code = supervise_run(&s, &e);
	if (code == SUPERVISE_RELOAD)
		return start_anew();
	return code < 0 ? tool_fail(&e) : code;
}

int main(int argc, char **argv)
{
	struct vaults vaults;
	int at;

	tool_init("ps-pipeline");
	same_argv = copy_arguments((size_t)argc, argv, 0);
	reload_argv = copy_arguments((size_t)argc, argv, 1);
	at = opt_parse(&tool, argc, argv);
	if (at < argc)
		opt_misuse("'%s': no operand expected", argv[at]);
	find_vaults(&vaults);
	need(cache != NULL, "cache");
	need(vaults.n > 0, "vault");
	return tool_finish(run(&vaults));
}
