#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/schedule.h"
#include "base/durable.h"
#include "base/notify.h"
#include "base/opt.h"
#include "base/units.h"

#define SAVE_NS NS_PER_S /* what only informs is saved at most so often */

static const struct agent_run *running; /* there is one agent in a process */

static bool begins(const char *words, const char *with)
{
	return strncmp(words, with, strlen(with)) == 0;
}

static bool ends(const char *words, const char *with)
{
	size_t n = strlen(words), m = strlen(with);

	return n >= m && strcmp(words + n - m, with) == 0;
}

/*
 * What programs say. A change list that misses writes is told whatever else is
 * not; that there is no list is the answer of many a provider, and no trouble.
 * Who was told nothing stands behind who knows why: if that was all, it is the
 * error of the disk, and said as such.
 */
static bool pass_on(void *ctx, const char *who, const char *words)
{
	if (begins(words, "ps-scan: scrub: ")) {
		running->complain(ctx, who, words);
		return true;
	}
	if (begins(words, "ps-scan: standard input: empty change list") ||
	    begins(words, "ps-scan: hint: that nothing has changed") ||
	    (begins(words, "ps-scan: ") &&
	     ends(words, ": nothing was said about this disk")))
		return false;
	running->say(ctx, who, words);
	return !opt_quiet;
}

void agent_complain(struct agent *a, const char *who, const char *fmt, ...)
{
	char words[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	running->complain(a, who, words);
}

void agent_say(struct agent *a, const char *who, const char *fmt, ...)
{
	char words[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	running->say(a, who, words);
}

int64_t wall_of(int64_t mono)
{
	int64_t ns = mono - mono_now_ns();

	return time_now_ns() + (ns > 0 ? ns : 0);
}

/* Who looks must not take what was saved last for what is. */
static void not_saved(struct agent *a, const struct err *e)
{
	int trouble = e->sys != 0 ? e->sys : EIO;

	a->changed = true; /* until it is */
	if (a->trouble == trouble)
		return;
	a->trouble = trouble;
	lock_tell(a->lockfd, trouble);
	agent_complain(a, NULL, "the state cannot be saved: %s", e->msg);
}

void agent_save(struct agent *a)
{
	struct err e = {0};

	a->changed = false;
	a->saved = mono_now_ns();
	if (state_write(a->state, a->dirfd, &e) < 0) {
		not_saved(a, &e);
	} else if (a->trouble != 0) {
		a->trouble = 0;
		lock_tell(a->lockfd, 0);
		agent_say(a, NULL, "the state is saved again");
	}
}

bool agent_paused(const struct agent *a, const char *disk)
{
	return control_paused(&a->control, disk);
}

/* The gravest: what does not pass by itself, then 75, then 69. */
void agent_count(struct agent *a, int code)
{
	bool old_passes = a->code == PS_UNAVAILABLE || a->code == PS_TEMPFAIL;

	if (code == PS_NO) /* a segment was refused: somebody has to look */
		code = PS_TEMPFAIL;
	if (a->code == 0 || (old_passes && code != PS_UNAVAILABLE))
		a->code = code;
}

/* ---- one look at everything ---- */

static void step_marks(struct agent *a)
{
	struct mark **at = &a->marks, *m;

	while ((m = *at) != NULL) {
		if (!mark_step(m)) {
			at = &m->next;
			continue;
		}
		*at = m->next;
		mark_free(m);
		a->changed = true;
	}
}

/* "3 disks: 2 continuous, 1 initial sync" */
static void tell_manager(struct agent *a)
{
	unsigned counts[WORD_HELD + 1] = {0}, i;
	char text[400];
	int n;

	for (i = 0; i < a->ndisks; i++)
		counts[a->disks[i].st->word]++;
	n = snprintf(text, sizeof(text), "STATUS=%u disks:", a->ndisks);
	for (i = 0; i <= WORD_HELD; i++)
		if (counts[i] > 0 && n < (int)sizeof(text))
			n += snprintf(text + n, sizeof(text) - (size_t)n,
				      " %u %s", counts[i],
				      disk_word_name((enum disk_word)i));
	notify_state(text);
}

static int64_t watchdog_ns(void)
{
	const char *text = getenv("WATCHDOG_USEC");
	uint64_t us;

	if (text == NULL || !parse_u64(text, UINT32_MAX * 1000ULL, &us))
		return 0;
	return (int64_t)us * 1000 / 2;
}

static bool over(const struct agent *a)
{
	return a->marks == NULL && a->loop.first == NULL &&
	       (a->stopping || a->once);
}

static void begin_reload(struct agent *a);

static int work(struct agent *a)
{
	int64_t watchdog = watchdog_ns(), beat = 0;

	while (true) {
		int64_t now = mono_now_ns(), until;
		const struct mark *m;

		step_marks(a);
		until = schedule_step(a);
		step_marks(a);
		if (a->wants_reload && !a->stopping && a->marks == NULL)
			begin_reload(a);
		if (a->changed && now - a->saved >= SAVE_NS) {
			agent_save(a);
			tell_manager(a);
		}
		if (over(a) && (a->stopping || schedule_once_over(a)))
			break;
		if (a->changed && a->saved + SAVE_NS < until)
			until = a->saved + SAVE_NS;
		if (watchdog > 0 && now >= beat) {
			notify_state("WATCHDOG=1");
			beat = now + watchdog;
		}
		if (watchdog > 0 && beat < until)
			until = beat;
		for (m = a->marks; m != NULL; m = m->next)
			if (mark_due(m) < until)
				until = mark_due(m);
		loop_wait(&a->loop, until);
	}
	agent_save(a);
	return a->reload ? AGENT_RELOAD_CODE : a->once ? a->code : PS_OK;
}

/* ---- signals ---- */

static void stop(struct agent *a)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++)
		disk_interrupt(&a->disks[i], a->hurry ? 0 : a->conf->stop_s);
	task_stop(&a->heads);
	task_stop(&a->where.task);
}

