/*
 * proxy: a line between a client and a server that is long, narrow, or bad.
 *
 * usage: proxy [options] HOST PORT
 *
 *	-l PORT		listen there on 127.0.0.1 (any); the port is printed
 *	--delay MS	each way
 *	--rate BITS	each way and connection, per second (k, M, G)
 *	--fault SPEC	may be given several times
 *	--nth K		the connection that a SPEC without one means (1)
 *	--control FILE	read at the start when it is there and again whenever
 *			it changes: its lines are SPECs that replace all
 *			former ones, and connections count from 1 anew
 *
 * SPEC = [K/][down:]KIND[:N]   on connection K ("*": on each; "0": on those
 * that are open now), after N bytes (0) of its direction: up (client to
 * server), or down. Each strikes once for a connection.
 *
 *	stall	nothing passes any more, and nobody is told
 *	reset	both ends get a reset
 *	half	the receiver sees the end, the sender may go on for ever
 *	cut	both ends see the end behind byte N
 *	flip	bit N is turned over
 *	slow	one byte a second
 *	twice	up only: all bytes are sent to the server again, over a second
 *		connection, as far as they have come; its answers are dropped
 *	hold	the connection waits until the next one has ended
 *
 * A line on standard error tells of each fault that strikes:
 * "K KIND BYTES". One thread, one poll; ends with SIGTERM, or with the
 * parent. A rate of 1 Gbit/s at 50 ms each way passes (tests/net/line.bats
 * and bench/line measure it).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"

#define CONNS_MAX 512
#define FAULTS_MAX 64
#define BLOCK (64 * 1024)
#define QUEUE_MIN (1024 * 1024)
#define RECORD_MAX (64 * 1024 * 1024)
#define CONTROL_NS (NS_PER_S / 20)

enum kind { STALL, RESET, HALF, CUT, FLIP, SLOW, TWICE, HOLD, KINDS };
static const char *const kinds[KINDS] = {"stall", "reset", "half",  "cut",
					 "flip",  "slow",  "twice", "hold"};

struct fault {
	enum kind kind;
	bool down, each;
	unsigned nth; /* 0: those that were open */
	uint64_t at;
};

static struct fault faults[FAULTS_MAX];
static unsigned nfaults, generation;

struct block {
	struct block *next;
	int64_t due;
	size_t len, pos;
	uint8_t data[BLOCK];
};

/* One direction. */
struct way {
	int from, to;
	struct block *first, **last;
	size_t queued;
	int64_t free_ns;  /* of the line: rate */
	uint64_t read;	  /* bytes taken */
	uint64_t base;	  /* of them when the faults of now were given */
	bool eof, closed; /* read to the end; passed on */
	bool stalled, slow;
	struct block *rest; /* read, but behind the stall */
	int64_t slow_ns;    /* when the next byte may go */
	uint64_t struck;    /* bits of faults that have struck here */
};

struct conn {
	unsigned number, generation, id;
	int client, server, twin;
	bool dead, held;
	struct way up, down;
	uint8_t *record; /* for a twin */
	size_t recorded, twin_sent;
	bool recording;
};

static struct conn *conns[CONNS_MAX];
static unsigned nconns, counted, ids;
static const char *host, *port, *control;
static uint64_t delay_ns, rate, nth = 1, queue_max = 64 * 1024 * 1024;
static int64_t now;

