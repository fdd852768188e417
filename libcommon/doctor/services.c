/* What has to run, whether it starts at boot, and how it is started again. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/state.h"
#include "base/units.h"
#include "doctor/command.h"
#include "doctor/redact.h"
#include "doctor/steps.h"
#include "health/gather.h"
#include "health/rules.h"
#include "service/place.h"
#include "service/state.h"

#define RESTART_S 60

/* ---- systemd ---- */

static bool have_systemd(void)
{
	return access("/run/systemd/system", F_OK) == 0;
}

struct unit {
	bool known;	 /* systemd has such a unit */
	bool enabled;	 /* it starts at boot */
	char state[32];	 /* "failed" */
	char boot[32];	 /* "disabled" */
	char result[32]; /* "exit-code" */
	char status[16]; /* of its main process */
};

static void value_of(const char *text, const char *name, char *out, size_t size)
{
	const char *at = text;
	size_t n = strlen(name);

	*out = '\0';
	while (at != NULL && (strncmp(at, name, n) != 0 || at[n] != '=')) {
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : NULL;
	}
	if (at != NULL)
		snprintf(out, size, "%.*s", (int)strcspn(at + n + 1, "\n"),
			 at + n + 1);
}

static void ask_systemd(enum service s, struct unit *ret)
{
	const char *const argv[] = {
	    "systemctl",
	    "show",
	    "-p",
	    "LoadState,ActiveState,UnitFileState,Result,ExecMainStatus",
	    service_unit(s),
	    NULL};
	struct command c = {.argv = argv, .seconds = 5, .max = 4096};
	char load[32], *text;
	int status;

	*ret = (struct unit){0};
	if (!have_systemd() || command_run(&c, &text, &status, NULL) < 0)
		return;
	value_of(text, "LoadState", load, sizeof(load));
	value_of(text, "ActiveState", ret->state, sizeof(ret->state));
	value_of(text, "UnitFileState", ret->boot, sizeof(ret->boot));
	value_of(text, "Result", ret->result, sizeof(ret->result));
	value_of(text, "ExecMainStatus", ret->status, sizeof(ret->status));
	ret->known = status == 0 && strcmp(load, "loaded") == 0;
	/* "enabled-runtime" is until then. */
	ret->enabled = strcmp(ret->boot, "enabled") == 0 ||
		       strcmp(ret->boot, "static") == 0 ||
		       strcmp(ret->boot, "alias") == 0 ||
		       strcmp(ret->boot, "generated") == 0;
	free(text);
}

/* What it said itself before it ended. */
static void show_last_words(const struct doctor *d, enum service s,
			    struct finding *f)
{
	char match[64];
	const char *const argv[] = {"journalctl", "-q",	 "--no-pager",
				    "-o",	  "cat", "-n",
				    "1",	  match, NULL};
	struct command c = {.argv = argv, .seconds = 5, .max = 4096};
	char *text, *safe;
	int status;
	size_t n;

	snprintf(match, sizeof(match), "_SYSTEMD_UNIT=%s.service",
		 service_unit(s));
	if (command_run(&c, &text, &status, NULL) < 0)
		return;
	n = strcspn(text, "\n");
	/* Half a secret would not be known: they go before the line is cut. */
	safe = redact_text(d->secrets, text, n, &n);
	if (status == 0 && safe != NULL && n > 0)
		find_shows(f, "its last words: %.200s", safe);
	free(safe);
	free(text);
}

/* ---- do they run? ---- */

/* The agent holds the lock of its state folder: 1, 0, or -1: not known. */
static int agent_runs(const struct agent_conf *c)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];
	int fd, rc;

	snprintf(path, sizeof(path), "%s/" LOCK_FILE, c->state);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return access(c->state, X_OK) == 0 || errno == ENOENT ? 0 : -1;
	rc = fcntl(fd, F_OFD_GETLK, &lock);
	close(fd);
	return rc < 0 ? -1 : lock.l_type != F_UNLCK;
}

