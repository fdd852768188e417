#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "service/unit.h"

#define LINE_SIZE 1024

/* ---- values ---- */

static int copy(char *out, size_t size, const char *value, struct err *e)
{
	if (strlen(value) >= size)
		return err_set(e, PS_SOFTWARE, "'%s' is too long", value);
	memcpy(out, value, strlen(value) + 1);
	return 0;
}

static int seconds(unsigned *ret, const char *value, struct err *e)
{
	uint64_t s;

	if (!parse_duration(value, &s) || s > 86400)
		return err_set(e, PS_SOFTWARE, "'%s' is no time", value);
	*ret = (unsigned)s;
	return 0;
}

static int codes(int *list, unsigned *n, const char *value, struct err *e)
{
	const char *at = value;

	while (*at != '\0') {
		char *end;
		long code = strtol(at, &end, 10);

		if (end == at || code < 0 || code > 255 || *n == UNIT_CODES)
			return err_set(e, PS_SOFTWARE, "'%s': exit codes",
				       value);
		list[(*n)++] = (int)code;
		at = end + strspn(end, " ");
	}
	return 0;
}

/* One more command; its words are kept in u->text. */
static int command(struct unit *u, const char *value, struct err *e)
{
	size_t used = 0, i;
	char *word, *rest;

	for (i = 0; i < u->ncommands; i++) {
		char **last = u->argv[i];

		while (last[1] != NULL)
			last++;
		used = (size_t)(*last - u->text) + strlen(*last) + 1;
	}
	if (u->ncommands == UNIT_COMMANDS || strpbrk(value, "\"'\\$%") != NULL)
		return err_set(e, PS_SOFTWARE, "'%s': more than plain words",
			       value);
	if (used + strlen(value) >= sizeof(u->text))
		return err_set(e, PS_SOFTWARE, "'%s' is too long", value);
	memcpy(u->text + used, value, strlen(value) + 1);
	i = 0;
	for (word = strtok_r(u->text + used, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest)) {
		if (i == UNIT_ARGS)
			return err_set(e, PS_SOFTWARE, "'%s': too many words",
				       value);
		u->argv[u->ncommands][i++] = word;
	}
	if (i > 0)
		u->ncommands++;
	return 0;
}

/* "ps-config.service ps-receive.service": " config receive ". */
static int after(struct unit *u, const char *value, struct err *e)
{
	const char *at = value;

	while (*at != '\0') {
		size_t n = strcspn(at, " "), have = strlen(u->after);
		bool ours = n > 11 && strncmp(at, "ps-", 3) == 0 &&
			    strncmp(at + n - 8, ".service", 8) == 0;

		if (ours && have + n >= sizeof(u->after))
			return err_set(e, PS_SOFTWARE, "'%s' is too long",
				       value);
		if (ours)
			snprintf(u->after + have, sizeof(u->after) - have,
				 "%s%.*s ", have == 0 ? " " : "", (int)n - 11,
				 at + 3);
		at += n;
		at += strspn(at, " ");
	}
	return 0;
}

static int calendar(struct unit *u, const char *value, struct err *e)
{
	static const struct {
		const char *word;
		unsigned s;
	} known[] = {{"minutely", 60},
		     {"hourly", 3600},
		     {"daily", 86400},
		     {"weekly", 7 * 86400},
		     {NULL, 0}};
	unsigned i;

	for (i = 0; known[i].word != NULL; i++)
		if (strcmp(value, known[i].word) == 0) {
			u->every_s = known[i].s;
			return 0;
		}
	return err_set(e, PS_SOFTWARE, "OnCalendar=%s", value);
}

/* ---- keys ---- */

static bool is_yes(const char *value)
{
	return strcmp(value, "yes") == 0;
}

static int take_times(struct unit *u, const char *key, const char *value,
		      struct err *e)
{
	if (strcmp(key, "RestartSec") == 0)
		return seconds(&u->restart_s, value, e);
	if (strcmp(key, "TimeoutStartSec") == 0)
		return seconds(&u->start_s, value, e);
	if (strcmp(key, "TimeoutStopSec") == 0)
		return seconds(&u->stop_s, value, e);
	if (strcmp(key, "WatchdogSec") == 0)
		return seconds(&u->watchdog_s, value, e);
	if (strcmp(key, "OnCalendar") == 0)
		return calendar(u, value, e);
	if (strcmp(key, "Persistent") == 0)
		u->persistent = is_yes(value);
	return 0;
}

static int take(struct unit *u, const char *key, const char *value,
		struct err *e)
{
	uint64_t files;

