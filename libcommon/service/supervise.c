#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "net/sandbox.h"
#include "service/child.h"
#include "service/log.h"
#include "service/state.h"
#include "service/supervise.h"

#define MAX_WAIT_S 60
#define SAVE_AGAIN_MS 1000
#define GOOD_RUN_S 60 /* after so long a failure is the first again */
#define SESSION_S 5   /* for what a service leaves behind */

enum phase {
	PHASE_STARTING,
	PHASE_RUNNING,
	PHASE_ENDING,  /* told to, or too slow */
	PHASE_WAITING, /* for the next start */
};

struct supervisor {
	const struct place *p;
	const struct unit *u;
	struct service_state state;
	struct service_log log;
	struct child_pipes pipes;
	int signals;
	int report; /* to who waits for the start; -1: it knows */
	enum phase phase;
	bool stop;	   /* asked to end */
	int64_t deadline;  /* mono: of the phase; 0: none */
	int64_t alive_ns;  /* mono: last sign of life */
	int64_t begun_ns;  /* mono: of this process */
	unsigned failures; /* in a row */
	bool unsaved;	   /* what the file says is older: a full disk */
	bool done;
	int code; /* of the supervisor */
};

/* ---- telling ---- */

/* Until there is room it is tried again and again, and said once. */
static void write_state(struct supervisor *s)
{
	struct err e = {0};
	bool failed = service_write(s->p->run, s->u->name, &s->state, &e) < 0;

	if (failed && !s->unsaved)
		service_log_say(&s->log, "%s", e.msg);
	s->unsaved = failed;
}

static void save(struct supervisor *s, const char *state)
{
	if (strcmp(s->state.state, state) != 0) {
		snprintf(s->state.state, sizeof(s->state.state), "%s", state);
		s->state.since_ns = time_now_ns();
	}
	write_state(s);
}

/* The answer to `start`: a code and words, then the end of the pipe. */
static void report(struct supervisor *s, int code, const char *words)
{
	char line[600];

	if (s->report < 0)
		return;
	snprintf(line, sizeof(line), "%d %s", code, words);
	(void)io_write_full(s->report, line, strlen(line));
	close(s->report);
	s->report = -1;
}

static void pump_log(struct supervisor *s)
{
	char text[4096];
	ssize_t n;

	while ((n = read(s->pipes.log_in, text, sizeof(text))) > 0)
		service_log_put(&s->log, text, (size_t)n);
}

/* ---- the process ---- */

static void set_deadline(struct supervisor *s, unsigned seconds)
{
	s->deadline = mono_now_ns() + seconds * NS_PER_S;
}

static void start(struct supervisor *s)
{
	struct err e = {0};
	int gate;

	s->state.words[0] = '\0';
	s->state.next_ns = 0;
	if (child_fork(s->p, s->u, &s->pipes, &s->state.pid, &gate, &e) < 0) {
		service_log_say(&s->log, "%s", e.msg);
		s->phase = PHASE_WAITING;
		set_deadline(s, MAX_WAIT_S);
		return;
	}
	s->state.pid_start = process_start(s->state.pid);
	s->begun_ns = s->alive_ns = mono_now_ns();
	s->phase = s->u->notify ? PHASE_STARTING : PHASE_RUNNING;
	save(s, s->u->notify ? "starting" : "running");
	child_release(gate);
	s->deadline = 0;
	if (s->u->notify || s->u->every_s > 0)
		set_deadline(s, s->u->start_s);
	if (!s->u->notify)
		report(s, 0, "");
}

static void end(struct supervisor *s, const char *why)
{
	if (s->phase == PHASE_ENDING)
		return;
	service_log_say(&s->log, "%s is told to end: %s", s->u->name, why);
	s->phase = PHASE_ENDING;
	save(s, "stopping");
	(void)kill(s->state.pid, SIGTERM);
	set_deadline(s, s->u->stop_s);
}

