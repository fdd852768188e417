#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "print-json.h"
#include "ps-service.h"
#include "service/state.h"

/* What the files and the lock say together. */
static int look(const struct place *p, const struct unit *u,
		struct service_state *ret, struct err *e)
{
	pid_t pid;
	int pidfd = -1, rc;

	memset(ret, 0, sizeof(*ret));
	if (p->run < 0) {
		snprintf(ret->state, sizeof(ret->state), "stopped");
		return 0;
	}
	rc = service_holder(p->run, u->name, &pidfd, &pid, e);
	if (rc == 0)
		close(pidfd);
	else if (rc != -PS_NO)
		return rc;
	if (service_read(p->run, u->name, ret, e) < 0)
		return -e->code;
	if (rc == 0 && ret->state[0] != '\0')
		return 0;
	if (rc == 0)
		snprintf(ret->state, sizeof(ret->state), "starting");
	else if (service_alive(ret))
		snprintf(ret->state, sizeof(ret->state), "orphaned");
	else {
		if (strcmp(ret->state, "failed") != 0)
			snprintf(ret->state, sizeof(ret->state), "stopped");
		ret->pid = 0;
		ret->next_ns = 0;
	}
	return 0;
}

static bool is_up(const struct service_state *s)
{
	return strcmp(s->state, "running") == 0 ||
	       strcmp(s->state, "idle") == 0;
}

int64_t service_since(const struct place *p, const struct unit *u)
{
	struct service_state s;
	struct err e = {0};

	return look(p, u, &s, &e) == 0 && is_up(&s) ? s.since_ns : 0;
}

static json_t *time_or_null(int64_t ns)
{
	char text[TIME_TEXT];

	if (ns == 0)
		return json_null();
	format_time(ns / NS_PER_S * NS_PER_S, text);
	return json_string(text);
}

static json_t *as_json(const struct place *p, const struct unit *u,
		       const struct service_state *s)
{
	char log[PLACE_PATH + 128];
	json_t *last = json_null();

	snprintf(log, sizeof(log), "%s" LOCALSTATEDIR "/log/ps-toolkit/%s.log",
		 p->root, u->name);
	if (s->exit_ns != 0)
		last = json_pack("{s:i, s:o}", "code", s->exit_code, "time",
				 time_or_null(s->exit_ns));
	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:i, s:o, s:o, s:s, s:s}", "name",
	    u->name, "kind", u->every_s > 0 ? "job" : "service", "state",
	    s->state, "pid", s->pid > 0 ? json_integer(s->pid) : json_null(),
	    "since", time_or_null(s->since_ns), "restarts", (int)s->restarts,
	    "last_exit", last, "next", time_or_null(s->next_ns), "words",
	    s->words, "log", log);
}

static void as_line(const struct unit *u, const struct service_state *s)
{
	char since[TIME_TEXT] = "-", pid[16] = "-", last[16] = "-";

	if (s->since_ns != 0)
		format_time(s->since_ns / NS_PER_S * NS_PER_S, since);
	if (s->pid > 0)
		snprintf(pid, sizeof(pid), "%d", (int)s->pid);
	if (s->exit_ns != 0)
		snprintf(last, sizeof(last), "%d", s->exit_code);
	printf("%-10s %-9s %8s  %-20s %8u %5s  %s\n", u->name, s->state, pid,
	       since, s->restarts, last, s->words);
}

int service_status(const struct place *p, const struct chosen *c, bool json,
		   struct err *e)
{
	json_t *list = json ? json_array() : NULL;
	int code = 0, rc;
	unsigned i;

	if (!json)
		printf("%-10s %-9s %8s  %-20s %8s %5s\n", "SERVICE", "STATE",
		       "PID", "SINCE", "RESTARTS", "EXIT");
	for (i = 0; i < c->n; i++) {
		struct service_state s;

		rc = look(p, c->list[i], &s, e);
		if (rc < 0) {
			json_decref(list);
			return rc;
		}
		if (json)
			(void)json_array_append_new(list,
						    as_json(p, c->list[i], &s));
		else
			as_line(c->list[i], &s);
		if (!is_up(&s))
			code = PS_NO;
	}
	rc = json ? print_json(list, e) : 0;
	return rc < 0 ? rc : code;
}