	if (strcmp(key, "ExecStart") == 0)
		return u->nbehind > 0 ? err_set(e, PS_SOFTWARE,
						"ExecStart behind ExecStopPost")
				      : command(u, value, e);
	if (strcmp(key, "ExecStopPost") == 0) {
		u->nbehind++;
		return command(u, value, e);
	}
	if (strcmp(key, "Description") == 0)
		return copy(u->about, sizeof(u->about), value, e);
	if (strcmp(key, "ConditionPathExists") == 0)
		return copy(u->condition, sizeof(u->condition), value, e);
	if (strcmp(key, "User") == 0)
		return copy(u->user, sizeof(u->user), value, e);
	if (strcmp(key, "AmbientCapabilities") == 0)
		u->low_ports = strcmp(value, "CAP_NET_BIND_SERVICE") == 0;
	if (strcmp(key, "After") == 0)
		return after(u, value, e);
	if (strcmp(key, "RestartPreventExitStatus") == 0)
		return codes(u->final, &u->nfinal, value, e);
	if (strcmp(key, "SuccessExitStatus") == 0)
		return codes(u->good, &u->ngood, value, e);
	if (strcmp(key, "LimitNOFILE") == 0 &&
	    parse_u64(value, 1u << 20, &files))
		u->files = (unsigned)files;
	if (strcmp(key, "Type") == 0)
		u->notify = strcmp(value, "notify") == 0;
	if (strcmp(key, "KillMode") == 0)
		u->main_only = strcmp(value, "process") == 0;
	return take_times(u, key, value, e);
}

static int read_text(struct unit *u, const char *text, struct err *e)
{
	char line[LINE_SIZE], *value;
	int rc = 0;

	while (rc == 0 && *text != '\0') {
		size_t n = strcspn(text, "\n");

		if (n >= sizeof(line))
			return err_set(e, PS_SOFTWARE, "a line is too long");
		memcpy(line, text, n);
		line[n] = '\0';
		text += n + (text[n] == '\n');
		value = strchr(line, '=');
		if (line[0] == '#' || value == NULL)
			continue;
		*value++ = '\0';
		rc = take(u, line, value, e);
	}
	return rc;
}

int unit_read(struct unit *ret, const char *name, const char *service,
	      const char *timer, struct err *e)
{
	struct unit *u = ret;
	int rc;

	memset(u, 0, sizeof(*u));
	u->start_s = UNIT_START_S;
	u->stop_s = UNIT_STOP_S;
	u->restart_s = 1;
	rc = copy(u->name, sizeof(u->name), name, e);
	if (rc == 0)
		rc = read_text(u, service, e);
	/* Only what the timer adds: its description is not the service's. */
	if (rc == 0 && timer != NULL) {
		char about[sizeof(u->about)];

		memcpy(about, u->about, sizeof(about));
		rc = read_text(u, timer, e);
		memcpy(u->about, about, sizeof(about));
	}
	if (rc == 0 && u->ncommands == 0)
		rc = err_set(e, PS_SOFTWARE, "no ExecStart");
	return rc < 0 ? err_prefix(e, "unit ps-%s", name) : 0;
}

/* ---- all of them ---- */

static const char *text_of(const char *name, const char *type)
{
	char want[64];
	unsigned i;

	snprintf(want, sizeof(want), "ps-%s%s", name, type);
	for (i = 0; unit_texts[i].name != NULL; i++)
		if (strcmp(unit_texts[i].name, want) == 0)
			return unit_texts[i].text;
	return NULL;
}

const struct unit *units_find(const struct units *u, const char *name)
{
	unsigned i;

	for (i = 0; i < u->n; i++)
		if (strcmp(u->list[i].name, name) == 0)
			return &u->list[i];
	return NULL;
}

bool unit_has_code(const int *list, unsigned n, int code)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (list[i] == code)
			return true;
	return false;
}

/* Is all that it wants before it in the order already? */
static bool may_follow(const struct unit *x, const struct units *all)
{
	char want[40];
	unsigned i, k;

	for (i = 0; i < all->n; i++) {
		for (k = 0; k < all->nordered; k++)
			if (all->ordered[k] == &all->list[i])
				break;
		snprintf(want, sizeof(want), " %s ", all->list[i].name);
		if (k == all->nordered && strstr(x->after, want) != NULL)
			return false;
	}
	return true;
}

static bool is_ordered(const struct units *u, const struct unit *x)
{
	unsigned i;

	for (i = 0; i < u->nordered; i++)
		if (u->ordered[i] == x)
			return true;
	return false;
}

/* Services by After=, then jobs. */
static void put_in_order(struct units *u, bool jobs)
{
	unsigned i, round;

	for (round = 0; round < u->n; round++)
		for (i = 0; i < u->n; i++) {
			const struct unit *x = &u->list[i];

			if ((x->every_s > 0) == jobs && !is_ordered(u, x) &&
			    may_follow(x, u))
				u->ordered[u->nordered++] = x;
		}
}

int units_load(struct units *ret, struct err *e)
{
	unsigned i;
	int rc = 0;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; rc == 0 && unit_texts[i].name != NULL; i++) {
		const char *name = unit_texts[i].name + strlen("ps-");
		const char *dot = strrchr(name, '.');
		char own[32];

		if (strcmp(dot, ".service") != 0)
			continue;
		if (ret->n == UNIT_MAX)
			return err_set(e, PS_SOFTWARE, "too many units");
		snprintf(own, sizeof(own), "%.*s", (int)(dot - name), name);
		rc = unit_read(&ret->list[ret->n++], own, unit_texts[i].text,
			       text_of(own, ".timer"), e);
	}
	put_in_order(ret, false);
	put_in_order(ret, true);
	if (rc == 0 && ret->nordered < ret->n)
		rc = err_set(e, PS_SOFTWARE, "units want each other first");
	return rc;
}
