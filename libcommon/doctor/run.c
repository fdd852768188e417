#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/units.h"
#include "doctor/redact.h"
#include "doctor/steps.h"

#define FINDINGS_BYTES (DOCTOR_STEPS_MAX * sizeof(struct finding))

static const struct doctor_step guide[] = {
    {"alerts", "what ps-health says", 1, true, false, false, 10, step_alerts},
    {"alerts", "what ps-agent says", 1, false, true, false, 10, source_alerts},
    {"cache", "room and stable storage of the cache", 1, true, false, false, 10,
     step_cache},
    {"disks", "disks on hold, not seated, or behind", 1, true, false, false, 20,
     step_disks},
    {"disks", "disks on hold or behind", 1, false, true, false, 10,
     source_disks},
    {"services", "what has to run, and starts at boot", 2, true, true, false,
     20, step_services},
    {"heartbeat", "the configuration server hears from us", 3, true, false,
     false, 10, step_heartbeat},
    {"clock", "the clocks on both sides", 4, true, true, true, 20, step_clock},
    {"antivirus", "programs that look into each file", 5, true, true, false, 20,
     step_antivirus},
    {"port", "the port of the process server", 6, true, true, true, 20,
     step_port},
    {"https", "TLS, certificate, 400 Bad Request", 7, true, true, true, 20,
     step_https},
    {"address", "static address, NAT, /etc/hosts", 7, true, true, false, 10,
     step_address},
    {"selftest", "login and transfer, end to end", 7, true, true, true, 60,
     step_selftest},
    {"logs", "failures in the logs of the last hour", 7, true, true, false, 20,
     step_logs},
    {"pushing", "data go to the vault now", 8, true, false, false, 30,
     step_pushing},
    {"pushing", "data go to the process server now", 8, false, true, false, 30,
     source_pushing},
    {"store", "the vault can be reached, written and read", 9, true, false,
     true, 60, step_store},
    {"firewall", "rules of this machine that drop our ports", 11, true, true,
     false, 20, step_firewall},
    {"proxy", "one proxy in all places, and it answers", 12, true, false, true,
     20, step_proxy},
    {"bandwidth", "the line against what is needed", 13, true, true, true, 90,
     step_bandwidth},
};

#define KILLED_S 2 /* until one that is killed is gone, mostly */
#define STEPS (sizeof(guide) / sizeof(guide[0]))
_Static_assert(STEPS <= DOCTOR_STEPS_MAX, "findings have room");

const struct doctor_step *doctor_steps(unsigned *ret_n)
{
	*ret_n = STEPS;
	return guide;
}

const struct doctor_step *doctor_steps_of(const struct doctor *d,
					  unsigned *ret_n)
{
	if (d->steps == NULL)
		return doctor_steps(ret_n);
	*ret_n = d->nsteps;
	return d->steps;
}

/* ---- one step ---- */

static _Noreturn void be_step(const struct doctor *d,
			      const struct doctor_step *s, unsigned i)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	secret_harden_process();
	s->run(d, &d->findings[i]);
	_exit(0);
}

/* 1: it ended; 0: not within the time; -1: it crashed, *status says how. */
static int await(pid_t pid, unsigned seconds, int *status)
{
	int64_t until = mono_now_ns() + (int64_t)seconds * NS_PER_S;
	struct timespec nap = {.tv_nsec = 1000 * 1000};
	pid_t got;

	for (;;) {
		got = waitpid(pid, status, WNOHANG);
		if (got == pid)
			return WIFEXITED(*status) && WEXITSTATUS(*status) == 0
				   ? 1
				   : -1;
		if (got < 0 && errno != EINTR)
			return -1;
		if (mono_now_ns() >= until)
			return 0;
		nanosleep(&nap, NULL);
		if (nap.tv_nsec < 20 * 1000 * 1000)
			nap.tv_nsec *= 2;
	}
}

static void out_of_time(const struct doctor_step *s, unsigned seconds,
			struct finding *f)
{
	if (!s->remote) {
		if (f->whom[0] != '\0')
			find_failed(f, DOCTOR_CAUSE, "%s: not done after %u s",
				    f->whom, seconds);
		else
			find_skipped(f, "not done after %u s", seconds);
		find_next(f, "something here hangs: look at the load, and for "
			     "mounts that do not answer");
		return;
	}
	find_failed(f, DOCTOR_LIKELY, "%s%sno answer within %u s", f->whom,
		    f->whom[0] != '\0' ? ": " : "", seconds);
	find_next(f, "somebody takes the question and does not answer: a "
		     "firewall that drops, or a peer that hangs");
}