/* What it has started itself, in its session. */
static void end_session(const struct supervisor *s, pid_t pid)
{
	int64_t until = mono_now_ns() + SESSION_S * NS_PER_S;
	int sig = SIGTERM;

	if (s->u->main_only)
		return;
	while (session_signal(pid, sig) > 0 && sig != 0) {
		struct timespec pause = {0, 50000000};

		nanosleep(&pause, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (mono_now_ns() > until)
			sig = sig == SIGTERM ? SIGKILL : 0;
	}
}

static void idle(struct supervisor *s)
{
	int64_t due = child_due_ns(s->p, s->u), now = time_now_ns();

	s->phase = PHASE_WAITING;
	s->state.next_ns = due > now ? due : now;
	s->deadline = mono_now_ns() + (s->state.next_ns - now);
	save(s, "idle");
	report(s, 0, "");
}

static unsigned back_off(const struct supervisor *s)
{
	unsigned wait = s->u->restart_s, i;

	for (i = 1; i < s->failures && wait < MAX_WAIT_S; i++)
		wait *= 2;
	return wait < MAX_WAIT_S ? wait : MAX_WAIT_S;
}

static void give_up(struct supervisor *s, int code)
{
	char words[512];

	service_log_last(s->p->logs, s->u->name, words, sizeof(words));
	save(s, code == 0 ? "stopped" : "failed");
	report(s, code, words);
	s->done = true;
}

static void failed(struct supervisor *s, int code)
{
	char words[512];
	unsigned wait;

	if (mono_now_ns() - s->begun_ns > GOOD_RUN_S * NS_PER_S)
		s->failures = 0;
	s->failures++;
	s->state.restarts++;
	wait = back_off(s);
	service_log_say(&s->log, "%s ended with %d, started again in %u s",
			s->u->name, code, wait);
	s->phase = PHASE_WAITING;
	set_deadline(s, wait);
	s->state.next_ns = time_now_ns() + wait * NS_PER_S;
	save(s, "waiting");
	service_log_last(s->p->logs, s->u->name, words, sizeof(words));
	report(s, PS_TEMPFAIL, words);
}

static void ended(struct supervisor *s, int status)
{
	int code =
	    WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	bool good = code == 0 || unit_has_code(s->u->good, s->u->ngood, code);
	pid_t pid = s->state.pid;

	end_session(s, pid);
	pump_log(s);
	s->state.pid = 0;
	s->state.pid_start = 0;
	s->state.words[0] = '\0';
	s->state.exit_code = code;
	s->state.exit_ns = time_now_ns();
	if (!good || s->u->every_s == 0)
		service_log_say(&s->log, "%s ended with %d", s->u->name, code);
	if (s->stop) {
		s->state.next_ns = 0;
		save(s, "stopped");
		report(s, PS_TEMPFAIL, "it was told to end while it started");
		s->done = true;
	} else if (s->u->every_s > 0) {
		idle(s);
	} else if (good || unit_has_code(s->u->final, s->u->nfinal, code)) {
		give_up(s, code);
	} else {
		failed(s, code);
	}
}

/* ---- what happens ---- */

static void asked_to_end(struct supervisor *s)
{
	s->stop = true;
	if (s->phase == PHASE_WAITING) {
		s->state.next_ns = 0;
		save(s, "stopped");
		report(s, PS_TEMPFAIL, "it was told to end while it started");
		s->done = true;
	} else {
		/* Who asks again waits with who has asked. */
		end(s, "asked to");
	}
}

static void take_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			asked_to_end(s);
	/* What a service has orphaned comes to us, too. */
	while (!s->done && (pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == s->state.pid)
			ended(s, status);
}

static void take_news(struct supervisor *s)
{
	struct child_news news;

	child_hear(s->pipes.notify, s->state.pid, &news);
	if (news.alive)
		s->alive_ns = mono_now_ns();
	if (news.words[0] != '\0')
		memcpy(s->state.words, news.words, sizeof(news.words));
	if (news.ready && s->phase == PHASE_STARTING) {
		s->phase = PHASE_RUNNING;
		s->deadline = 0;
		save(s, "running");
		report(s, 0, "");
	} else if (news.words[0] != '\0') {
		save(s, s->state.state);
	}
}

static bool watched(const struct supervisor *s)
{
	return s->phase == PHASE_RUNNING && s->u->notify &&
	       s->u->watchdog_s > 0;
}

/* The next moment at which something is due; 0: none. */
static int64_t next_deadline(const struct supervisor *s)
{
	int64_t watchdog = s->alive_ns + s->u->watchdog_s * NS_PER_S;

	if (!watched(s))
		return s->deadline;
	return s->deadline > 0 && s->deadline < watchdog ? s->deadline
							 : watchdog;
}

static void too_late(struct supervisor *s)
{
	switch (s->phase) {
	case PHASE_WAITING:
		start(s);
		break;
	case PHASE_STARTING:
		end(s, "it is not ready in time");
		break;
	case PHASE_RUNNING:
		if (!watched(s)) {
			end(s, "it takes too long");
			break;
		}
		service_log_say(&s->log, "%s gives no sign of life: killed",
				s->u->name);
		s->alive_ns = mono_now_ns();
		(void)kill(s->state.pid, SIGABRT);
		break;
	case PHASE_ENDING:
		service_log_say(&s->log, "%s does not end: killed", s->u->name);
		(void)kill(s->state.pid, SIGKILL);
		set_deadline(s, s->u->stop_s);
		break;
	}
}

static void wait_for_more(struct supervisor *s)
{
	struct pollfd p[3] = {{.fd = s->signals, .events = POLLIN},
			      {.fd = s->pipes.notify, .events = POLLIN},
			      {.fd = s->pipes.log_in, .events = POLLIN}};
	int64_t until = next_deadline(s), left = 0;
	int ms = -1;

	if (until > 0) {
		left = (until - mono_now_ns()) / 1000000 + 1;
		ms = left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
	}
	if (s->unsaved && (ms < 0 || ms > SAVE_AGAIN_MS))
		ms = SAVE_AGAIN_MS;
	(void)poll(p, 3, ms);
	if (p[1].revents != 0)
		take_news(s);
	if (p[2].revents != 0)
		pump_log(s);
	if (p[0].revents != 0)
		take_signals(s);
	if (s->unsaved && !s->done)
		write_state(s);
	until = next_deadline(s);
	if (!s->done && until > 0 && mono_now_ns() >= until)
		too_late(s);
}

/* ---- the supervisor's process ---- */

static int begin(struct supervisor *s, struct err *e)
{
	struct service_state old;
	sigset_t set;
	int rc;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCHLD);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_SETMASK, &set, NULL);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return err_sys(e, PS_TEMPFAIL, "signals");
	rc = service_lock(s->p->run, s->u->name, e);
	if (rc == 0)
		rc = service_log_open(&s->log, s->p->logs, s->u->name, e);
	if (rc == 0)
		rc = child_pipes_open(&s->pipes, e);
	if (rc == 0)
		rc = service_read(s->p->run, s->u->name, &old, e);
	if (rc < 0)
		return rc;
	s->state.exit_code = old.exit_code;
	s->state.exit_ns = old.exit_ns;
	save(s, "starting");
	service_end_leftovers(&old, s->u->main_only, s->u->stop_s);
	return 0;
}

