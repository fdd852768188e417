/* The process of the desk. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/api.h"
#include "config/ca.h"
#include "config/contacts.h"
#include "config/desk-private.h"
#include "config/moves.h"
#include "config/passphrase.h"
#include "config/rotation.h"
#include "net/channel.h"
#include "net/sandbox.h"

#define WHO "configuration server" /* in the audit log */
#define DESK_NAME "ps-desk"
#define TICK_MS 1000
#define ROOTS_NS NS_PER_S	 /* passphrases are looked at */
#define CERT_NS (10 * NS_PER_S)	 /* our own certificate */
#define SILENT_NS (2 * NS_PER_S) /* who is silent, who has not followed */
#define AWAY_NS (2 * NS_PER_S)	 /* until a database is tried again */

/* A worker's channel: one request at a time, in or out. */
struct line {
	int fd;
	struct keeper_notice who;
	struct desk_head head;
	size_t got; /* of head and body */
	char *body;
	uint8_t *out;
	size_t out_len, out_at; /* out_len 0: nothing is answered now */
	int64_t held_until;	/* 0: not held */
	bool dead;
	struct line *next;
};

struct desk_self {
	const struct desk_place *place;
	struct reg *reg;
	struct keeper_roots told;
	int epoll, listener, roots;
	struct line *lines;
	char pin[CA_PIN_SIZE];
	int64_t away_until, roots_next, cert_next, silent_next, tick_next;
	int64_t hears_since; /* we were not there, or the database was not */
};

/* It is asked again in a while; until then nobody can be heard. */
static void database_away(struct desk_self *d)
{
	d->away_until = mono_now_ns() + AWAY_NS;
	d->hears_since = d->away_until;
}

/* ---- lines ---- */

static void watch(const struct desk_self *d, struct line *l, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = l};

	if (epoll_ctl(d->epoll, EPOLL_CTL_MOD, l->fd, &ev) < 0)
		l->dead = true;
}

