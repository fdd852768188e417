#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/units.h"
#include "cache/cache.h"
#include "net/channel.h"
#include "net/guests.h"
#include "net/http.h"

/* For whom there is no room: these are few, or one that closes makes some. */
#define LATER_CONNECTIONS_S 5
#define LATER_LOGINS_S 2

/* ---- words ---- */

/* The address without the port: what a stranger cannot choose. */
static void name_who(const char *peer, char out[HUSH_NAME])
{
	char *colon;

	snprintf(out, HUSH_NAME, "%s", peer);
	colon = strrchr(out, ':');
	if (colon != NULL)
		*colon = '\0';
}

static void log_for(struct guests *g, const char *peer, const char *machine,
		    pid_t pid, enum netlog_kind kind, const char *words)
{
	char who[HUSH_NAME];
	bool stranger = machine[0] == '\0';

	if (stranger)
		name_who(peer, who);
	else
		snprintf(who, sizeof(who), "machine %s", machine);
	if (hush_may(g->hush, who, stranger, kind, words, mono_now_ns()))
		netlog_put_err(&g->srv->log, pid, peer, words);
}

void guests_log(struct guests *g, const struct guest *it, pid_t pid,
		enum netlog_kind kind, const char *words)
{
	if (it != NULL)
		log_for(g, it->peer, it->machine, pid, kind, words);
	else if (hush_may(g->hush, "server", false, kind, words, mono_now_ns()))
		netlog_put_err(&g->srv->log, pid, NULL, words);
}

static void tell_left_out(void *ctx, const char *who, const char *words)
{
	const struct guests *g = ctx;

	netlog_err(&g->srv->log, NULL, NETLOG_OWN, "%s: %s", who, words);
}

/* ---- begin and end ---- */

