#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/server.h"

#define BACKLOG 1024 /* all agents may come back at the same moment */
#define PEER_SIZE 80
#define KILLED_WAIT_S 5

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
	(void)sig;
	stopping = 1;
}

static void on_child(int sig)
{
	(void)sig; /* only to wake ppoll */
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

/* ---- listening ---- */

/* Cuts "[ADDR:]PORT"; addr is empty when there is none. */
static int split_address(const char *where, char *addr, size_t size,
			 const char **ret_port, struct err *e)
{
	const char *colon = strrchr(where, ':');
	const char *port = colon != NULL ? colon + 1 : where;
	size_t n = colon != NULL ? (size_t)(colon - where) : 0;
	uint64_t number;

	if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
		where++;
		n -= 2;
	}
	if (!parse_u64(port, 65535, &number) || n >= size ||
	    (colon != NULL && n == 0))
		return err_set(e, PS_USAGE, "'%s' is not [ADDR:]PORT", where);
	memcpy(addr, where, n);
	addr[n] = '\0';
	*ret_port = port;
	return 0;
}

static int listen_on(const struct addrinfo *a, bool both)
{
	int fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, off = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? &off : &on,
			   sizeof(on));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 &&
	    listen(fd, BACKLOG) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

/* Without an address: IPv6 that takes IPv4 too, else IPv4 alone. */
static int listen_any(const char *port, struct err *e)
{
	static const int families[] = {AF_INET6, AF_INET};
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list;
	int fd = -1;
	unsigned i;

	for (i = 0; i < 2 && fd < 0; i++) {
		hints.ai_family = families[i];
		if (getaddrinfo(NULL, port, &hints, &list) != 0)
			continue;
		fd = listen_on(list, true);
		freeaddrinfo(list);
	}
	return fd >= 0 ? fd : err_sys(e, PS_UNAVAILABLE, "port %s", port);
}

static int listen_addr(const char *addr, const char *port, struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *list, *a;
	int fd = -1, rc = getaddrinfo(addr, port, &hints, &list);

	if (rc != 0)
		return err_set(e, PS_UNAVAILABLE, "%s: %s", addr,
			       gai_strerror(rc));
	for (a = list; a != NULL && fd < 0; a = a->ai_next)
		fd = listen_on(a, false);
	if (fd < 0)
		fd = err_sys(e, PS_UNAVAILABLE, "%s port %s", addr, port);
	freeaddrinfo(list);
	return fd;
}

int server_listen(const char *where, int *ret_fd, unsigned *ret_port,
		  struct err *e)
{
	struct sockaddr_storage own = {0};
	socklen_t len = sizeof(own);
	const char *port = "";
	char addr[256];
	int fd, rc = split_address(where, addr, sizeof(addr), &port, e);

	if (rc < 0)
		return rc;
	fd = addr[0] == '\0' ? listen_any(port, e) : listen_addr(addr, port, e);
	if (fd < 0)
		return fd;
	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0) {
		rc = err_sys(e, 0, "%s", where);
		close(fd);
		return rc;
	}
	/* The port stands at the same place for both families. */
	*ret_port = ntohs(own.ss_family == AF_INET6
			      ? ((struct sockaddr_in6 *)&own)->sin6_port
			      : ((struct sockaddr_in *)&own)->sin_port);
	*ret_fd = fd;
	return 0;
}

/* ---- one process for each connection ---- */

struct children {
	struct child {
		pid_t pid; /* 0: free */
		uint64_t number;
	} * slots;
	uint8_t *known; /* shared with them: this one has logged in */
	unsigned n, max;
	uint64_t begun;
};

