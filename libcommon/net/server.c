#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/notify.h"
#include "base/units.h"
#include "net/gate.h"
#include "net/guests.h"
#include "net/known.h"
#include "net/session.h"

#define KILLED_WAIT_S 5
#define TICK_MS 5000
#define CERT_EVERY_NS (5 * NS_PER_S)

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
	(void)sig;
	stopping = 1;
}

static void on_child(int sig)
{
	(void)sig; /* only to wake the wait */
}

void server_signals(struct server *s)
{
	struct sigaction stop = {.sa_handler = on_stop};
	struct sigaction child = {.sa_handler = on_child};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGCHLD);
	sigprocmask(SIG_BLOCK, &block, &s->wait_mask);
	sigdelset(&s->wait_mask, SIGTERM);
	sigdelset(&s->wait_mask, SIGINT);
	sigdelset(&s->wait_mask, SIGCHLD);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGCHLD, &child, NULL);
	s->stop = &stopping;
}

bool server_stopping(const struct server *s)
{
	sigset_t old;

	/* A wait that never has to wait lets no signal in. */
	sigprocmask(SIG_SETMASK, &s->wait_mask, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return *s->stop != 0;
}

/* ---- the processes of a connection ---- */

static void name_peer(const struct sockaddr_storage *a, socklen_t len,
		      char out[PEER_SIZE])
{
	char host[48], port[8];

	if (getnameinfo((const struct sockaddr *)a, len, host, sizeof(host),
			port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		snprintf(out, PEER_SIZE, "unknown");
	else if (strncmp(host, "::ffff:", 7) == 0 && strchr(host, '.') != NULL)
		snprintf(out, PEER_SIZE, "%s:%s", host + 7, port);
	else
		snprintf(out, PEER_SIZE,
			 strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void tune(int fd)
{
	int on = 1, idle = 60, every = 20, count = 3;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

/* In a child: alone with its descriptors, of which fds[0] is its channel. */
static void begin_child(struct guests *g, const char *name, pid_t parent,
			int *fds, size_t n)
{
	struct err e = {0};

	prctl(PR_SET_NAME, name, 0, 0, 0);
	signal(SIGCHLD, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	/* Else it died before we asked. */
	if (getppid() != parent || sandbox_descriptors(fds, n, g->null, &e) < 0)
		_exit(PS_TEMPFAIL);
	g->srv->log.channel = fds[0];
	g->srv->log.dirfd = -1;
}

static _Noreturn void be_gate(struct guests *g, const struct guest *it,
			      int fds[5], pid_t parent)
{
	char peer[PEER_SIZE];
	struct gate gate = {.peer = peer};
	struct err e = {0};

	snprintf(peer, sizeof(peer), "%s", it->peer);
	begin_child(g, "ps-gate", parent, fds, 5);
	gate.rfd = fds[1];
	gate.wfd = fds[2];
	gate.keeper = fds[3];
	gate.relay = fds[4];
	if (sandbox_enter(SANDBOX_GATE, -1, &e) < 0)
		netlog_err(&g->srv->log, peer, NETLOG_OWN, "%s", e.msg);
	else
		gate_run(g->srv, &gate);
	exit(PS_OK);
}

/* fds: its channel, the gate, and what it was lent (or not: -1). */
static _Noreturn void be_worker(struct guests *g, const struct guest *it,
				const struct keeper_notice *who, int fds[3],
				pid_t parent)
{
	char peer[PEER_SIZE];
	bool lent = fds[2] >= 0;

	memcpy(peer, it->peer, sizeof(peer));
	begin_child(g, "ps-worker", parent, fds, lent ? 3 : 2);
	exit(g->srv->work->run(g->srv, fds[1], fds[2], who, peer));
}

/* The process that talks to the peer: 0 or -CODE. */
static int start_gate(struct guests *g, struct guest *it, int rfd, int wfd,
		      struct err *e)
{
	int channel[2] = {-1, -1}, relay[2] = {-1, -1};
	pid_t parent = getpid();
	int keeper, rc = 0;

	keeper = keeper_channel(g->srv->keeper, it->number, e);
	if (keeper < 0)
		return keeper;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) <
		0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, relay) < 0) {
		rc = err_sys(e, PS_TEMPFAIL, "closed: no channel for it");
	} else {
		it->gate.pid = fork();
		if (it->gate.pid == 0)
			be_gate(
			    g, it,
			    (int[5]){channel[1], rfd, wfd, keeper, relay[1]},
			    parent);
		if (it->gate.pid < 0)
			rc = err_sys(e, PS_TEMPFAIL,
				     "closed: no process for it");
	}
	close(keeper);
	close(channel[1]);
	close(relay[1]);
	if (rc == 0) {
		it->relay = relay[0];
		guests_hear(g, it, &it->gate, channel[0]);
	} else {
		it->gate.pid = 0;
		close(channel[0]);
		close(relay[0]);
	}
	return rc;
}

/* What the worker needs beside its channels: a descriptor, -1, or -CODE. */
static int lend(const struct guests *g, const struct keeper_notice *who,
		int *ret, struct err *e)
{
	const struct server_work *w = g->srv->work;
	int fd = w->lend != NULL ? w->lend(w->ctx, who, e) : -1;

	*ret = fd;
	return w->lend != NULL && fd < 0 ? fd : 0;
}

static int fork_worker(struct guests *g, struct guest *it,
		       const struct keeper_notice *who, struct err *e)
{
	int channel[2], lent, rc = lend(g, who, &lent, e);
	pid_t parent = getpid();

	if (rc < 0)
		return rc;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) <
	    0) {
		rc = err_sys(e, PS_TEMPFAIL, "closed: no channel for it");
	} else {
		g->srv->nth = guests_of_machine(g, it->machine);
		it->worker.pid = fork();
		if (it->worker.pid == 0)
			be_worker(g, it, who,
				  (int[3]){channel[1], it->relay, lent},
				  parent);
		close(channel[1]);
		if (it->worker.pid > 0) {
			guests_hear(g, it, &it->worker, channel[0]);
		} else {
			rc = err_sys(e, PS_TEMPFAIL,
				     "closed: no process for it");
			close(channel[0]);
			it->worker.pid = 0;
		}
	}
	if (lent >= 0)
		close(lent);
	return rc;
}

/* The process that serves who has logged in. */
static void start_worker(struct guests *g, struct guest *it,
			 const struct keeper_notice *who)
{
	struct err e = {0};

	if (fork_worker(g, it, who, &e) < 0)
		guests_log(g, it, getpid(), NETLOG_OWN, e.msg);
	close(it->relay);
	it->relay = -1;
}

/* ---- events ---- */

static void take_one(struct guests *g, int listen_fd)
{
	struct sockaddr_storage from = {0};
	struct timespec pause = {0, 100000000};
	socklen_t len = sizeof(from);
	char peer[PEER_SIZE];
	struct guest *it;
	struct err e = {0};
	int fd =
	    accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			err_sys(&e, 0, "accept");
			guests_log(g, NULL, getpid(), NETLOG_OWN, e.msg);
			nanosleep(&pause, NULL);
		}
		return;
	}
	name_peer(&from, len, peer);
	it = guests_admit(g, &from, peer);
	if (it != NULL) {
		tune(fd);
		if (start_gate(g, it, fd, fd, &e) < 0) {
			guests_log(g, it, getpid(), NETLOG_OWN, e.msg);
			guests_free(g, it);
		}
	}
	close(fd);
}

