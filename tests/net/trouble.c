/*
 * Troubles of a network, for tests of who has to find their causes. Each
 * prints its port and goes on until it is ended.
 *
 *	trouble deaf			listens, its backlog is full: a
 *connection is never answered, as behind a firewall that drops trouble line
 *HOST PORT RATE CUT	passes connections on, RATE bytes a second each way;
 *after CUT bytes of the client (0: never) nothing passes any more, and nobody
 *is told
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/client.h"
#include "net/server.h"

#define STEP_NS (NS_PER_S / 50)
#define BUFFER 32768 /* of the sockets, so that a slow line is felt */
#define FILL 8

static struct err e;

static int listening(unsigned *port)
{
	int fd, rc = server_listen("127.0.0.1:0", &fd, port, &e);

	if (rc < 0)
		tool_die(&e);
	return fd;
}

static void say_port(unsigned port)
{
	printf("%u\n", port);
	fflush(stdout);
}

static int deaf(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	unsigned port, i;
	int fd = listening(&port);

	if (listen(fd, 0) < 0)
		tool_die_errno(0, "listen");
	a.sin_port = htons((uint16_t)port);
	for (i = 0; i < FILL; i++) {
		fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)connect(fd, (struct sockaddr *)&a, sizeof(a));
	}
	say_port(port);
	for (;;)
		pause();
}

static void shrink(int fd)
{
	int n = BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &n, sizeof(n));
}

/* Moves what is there, at most n bytes: false when the side has closed. */
static bool move(int from, int to, size_t n, uint64_t *sum)
{
	struct pollfd p = {from, POLLIN, 0};
	char buf[65536];
	ssize_t got;

	if (poll(&p, 1, 0) <= 0)
		return true;
	got = read(from, buf, n < sizeof(buf) ? n : sizeof(buf));
	if (got < 0)
		return errno == EAGAIN;
	*sum += (uint64_t)got;
	return got > 0 && io_write_full(to, buf, (size_t)got) == 0;
}

static void pass(int client, int server, uint64_t rate, uint64_t cut)
{
	const struct timespec step = {0, STEP_NS};
	size_t n = (size_t)(rate * STEP_NS / NS_PER_S);
	uint64_t up = 0, down = 0;

	while ((cut != 0 && up >= cut) ||
	       (move(client, server, n, &up) && move(server, client, n, &down)))
		nanosleep(&step, NULL);
}

static int line(const struct client_to *to, uint64_t rate, uint64_t cut)
{
	struct addrinfo *list;
	unsigned port;
	int fd = listening(&port), one, other;

	signal(SIGCHLD, SIG_IGN);
	shrink(fd);
	if (client_resolve(to, &list, &e) < 0)
		tool_die(&e);
	say_port(port);
	for (;;) {
		struct pollfd p = {fd, POLLIN, 0};

		if (poll(&p, 1, -1) <= 0 || (one = accept(fd, NULL, NULL)) < 0)
			continue;
		if (fork() != 0) {
			close(one);
			continue;
		}
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		other = socket(AF_INET, SOCK_STREAM, 0);
		shrink(other);
		if (connect(other, list->ai_addr, list->ai_addrlen) == 0)
			pass(one, other, rate, cut);
		_exit(0);
	}
}

int main(int argc, char **argv)
{
	struct client_to to;
	uint64_t rate, cut;

	tool_init("trouble");
	if (argc == 2 && strcmp(argv[1], "deaf") == 0)
		return deaf();
	if (argc == 6 && strcmp(argv[1], "line") == 0 &&
	    parse_size(argv[4], &rate) && parse_size(argv[5], &cut)) {
		to = (struct client_to){argv[2], argv[3], NS_PER_S, NULL};
		return line(&to, rate, cut);
	}
	fputs("usage: see the head of trouble.c\n", stderr);
	return PS_USAGE;
}
