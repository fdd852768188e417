/*
 * A crowd of hostile peers, and an honest one that measures what it suffers.
 *
 *	hostile crowd PORT KIND SECONDS ADDRESSES MAX RATE
 *		opens RATE connections a second to 127.0.0.1, at most MAX at a
 *		time, from so many addresses of 127.0.0.0/8 (from 127.9.0.1
 *		on), and prints how many there were
 *	hostile login PORT KEYFILE MACHINE KIND SECONDS N [PATH]
 *		as one that may log in: N processes that do it all the time,
 *		as fast as they are let; prints how often
 *	hostile acks PORT KEYFILE MACHINE FIRST FILE...
 *		sends segments of its disk root one by one (the first has
 *		sequence FIRST), and prints p50 and p99 of the
 *		time to their acknowledgements in microseconds
 *
 * KIND: `idle` says nothing; `half` sends half a ClientHello; `hello` all of
 * it, and takes no answer (the server has computed, we have not); `drip` one
 * byte of it every 100 ms; `noise` sends what is no TLS. Of a login: `again`
 * logs in, leaves, and comes again; `ask` asks for PATH, 16 questions at a
 * time; `chunks` puts a segment in chunks of one byte; `slow` does so with a
 * byte every 10 ms.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/bio.h>

#include "base/io.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/client.h"
#include "net/tls.h"

#define LOGIN_S 20
#define DRIP_NS (NS_PER_S / 10)
#define FIRST_ADDRESS 0x7f090001u
#define FILE_MAX (4 * 1024 * 1024u)

static struct err e;

/* ---- crowd ---- */

struct crowd {
	uint16_t port;
	unsigned addresses, max;
	int epoll;
	unsigned char hello[1024];
	size_t first; /* bytes of it that are sent at once */
	bool drip;
	int *fds;     /* open ones, the oldest at `tail` */
	size_t *sent; /* of each */
	unsigned head, n;
	double rate; /* a second */
	unsigned long opened, refused;
};

/* What a TLS client says first. */
static size_t client_hello(unsigned char *out, size_t size)
{
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *r = BIO_new(BIO_s_mem()), *w = BIO_new(BIO_s_mem());
	int n;

	if (tls_client(&ctx, NULL, &e) < 0)
		tool_die(&e);
	ssl = SSL_new(ctx);
	SSL_set_bio(ssl, r, w);
	SSL_connect(ssl);
	n = BIO_read(w, out, (int)size);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return n > 0 ? (size_t)n : 0;
}

static void drop(struct crowd *c, unsigned i)
{
	if (c->fds[i] >= 0) {
		close(c->fds[i]);
		c->n--;
	}
	c->fds[i] = -1;
}

/* One more; in the place of the one that has been there longest. */
static void open_one(struct crowd *c)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons(c->port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct linger hard = {1, 0}; /* no TIME_WAIT: ports would run out */
	struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
	unsigned i = c->head;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	c->head = (c->head + 1) % c->max;
	drop(c, i);
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	from.sin_addr.s_addr =
	    htonl(FIRST_ADDRESS + (uint32_t)(c->opened % c->addresses));
	ev.data.u32 = i;
	if (bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 &&
	     errno != EINPROGRESS) ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &ev) < 0) {
		close(fd);
		c->refused++;
		return;
	}
	c->fds[i] = fd;
	c->sent[i] = 0;
	c->n++;
	c->opened++;
}

static void say(struct crowd *c, unsigned i, size_t upto)
{
	ssize_t n;

	if (c->fds[i] < 0 || c->sent[i] >= upto)
		return;
	n = send(c->fds[i], c->hello + c->sent[i], upto - c->sent[i],
		 MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0)
		c->sent[i] += (size_t)n;
}

static void hear(struct crowd *c)
{
	struct epoll_event evs[256];
	int i, n = epoll_wait(c->epoll, evs, 256, 1);

	for (i = 0; i < n; i++) {
		if (evs[i].events & (EPOLLERR | EPOLLHUP)) {
			c->refused++;
			drop(c, evs[i].data.u32);
		} else {
			say(c, evs[i].data.u32, c->first);
		}
	}
}

static void choose(struct crowd *c, const char *kind)
{
	size_t n = client_hello(c->hello, sizeof(c->hello));

	c->first = n;
	if (strcmp(kind, "idle") == 0)
		c->first = 0;
	else if (strcmp(kind, "half") == 0)
		c->first = n / 2;
	else if (strcmp(kind, "drip") == 0)
		c->first = 1;
	else if (strcmp(kind, "noise") == 0)
		memset(c->hello, 'x', n);
	c->drip = strcmp(kind, "drip") == 0;
}