/* All that the keeper has said: who has logged in is a stranger no more. */
static int hear_keeper(struct guests *g, struct err *e)
{
	struct keeper_notice n;
	struct guest *it;
	int rc;

	while ((rc = keeper_heard(g->srv->keeper, &n, e)) > 0) {
		n.machine[sizeof(n.machine) - 1] = '\0';
		it = guests_logged_in(g, n.id, n.machine);
		if (it != NULL)
			start_worker(g, it, &n);
	}
	return rc;
}

/* How the cache empties, for those who have to wait for that. */
static void look_at_cache(struct guests *g)
{
	int64_t now = mono_now_ns();
	struct cache *c;

	if (now < g->look_next || g->srv->cache == NULL)
		return;
	g->look_next = now + DRAIN_EVERY_NS;
	if (cache_open(&c, g->srv->cache, NULL) < 0)
		return;
	drain_see(&g->srv->drain, now, cache_drained(c));
	cache_close(c);
}

static void save_known(struct guests *g)
{
	int64_t now = mono_now_ns();

	if (now < g->save_next)
		return;
	g->save_next = now + KNOWN_EVERY_NS;
	known_save(g->door, g->srv->dir);
}

/* A certificate for the same key, which is the keeper's. */
static int use_cert(struct server *s, struct err *e)
{
	X509 *old = SSL_CTX_get0_certificate(s->tls);
	SSL_CTX *tls;
	int rc = keeper_tls(&tls, s->cert, e);

	if (rc < 0)
		return rc;
	if (EVP_PKEY_eq(X509_get0_pubkey(old),
			X509_get0_pubkey(SSL_CTX_get0_certificate(tls))) != 1) {
		SSL_CTX_free(tls);
		return err_set(e, PS_CONFIG,
			       "%s: is for another key: restart to use it",
			       s->cert);
	}
	SSL_CTX_free(s->tls);
	s->tls = tls;
	return 0;
}

/* One that was renewed is for the connections from now on. */
static void look_at_cert(struct guests *g)
{
	int64_t now = mono_now_ns();
	bool first = g->cert.st_ino == 0;
	struct err e = {0};
	struct stat st;

	if (now < g->cert_next)
		return;
	g->cert_next = now + CERT_EVERY_NS;
	if (stat(g->srv->cert, &st) < 0 ||
	    (st.st_ino == g->cert.st_ino &&
	     st.st_mtim.tv_sec == g->cert.st_mtim.tv_sec &&
	     st.st_mtim.tv_nsec == g->cert.st_mtim.tv_nsec))
		return;
	g->cert = st;
	if (first)
		return;
	netlog_err(&g->srv->log, NULL, NETLOG_OWN, "%s",
		   use_cert(g->srv, &e) < 0 ? e.msg
					    : "a new certificate is in use");
}

