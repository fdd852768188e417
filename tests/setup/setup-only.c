/*
 * setup-only ROOT WHAT [HOW N]: what unifiedsetup does to an installation,
 * behind its checks, with a step that fails: for tests that walk all of them.
 *
 *	WHAT	upgrade, rollback, reregister, uninstall, purge
 *	HOW	count	prints the steps, and does none
 *		kill	is killed when step N (from 1) is over
 *		fail	step N fails before it does anything
 *		half	step N does its work, and is told to have failed
 *		full	before step N ROOT/ballast takes all room that is left
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tool.h"
#include "setup/steps.h"

static struct steps s;
static unsigned kill_at, told;
static step_fn *real;

static void say(void *ctx, const struct action *a, const struct err *e)
{
	(void)ctx;
	printf("%s: %s%s%s\n",
	       e != NULL	     ? "failed"
	       : a->kind == ACT_NOTE ? "note"
	       : a->same	     ? "same"
				     : "done",
	       a->words, e != NULL ? ": " : "", e != NULL ? e->msg : "");
	fflush(stdout);
	if (++told == kill_at)
		raise(SIGKILL);
}

static int fails(struct steps *it, struct err *e)
{
	(void)it;
	return err_set(e, PS_IOERR, "the test says no");
}

static int fails_behind(struct steps *it, struct err *e)
{
	int rc = real(it, e);

	return rc < 0 ? rc : fails(it, e);
}

/* ROOT is a small file system of its own. */
static int fills(struct steps *it, struct err *e)
{
	static const char zeros[4096];
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/ballast", it->p.c->root);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && write(fd, zeros, sizeof(zeros)) > 0)
		;
	if (fd < 0 || errno != ENOSPC)
		return err_sys(e, PS_SOFTWARE, "%s", path);
	close(fd);
	return real(it, e);
}

static int plan(const char *what, struct err *e)
{
	static const struct reregister again = {.passphrase_file = "pass2"};
	static const struct remove_how away = {.discard = true},
				       purge = {.discard = true, .purge = true};

	if (strcmp(what, "upgrade") == 0)
		return setup_upgrade(&s, false, e);
	if (strcmp(what, "rollback") == 0)
		return setup_rollback(&s, false, e);
	if (strcmp(what, "reregister") == 0)
		return setup_reregister(&s, &again, e);
	return setup_uninstall(&s, strcmp(what, "purge") == 0 ? &purge : &away,
			       e);
}

/* Exit 1: there is no such step, or it only says something. */
static int break_step(const char *how, unsigned n)
{
	struct step *st = &s.list[n - 1];

	if (n == 0 || n > s.n || st->run == NULL)
		return PS_NO;
	if (strcmp(how, "kill") == 0) {
		kill_at = n;
	} else {
		real = st->run;
		st->run = strcmp(how, "fail") == 0   ? fails
			  : strcmp(how, "full") == 0 ? fills
						     : fails_behind;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct choices c;
	struct err e = {0};
	unsigned i;
	int rc;

	tool_init("setup-only");
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		tool_version();
		return tool_finish(PS_OK);
	}
	if (argc != 3 && argc != 5)
		return PS_USAGE;
	c.root = argv[1];
	if (setup_recover(&c, &e) < 0 || steps_begin(&s, &c, &e) < 0 ||
	    plan(argv[2], &e) < 0)
		return tool_fail(&e);
	if (argc == 5 && strcmp(argv[3], "count") == 0) {
		for (i = 0; i < s.n; i++)
			puts(s.list[i].words);
		return tool_finish(PS_OK);
	}
	if (argc == 5 &&
	    break_step(argv[3], (unsigned)strtoul(argv[4], NULL, 10)) != 0)
		return PS_NO;
	rc = steps_run(&s, say, NULL, &e);
	steps_free(&s);
	return rc < 0 ? tool_fail(&e) : tool_finish(PS_OK);
}