static int make_children(struct children *kids, unsigned max, struct err *e)
{
	void *p;

	*kids = (struct children){.max = max};
	p = mmap(NULL, max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return err_sys(e, PS_TEMPFAIL, "connections");
	kids->known = p;
	kids->slots = calloc(max, sizeof(*kids->slots));
	return kids->slots != NULL ? 0 : err_sys(e, PS_TEMPFAIL, "connections");
}

static void free_children(struct children *kids)
{
	free(kids->slots);
	if (kids->known != NULL)
		munmap(kids->known, kids->max);
}

void server_logged_in(struct server *s)
{
	if (s->known == NULL)
		return;
	__atomic_store_n(&s->known[s->slot], 1, __ATOMIC_RELAXED);
	/* Nothing that happens in here later concerns the others. */
	munmap(s->known, s->max_connections);
	s->known = NULL;
}

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

/* In the child: nothing of the parent but its secret and its settings. */
static void serve_child(struct server *s, struct children *kids, int listen_fd,
			int fd, pid_t parent, const char *peer)
{
	signal(SIGCHLD, SIG_DFL);
	free(kids->slots);
	close(listen_fd);
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (getppid() == parent) { /* else it died before we asked */
		tune(fd);
		session_run(s, fd, fd, peer);
	}
	close(fd);
	exit(PS_OK);
}

/* Ends the connection that has been longest without a login: its slot. */
static bool end_stranger(struct server *s, struct children *kids,
			 unsigned *ret_slot)
{
	struct child *c, *oldest = NULL;
	unsigned i;

	for (i = 0; i < kids->max; i++) {
		c = &kids->slots[i];
		if (c->pid != 0 &&
		    !__atomic_load_n(&kids->known[i], __ATOMIC_RELAXED) &&
		    (oldest == NULL || c->number < oldest->number))
			oldest = c;
	}
	if (oldest == NULL)
		return false;
	kill(oldest->pid, SIGKILL);
	while (waitpid(oldest->pid, NULL, 0) < 0 && errno == EINTR)
		;
	netlog_err(&s->log, NULL,
		   "all connections taken: process %d, not logged in, ended",
		   (int)oldest->pid);
	oldest->pid = 0;
	kids->n--;
	*ret_slot = (unsigned)(oldest - kids->slots);
	return true;
}

/*
 * A place for one more. Whoever can reach the port can fill all of them for
 * as long as a login may take: strangers must make room, machines keep theirs.
 */
static bool find_slot(struct server *s, struct children *kids,
		      unsigned *ret_slot)
{
	unsigned i;

	if (kids->n == kids->max)
		return end_stranger(s, kids, ret_slot);
	for (i = 0; kids->slots[i].pid != 0; i++)
		;
	*ret_slot = i;
	return true;
}

static void take_one(struct server *s, struct children *kids, int listen_fd)
{
	struct sockaddr_storage from = {0};
	struct timespec pause = {0, 100000000};
	socklen_t len = sizeof(from);
	pid_t parent = getpid(), pid;
	char peer[PEER_SIZE];
	unsigned slot;
	int fd =
	    accept4(listen_fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
		    errno == ENOBUFS) {
			netlog_err(&s->log, NULL, "accept: %s",
				   strerror(errno));
			nanosleep(&pause, NULL);
		}
		return;
	}
	name_peer(&from, len, peer);
	if (!find_slot(s, kids, &slot)) {
		netlog_err(&s->log, peer, "closed: %u connections already",
			   kids->n);
		close(fd);
		return;
	}
	fflush(NULL);
	kids->known[slot] = 0;
	s->slot = slot;
	pid = fork();
	if (pid == 0)
		serve_child(s, kids, listen_fd, fd, parent, peer);
	if (pid < 0)
		netlog_err(&s->log, peer, "closed: no process for it: %s",
			   strerror(errno));
	else {
		kids->slots[slot] = (struct child){pid, kids->begun++};
		kids->n++;
	}
	close(fd);
}

static void reap(const struct server *s, struct children *kids)
{
	int status;
	unsigned i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < kids->max && kids->slots[i].pid != pid; i++)
			;
		if (i == kids->max)
			continue;
		kids->slots[i].pid = 0;
		kids->n--;
		/* A disk that was taken over kills its former holder. */
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
			netlog_err(&s->log, NULL,
				   "connection process %d ended by signal %d",
				   (int)pid, WTERMSIG(status));
		else if (WIFEXITED(status) && WEXITSTATUS(status) != PS_OK)
			netlog_err(&s->log, NULL,
				   "connection process %d ended with code %d",
				   (int)pid, WEXITSTATUS(status));
	}
}

static void signal_all(const struct children *kids, int sig)
{
	unsigned i;

	for (i = 0; i < kids->max; i++)
		if (kids->slots[i].pid != 0)
			kill(kids->slots[i].pid, sig);
}

/* Waits until all have ended: true, or until the time is over: false. */
static bool wait_all(struct server *s, struct children *kids, unsigned seconds)
{
	int64_t end = mono_now_ns() + seconds * NS_PER_S, left;

	while (reap(s, kids), kids->n > 0) {
		struct timespec ts;

		left = end - mono_now_ns();
		if (left <= 0)
			return false;
		ts.tv_sec = (time_t)(left / NS_PER_S);
		ts.tv_nsec = (long)(left % NS_PER_S);
		(void)ppoll(NULL, 0, &ts, &s->wait_mask);
	}
	return true;
}

static void stop_all(struct server *s, struct children *kids)
{
	signal_all(kids, SIGTERM);
	if (wait_all(s, kids, SERVER_STOP_S))
		return;
	netlog_err(&s->log, NULL, "%u connections did not finish in time",
		   kids->n);
	signal_all(kids, SIGKILL);
	wait_all(s, kids, KILLED_WAIT_S);
}

int server_run(struct server *s, int listen_fd, struct err *e)
{
	struct pollfd p = {listen_fd, POLLIN, 0};
	struct children kids;
	int rc = make_children(&kids, s->max_connections, e);

	if (rc < 0) {
		free_children(&kids);
		return rc;
	}
	s->known = kids.known;
	while (!server_stopping(s)) {
		int n = ppoll(&p, 1, NULL, &s->wait_mask);

		reap(s, &kids);
		if (n > 0)
			take_one(s, &kids, listen_fd);
	}
	notify_state("STOPPING=1");
	close(listen_fd);
	stop_all(s, &kids);
	s->known = NULL;
	free_children(&kids);
	return 0;
}