/* Waits for one event, and does what it asks for. */
static int turn(struct guests *g, int listen_fd, struct err *e)
{
	struct epoll_event ev;
	int n = epoll_pwait(g->epoll, &ev, 1, TICK_MS, &g->srv->wait_mask);
	int rc = 0;

	guests_reap(g);
	hush_tick(g->hush, mono_now_ns());
	look_at_cache(g);
	look_at_cert(g);
	save_known(g);
	if (n <= 0)
		return 0;
	if (ev.data.u64 == GUESTS_LIFE)
		return err_set(e, PS_SOFTWARE,
			       "the process that the workers need has ended");
	/* Before a new one takes the place of one that has just logged in. */
	if (ev.data.u64 == GUESTS_LISTEN || ev.data.u64 == GUESTS_KEEPER)
		rc = hear_keeper(g, e);
	if (rc == 0 && ev.data.u64 == GUESTS_LISTEN)
		take_one(g, listen_fd);
	if (ev.data.u64 < GUESTS_LIFE)
		guests_event(g, ev.data.u64);
	return rc;
}

/* ---- the end ---- */

/* Until all have ended: true, or until the time is over: false. */
static bool wait_all(struct guests *g, unsigned seconds)
{
	int64_t end = mono_now_ns() + seconds * NS_PER_S;
	struct err e = {0};

	while (guests_reap(g), g->n > 0) {
		if (mono_now_ns() >= end)
			return false;
		if (turn(g, -1, &e) < 0)
			return false;
	}
	return true;
}

static void stop_all(struct guests *g)
{
	guests_signal(g, SIGTERM);
	if (wait_all(g, SERVER_STOP_S))
		return;
	netlog_err(&g->srv->log, NULL, NETLOG_OWN,
		   "%u connections did not finish in time", g->n);
	guests_signal(g, SIGKILL);
	wait_all(g, KILLED_WAIT_S);
}

/* Each connection has up to three descriptors here. */
static void raise_descriptors(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur < l.rlim_max) {
		l.rlim_cur = l.rlim_max < 262144 ? l.rlim_max : 262144;
		(void)setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* The folder that a file lies in; -1: none that may be opened. */
static int folder_of(const char *path)
{
	const char *name;

	return durable_folder(path, &name, NULL);
}

/* The listener's own place: its folder and the logs; the certificate. */
static int lock_listener(const struct server *s, struct err *e)
{
	int dirs[2], readable, rc;

	dirs[0] = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirs[0] < 0)
		return err_sys(e, 0, "%s", s->dir);
	dirs[1] = s->log.dirfd;
	readable = folder_of(s->cert);
	rc = sandbox_listener(dirs, dirs[1] >= 0 ? 2 : 1, readable, e);
	close(dirs[0]);
	if (readable >= 0)
		close(readable);
	return rc;
}

/* Until the signal, or until the one connection is over. */
static int run(struct guests *g, int listen_fd, struct err *e)
{
	int rc = 0;

	while (rc == 0 && !server_stopping(g->srv) &&
	       (listen_fd >= 0 || g->n > 0))
		rc = turn(g, listen_fd, e);
	if (listen_fd >= 0) {
		notify_state("STOPPING=1");
		close(listen_fd);
	}
	stop_all(g);
	return rc;
}

int server_run(struct server *s, int listen_fd, struct err *e)
{
	struct guests g;
	int rc;

	raise_descriptors();
	rc = guests_open(&g, s, listen_fd, e);
	if (rc < 0)
		return rc;
	rc = lock_listener(s, e);
	if (rc == 0) {
		known_load(g.door, s->dir);
		rc = run(&g, listen_fd, e);
		known_save(g.door, s->dir);
	}
	guests_close(&g);
	return rc;
}

int server_one(struct server *s, int rfd, int wfd, struct err *e)
{
	struct sockaddr_storage nobody = {0};
	struct guest *it;
	struct guests g;
	int rc = guests_open(&g, s, -1, e);

	if (rc < 0)
		return rc;
	rc = lock_listener(s, e);
	it = rc == 0 ? guests_admit(&g, &nobody, "stdio") : NULL;
	if (it != NULL)
		rc = start_gate(&g, it, rfd, wfd, e);
	/* The peer must see the end when the gate has closed. */
	if (rc == 0 && (dup2(g.null, rfd) < 0 || dup2(g.null, wfd) < 0))
		rc = err_sys(e, 0, "stdio");
	if (rc == 0)
		rc = run(&g, -1, e);
	guests_close(&g);
	return rc;
}
