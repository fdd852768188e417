#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "doctor/command.h"
#include "print-json.h"
#include "ps-service.h"

#define ANSWER_SIZE 4096
#define DEADLINE_S 600
#define SHOWN_STATE "ActiveState,SubState,MainPID,UnitFileState"
#define SHOWN_TIMES "StateChangeTimestamp,NRestarts,ExecMainStatus"

bool systemd_is_here(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

/* A job is its timer. */
static void unit_name(const struct unit *u, char out[64])
{
	snprintf(out, 64, "ps-%s.%s", u->name,
		 u->every_s > 0 ? "timer" : "service");
}

int systemd_do(const char *what, const struct chosen *c, struct err *e)
{
	char unit[UNIT_MAX][64], *said = NULL;
	const char *argv[UNIT_MAX + 4] = {"systemctl", "--quiet", what};
	struct command command = {argv, DEADLINE_S, ANSWER_SIZE};
	int status, rc;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		unit_name(c->list[i], unit[i]);
		argv[3 + i] = unit[i];
	}
	rc = command_run(&command, &said, &status, e);
	if (rc == 0 && *said != '\0')
		fputs(said, stderr);
	free(said);
	return rc < 0 ? rc : status;
}

static void systemctl(const char *what, const char *unit)
{
	const char *argv[] = {"systemctl", "--quiet", what, unit, NULL};
	struct command command = {argv, DEADLINE_S, ANSWER_SIZE};
	struct err e = {0};
	char *said;
	int status;

	if (command_run(&command, &said, &status, &e) == 0)
		free(said);
}

/* One by one: who is not loaded, or has not failed, is an error. */
void systemd_forget(const struct chosen *c)
{
	char unit[64];
	unsigned i;

	for (i = 0; i < c->n; i++) {
		snprintf(unit, sizeof(unit), "ps-%s.service", c->list[i]->name);
		if (c->list[i]->every_s > 0)
			systemctl("stop", unit); /* the job of the timer */
		systemctl("reset-failed", unit);
	}
}

/* The value of "NAME=value" in lines of text; "" when there is none. */
static void value_of(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	out[0] = '\0';
	for (; *text != '\0';
	     text += strcspn(text, "\n"), text += *text == '\n')
		if (strncmp(text, name, n) == 0 && text[n] == '=')
			snprintf(out, size, "%.*s",
				 (int)strcspn(text + n + 1, "\n"),
				 text + n + 1);
}

int64_t systemd_since(const struct unit *u)
{
	char unit[64], active[32], since[64], *said = NULL;
	const char *argv[] = {"systemctl",
			      "show",
			      "--timestamp=unix",
			      "-p",
			      "ActiveState,ExecMainStartTimestamp",
			      unit,
			      NULL};
	struct command command = {argv, 30, ANSWER_SIZE};
	struct err e = {0};
	int64_t ns = 0;
	int status;

	unit_name(u, unit);
	if (command_run(&command, &said, &status, &e) < 0)
		return 0;
	value_of(said, "ActiveState", active, sizeof(active));
	value_of(said, "ExecMainStartTimestamp", since, sizeof(since));
	free(said);
	return strcmp(active, "active") == 0 && parse_time(since, &ns) ? ns : 0;
}

struct shown {
	char state[32], sub[32], pid[16], since[64], restarts[16], code[16];
	char boot[32];
};

static int show(const struct unit *u, struct shown *ret, struct err *e)
{
	char unit[64], *said = NULL;
	const char *argv[] = {"systemctl", "show",	"--timestamp=unix",
			      "-p",	   SHOWN_STATE, "-p",
			      SHOWN_TIMES, unit,	NULL};
	struct command command = {argv, 30, ANSWER_SIZE};
	int status, rc;

	unit_name(u, unit);
	rc = command_run(&command, &said, &status, e);
	if (rc == 0 && status != 0)
		rc = err_set(e, PS_UNAVAILABLE, "systemctl show %s: %s", unit,
			     said);
	if (rc == 0) {
		value_of(said, "ActiveState", ret->state, sizeof(ret->state));
		value_of(said, "SubState", ret->sub, sizeof(ret->sub));
		value_of(said, "MainPID", ret->pid, sizeof(ret->pid));
		value_of(said, "StateChangeTimestamp", ret->since,
			 sizeof(ret->since));
		value_of(said, "NRestarts", ret->restarts,
			 sizeof(ret->restarts));
		value_of(said, "ExecMainStatus", ret->code, sizeof(ret->code));
		value_of(said, "UnitFileState", ret->boot, sizeof(ret->boot));
	}
	free(said);
	return rc;
}

/* systemd prints "@SECONDS"; false: it has nothing to tell. */
static bool since_text(const char *text, char out[TIME_TEXT])
{
	int64_t ns;

	if (!parse_time(text, &ns) || ns <= 0)
		return false;
	format_time(ns / NS_PER_S * NS_PER_S, out);
	return true;
}

/* The same keys as without systemd, as far as it tells them. */
static json_t *as_json(const struct unit *u, const struct shown *s)
{
	long pid = strtol(s->pid, NULL, 10);
	char since[TIME_TEXT];
	bool told = since_text(s->since, since);

	return json_pack(
	    "{s:s, s:s, s:s, s:o, s:o, s:i, s:o, s:s, s:b}", "name", u->name,
	    "kind", u->every_s > 0 ? "job" : "service", "state",
	    strcmp(s->state, "active") == 0
		? (u->every_s > 0 ? "idle" : "running")
		: s->state,
	    "pid", pid > 0 ? json_integer(pid) : json_null(), "since",
	    told ? json_string(since) : json_null(), "restarts",
	    (int)strtol(s->restarts, NULL, 10), "last_exit",
	    s->code[0] == '\0'
		? json_null()
		: json_pack("{s:i}", "code", (int)strtol(s->code, NULL, 10)),
	    "words", s->sub, "boot", strcmp(s->boot, "enabled") == 0);
}

static void as_line(const struct unit *u, const struct shown *s)
{
	char since[TIME_TEXT];

	if (!since_text(s->since, since))
		snprintf(since, sizeof(since), "-");
	printf("%-10s %-9s %-9s %8s  %s\n", u->name, s->state, s->sub,
	       s->pid[0] != '\0' ? s->pid : "-", since);
}

int systemd_status(const struct chosen *c, bool json, struct err *e)
{
	json_t *list = json ? json_array() : NULL;
	int code = 0, rc;
	unsigned i;

	for (i = 0; i < c->n; i++) {
		const struct unit *u = c->list[i];
		struct shown s;

		rc = show(u, &s, e);
		if (rc < 0) {
			json_decref(list);
			return rc;
		}
		if (strcmp(s.state, "active") != 0)
			code = PS_NO;
		if (json)
			(void)json_array_append_new(list, as_json(u, &s));
		else
			as_line(u, &s);
	}
	rc = json ? print_json(list, e) : 0;
	return rc < 0 ? rc : code;
}