static void begin_reload(struct agent *a)
{
	char text[80];

	a->reload = a->stopping = true;
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)(mono_now_ns() / 1000));
	notify_state(text);
	stop(a);
}

/* Passes under way go on to their end, unless somebody insists. */
static void on_hangup(struct agent *a)
{
	bool again = a->wants_reload;

	if (a->once || a->stopping || !running->reload())
		return;
	a->wants_reload = true;
	if (again || a->marks == NULL)
		begin_reload(a);
	else
		agent_say(a, NULL,
			  "the new configuration waits for passes under way; "
			  "another SIGHUP cuts them");
}

static void on_signal(void *ctx, int sig)
{
	struct agent *a = ctx;

	if (sig == SIGHUP) {
		on_hangup(a);
		return;
	}
	a->hurry = a->stopping;
	a->reload = false;
	notify_state("STOPPING=1");
	if (a->once && a->code == 0)
		a->code = PS_TEMPFAIL; /* not all was done */
	a->stopping = true;
	stop(a);
}

static void on_command(void *ctx)
{
	struct agent *a = ctx;

	control_seen(&a->control);
	a->changed = true;
}

/* ---- beginning and end ---- */

static int open_folder(struct agent *a, struct err *e)
{
	const char *path = a->conf->state;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	a->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->dirfd < 0)
		return err_sys(e, 0, "%s", path);
	a->lockfd = lock_take(a->dirfd, path, e);
	if (a->lockfd < 0)
		return a->lockfd;
	durable_sweep(a->dirfd);
	return control_open(&a->control, a->dirfd, e);
}

/*
 * An agent that is alone for years does not wait for somebody to remove a
 * damaged file: only names of points are lost. Whether it ended between the
 * hooks is not known then: post is run.
 */
static int read_state(struct agent *a, struct agent_state *s, struct err *e)
{
	struct err why = {0};
	int rc = state_read(s, a->dirfd, &why);

	if (rc != -PS_DATA) {
		if (rc < 0)
			*e = why;
		return rc;
	}
	agent_say(a, NULL,
		  "%s; it is now " STATE_FILE ".damaged, and made anew",
		  why.msg);
	memset(s, 0, sizeof(*s));
	s->frozen = true;
	if (renameat(a->dirfd, STATE_FILE, a->dirfd, STATE_FILE ".damaged") < 0)
		return err_sys(e, 0, STATE_FILE);
	return 0;
}

