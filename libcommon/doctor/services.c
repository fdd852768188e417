/* What has to run, whether it starts at boot, and how it is started again. */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/state.h"
#include "base/units.h"
#include "doctor/command.h"
#include "doctor/steps.h"
#include "health/gather.h"

#define RESTART_S 60
#define HEARTBEAT_MAX_S (15 * 60)

const char *doctor_service_name(enum doctor_service s)
{
	static const char *const names[] = {"ps-receive", "ps-pipeline",
					    "ps-agent"};

	return names[s];
}

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

static void ask_systemd(enum doctor_service s, struct unit *ret)
{
	const char *const argv[] = {
	    "systemctl",
	    "show",
	    "-p",
	    "LoadState,ActiveState,UnitFileState,Result,ExecMainStatus",
	    doctor_service_name(s),
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
	ret->enabled = strncmp(ret->boot, "enabled", 7) == 0 ||
		       strcmp(ret->boot, "static") == 0 ||
		       strcmp(ret->boot, "alias") == 0 ||
		       strcmp(ret->boot, "generated") == 0;
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
		return access(c->state, X_OK) == 0 ? 0 : -1;
	rc = fcntl(fd, F_OFD_GETLK, &lock);
	close(fd);
	return rc < 0 ? -1 : lock.l_type != F_UNLCK;
}

/* Is `arg`, seen from the process, the same file or folder as `mine`? */
static bool same_place(const char *pid, const char *arg, const char *mine)
{
	char path[PATH_MAX];
	struct stat a, b;

	if (mine == NULL || stat(mine, &a) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%s/%s/%s", pid,
		 arg[0] == '/' ? "root" : "cwd", arg);
	return stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

/* A ps-pipeline of our configuration or cache, or of the default one. */
static bool is_our_pipeline(const struct doctor *d, const char *pid)
{
	char path[64], *text, *at;
	bool named = false, ours = false;
	size_t n = 0;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	text = doctor_read(path, 64, NULL);
	if (text == NULL || strcmp(text, "ps-pipeline\n") != 0) {
		free(text);
		return false;
	}
	free(text);
	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	text = doctor_read(path, 65536, &n);
	for (at = text; at != NULL && at < text + n; at += strlen(at) + 1) {
		const char *arg =
		    strchr(at, '=') != NULL ? strchr(at, '=') + 1 : at;

		named |= strncmp(at, "--config", 8) == 0 ||
			 strncmp(at, "--cache", 7) == 0 ||
			 strncmp(at, "-C", 2) == 0;
		ours |= same_place(pid, arg, d->config) ||
			same_place(pid, arg, d->cache);
	}
	free(text);
	return ours || !named;
}

/* Between two tries nobody follows the cache, and yet the service runs. */
static bool pipeline_waits(const struct doctor *d)
{
	DIR *dir = opendir("/proc");
	struct dirent *it;
	bool found = false;

	while (dir != NULL && !found && (it = readdir(dir)) != NULL)
		if (isdigit((unsigned char)it->d_name[0]))
			found = is_our_pipeline(d, it->d_name);
	if (dir != NULL)
		closedir(dir);
	return found;
}

static int runs(const struct doctor *d, enum doctor_service s)
{
	struct gather g = {.proc = "/proc",
			   .cache = d->cache,
			   .listen = d->listen,
			   .state = d->health};

	if (s == SERVICE_AGENT)
		return agent_runs(d->agent);
	return gather_service(&g,
			      s == SERVICE_RECEIVE ? "receive" : "pipeline");
}

static const char *how_known(const struct doctor *d, enum doctor_service s,
			     char *out, size_t size)
{
	if (s == SERVICE_RECEIVE)
		snprintf(out, size, "nothing listens on %s", d->listen);
	else if (s == SERVICE_PIPELINE)
		snprintf(out, size, "nobody follows the cache %s", d->cache);
	else
		snprintf(out, size, "nobody holds %s/" LOCK_FILE,
			 d->agent->state);
	return out;
}

struct tally {
	unsigned asked, up, down, unknown, unboot;
	char names[64]; /* of those that do not run */
};

static void look_at(const struct doctor *d, enum doctor_service s,
		    struct tally *t, struct finding *f)
{
	const char *name = doctor_service_name(s);
	int up = runs(d, s);
	char how[200];
	struct unit u;

	ask_systemd(s, &u);
	if (up < 0 && u.known)
		up = strcmp(u.state, "active") == 0;
	t->asked++;
	if (up == 0 && s == SERVICE_PIPELINE && pipeline_waits(d)) {
		t->up++;
		find_shows(f,
			   "%s runs, and waits before its next try: its "
			   "chain of programs ended",
			   name);
		up = 1;
	} else if (up == 1) {
		t->up++;
		find_shows(f, "%s runs", name);
	} else if (up == 0) {
		f->down |= 1u << s;
		t->down++;
		snprintf(t->names + strlen(t->names),
			 sizeof(t->names) - strlen(t->names), "%s%s",
			 t->names[0] != '\0' ? ", " : "", name);
		find_shows(f, "%s: %s", name,
			   how_known(d, s, how, sizeof(how)));
	} else {
		t->unknown++;
		find_shows(f, "%s: cannot tell (%s)", name,
			   s == SERVICE_RECEIVE ? "no receive.listen in ps.yaml"
						: "its files cannot be read");
	}
	if (u.known && up != 1)
		find_shows(f, "systemd: %s.service is %s (%s, status %s)", name,
			   u.state, u.result, u.status);
	if (u.known && !u.enabled) {
		t->unboot++;
		find_shows(f, "systemd: %s.service does not start at boot (%s)",
			   name, u.boot);
	}
}

static void tell(const struct tally *t, struct finding *f)
{
	if (t->down > 0) {
		find_failed(f, DOCTOR_CAUSE, "not running: %s", t->names);
		find_next(f,
			  "ps-doctor --fix starts what is down; if it ends "
			  "again, its last words are in the log%s",
			  have_systemd() ? " (journalctl -u NAME)" : "");
	} else if (t->unboot > 0) {
		find_warned(f, "all run, not all start at boot");
		find_next(f, "systemctl enable ps-receive ps-pipeline (on a "
			     "source: ps-agent)");
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
	const char *list = conf_get(d->conf, "health.services");
	struct tally t = {0};

	if (d->source) {
		look_at(d, SERVICE_AGENT, &t, f);
	} else {
		if (list == NULL || strstr(list, "receive") != NULL)
			look_at(d, SERVICE_RECEIVE, &t, f);
		if (list == NULL || strstr(list, "pipeline") != NULL)
			look_at(d, SERVICE_PIPELINE, &t, f);
	}
	tell(&t, f);
}

/* ---- start again ---- */

int doctor_restart(const struct doctor *d, enum doctor_service s, char *words,
		   size_t size, struct err *e)
{
	const char *name = doctor_service_name(s), *own = d->restart[s];
	const char *const unit[] = {"systemctl", "restart", name, NULL};
	const char *const shell[] = {"/bin/sh", "-c", own, NULL};
	struct command c = {.argv = own != NULL ? shell : unit,
			    .seconds = RESTART_S,
			    .max = 4096};
	struct unit u;
	char *text;
	int rc, status;

	ask_systemd(s, &u);
	if (own == NULL && !u.known) {
		rc = err_set(e, PS_UNAVAILABLE,
			     "%s: no unit of systemd, and no "
			     "command is configured",
			     name);
		err_hint(e,
			 "start it by hand, or give doctor.restart.%s in "
			 "ps.yaml",
			 name + strlen("ps-"));
		return rc;
	}
	rc = command_run(&c, &text, &status, e);
	if (rc < 0)
		return rc;
	text[strcspn(text, "\n")] = '\0';
	if (status != 0)
		rc = err_set(e, PS_UNAVAILABLE, "%s: %s ended with %d: %s",
			     name, own != NULL ? own : "systemctl restart",
			     status, text);
	snprintf(words, size, "%s: %s", name,
		 own != NULL ? own : "systemctl restart");
	free(text);
	return rc;
}

/* ---- heartbeat ---- */

void step_heartbeat(const struct doctor *d, struct finding *f)
{
	int64_t age, now = time_now_ns() / NS_PER_S;
	char path[PATH_MAX], words[32];
	struct stat st;

	snprintf(path, sizeof(path), "%s/heartbeat", d->health);
	if (stat(path, &st) < 0) {
		find_skipped(f, "no configuration server in ps.yaml");
		return;
	}
	age = now > st.st_mtime ? now - st.st_mtime : 0;
	format_duration((double)age, words, sizeof(words));
	if (age < HEARTBEAT_MAX_S) {
		find_passed(f, "the last one was %s ago", words);
		return;
	}
	find_failed(f, DOCTOR_SIGN, "806: no heartbeat for %s", words);
	find_shows(f, "%s is that old", path);
	find_next(f,
		  "check the way to the configuration server, and its state");
}