static bool may_open(const struct crowd *c, int64_t ns)
{
	return (double)c->opened < (double)ns / 1e9 * c->rate;
}

static int crowd(char **argv)
{
	struct crowd c = {.port = (uint16_t)strtol(argv[0], NULL, 10),
			  .addresses = (unsigned)strtol(argv[3], NULL, 10),
			  .max = (unsigned)strtol(argv[4], NULL, 10)};
	int64_t now, end, drip = 0, begun = mono_now_ns();
	struct rlimit many = {20000, 20000};
	unsigned i;

	c.rate = strtod(argv[5], NULL);
	end = begun + strtol(argv[2], NULL, 10) * NS_PER_S;
	(void)setrlimit(RLIMIT_NOFILE, &many);
	choose(&c, argv[1]);
	c.epoll = epoll_create1(0);
	c.fds = malloc(c.max * sizeof(*c.fds));
	c.sent = calloc(c.max, sizeof(*c.sent));
	if (c.fds == NULL || c.sent == NULL)
		return PS_TEMPFAIL;
	memset(c.fds, 0xff, c.max * sizeof(*c.fds));
	while ((now = mono_now_ns()) < end) {
		for (i = 0; i < 50 && may_open(&c, now - begun); i++)
			open_one(&c);
		hear(&c);
		if (!c.drip || now < drip)
			continue;
		drip = now + DRIP_NS;
		for (i = 0; i < c.max; i++)
			say(&c, i, c.sent[i] + 1);
	}
	printf("%lu opened, %lu cut by the server, %u open\n", c.opened,
	       c.refused, c.n);
	return 0;
}

/* ---- one that may log in ---- */

#define AT_ONCE 16

struct insider {
	struct client_to to;
	uint8_t key[LOGIN_KEY_LEN];
	const char *machine, *path;
	int64_t end;
	unsigned long done;
};

static bool comes_in(struct insider *in, struct client *c)
{
	struct err why = {0};

	if (client_open(c, &in->to, &why) < 0)
		return false;
	if (client_login(c, in->machine, in->key, &why) == 0)
		return true;
	client_close(c);
	return false;
}

static void again(struct insider *in, struct client *c)
{
	(void)c;
	in->done++;
}

static void ask(struct insider *in, struct client *c)
{
	struct client_answer a;
	struct err why = {0};
	unsigned i;
	int rc = 0;

	while (rc == 0 && mono_now_ns() < in->end) {
		for (i = 0; i < AT_ONCE && rc == 0; i++)
			rc = client_send(c, "GET", in->path, NULL, 0, &why);
		for (i = 0; i < AT_ONCE && rc == 0; i++) {
			rc = client_answer(c, &a, &why);
			if (rc == 0)
				client_answer_free(&a);
			in->done += rc == 0;
		}
	}
}

static void chunks(struct insider *in, struct client *c)
{
	static char one[6 * 8192];
	struct err why = {0};
	int rc = client_send_head(c, "PUT", in->path, &why);
	size_t i;

	for (i = 0; i < sizeof(one); i += 6)
		memcpy(one + i, "1\r\nx\r\n", 6);
	while (rc == 0 && mono_now_ns() < in->end) {
		rc = conn_write(&c->conn, one, sizeof(one), &why);
		in->done += sizeof(one) / 6;
	}
}

static void slow(struct insider *in, struct client *c)
{
	struct timespec pause = {0, 10000000};
	struct err why = {0};
	short want = 0;
	char byte;
	int rc = client_send_head(c, "PUT", in->path, &why);

	in->done++;
	while (rc == 0 && mono_now_ns() < in->end) {
		rc = conn_write(&c->conn, "1\r\nS\r\n", 6, &why);
		if (conn_try_read(&c->conn, &byte, 1, &want, &why) != 0 ||
		    c->conn.eof)
			break;
		nanosleep(&pause, NULL);
	}
}

static unsigned long be_insider(struct insider in, const char *kind)
{
	void (*what)(struct insider *, struct client *) =
	    strcmp(kind, "again") == 0	? again
	    : strcmp(kind, "ask") == 0	? ask
	    : strcmp(kind, "slow") == 0 ? slow
					: chunks;
	struct timespec pause = {0, 10000000};
	struct client c;

	while (mono_now_ns() < in.end) {
		if (!comes_in(&in, &c)) {
			nanosleep(&pause, NULL);
			continue;
		}
		what(&in, &c);
		client_close(&c);
	}
	return in.done;
}