static int watch(struct guests *g, int fd, uint64_t data)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = data};

	return epoll_ctl(g->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int guests_open(struct guests *g, struct server *s, int listen_fd,
		struct err *e)
{
	unsigned places = s->max_connections < DOOR_STRANGERS
			      ? s->max_connections
			      : DOOR_STRANGERS;
	int rc;

	*g = (struct guests){.srv = s, .max = s->max_connections + places};
	g->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	g->epoll = epoll_create1(EPOLL_CLOEXEC);
	g->slots = calloc(g->max, sizeof(*g->slots));
	rc = door_open(&g->door, e);
	if (rc == 0)
		rc = hush_open(&g->hush, tell_left_out, g, e);
	if (rc == 0 &&
	    (g->null < 0 || g->epoll < 0 || g->slots == NULL ||
	     watch(g, s->keeper->fd, GUESTS_KEEPER) < 0 ||
	     (s->work->life >= 0 && watch(g, s->work->life, GUESTS_LIFE) < 0) ||
	     (listen_fd >= 0 && watch(g, listen_fd, GUESTS_LISTEN) < 0)))
		rc = err_sys(e, PS_TEMPFAIL, "connections");
	if (rc < 0)
		guests_close(g);
	return rc;
}

void guests_close(struct guests *g)
{
	hush_close(g->hush);
	door_close(g->door);
	free(g->slots);
	if (g->epoll >= 0)
		close(g->epoll);
	if (g->null >= 0)
		close(g->null);
}

static void close_channel(struct helper *h)
{
	if (h->fd >= 0)
		close(h->fd); /* epoll forgets it */
	h->fd = -1;
}

void guests_free(struct guests *g, struct guest *it)
{
	close_channel(&it->gate);
	close_channel(&it->worker);
	if (it->relay >= 0)
		close(it->relay);
	if (it->machine[0] != '\0')
		g->known--;
	else
		g->strangers--;
	g->n--;
	it->number = 0;
}

void guests_hear(struct guests *g, struct guest *it, struct helper *h, int fd)
{
	uint64_t data = (uint64_t)(it - g->slots) * 2 + (h == &it->worker);

	h->fd = fd;
	if (watch(g, fd, data) < 0)
		close_channel(h);
}

/* ---- who comes in ---- */

static void end_guest(struct guests *g, struct guest *it)
{
	guests_log(g, it, it->gate.pid, NETLOG_CROWD,
		   "all places for strangers taken: not logged in, ended");
	kill(it->gate.pid, SIGKILL);
	while (waitpid(it->gate.pid, NULL, 0) < 0 && errno == EINTR)
		;
	guests_free(g, it);
}

/* Makes room when there is none: false when the new one stays out. */
static bool make_room(struct guests *g, const struct door_key *key)
{
	struct door_guest list[DOOR_STRANGERS];
	struct guest *of[DOOR_STRANGERS];
	unsigned i, n = 0, max = g->max - g->srv->max_connections;
	int victim;

	for (i = 0; i < g->max && n < DOOR_STRANGERS; i++) {
		struct guest *it = &g->slots[i];

		if (it->number == 0 || it->machine[0] != '\0')
			continue;
		list[n] = (struct door_guest){&it->key, it->number};
		of[n++] = it;
	}
	victim = door_victim(g->door, list, n, max, key);
	if (victim >= 0)
		end_guest(g, of[victim]);
	return victim != -2;
}

struct guest *guests_admit(struct guests *g, const struct sockaddr_storage *a,
			   const char *peer)
{
	struct door_key key;
	struct guest *it;
	char words[80];

	door_key(a, &key);
	words[0] = '\0';
	if (g->known >= g->srv->max_connections)
		snprintf(words, sizeof(words), "closed: %u connections already",
			 g->known);
	else if (!door_may(g->door, &key, mono_now_ns()))
		snprintf(words, sizeof(words),
			 "closed: too many connections in a short time");
	else if (!make_room(g, &key))
		snprintf(words, sizeof(words),
			 "closed: all places for strangers taken");
	if (words[0] != '\0') {
		log_for(g, peer, "", getpid(), NETLOG_CROWD, words);
		return NULL;
	}
	for (it = g->slots; it->number != 0; it++)
		;
	*it = (struct guest){.number = ++g->begun,
			     .gate = {0, -1},
			     .worker = {0, -1},
			     .relay = -1,
			     .key = key};
	snprintf(it->peer, sizeof(it->peer), "%s", peer);
	g->n++;
	g->strangers++;
	return it;
}

unsigned guests_of_machine(const struct guests *g, const char *machine)
{
	unsigned i, n = 0;

	for (i = 0; i < g->max; i++)
		n += g->slots[i].number != 0 &&
		     strcmp(g->slots[i].machine, machine) == 0;
	return n;
}

/* Why a machine that has logged in is not served, and for how long. */
struct later {
	const char *cause;
	unsigned retry_s;
	char words[160];
};

/*
 * The gate hands it through as the answer to the first request, and ends. A
 * peer that is only fast waits then; one that does not has paid at the door.
 */
static void tell_later(struct guest *it, const struct later *l)
{
	char date[HTTP_DATE_SIZE], text[640];
	int n;

	http_date(time_now_ns() / NS_PER_S, date);
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 503 %s\r\nDate: %s\r\nPS-Cause: %s\r\n"
		     "Retry-After: %u\r\nContent-Type: text/plain\r\n"
		     "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
		     http_reason(503), date, l->cause, l->retry_s,
		     strlen(l->words) + 1, l->words);
	if (n > 0 && (size_t)n < sizeof(text))
		(void)!send(it->relay, text, (size_t)n,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void turn_away(struct guests *g, struct guest *it, const struct later *l)
{
	if (door_tell(g->door, it->machine, mono_now_ns()))
		tell_later(it, l);
	close(it->relay); /* the gate sees it, and ends */
	it->relay = -1;
}

struct guest *guests_logged_in(struct guests *g, uint64_t number,
			       const char *machine)
{
	struct later l = {"connections", LATER_CONNECTIONS_S, ""};
	struct guest *it = NULL;
	char words[176];
	unsigned i;

	for (i = 0; i < g->max; i++)
		if (g->slots[i].number == number)
			it = &g->slots[i];
	/* It may have gone since. */
	if (it == NULL || number == 0 || it->machine[0] != '\0' ||
	    it->relay < 0 || machine[0] == '\0')
		return NULL;
	door_known(g->door, &it->key, mono_now_ns());
	if (g->known >= g->srv->max_connections) {
		snprintf(l.words, sizeof(l.words), "%u connections already",
			 g->known);
	} else if (guests_of_machine(g, machine) >= GUESTS_PER_MACHINE) {
		snprintf(l.words, sizeof(l.words),
			 "%s has %d connections already", machine,
			 GUESTS_PER_MACHINE);
	} else if (!door_login(g->door, &it->key, machine, mono_now_ns())) {
		l.cause = "logins";
		l.retry_s = LATER_LOGINS_S;
		snprintf(l.words, sizeof(l.words), "%s logs in too often",
			 machine);
	}
	snprintf(it->machine, sizeof(it->machine), "%s", machine);
	g->strangers--;
	g->known++;
	if (l.words[0] == '\0')
		return it;
	snprintf(words, sizeof(words), "closed: %s", l.words);
	guests_log(g, it, getpid(), NETLOG_CROWD, words);
	turn_away(g, it, &l);
	return NULL;
}

/* ---- what they ask for ---- */

static int set_probes(struct guests *g, struct guest *it, uint64_t bytes,
		      struct err *e)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < g->max; i++)
		if (g->slots[i].number != 0 && &g->slots[i] != it)
			sum += g->slots[i].probes;
	if (bytes > GUESTS_PROBES || sum + bytes > GUESTS_PROBES)
		return err_set(e, PS_TEMPFAIL,
			       "other self-tests need the memory");
	it->probes = bytes;
	return 0;
}