static _Noreturn void supervisor(const struct place *p, const struct unit *u,
				 int report_fd)
{
	struct place own = *p;
	struct supervisor s = {.p = &own, .u = u, .signals = -1};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[3] = {p->run, p->logs, report_fd}, rc;
	struct err e = {0};

	rc = null < 0 ? err_sys(&e, PS_TEMPFAIL, "/dev/null")
		      : sandbox_descriptors(fds, 3, null, &e);
	if (rc < 0)
		_exit(-rc);
	own.run = fds[0];
	own.logs = fds[1];
	s.report = fds[2];
	if (chdir(own.root[0] != '\0' ? own.root : "/") < 0)
		(void)err_sys(&e, 0, "%s", own.root);
	rc = begin(&s, &e);
	if (rc < 0) {
		report(&s, -rc, e.msg);
		_exit(-rc);
	}
	if (u->every_s > 0)
		idle(&s);
	else
		start(&s);
	while (!s.done)
		wait_for_more(&s);
	_exit(0);
}

/* ---- who starts and stops it ---- */

/* What the supervisor says: a code and words. */
static int hear(int fd, unsigned seconds, char *text, size_t size)
{
	int64_t until = mono_now_ns() + seconds * NS_PER_S, left;
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0 && used < size - 1 && (left = until - mono_now_ns()) > 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			continue;
		n = read(fd, text + used, size - 1 - used);
		if (n > 0)
			used += (size_t)n;
	}
	text[used] = '\0';
	return used > 0 ? (int)strtol(text, NULL, 10) : PS_SOFTWARE;
}

static int judge(const struct unit *u, int code, const char *words,
		 enum supervise_started *ret, struct err *e)
{
	*ret = STARTED_READY;
	if (code == 0)
		return 0;
	if (code == PS_NO)
		*ret = STARTED_ALREADY;
	else if (code == PS_TEMPFAIL)
		*ret = STARTED_LATER;
	(void)err_set(e, code < 126 ? code : PS_SOFTWARE, "%s: %s", u->name,
		      *words != '\0' ? words : "it failed");
	return code == PS_NO || code == PS_TEMPFAIL ? 0 : -e->code;
}

int supervise_start(const struct place *p, const struct unit *u,
		    enum supervise_started *ret, struct err *e)
{
	char text[600];
	int fds[2], code;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, PS_TEMPFAIL, "pipe");
	(void)fflush(NULL);
	pid = fork();
	if (pid == 0) {
		/* Twice, so that nobody has to wait for the supervisor. */
		if (setsid() < 0 || fork() != 0)
			_exit(0);
		supervisor(p, u, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return err_sys(e, PS_TEMPFAIL, "fork");
	}
	(void)waitpid(pid, NULL, 0);
	code = hear(fds[0], u->start_s + 2 * u->stop_s, text, sizeof(text));
	close(fds[0]);
	return judge(u, code,
		     strchr(text, ' ') != NULL ? strchr(text, ' ') + 1 : "",
		     ret, e);
}

static void end_supervisor(int pidfd, const struct unit *u)
{
	(void)syscall(SYS_pidfd_send_signal, pidfd, SIGTERM, NULL, 0);
	if (!process_wait(pidfd, u->stop_s + SESSION_S + 10)) {
		(void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		(void)process_wait(pidfd, 10);
	}
}

int supervise_stop(const struct place *p, const struct unit *u, struct err *e)
{
	struct service_state s;
	pid_t pid;
	int pidfd, rc = service_holder(p->run, u->name, &pidfd, &pid, e);
	bool ran = rc == 0;

	if (ran) {
		end_supervisor(pidfd, u);
		close(pidfd);
	} else if (rc != -PS_NO) {
		return rc;
	}
	/* Also what a supervisor left that was killed. */
	if (service_read(p->run, u->name, &s, e) < 0)
		return -e->code;
	if (service_alive(&s)) {
		ran = true;
		service_end_leftovers(&s, u->main_only, u->stop_s);
	}
	return ran ? 0 : err_set(e, PS_NO, "%s does not run", u->name);
}