static int runs(const struct doctor *d, enum service s)
{
	struct gather g = {.proc = "/proc",
			   .cache = d->cache,
			   .listen = d->listen,
			   .config = d->config,
			   .agent = d->agent_path,
			   .state = d->health};

	if (s == SERVICE_AGENT && d->agent != NULL)
		return agent_runs(d->agent);
	return gather_service(&g, s);
}

static bool between_tries(const struct doctor *d)
{
	const struct gather g = {.cache = d->cache};

	return gather_followed(&g) == 0;
}

static const char *how_known(const struct doctor *d, enum service s, char *out,
			     size_t size)
{
	if (s == SERVICE_RECEIVE)
		snprintf(out, size, "nothing listens on %s", d->listen);
	else if (s == SERVICE_PIPELINE)
		snprintf(out, size, "nobody follows the cache %s", d->cache);
	else if (s == SERVICE_AGENT && d->agent != NULL)
		snprintf(out, size, "nobody holds %s/" LOCK_FILE,
			 d->agent->state);
	else
		snprintf(out, size, "no such process");
	return out;
}

struct tally {
	unsigned asked, up, down, unknown, unboot;
	unsigned unheard; /* of those down: systemd says that they run */
	char names[96];	  /* of those that do not run */
	char late[96];	  /* units of those that run and are not ready */
	char units[96];	  /* their units, for journalctl */
	char boot[160];	  /* units that do not start at boot */
};

static void add_name(char *list, size_t size, const char *between,
		     const char *name)
{
	size_t n = strlen(list);

	snprintf(list + n, size - n, "%s%s", n > 0 ? between : "", name);
}

/* It runs, and systemd still waits until it says that it is ready. */
static bool is_starting(const struct unit *u)
{
	return u->known && strcmp(u->state, "activating") == 0;
}

static void look_at(const struct doctor *d, enum service s, struct tally *t,
		    struct finding *f)
{
	const char *name = service_name(s);
	int up = runs(d, s);
	char how[200];
	struct unit u;

	ask_systemd(s, &u);
	if (up < 0 && u.known)
		up = strcmp(u.state, "active") == 0;
	t->asked++;
	if (up == 1) {
		t->up++;
		find_shows(f, "%s runs%s", name,
			   s == SERVICE_PIPELINE && between_tries(d)
			       ? ", and waits before its next try: its chain "
				 "of programs ended"
			       : "");
		if (is_starting(&u))
			add_name(t->late, sizeof(t->late), " -u ",
				 service_unit(s));
	} else if (up == 0) {
		f->down |= 1u << s;
		t->down++;
		add_name(t->names, sizeof(t->names), ", ", name);
		add_name(t->units, sizeof(t->units), " -u ", service_unit(s));
		find_shows(f, "%s: %s", name,
			   how_known(d, s, how, sizeof(how)));
	} else {
		t->unknown++;
		find_shows(f, "%s: cannot tell (%s)", name,
			   s == SERVICE_RECEIVE ? "no receive.listen in ps.yaml"
						: "its files cannot be read");
	}
	if (u.known && (up != 1 || is_starting(&u)))
		find_shows(f, "systemd: %s.service is %s (%s, status %s)",
			   service_unit(s), u.state, u.result, u.status);
	t->unheard += up == 0 && u.known && strcmp(u.state, "active") == 0;
	if (u.known && strcmp(u.state, "failed") == 0)
		show_last_words(d, s, f);
	if (u.known && !u.enabled) {
		t->unboot++;
		add_name(t->boot, sizeof(t->boot), " ", service_unit(s));
		find_shows(f, "systemd: %s.service does not start at boot (%s)",
			   service_unit(s), u.boot);
	}
}

/* What a timer of ours says of itself, in a block of `systemctl show`. */
static void look_at_timer(const char *block, struct tally *t, struct finding *f)
{
	char id[64], state[32], boot[32];

	value_of(block, "Id", id, sizeof(id));
	value_of(block, "ActiveState", state, sizeof(state));
	value_of(block, "UnitFileState", boot, sizeof(boot));
	if (strcmp(state, "active") != 0 || strcmp(boot, "enabled") == 0)
		return;
	t->unboot++;
	add_name(t->boot, sizeof(t->boot), " ", id);
	find_shows(f, "systemd: %s does not start at boot (%s)", id, boot);
}