static void die(const char *what)
{
	fprintf(stderr, "proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- faults ---- */

static bool parse_fault(char *spec, struct fault *f)
{
	char *slash = strchr(spec, '/'), *colon;
	unsigned k;

	*f = (struct fault){.nth = (unsigned)nth};
	if (slash != NULL) {
		*slash = '\0';
		f->each = strcmp(spec, "*") == 0;
		f->nth = f->each ? 0 : (unsigned)strtoul(spec, NULL, 10);
		spec = slash + 1;
	}
	if (strncmp(spec, "down:", 5) == 0) {
		f->down = true;
		spec += 5;
	} else if (strncmp(spec, "up:", 3) == 0) {
		spec += 3;
	}
	colon = strchr(spec, ':');
	if (colon != NULL) {
		*colon = '\0';
		if (!parse_u64(colon + 1, UINT64_MAX, &f->at))
			return false;
	}
	for (k = 0; k < KINDS; k++)
		if (strcmp(spec, kinds[k]) == 0) {
			f->kind = (enum kind)k;
			return true;
		}
	return false;
}

static void add_fault(char *spec)
{
	if (nfaults == FAULTS_MAX || !parse_fault(spec, &faults[nfaults])) {
		fprintf(stderr, "proxy: '%s' is no fault\n", spec);
		exit(64);
	}
	nfaults++;
}

static void enqueue(struct way *w, struct block *b)
{
	if (w->free_ns < now)
		w->free_ns = now;
	if (rate != 0)
		w->free_ns += (int64_t)((double)b->len * 8e9 / (double)rate);
	b->due = w->free_ns + (int64_t)delay_ns;
	b->next = NULL;
	*w->last = b;
	w->last = &b->next;
	w->queued += b->len;
}

/* Ends a stall. */
static void release(struct way *w)
{
	w->stalled = false;
	if (w->rest != NULL && w->rest->len > 0)
		enqueue(w, w->rest);
	else
		free(w->rest);
	w->rest = NULL;
}

/* Reads the file when it is another than the last time. */
static void read_control(void)
{
	static struct timespec seen;
	static ino_t inode;
	static int64_t next;
	char line[256];
	struct stat st;
	unsigned i;
	FILE *f;

	if (control == NULL || now < next)
		return;
	next = now + CONTROL_NS;
	if (stat(control, &st) < 0 ||
	    (st.st_ino == inode && st.st_mtim.tv_sec == seen.tv_sec &&
	     st.st_mtim.tv_nsec == seen.tv_nsec))
		return;
	inode = st.st_ino;
	seen = st.st_mtim;
	f = fopen(control, "r");
	if (f == NULL)
		return;
	nfaults = counted = 0;
	generation++;
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0')
			add_fault(line);
	}
	fclose(f);
	for (i = 0; i < nconns; i++) {
		struct conn *c = conns[i];

		release(&c->up);
		release(&c->down);
		c->up.base = c->up.read;
		c->down.base = c->down.read;
		c->up.struck = c->down.struck = 0;
		c->up.slow = c->down.slow = c->held = false;
	}
	fprintf(stderr, "control %u\n", nfaults);
}

static bool is_for(const struct conn *c, const struct way *w, unsigned i)
{
	const struct fault *f = &faults[i];
	bool old = c->generation != generation;

	if (f->down != (w == &c->down) || (w->struck >> i & 1))
		return false;
	return f->each || (f->nth == 0 ? old : !old && c->number == f->nth);
}

static void strike(struct conn *c, struct way *w, unsigned i)
{
	w->struck |= (uint64_t)1 << i;
	fprintf(stderr, "%u %s %llu\n", c->id, kinds[faults[i].kind],
		(unsigned long long)(w->read - w->base));
}

/* ---- connections ---- */

static int dial(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int fd = -1, on = 1;

	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) < 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	if (fd >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		fcntl(fd, F_SETFL, O_NONBLOCK);
	}
	return fd;
}