/* Entries in the order of the configuration; new ones are empty. */
static int load_state(struct agent *a, struct err *e)
{
	struct agent_state *old = calloc(1, sizeof(*old));
	struct agent_state *s = calloc(1, sizeof(*s));
	unsigned i;
	int rc;

	a->state = s;
	if (old == NULL || s == NULL) {
		free(old);
		return err_set(e, PS_TEMPFAIL, "out of memory");
	}
	rc = read_state(a, old, e);
	s->frozen = old->frozen;
	s->app_ns = old->app_ns;
	s->bookmark_ns = old->bookmark_ns;
	s->place = old->place;
	for (i = 0; rc == 0 && i < a->conf->ndisks; i++) {
		const char *name = a->conf->disks[i].name;
		const struct disk_state *d = state_disk(old, name);

		if (d != NULL)
			s->disks[i] = *d;
		snprintf(s->disks[i].name, sizeof(s->disks[i].name), "%s",
			 name);
		s->ndisks++;
	}
	free(old);
	return rc;
}

static int open_disks(struct agent *a, struct err *e)
{
	unsigned i;
	int rc = 0;

	a->disks = calloc(a->conf->ndisks, sizeof(*a->disks));
	if (a->disks == NULL)
		return err_set(e, PS_TEMPFAIL, "out of memory");
	for (i = 0; rc == 0 && i < a->conf->ndisks; i++) {
		a->ndisks++;
		rc = disk_open(&a->disks[i], a, &a->conf->disks[i],
			       &a->state->disks[i], e);
	}
	return rc;
}

static int open_agent(struct agent *a, struct err *e)
{
	size_t n = strlen(a->conf->state) + sizeof("/share");
	int rc = open_folder(a, e);

	if (rc == 0)
		rc = load_state(a, e);
	if (rc == 0)
		rc = open_disks(a, e);
	if (rc < 0)
		return rc;
	a->share = malloc(n);
	if (a->share == NULL)
		return err_set(e, PS_TEMPFAIL, "out of memory");
	snprintf(a->share, n, "%s/share", a->conf->state);
	limits_open(&a->limits, a->conf, a->state->limits,
		    sizeof(a->state->limits));
	if (a->state->limits[0] != '\0')
		agent_say(a, NULL, "%s", a->state->limits);
	where_begin(a);
	snprintf(a->timeout, sizeof(a->timeout), "%llu",
		 (unsigned long long)a->conf->timeout_s);
	a->loop.extra_fd = a->control.watch;
	return 0;
}

static void close_agent(struct agent *a)
{
	unsigned i;

	for (i = 0; i < a->ndisks; i++)
		disk_close(&a->disks[i]);
	free(a->disks);
	free(a->state);
	free(a->share);
	limits_close(&a->limits);
	control_close(&a->control);
	loop_close(&a->loop);
	if (a->lockfd >= 0)
		close(a->lockfd);
	if (a->dirfd >= 0)
		close(a->dirfd);
}

int agent_run(const struct agent_run *run, struct err *e)
{
	struct agent a = {.conf = run->conf,
			  .ps_config = run->ps_config,
			  .once = run->once,
			  .control = {-1, -1},
			  .limits = {0, -1, -1},
			  .dirfd = -1,
			  .lockfd = -1};
	int rc = loop_open(&a.loop, e);

	if (rc < 0)
		return rc;
	running = run;
	a.loop.signal = on_signal;
	a.loop.extra = on_command;
	a.loop.say = pass_on;
	a.loop.ctx = &a;
	rc = open_agent(&a, e);
	if (rc == 0) {
		notify_state("READY=1");
		mark_thaw(&a);
		schedule_begin(&a);
		rc = work(&a);
	}
	close_agent(&a);
	return rc;
}
