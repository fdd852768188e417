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

static const char *cache, *vault, *key, *codec = "deflate", *seat = "manual";
static uint64_t level, max_wait = 60, stop_timeout = 30;
static bool once, print;

static const struct opt opts[] = {
    {'C', "cache", OPT_DIR, "DIR", &cache, "the cache", "PS_CACHE", "cache", 0,
     0, 0},
    {0, "vault", OPT_TEXT, "VAULT", &vault, "the vault", "PS_VAULT", "vault", 0,
     0, 0},
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
static bool may_reload(void *ctx)
{
	pid_t pid = fork();
	int status = 0, null;

	(void)ctx;
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

static void need(const char *value, const char *name)
{
	struct err e = {0};

	if (value != NULL)
		return;
	err_set(&e, PS_CONFIG, "no %s", name);
	err_hint(&e, "give --%s or '%s:' in %s", name, name,
		 opt_conf() != NULL ? conf_path(opt_conf()) : "ps.yaml");
	tool_die(&e);
}

static int run(void)
{
	struct supervise s = {
	    .in = {.cache = cache,
		   .vault = vault,
		   .key = key,
		   .codec = codec,
		   .level = level,
		   .once = once,
		   .config = opt_conf() != NULL ? conf_path(opt_conf()) : NULL},
	    .seat = strcmp(seat, "auto") == 0 ? SEAT_AUTO : SEAT_MANUAL,
	    .max_wait_s = max_wait,
	    .stop_timeout_s = stop_timeout,
	    .out = opt_quiet ? -1 : STDOUT_FILENO,
	    .say = say,
	    .reload = may_reload};
	struct err e = {0};
	struct plan plan;
	int code;

	if (print) {
		plan_chain(&s.in, &plan);
		plan_print(&plan, stdout);
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
	int at;

	tool_init("ps-pipeline");
	same_argv = copy_arguments((size_t)argc, argv, 0);
	reload_argv = copy_arguments((size_t)argc, argv, 1);
	at = opt_parse(&tool, argc, argv);
	if (at < argc)
		opt_misuse("'%s': no operand expected", argv[at]);
	need(cache, "cache");
	need(vault, "vault");
	return tool_finish(run());
}