/* Jobs that are done now and would not be after a boot. */
static void look_at_timers(struct tally *t, struct finding *f)
{
	const char *const argv[] = {
	    "systemctl",  "show", "-p", "Id,ActiveState,UnitFileState",
	    "ps-*.timer", NULL};
	struct command c = {.argv = argv, .seconds = 5, .max = 1u << 16};
	char *text, *block, *end;
	int status;

	if (!have_systemd() || command_run(&c, &text, &status, NULL) < 0)
		return;
	for (block = text; status == 0 && block != NULL; block = end) {
		end = strstr(block, "\n\n");
		if (end != NULL) {
			*end = '\0';
			end += 2;
		}
		look_at_timer(block, t, f);
	}
	free(text);
}

/*
 * ps-pipeline ends for good when the store refuses it: by a wrong clock, a
 * credential. Why it did is what explains the fault.
 */
static bool was_refused(const struct doctor *d, struct finding *f)
{
	bool refused = false;
	struct doctor one;
	struct upload u;
	unsigned i;

	if (f->down != 1u << SERVICE_PIPELINE)
		return false;
	for (i = 0; i < vault_count(d); i++) {
		vault_at(d, i, &one);
		upload_read(&one, &u);
		if (strcmp(u.state, "failed") != 0 || u.error[0] == '\0')
			continue;
		refused = true;
		find_shows(f, "its ps-upload ended: %s", u.error);
	}
	return refused;
}

static void tell(const struct doctor *d, const struct tally *t,
		 struct finding *f)
{
	if (t->down > 0) {
		/* A firewall may keep even us from one that runs. */
		find_failed(f,
			    was_refused(d, f) || t->unheard == t->down
				? DOCTOR_LIKELY
				: DOCTOR_CAUSE,
			    "not running: %s", t->names);
		find_next(f,
			  "ps-doctor --fix starts what is down; if it ends "
			  "again, its last words are in the log%s%s",
			  have_systemd() ? ": journalctl -u " : "",
			  have_systemd() ? t->units : "");
	} else if (t->late[0] != '\0') {
		find_failed(f, DOCTOR_LIKELY, "starting, not ready yet");
		find_next(f,
			  "wait; if it stays so, what it needs does not answer "
			  "(ps-config: its database): journalctl -u %s",
			  t->late);
	} else if (t->unboot > 0) {
		find_warned(f, "all run, not all start at boot");
		find_next(f, "systemctl enable %s", t->boot);
	} else if (t->up == 0) {
		find_skipped(f, "cannot tell what runs");
	} else {
		find_passed(f, "%u of %u run%s", t->up, t->asked,
			    have_systemd() ? ""
					   : "; no systemd: start at boot is "
					     "not checked");
	}
}

void step_services(const struct doctor *d, struct finding *f)
{
	struct tally t = {0};
	unsigned s;

	for (s = 0; s < SERVICES; s++)
		if ((d->services & (1u << s)) != 0)
			look_at(d, (enum service)s, &t, f);
	look_at_timers(&t, f);
	tell(d, &t, f);
}

/* ---- start again ---- */

/* The folder that ps.yaml says it is in the place of "/"; empty: none. */
static void root_of(const struct doctor *d, char out[PLACE_PATH])
{
	static const char usual[] = SYSCONFDIR "/ps-toolkit/ps.yaml";
	const char *path = d->conf != NULL ? conf_path(d->conf) : NULL;
	char *whole = path != NULL ? realpath(path, NULL) : NULL;
	size_t n = whole != NULL ? strlen(whole) : 0, m = sizeof(usual) - 1;

	out[0] = '\0';
	if (n > m && n - m < PLACE_PATH && strcmp(whole + n - m, usual) == 0)
		snprintf(out, PLACE_PATH, "%.*s", (int)(n - m), whole);
	free(whole);
}