/* On the cache, for a machine whose name is ours, not theirs. */
static int for_cache(struct guests *g, const struct guest *it,
		     const struct channel_msg *m, struct err *e)
{
	struct cache *c;
	int rc;

	if (g->srv->cache == NULL)
		return err_set(e, PS_USAGE, "there is no cache");
	rc = cache_open(&c, g->srv->cache, e);
	if (rc < 0)
		return rc;
	if (m->kind == CHANNEL_FAILED)
		cache_mark_failed(c, m->text);
	else
		rc = cache_end_holder(c, it->machine, m->text, m->number != 0,
				      it->worker.pid, e);
	cache_close(c);
	return rc;
}

static void answer(struct guests *g, struct guest *it,
		   const struct channel_msg *m)
{
	struct err e = {0};
	int rc;

	if (m->kind == CHANNEL_PROBES)
		rc = set_probes(g, it, m->number, &e);
	else
		rc = for_cache(g, it, m, &e);
	e.code = rc < 0 ? -rc : 0;
	channel_reply(it->worker.fd, &e);
}

static bool makes_sense(const struct channel_msg *m)
{
	return m->kind >= CHANNEL_ERR && m->kind <= CHANNEL_PROBES &&
	       (m->kind != CHANNEL_ERR || m->number < NETLOG_KINDS);
}

void guests_event(struct guests *g, uint64_t data)
{
	struct guest *it = &g->slots[data / 2];
	bool worker = data % 2 == 1;
	struct helper *h = worker ? &it->worker : &it->gate;
	struct channel_msg m;
	int rc;

	if (h->fd < 0) /* its process has ended since */
		return;
	rc = channel_hear(h->fd, &m);
	if (rc < 0 || (rc > 0 && m.kind >= CHANNEL_END_HOLDER && !worker) ||
	    (rc > 0 && !makes_sense(&m))) {
		close_channel(h);
		return;
	}
	if (rc == 0)
		return;
	if (m.kind == CHANNEL_ERR)
		guests_log(g, it, h->pid, (enum netlog_kind)m.number, m.text);
	else if (m.kind == CHANNEL_XFER)
		netlog_put_xfer(&g->srv->log, it->peer, m.text);
	else
		answer(g, it, &m);
}

/* ---- the end of them ---- */

static void tell_end(struct guests *g, const struct guest *it, pid_t pid,
		     int status)
{
	bool ended =
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
	    (WIFEXITED(status) && WEXITSTATUS(status) == SESSION_ENDED);
	char words[128] = "";

	if (ended && !server_stopping(g->srv))
		snprintf(words, sizeof(words),
			 "connection process was ended from outside: another "
			 "may have taken its disk");
	else if (ended)
		return;
	else if (WIFSIGNALED(status))
		snprintf(words, sizeof(words),
			 "connection process ended by signal %d%s",
			 WTERMSIG(status),
			 WTERMSIG(status) == SIGSYS
			     ? " (a system call that it may not use)"
			     : "");
	else if (WIFEXITED(status) && WEXITSTATUS(status) != PS_OK)
		snprintf(words, sizeof(words),
			 "connection process ended with code %d",
			 WEXITSTATUS(status));
	if (words[0] != '\0') /* its number is a column of the log */
		guests_log(g, it, pid, NETLOG_OWN, words);
}

/* Its last words may still be on the way. */
static void hear_rest(struct guests *g, const struct guest *it,
		      const struct helper *h)
{
	while (h->fd >= 0) {
		int fd = h->fd;
		struct channel_msg m;

		if (channel_hear(fd, &m) <= 0 || !makes_sense(&m))
			break;
		if (m.kind == CHANNEL_ERR)
			guests_log(g, it, h->pid, (enum netlog_kind)m.number,
				   m.text);
		else if (m.kind == CHANNEL_XFER)
			netlog_put_xfer(&g->srv->log, it->peer, m.text);
	}
}

static void reap_one(struct guests *g, pid_t pid, int status)
{
	unsigned i;

	for (i = 0; i < g->max; i++) {
		struct guest *it = &g->slots[i];
		struct helper *h =
		    it->gate.pid == pid ? &it->gate : &it->worker;

		if (it->number == 0 || h->pid != pid)
			continue;
		hear_rest(g, it, h);
		tell_end(g, it, pid, status);
		close_channel(h);
		h->pid = 0;
		if (it->gate.pid == 0 && it->worker.pid == 0)
			guests_free(g, it);
		return;
	}
}

void guests_reap(struct guests *g)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reap_one(g, pid, status);
}

void guests_signal(const struct guests *g, int sig)
{
	unsigned i;

	for (i = 0; i < g->max; i++) {
		if (g->slots[i].number == 0)
			continue;
		if (g->slots[i].gate.pid > 0)
			kill(g->slots[i].gate.pid, sig);
		if (g->slots[i].worker.pid > 0)
			kill(g->slots[i].worker.pid, sig);
	}
}