static int insiders(char **argv)
{
	struct insider in = {.to = {"127.0.0.1", argv[0], 5 * NS_PER_S, NULL},
			     .machine = argv[2],
			     .path = argv[6] != NULL ? argv[6] : "/v1/time"};
	unsigned i, n = (unsigned)strtol(argv[5], NULL, 10);
	unsigned long sum = 0, one;
	struct login_secret secret;
	int pipefd[2];

	in.end = mono_now_ns() + strtol(argv[4], NULL, 10) * NS_PER_S;
	if (login_secret_read(&secret, argv[1], &e) < 0 ||
	    login_key(&secret, in.machine, in.key, &e) < 0)
		tool_die(&e);
	if (pipe(pipefd) < 0)
		return PS_TEMPFAIL;
	for (i = 0; i < n; i++) {
		if (fork() != 0)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		one = be_insider(in, argv[3]);
		_exit(write(pipefd[1], &one, sizeof(one)) < 0);
	}
	close(pipefd[1]);
	while (read(pipefd[0], &one, sizeof(one)) == sizeof(one))
		sum += one;
	printf("%lu\n", sum);
	return 0;
}

/* ---- acks ---- */

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t put(struct client *c, const char *machine, unsigned seq,
		   const char *path)
{
	struct client_answer a;
	char target[256], *buf = malloc(FILE_MAX);
	int fd = open(path, O_RDONLY);
	ssize_t n = buf != NULL ? io_read_full(fd, buf, FILE_MAX) : -1;
	int64_t begun;

	if (n <= 0)
		tool_die_errno(0, "%s", path);
	close(fd);
	snprintf(target, sizeof(target),
		 "/v1/machines/%s/disks/root/segments/"
		 "%u",
		 machine, seq);
	begun = mono_now_ns();
	if (client_ask(c, "PUT", target, buf, (size_t)n, &a, &e) < 0)
		tool_die(&e);
	begun = mono_now_ns() - begun;
	if (a.status != 200) {
		fprintf(stderr, "%u: %s\n", a.status, a.body);
		exit(PS_PROTOCOL);
	}
	client_answer_free(&a);
	free(buf);
	return begun;
}

/*
 * Who shares his address with a crowd may have to make room for it before he
 * has logged in, and comes again, as an agent does.
 */
static void log_in_patiently(struct client *c, const struct client_to *to,
			     const char *machine, const uint8_t *key)
{
	const struct timespec pause = {0, 50000000};
	int64_t end = mono_now_ns() + LOGIN_S * NS_PER_S;
	int rc;

	do {
		rc = client_open(c, to, &e);
		if (rc == 0)
			rc = client_login(c, machine, key, &e);
		if (rc == 0)
			return;
		client_close(c);
		nanosleep(&pause, NULL);
	} while (mono_now_ns() < end);
	tool_die(&e);
}

static int acks(char **argv)
{
	struct client_to to = {"127.0.0.1", argv[0], 60 * NS_PER_S, NULL};
	unsigned first = (unsigned)strtol(argv[3], NULL, 10), n = 0;
	struct login_secret secret;
	uint8_t key[LOGIN_KEY_LEN];
	const char *machine = argv[2];
	struct client c;
	int64_t times[4096];

	if (login_secret_read(&secret, argv[1], &e) < 0 ||
	    login_key(&secret, argv[2], key, &e) < 0)
		tool_die(&e);
	log_in_patiently(&c, &to, machine, key);
	for (argv += 4; *argv != NULL && n < 4096; argv++, n++)
		times[n] = put(&c, machine, first + n, *argv);
	client_close(&c);
	if (n == 0)
		return PS_USAGE;
	qsort(times, n, sizeof(times[0]), by_time);
	printf("%lld %lld\n", (long long)(times[n / 2] / 1000),
	       (long long)(times[n * 99 / 100] / 1000));
	return 0;
}

int main(int argc, char **argv)
{
	tool_init("hostile");
	if (argc == 8 && strcmp(argv[1], "crowd") == 0)
		return tool_finish(crowd(argv + 2));
	if (argc >= 8 && strcmp(argv[1], "login") == 0)
		return tool_finish(insiders(argv + 2));
	if (argc > 6 && strcmp(argv[1], "acks") == 0)
		return tool_finish(acks(argv + 2));
	fputs("usage: see the head of hostile.c\n", stderr);
	return PS_USAGE;
}