/* Has ps-service(8) started it, there or on this machine? */
static bool is_supervised(enum service s, const char *root)
{
	struct service_state state;
	struct place p;
	bool is;

	if (place_open(&p, *root != '\0' ? root : NULL, false, NULL) < 0)
		return false;
	is = service_read(p.run, service_word(s), &state, NULL) == 0 &&
	     state.state[0] != '\0';
	place_close(&p);
	return is;
}

/* The command as it is told: argv ends in NULL. */
static void join_words(const char *const *argv, char *out, size_t size)
{
	size_t n = 0;

	for (; *argv != NULL && n < size; argv++)
		n += (size_t)snprintf(out + n, size - n, "%s%s",
				      n > 0 ? " " : "", *argv);
}

int doctor_restart(const struct doctor *d, enum service s, char *words,
		   size_t size, struct err *e)
{
	const char *name = service_unit(s), *own = d->restart[s];
	char root[PLACE_PATH], said[256];
	const char *const unit[] = {"systemctl", "restart", name, NULL};
	const char *const shell[] = {"/bin/sh", "-c", own, NULL};
	const char *const here[] = {"ps-service", "restart", service_word(s),
				    NULL};
	const char *const there[] = {"ps-service", "restart",	    "--root",
				     root,	   service_word(s), NULL};
	struct command c = {.seconds = RESTART_S, .max = 4096};
	struct unit u;
	char *text;
	int rc, status;

	root_of(d, root);
	ask_systemd(s, &u);
	if (own != NULL)
		c.argv = shell;
	else if (is_supervised(s, root))
		c.argv = root[0] != '\0' ? there : here;
	else if (u.known)
		c.argv = unit;
	if (c.argv == NULL) {
		rc = err_set(e, PS_UNAVAILABLE,
			     "%s: no unit of systemd, not started by "
			     "ps-service, and no command is configured",
			     name);
		err_hint(e,
			 "start it by hand, or give doctor.restart.%s in "
			 "ps.yaml",
			 service_word(s));
		return rc;
	}
	rc = command_run(&c, &text, &status, e);
	if (rc < 0)
		return rc;
	join_words(c.argv == shell ? shell + 2 : c.argv, said, sizeof(said));
	text[strcspn(text, "\n")] = '\0';
	if (status != 0)
		rc = err_set(e, PS_UNAVAILABLE, "%s: %s ended with %d: %s",
			     name, said, status, text);
	snprintf(words, size, "%s: %s", name, said);
	free(text);
	return rc;
}

/* ---- heartbeat ---- */

void step_heartbeat(const struct doctor *d, struct finding *f)
{
	const char *server = role_config_server(d->conf);
	const struct rule *rule;
	struct rules rules;
	struct err e = {0};
	char words[32];
	int64_t age;

	if (server == NULL) {
		find_skipped(f, "no configuration server in ps.yaml");
		return;
	}
	rules_default(&rules);
	if (rules_read(&rules, d->conf, &e) < 0) {
		find_error(f, DOCTOR_SIGN, &e);
		return;
	}
	rule = rules_find(&rules, "heartbeat");
	age = gather_heartbeat_age(d->health, time_now_ns() / NS_PER_S);
	if (age == METRIC_UNKNOWN) {
		find_failed(f, DOCTOR_SIGN, "no heartbeat to %s yet", server);
		find_next(f, "ps-config heartbeat makes it; ps-health sample "
			     "watches it");
		return;
	}
	format_duration((double)age, words, sizeof(words));
	if (rule_level(rule, age) == LEVEL_OK) {
		find_passed(f, "%s answered %s ago", server, words);
		return;
	}
	find_failed(f, DOCTOR_SIGN, "806: no heartbeat to %s for %s", server,
		    words);
	find_shows(f, "%s/heartbeat is its last success", d->health);
	find_next(f,
		  "see what ps-config heartbeat says: journalctl -u "
		  "ps-heartbeat; then the way to %s, and its state",
		  server);
}
