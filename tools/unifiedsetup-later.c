/* Upgrade, rollback, registering again, uninstalling. */
#include "config.h"

#include <stdio.h>

#include "base/opt.h"
#include "base/tool.h"
#include "base/version.h"
#include "print-json.h"
#include "unifiedsetup.h"

static int make_plan(enum later what, const struct later_ask *a,
		     struct steps *s, struct err *e)
{
	switch (what) {
	case UPGRADE:
		return setup_upgrade(s, a->how.yes, e);
	case ROLLBACK:
		return setup_rollback(s, a->how.yes, e);
	case REREGISTER:
		return setup_reregister(s, &a->again, e);
	default:
		break;
	}
	return setup_uninstall(s, &a->how, e);
}

static void say_plan(const struct steps *s, json_t *list)
{
	static struct action action;
	unsigned i;

	for (i = 0; i < s->n; i++) {
		step_action(&s->list[i], false, &action);
		tell_action(list, &action, NULL);
	}
}

/* In which order a site goes on. */
static void say_next(enum later what, const struct steps *s,
		     const struct later_ask *a)
{
	if (opt_quiet || a->json || a->dry_run)
		return;
	if (s->n == 0)
		printf("%s is installed, nothing has to be done\n",
		       s->was.version);
	else if (what == UPGRADE &&
		 (s->now.former[0] != '\0' || s->was.former[0] != '\0'))
		printf("\nNext: %smaster targets, then agents; "
		       "the way back: --rollback, by the programs of %s\n",
		       s->was.role[0] == 'c' ? "process servers one after "
					       "another, then "
					     : "",
		       s->now.former[0] != '\0' ? s->now.former
						: s->was.former);
}

int later_run(enum later what, const struct later_ask *a)
{
	static const char *const done[] = {
	    [UPGRADE] = "upgraded",
	    [ROLLBACK] = "rolled back",
	    [REREGISTER] = "registered",
	    [UNINSTALL] = "uninstalled",
	};
	json_t *list = a->json ? json_array() : NULL;
	static struct steps s;
	struct err e = {0};
	int rc = a->dry_run ? 0 : setup_recover(a->c, &e);

	if (rc == 0)
		rc = steps_begin(&s, a->c, &e);
	if (rc == 0)
		rc = make_plan(what, a, &s, &e);
	if (rc == 0 && a->dry_run)
		say_plan(&s, list);
	else if (rc == 0)
		rc = steps_run(&s, tell_action, list, &e);
	if (rc == 0)
		say_next(what, &s, a);
	if (a->json)
		(void)print_json(
		    json_pack("{s:s, s:b, s:s, s:s, s:s?, s:o}", "result",
			      rc < 0 ? "failed" : done[what], "dry_run",
			      a->dry_run, "from", s.was.version, "version",
			      version_ours(), "error", rc < 0 ? e.msg : NULL,
			      "steps", list),
		    &e);
	steps_free(&s);
	return rc < 0 ? tool_fail(&e) : PS_OK;
}
