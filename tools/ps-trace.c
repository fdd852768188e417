/*
 * ps-trace(8): keeps book of what is written to a block device, from the
 * kernel's trace, and gives it out as change lists.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/opt.h"
#include "base/tool.h"
#include "base/units.h"
#include "trace/tracing.h"
#include "trace/tracer.h"

static const char *device, *state, *to, *base = "-";
static uint64_t buffer = TRACER_BUFFER, idle = 30 * 86400, timeout = 60;
static bool json;

static const struct opt opts[] = {
    {0, "device", OPT_FILE, "DEV", &device, "the block device that is traced",
     0, 0, 0, 0, 0},
    {0, "state", OPT_DIR, "DIR", &state,
     "private folder of the socket, one for each device", 0, 0, 0, 0, 0},
    {0, "buffer", OPT_SIZE, "SIZE", &buffer,
     "run, start: the kernel's buffer for each CPU (default: 2M)", 0, 0, 0,
     TRACER_BUFFER_MIN, 1u << 30},
    {0, "idle", OPT_DURATION, "TIME", &idle,
     "run, start: end when nobody has cut for so long (default: 30d; 0: never)",
     0, 0, 0, 0, 0},
    {0, "to", OPT_TEXT, "ID", &to, "cut: the name of this moment", 0, 0, 0, 0,
     0},
    {0, "base", OPT_TEXT, "ID", &base,
     "cut: the moment that the list begins at", 0, 0, 0, 0, 0},
    {0, "timeout", OPT_DURATION, "TIME", &timeout,
     "how long an answer is waited for (default: 60s)", 0, 0, 0, 1, 86400},
    {0, "json", OPT_FLAG, 0, &json, "status: print JSON", 0, 0, 0, 0, 0},
    {0}};

static const struct opt_cmd commands[] = {
    {"run", "trace until stopped"},
    {"start", "the same in the background; ends when it traces"},
    {"cut", "begin anew, print what was written since the base"},
    {"status", "show what is traced and what is known"},
    {"stop", "end the one that traces"},
    {0}};

static const struct opt_tool tool = {
    .name = "ps-trace",
    .about = "Keeps book of what is written to a disk, by the kernel's trace.",
    .synopsis =
	"run|start --device DEV --state DIR [--buffer SIZE] [--idle TIME]\n"
	"cut --device DEV --state DIR --to ID [--base ID] [--timeout TIME] "
	">LIST\n"
	"status --state DIR [--json]\n"
	"stop --state DIR\n",
    .opts = opts,
    .cmds = commands};

/* ---- run, start ---- */

static int run(void (*ready)(void *), void *ctx)
{
	struct tracing_options o = {.state = state,
				    .buffer = buffer,
				    .idle_s = idle,
				    .ready = ready,
				    .ctx = ctx};
	struct err e = {0};
	char *path = realpath(device, NULL);

	if (path == NULL)
		tool_die_errno(0, "%s", device);
	o.device = path; /* good from any folder */
	return tracing_run(&o, &e) < 0 ? tool_fail(&e) : PS_OK;
}

/* Tells who waits, and lets go of everything that was the caller's. */
static void on_ready(void *ctx)
{
	int fd = *(int *)ctx, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || chdir("/") < 0 || dup2(null, STDERR_FILENO) < 0)
		tool_die_errno(PS_SOFTWARE, "background");
	(void)io_write_full(fd, "1", 1);
	close(fd);
	close(null);
}

/* Nothing of the caller stays open in what outlives it: no lock, no pipe. */
static void leave(int keep)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (setsid() < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(keep, STDERR_FILENO + 1) < 0)
		tool_die_errno(PS_SOFTWARE, "background");
	(void)syscall(SYS_close_range, STDERR_FILENO + 2, ~0U, 0);
}

static int start(void)
{
	int fds[2], status, fd = STDERR_FILENO + 1;
	char ready;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		tool_die_errno(PS_TEMPFAIL, "pipe");
	pid = fork();
	if (pid < 0)
		tool_die_errno(PS_TEMPFAIL, "fork");
	if (pid == 0) {
		leave(fds[1]);
		_exit(run(on_ready, &fd));
	}
	close(fds[1]);
	if (io_read_full(fds[0], &ready, 1) == 1)
		return PS_OK;
	/* It has said why. */
	if (waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	    WEXITSTATUS(status) != 0)
		return WEXITSTATUS(status);
	return PS_SOFTWARE;
}

/* ---- questions ---- */

static int ask(const char *request, struct tracing_answer *a)
{
	struct err e = {0};
	int rc = tracing_ask(state, request, (int)timeout, a, &e);

	return rc < 0 ? tool_fail(&e) : rc;
}

static void check_id(const char *what, const char *id)
{
	if (*id == '\0' || strlen(id) >= WRITEBOOK_ID ||
	    strpbrk(id, " \n") != NULL)
		opt_misuse("--%s: '%s' is no name of a moment", what, id);
}

static int cut(void)
{
	struct tracing_answer a;
	char request[3 * WRITEBOOK_ID];
	struct stat st;
	int rc;

	if (stat(device, &st) < 0)
		tool_die_errno(0, "%s", device);
	if (!S_ISBLK(st.st_mode))
		opt_misuse("%s is no block device", device);
	snprintf(request, sizeof(request), "cut %u:%u %s %s", major(st.st_rdev),
		 minor(st.st_rdev), to, base);
	rc = ask(request, &a);
	if (rc == 0)
		fputs(a.text, stdout);
	else if (rc == PS_NO)
		tool_warn("not known what was written: %s", a.why);
	free(a.text);
	return rc;
}

static void print_status(const json_t *j)
{
	const char *key;
	json_t *v;

	/* Each as it is: numbers of bytes are for programs, too. */
	json_object_foreach((json_t *)j, key, v)
	{
		if (json_is_integer(v))
			printf("%s: %lld\n", key,
			       (long long)json_integer_value(v));
		else
			printf("%s: %s\n", key, json_string_value(v));
	}
}

static int status(void)
{
	struct tracing_answer a;
	int rc = ask("status", &a);
	json_t *j;

	if (rc != 0)
		return rc;
	j = json ? NULL : json_loads(a.text, 0, NULL);
	if (j != NULL)
		print_status(j);
	else
		fputs(a.text, stdout);
	json_decref(j);
	free(a.text);
	return PS_OK;
}

static int stop(void)
{
	struct tracing_answer a;
	int rc = ask("stop", &a);

	free(a.text);
	return rc;
}

int main(int argc, char **argv)
{
	const char *word;
	int i, code;

	tool_init("ps-trace");
	i = opt_parse(&tool, argc, argv);
	word = argv[i];
	if (argv[i + 1] != NULL)
		opt_misuse("one word, and options");
	if (state == NULL)
		opt_misuse("--state is missing");
	if (strcmp(word, "status") != 0 && strcmp(word, "stop") != 0 &&
	    device == NULL)
		opt_misuse("--device is missing");
	if (strcmp(word, "cut") == 0) {
		if (to == NULL)
			opt_misuse("--to is missing");
		check_id("to", to);
		check_id("base", base);
		code = cut();
	} else if (strcmp(word, "run") == 0) {
		code = run(NULL, NULL);
	} else if (strcmp(word, "start") == 0) {
		code = start();
	} else if (strcmp(word, "status") == 0) {
		code = status();
	} else {
		code = stop();
	}
	return tool_finish(code);
}