/* False when the listener is gone. */
static bool take_line(struct desk_self *d)
{
	struct epoll_event ev = {.events = EPOLLIN};
	struct keeper_notice who;
	struct line *l;
	int fd, rc = channel_taken(d->listener, &who, sizeof(who), &fd);

	if (rc <= 0)
		return rc == 0;
	who.machine[sizeof(who.machine) - 1] = '\0';
	l = calloc(1, sizeof(*l));
	ev.data.ptr = l;
	if (l == NULL || epoll_ctl(d->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(l);
		close(fd);
		return true;
	}
	l->fd = fd;
	l->who = who;
	l->next = d->lines;
	d->lines = l;
	return true;
}

static void drop_dead(struct desk_self *d)
{
	struct line **at = &d->lines, *l;

	while ((l = *at) != NULL) {
		if (!l->dead) {
			at = &l->next;
			continue;
		}
		*at = l->next;
		close(l->fd);
		free(l->body);
		free(l->out);
		free(l);
	}
}

/* ---- answers ---- */

static void flush(const struct desk_self *d, struct line *l)
{
	while (l->out_at < l->out_len) {
		ssize_t n =
		    send(l->fd, l->out + l->out_at, l->out_len - l->out_at,
			 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(d, l, EPOLLOUT);
			return;
		}
		if (n < 0 && errno != EINTR) {
			l->dead = true;
			return;
		}
		if (n > 0)
			l->out_at += (size_t)n;
	}
	free(l->out);
	l->out = NULL;
	l->out_len = l->out_at = 0;
	watch(d, l, EPOLLIN);
}

static void reply(const struct desk_self *d, struct line *l,
		  struct api_answer *a)
{
	char *text = a->body != NULL ? json_dumps(a->body, JSON_COMPACT) : NULL;
	struct desk_reply r = {.status = a->status, .retry_s = a->retry_s};
	size_t len = text != NULL ? strlen(text) : 0;

	json_decref(a->body);
	if (text == NULL || len > DESK_ANSWER_MAX) {
		r.status = 500;
		len = 0;
	}
	r.len = (uint32_t)len;
	memcpy(r.cause, a->cause, sizeof(r.cause));
	l->held_until = 0;
	l->out = malloc(sizeof(r) + len);
	if (l->out == NULL) {
		l->dead = true;
	} else {
		memcpy(l->out, &r, sizeof(r));
		if (len > 0)
			memcpy(l->out + sizeof(r), text, len);
		l->out_len = sizeof(r) + len;
		flush(d, l);
	}
	free(text);
}

static void say_away(struct api_answer *a)
{
	struct err e = {0};

	err_set(&e, PS_TEMPFAIL, "the database does not answer");
	*a = (struct api_answer){.retry_s = DESK_DATABASE_S};
	api_refuse(a, 503, "database", &e);
	snprintf(a->cause, sizeof(a->cause), "database");
}

/* A request that is there as a whole. */
static void serve(struct desk_self *d, struct line *l)
{
	const struct api_ask q = {.what = l->head.what,
				  .login = l->who.machine,
				  .generation = l->who.generation,
				  .name = l->head.name,
				  .body = l->body != NULL ? l->body : "",
				  .len = l->head.len,
				  .version = d->place->version,
				  .pin = d->pin,
				  .interval = d->place->interval,
				  .cert_s = d->place->cert_s};
	struct api_answer a;

	if (mono_now_ns() < d->away_until)
		say_away(&a);
	else if (api_answer(d->reg, &q, &a))
		database_away(d);
	free(l->body);
	l->body = NULL;
	l->got = 0;
	if (a.moves)
		d->tick_next = 0;
	if (a.held) {
		l->held_until = mono_now_ns() + DESK_HOLD_S * NS_PER_S;
		watch(d, l, 0); /* its end is told all the same */
	} else {
		reply(d, l, &a);
	}
}

static bool head_ok(const struct desk_head *h)
{
	return h->what >= 1 && h->what < DESK_END && h->len <= DESK_BODY_MAX &&
	       memchr(h->name, '\0', sizeof(h->name)) != NULL;
}

static void hear(struct desk_self *d, struct line *l)
{
	const size_t head = sizeof(l->head);
	ssize_t n;

	if (l->got < head)
		n = recv(l->fd, (char *)&l->head + l->got, head - l->got,
			 MSG_DONTWAIT);
	else
		n = recv(l->fd, l->body + (l->got - head),
			 l->head.len - (l->got - head), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		l->dead = true;
		return;
	}
	l->got += (size_t)n;
	if (l->got == head) {
		l->dead = !head_ok(&l->head);
		if (!l->dead && l->head.len > 0) {
			l->body = malloc(l->head.len);
			l->dead = l->body == NULL;
		}
	}
	if (!l->dead && l->got >= head && l->got == head + l->head.len)
		serve(d, l);
}

static void event(struct desk_self *d, struct line *l, uint32_t events)
{
	if (l->held_until != 0)
		l->dead = true; /* it has ended, or says what it may not */
	else if (l->out_len > 0 && (events & (EPOLLERR | EPOLLHUP)) == 0)
		flush(d, l);
	else if (l->out_len > 0)
		l->dead = true;
	else
		hear(d, l);
}

/* ---- now and then ---- */

static int tell_roots(struct desk_self *d, struct err *e)
{
	struct keeper_roots now;
	int rc = passphrase_roots(d->reg, &now, e);

	if (rc == 0 && memcmp(&now, &d->told, sizeof(now)) != 0) {
		d->told = now;
		if (send(d->roots, &now, sizeof(now),
			 MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(now))
			rc = err_sys(e, PS_SOFTWARE, "keeper");
	}
	secret_wipe(&now, sizeof(now));
	return rc;
}

static int wake(void *ctx, const char *server, struct err *e)
{
	const struct desk_self *d = ctx;
	struct api_answer a = {0};
	struct line *l;

	(void)e;
	for (l = d->lines; l != NULL; l = l->next) {
		if (l->held_until == 0 || l->dead ||
		    strcmp(l->who.machine, server) != 0)
			continue;
		api_news(&a, true);
		reply(d, l, &a);
	}
	return 0;
}

static void end_holds(struct desk_self *d, bool *ret_any)
{
	int64_t now = mono_now_ns();
	struct api_answer a = {0};
	struct line *l;

	*ret_any = false;
	for (l = d->lines; l != NULL; l = l->next) {
		if (l->held_until != 0 && now >= l->held_until) {
			api_news(&a, false);
			reply(d, l, &a);
		}
		*ret_any = *ret_any || l->held_until != 0;
	}
}

static int tell_silent(void *ctx, const char *server, int64_t contact,
		       struct err *e)
{
	(void)ctx;
	(void)contact;
	(void)e;
	tool_warn("server '%s': critical (806): no heartbeat for 15 minutes",
		  server);
	return 0;
}

/* Who could not be heard, because we were away, is given time to come. */
static bool could_hear(const struct desk_self *d, int64_t now)
{
	return now - d->hears_since >=
	       2 * (int64_t)d->place->interval * NS_PER_S;
}

/* Moves of machines, and who is to hear of that now. */
static int drive(struct desk_self *d, bool held, struct err *e)
{
	bool more = false;
	int rc;

	snprintf(d->reg->who, sizeof(d->reg->who), WHO);
	rc = moves_drive(d->reg, &more, e);
	if (more)
		d->tick_next = 0;
	if (rc != -PS_TEMPFAIL && held &&
	    contact_each_wanted(d->reg, wake, d, e) < 0)
		rc = -e->code;
	return rc;
}

/* The authority's certificate, and our own unless somebody gave us one. */
static int renew(struct desk_self *d, struct err *e)
{
	int rc = ca_renew(d->reg, d->place->cert_s, e);

	if (rc < 0 && rc != -PS_TEMPFAIL) {
		tool_warn("the authority is not renewed: %s", e->msg);
		rc = 0;
	}
	return rc == 0 && d->place->cert == NULL
		   ? own_cert(d->reg, d->place, d->pin, e)
		   : rc;
}

/* What goes on without being asked for; what fails is tried again. */
static void tick(struct desk_self *d)
{
	int64_t now = mono_now_ns();
	struct err e = {0};
	bool held;
	int rc;

	if (now < d->tick_next)
		return;
	d->tick_next = now + TICK_MS * 1000000LL;
	end_holds(d, &held);
	if (now < d->away_until)
		return;
	rc = drive(d, held, &e);
	if (rc < 0 && rc != -PS_TEMPFAIL) {
		tool_warn("moving machines: %s", e.msg);
		rc = 0;
	}
	if (rc == 0 && now >= d->roots_next) {
		d->roots_next = now + ROOTS_NS;
		rc = tell_roots(d, &e);
	}
	if (rc == 0 && now >= d->cert_next) {
		d->cert_next = now + CERT_NS;
		rc = renew(d, &e);
	}
	if (rc == 0 && now >= d->silent_next) {
		d->silent_next = now + SILENT_NS;
		if (could_hear(d, now))
			rc = contact_each_silent(d->reg, tell_silent, d, &e);
		if (rc == 0)
			rc = rotation_look(d->reg, &e);
	}
	if (rc < 0) {
		tool_warn("%s", e.msg);
		database_away(d);
	}
}

static void run(struct desk_self *d)
{
	struct epoll_event ev = {.events = EPOLLIN}, got[16];
	int i, n;

	if (epoll_ctl(d->epoll, EPOLL_CTL_ADD, d->listener, &ev) < 0)
		return;
	for (;;) {
		n = epoll_wait(d->epoll, got, 16,
			       d->tick_next == 0 ? 0 : TICK_MS);
		if (n < 0 && errno != EINTR)
			return;
		for (i = 0; i < n; i++) {
			struct line *l = got[i].data.ptr;

			if (l == NULL && !take_line(d))
				return;
			if (l != NULL && !l->dead)
				event(d, l, got[i].events);
		}
		tick(d);
		drop_dead(d);
	}
}

/* ---- the process ---- */

static void raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int begin(struct desk_self *d, struct err *e)
{
	const struct desk_place *p = d->place;
	int rc = sandbox_drop(p->user, e);

	d->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (rc == 0 && d->epoll < 0)
		rc = err_sys(e, PS_TEMPFAIL, "registry");
	json_object_seed(0); /* from a file that is out of reach then */
	sandbox_serve_parent(DESK_NAME);
	if (rc == 0)
		rc = reg_open(&d->reg, p->where, WHO, e);
	if (rc == -PS_NOPERM && p->user->name[0] != '\0')
		err_hint(e, "chown -R %s %s, or --user root", p->user->name,
			 p->where->dir);
	if (rc == 0)
		rc = renew(d, e);
	if (rc == 0 && p->cert != NULL)
		rc = own_cert(d->reg, p, d->pin, e);
	if (rc == 0) {
		rc = passphrase_roots(d->reg, &d->told, e);
		if (rc == 0 && d->told.n == 0)
			tool_warn("there is no passphrase yet, so nobody can "
				  "log in: ps-config passphrase new");
		if (rc == 0 && send(d->roots, &d->told, sizeof(d->told),
				    MSG_NOSIGNAL) != sizeof(d->told))
			rc = err_sys(e, PS_SOFTWARE, "keeper");
	}
	if (rc == 0)
		rc = desk_lock(p->where, sql_port(d->reg->db), e);
	if (rc == 0)
		sql_set_wait(d->reg->db, DESK_DATABASE_S);
	d->hears_since = mono_now_ns();
	return rc;
}

_Noreturn void desk_run(const struct desk_place *p, int listener, int roots)
{
	struct desk_self d = {.place = p};
	int fds[2] = {listener, roots}, rc;
	struct err e = {0};

	sandbox_serve_parent(DESK_NAME);
	secret_harden_process();
	raise_descriptors();
	rc = sandbox_descriptors(fds, 2, -1, &e);
	d.listener = fds[0];
	d.roots = fds[1];
	if (rc == 0)
		rc = begin(&d, &e);
	e.code = rc < 0 ? -rc : 0;
	if (send(d.listener, &e, sizeof(e), MSG_NOSIGNAL) == sizeof(e) &&
	    rc == 0)
		run(&d);
	secret_wipe(&d.told, sizeof(d.told));
	reg_close(d.reg);
	_exit(0);
}