static void reset_socket(int fd)
{
	struct linger hard = {1, 0};

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void free_way(struct way *w)
{
	struct block *b;

	while ((b = w->first) != NULL) {
		w->first = b->next;
		free(b);
	}
	free(w->rest);
}

static void free_conn(struct conn *c)
{
	close(c->client);
	if (c->server >= 0)
		close(c->server);
	if (c->twin >= 0)
		close(c->twin);
	free_way(&c->up);
	free_way(&c->down);
	free(c->record);
	free(c);
}

static void kill_conn(struct conn *c, bool hard)
{
	if (hard) {
		reset_socket(c->client);
		reset_socket(c->server);
	}
	c->dead = true;
}

static void add_conn(int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	int on = 1;
	unsigned i;

	if (c == NULL || nconns == CONNS_MAX) {
		free(c);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*c = (struct conn){.number = ++counted,
			   .generation = generation,
			   .id = ++ids,
			   .client = fd,
			   .server = -1,
			   .twin = -1};
	c->up.last = &c->up.first;
	c->down.last = &c->down.first;
	for (i = 0; i < nfaults; i++) {
		if (!is_for(c, &c->up, i))
			continue;
		c->recording |= faults[i].kind == TWICE;
		if (faults[i].kind == HOLD) {
			c->held = true;
			strike(c, &c->up, i);
		}
	}
	c->server = dial();
	c->up.from = c->down.to = fd;
	c->up.to = c->down.from = c->server;
	conns[nconns++] = c;
	if (c->server < 0)
		kill_conn(c, true);
}

/* Frees those that have ended; who was held for the next one may go. */
static void sweep(void)
{
	unsigned i, n = 0, gone = 0;

	for (i = 0; i < nconns; i++) {
		if (!conns[i]->dead) {
			conns[n++] = conns[i];
			continue;
		}
		gone = conns[i]->id;
		free_conn(conns[i]);
	}
	nconns = n;
	for (i = 0; i < n && gone != 0; i++)
		if (conns[i]->id < gone)
			conns[i]->held = false;
}

/* ---- bytes ---- */

static void end_way(struct way *w)
{
	w->eof = true;
	if (w->first == NULL && !w->closed) {
		shutdown(w->to, SHUT_WR);
		w->closed = true;
	}
}

static void begin_twin(struct conn *c)
{
	if (c->twin < 0)
		c->twin = dial();
}

/* What comes behind n bytes of a block goes on when the stall ends. */
static void hold_back(struct way *w, struct block *b, size_t n)
{
	w->rest = malloc(sizeof(*b));
	if (w->rest == NULL)
		die("memory");
	w->rest->pos = 0;
	w->rest->len = b->len - n;
	memcpy(w->rest->data, b->data + n, b->len - n);
	b->len = n;
}

/* The faults between byte `before` of the way and what was read now. */
static void apply(struct conn *c, struct way *w, struct block *b)
{
	uint64_t before = w->read - b->len - w->base;
	unsigned i;

	for (i = 0; i < nfaults && !c->dead; i++) {
		const struct fault *f = &faults[i];
		uint64_t at = f->kind == FLIP ? f->at / 8 : f->at;

		if (!is_for(c, w, i) || f->kind == HOLD || at < before ||
		    at > before + b->len ||
		    (f->kind == FLIP && at == before + b->len))
			continue;
		strike(c, w, i);
		if (f->kind == FLIP)
			b->data[at - before] ^= (uint8_t)(1 << (f->at & 7));
		else if (f->kind == STALL)
			w->stalled = true;
		else if (f->kind == SLOW)
			w->slow = true;
		else if (f->kind == RESET)
			kill_conn(c, true);
		else if (f->kind == TWICE)
			begin_twin(c);
		if (f->kind == STALL)
			hold_back(w, b, (size_t)(at - before));
		if (f->kind == HALF || f->kind == CUT)
			b->len = (size_t)(at - before); /* no more of it */
		if (f->kind == HALF || f->kind == CUT)
			w->eof = true;
		if (f->kind == CUT)
			(w == &c->up ? &c->down : &c->up)->eof = true;
	}
}

static void keep_copy(struct conn *c, const struct block *b)
{
	uint8_t *grown;

	if (!c->recording || c->recorded + b->len > RECORD_MAX)
		return;
	grown = realloc(c->record, c->recorded + b->len);
	if (grown == NULL)
		return;
	memcpy(grown + c->recorded, b->data, b->len);
	c->record = grown;
	c->recorded += b->len;
}

static void take_bytes(struct conn *c, struct way *w)
{
	struct block *b = malloc(sizeof(*b));
	ssize_t n;

	if (b == NULL)
		return kill_conn(c, true);
	n = recv(w->from, b->data, sizeof(b->data), MSG_DONTWAIT);
	if (n <= 0) {
		free(b);
		if (n == 0)
			end_way(w);
		else if (errno != EAGAIN && errno != EINTR)
			kill_conn(c, true);
		return;
	}
	b->len = (size_t)n;
	b->pos = 0;
	w->read += (uint64_t)n;
	if (w == &c->up)
		keep_copy(c, b);
	apply(c, w, b);
	if (b->len > 0)
		enqueue(w, b);
	else
		free(b);
	if (c->up.eof)
		end_way(&c->up);
	if (c->down.eof)
		end_way(&c->down);
}

static void give_bytes(struct conn *c, struct way *w)
{
	struct block *b = w->first;
	size_t n = b->len - b->pos;
	ssize_t put;

	if (w->slow && n > 1)
		n = 1;
	put = send(w->to, b->data + b->pos, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (put < 0) {
		if (errno != EAGAIN && errno != EINTR)
			kill_conn(c, true);
		return;
	}
	if (w->slow)
		w->slow_ns = now + NS_PER_S;
	b->pos += (size_t)put;
	w->queued -= (size_t)put;
	if (b->pos < b->len)
		return;
	w->first = b->next;
	if (w->first == NULL)
		w->last = &w->first;
	free(b);
	if (w->eof)
		end_way(w);
}

static void feed_twin(struct conn *c)
{
	char drop[4096];
	ssize_t n;

	if (c->twin < 0)
		return;
	while (recv(c->twin, drop, sizeof(drop), MSG_DONTWAIT) > 0)
		;
	while (c->twin_sent < c->recorded) {
		n = send(c->twin, c->record + c->twin_sent,
			 c->recorded - c->twin_sent,
			 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			return;
		c->twin_sent += (size_t)n;
	}
}

/* ---- the loop ---- */

static bool may_read(const struct conn *c, const struct way *w)
{
	return !w->eof && !w->stalled && !c->held && w->queued < queue_max;
}

/* When the next bytes of a way may go; INT64_MAX: there are none. */
static int64_t due(const struct conn *c, const struct way *w)
{
	if (w->first == NULL || c->held)
		return INT64_MAX;
	return w->slow && w->slow_ns > w->first->due ? w->slow_ns
						     : w->first->due;
}

static short wanted(const struct conn *c, const struct way *in,
		    const struct way *out, int64_t *next)
{
	int64_t when = due(c, out);
	short events = may_read(c, in) ? POLLIN : 0;

	if (when <= now)
		return events | POLLOUT;
	if (when < *next)
		*next = when;
	return events;
}

static void serve_fd(struct conn *c, struct way *in, struct way *out,
		     short revents)
{
	int blocks;

	for (blocks = 0; blocks < 16 && !c->dead && (revents & POLLOUT) &&
			 due(c, out) <= now;
	     blocks++)
		give_bytes(c, out);
	if (!c->dead && (revents & (POLLIN | POLLHUP | POLLERR)) &&
	    may_read(c, in))
		take_bytes(c, in);
	else if (!c->dead && (revents & POLLERR))
		kill_conn(c, true);
}

static void loop_once(int listen_fd)
{
	static struct pollfd p[1 + 2 * CONNS_MAX];
	int64_t next = now + CONTROL_NS;
	unsigned i, n = nconns;
	struct timespec ts;

	p[0] = (struct pollfd){listen_fd, POLLIN, 0};
	for (i = 0; i < n; i++) {
		struct conn *c = conns[i];
		short up = wanted(c, &c->up, &c->down, &next);
		short down = wanted(c, &c->down, &c->up, &next);

		/* Without a wish a closed peer would wake us for ever. */
		p[1 + 2 * i] = (struct pollfd){up ? c->client : -1, up, 0};
		p[2 + 2 * i] = (struct pollfd){down ? c->server : -1, down, 0};
	}
	next = next > now ? next - now : 0;
	ts = (struct timespec){next / NS_PER_S, next % NS_PER_S};
	if (ppoll(p, 1 + 2 * n, &ts, NULL) < 0 && errno != EINTR)
		die("poll");
	now = mono_now_ns();
	for (i = 0; i < n; i++) {
		struct conn *c = conns[i];

		serve_fd(c, &c->up, &c->down, p[1 + 2 * i].revents);
		serve_fd(c, &c->down, &c->up, p[2 + 2 * i].revents);
		feed_twin(c);
		if (c->up.closed && c->down.closed)
			kill_conn(c, false);
	}
	sweep();
	if (p[0].revents & POLLIN) {
		int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0)
			add_conn(fd);
	}
}

static int listen_on(unsigned number)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)number),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	socklen_t len = sizeof(a);

	if (fd < 0)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(fd, 128) < 0 ||
	    getsockname(fd, (struct sockaddr *)&a, &len) < 0)
		die("listen");
	printf("%u\n", ntohs(a.sin_port));
	fflush(stdout);
	return fd;
}

