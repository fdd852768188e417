/* ps-config unregister: a server leaves the site; a job. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/contacts.h"
#include "config/leaving.h"
#include "net/client.h"
#include "ps-config-wait.h"
#include "ps-config.h"

#define REACH_NS (10 * NS_PER_S)

/* Whose server it is: named one by one, or gathered. */
static int name_machine(void *ctx, const struct reg_machine *m, struct err *e)
{
	const struct reg_server *s = ctx;

	(void)e;
	if (strcmp(m->server, s->name) == 0)
		tool_warn("machine %s loses its process server", m->name);
	else if (strcmp(m->target, s->name) == 0)
		tool_warn("machine %s loses its master target", m->name);
	return 0;
}

static int print_end(const char *server, int64_t job, int64_t machines,
		     struct err *e)
{
	if (!ask.json)
		return 0;
	return print_json(json_pack("{s:s, s:I, s:I}", "server", server, "job",
				    (json_int_t)job, "machines",
				    (json_int_t)machines),
			  e);
}

static int by_force(struct reg *r, struct reg_server *s, struct err *e)
{
	int64_t machines = 0, job = 0;
	int rc;

	if (!ask.yes)
		opt_misuse("unregister --force forgets '%s' without asking it, "
			   "and %lld machines lose it: say --yes, too",
			   s->name, (long long)s->machines);
	rc = machine_each(r, name_machine, s, e);
	if (rc == 0)
		rc = leave_begin(r, s->name, &job, e);
	if (rc == 0)
		rc = leave_take(r, s->name, &machines, e);
	return rc < 0 ? rc : print_end(s->name, job, machines, e);
}

/* From here to there; that it reaches us, its heartbeats show. */
static int check_reach(const struct reg_server *s, struct err *e)
{
	char port[8];
	const struct client_to to = {
	    .host = s->address, .port = port, .wait_ns = REACH_NS};
	const char *state = server_state(s, time_now_ns());
	struct client c;
	int rc;

	snprintf(port, sizeof(port), "%lld", (long long)s->port);
	if (strcmp(state, "ok") != 0) {
		rc = err_set(e, PS_UNAVAILABLE,
			     s->contact == 0
				 ? "server '%s': was never heard"
				 : "server '%s': was not heard for 15 minutes "
				   "(806)",
			     s->name);
	} else {
		rc = client_open(&c, &to, e);
		client_close(&c);
	}
	if (rc < 0)
		err_hint(e, "let it run and reach us, or give it up: "
			    "--force --yes");
	return rc;
}

/* Its farewell ends the job; so may an administrator, who cancels it. */
static int wait_gone(struct reg *r, const char *server, int64_t job,
		     struct err *e)
{
	int64_t end = mono_now_ns() + WAIT_HEARD_S * NS_PER_S;
	struct reg_job j;
	int rc;

	while ((rc = job_get(r, job, &j, e)) == 0 && j.ended == 0 &&
	       mono_now_ns() < end)
		wait_a_bit();
	if (rc < 0 || strcmp(j.state, "done") == 0)
		return rc;
	if (j.ended != 0)
		return err_set(e, PS_NO, "job %lld: is %s", (long long)job,
			       j.state);
	rc = err_set(e, PS_UNAVAILABLE, "server '%s': did not take its leave",
		     server);
	err_hint(e, "is ps-config heartbeat running there? It is registered "
		    "still; to give it up: --force --yes");
	return rc;
}

static int ask_it(struct reg *r, const struct reg_server *s, struct err *e)
{
	int64_t job = 0;
	int rc = leave_begin(r, s->name, &job, e);

	if (rc < 0)
		return rc;
	rc = check_reach(s, e);
	if (rc == 0)
		rc = leave_ask(r, s->name, job, e);
	if (rc == 0)
		rc = wait_gone(r, s->name, job, e);
	if (rc < 0) /* one that was cancelled stays as it is */
		(void)leave_fail(r, s->name, job, e->msg, NULL);
	return rc < 0 ? rc : print_end(s->name, job, 0, e);
}

static int cmd_unregister(struct reg *r, char **operands, struct err *e)
{
	struct reg_server s;
	int rc = server_get(r, operands[0], &s, e);

	if (rc < 0)
		return rc;
	if (ask.force)
		return by_force(r, &s, e);
	if (s.machines == 0)
		return ask_it(r, &s, e);
	(void)machine_each(r, name_machine, &s, e);
	rc = err_set(e, PS_NO, "server '%s': %lld machines use it", s.name,
		     (long long)s.machines);
	err_hint(e, "give them another one first: ps-balance switch");
	return rc;
}

const struct action unregister_actions[] = {
    {NULL, 1, " SERVER [--force --yes]", cmd_unregister}, {0}};