/*
 * Words of others steer no terminal, are ASCII for JSON, and may hold secrets:
 * a log, a rule, a URL.
 */
static void clean(const struct redact *secrets, char *text, size_t size)
{
	size_t n;
	char *safe;

	text[size - 1] = '\0';
	safe = redact_text(secrets, text, strlen(text), &n);
	snprintf(text, size, "%s", safe != NULL ? safe : REDACTED);
	free(safe);
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~')
			*text = *text == '\t' ? ' ' : '?';
}

static void run_step(const struct doctor *d, const struct doctor_step *s,
		     unsigned i)
{
	struct finding *f = &d->findings[i];
	unsigned k, seconds = s->seconds;
	int64_t begun = mono_now_ns();
	int status = 0, end = -1;
	pid_t pid;

	if (d->step_s != 0 && d->step_s < seconds)
		seconds = (unsigned)d->step_s;
	pid = fork();
	if (pid == 0)
		be_step(d, s, i);
	if (pid > 0) {
		setpgid(pid, pid);
		end = await(pid, seconds, &status);
		kill(-pid, SIGKILL);
		/* One that waits for a disk is not killed before that comes. */
		if (end == 0)
			(void)await(pid, KILLED_S, &status);
	}
	if (end == 0)
		out_of_time(s, seconds, f);
	else if (end < 0)
		find_skipped(f, "the step itself broke (%s %d)",
			     pid < 0		   ? "fork"
			     : WIFSIGNALED(status) ? "signal"
						   : "status",
			     WIFSIGNALED(status) ? WTERMSIG(status)
						 : WEXITSTATUS(status));
	f->seconds = (double)(mono_now_ns() - begun) / NS_PER_S;
	clean(d->secrets, f->what, sizeof(f->what));
	clean(d->secrets, f->next, sizeof(f->next));
	for (k = 0; k < f->n && k < DOCTOR_LINES; k++)
		clean(d->secrets, f->evidence[k], DOCTOR_LINE_SIZE);
	f->over = true;
}

/* ---- all of them ---- */

static bool wanted(const struct doctor *d, const struct doctor_run *run,
		   const struct doctor_step *s)
{
	unsigned k;

	if (!(d->source ? s->source : s->server))
		return false;
	for (k = 0; k < run->nonly; k++)
		if (strcmp(run->only[k], s->name) == 0)
			return true;
	return run->nonly == 0;
}

static int check_names(const struct doctor *d, const struct doctor_run *run,
		       struct err *e)
{
	unsigned n, i, k;
	const struct doctor_step *steps = doctor_steps_of(d, &n);

	for (k = 0; k < run->nonly; k++) {
		for (i = 0; i < n; i++)
			if (strcmp(run->only[k], steps[i].name) == 0)
				break;
		if (i == n)
			return err_set(e, PS_USAGE, "there is no step '%s'",
				       run->only[k]);
	}
	return 0;
}

int doctor_run(struct doctor *d, const struct doctor_run *run, struct err *e)
{
	unsigned n, i, cause = DOCTOR_WELL;
	const struct doctor_step *steps = doctor_steps_of(d, &n);
	struct redact secrets = {0};
	int rc = check_names(d, run, e);

	if (rc == 0)
		rc = redact_add_all(&secrets, d, e);
	if (rc < 0) {
		redact_free(&secrets);
		return rc;
	}
	/* Shared: a step that is killed has still said what it knew. */
	d->findings = mmap(NULL, FINDINGS_BYTES, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (d->findings == MAP_FAILED) {
		d->findings = NULL;
		redact_free(&secrets);
		return err_sys(e, PS_TEMPFAIL, "memory");
	}
	d->secrets = &secrets;
	for (i = 0; i < n; i++) {
		if (!wanted(d, run, &steps[i]))
			continue;
		run->tell(run->ctx, i, NULL);
		run_step(d, &steps[i], i);
		run->tell(run->ctx, i, &d->findings[i]);
		if (d->findings[i].verdict == DOCTOR_FAILED &&
		    (cause == DOCTOR_WELL ||
		     d->findings[i].weight > d->findings[cause].weight))
			cause = i;
		if (cause != DOCTOR_WELL && !run->all &&
		    d->findings[cause].weight == DOCTOR_CAUSE)
			break;
	}
	d->secrets = NULL;
	redact_free(&secrets);
	return (int)cause;
}

void doctor_free(struct doctor *d)
{
	if (d->findings != NULL)
		munmap(d->findings, FINDINGS_BYTES);
	d->findings = NULL;
}