static uint64_t parse_bits(const char *text)
{
	char *end;
	double v = strtod(text, &end);

	return (uint64_t)(v * (*end == 'G'   ? 1e9
			       : *end == 'M' ? 1e6
			       : *end == 'k' ? 1e3
					     : 1));
}

static unsigned parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
	    {"delay", 1, NULL, 'd'},   {"rate", 1, NULL, 'r'},
	    {"fault", 1, NULL, 'f'},   {"nth", 1, NULL, 'n'},
	    {"control", 1, NULL, 'c'}, {0}};
	char *specs[FAULTS_MAX];
	unsigned listen_port = 0, n = 0, i;
	int o;

	while ((o = getopt_long(argc, argv, "l:", longs, NULL)) != -1) {
		if (o == 'l')
			listen_port = (unsigned)strtoul(optarg, NULL, 10);
		else if (o == 'd')
			delay_ns = (uint64_t)(strtod(optarg, NULL) * 1e6);
		else if (o == 'r')
			rate = parse_bits(optarg);
		else if (o == 'n')
			nth = strtoul(optarg, NULL, 10);
		else if (o == 'c')
			control = optarg;
		else if (o == 'f' && n < FAULTS_MAX)
			specs[n++] = optarg;
		else
			exit(64);
	}
	if (argc - optind != 2)
		exit(64);
	for (i = 0; i < n; i++)
		add_fault(specs[i]);
	host = argv[optind];
	port = argv[optind + 1];
	return listen_port;
}

int main(int argc, char **argv)
{
	int fd = listen_on(parse_options(argc, argv));

	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (rate != 0) /* what the line holds, and a router's buffer */
		queue_max =
		    (size_t)((double)rate / 8e9 * (double)delay_ns) + QUEUE_MIN;
	for (;;) {
		now = mono_now_ns();
		read_control();
		loop_once(fd);
	}
}
