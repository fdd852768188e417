/*
 * A peer for tests of the transport that does what a good one never does.
 *
 *	peer raw HOST PORT KEYFILE MACHINE   logs in, then sends standard input
 *		as it is and prints what comes back ("-": without login)
 *	peer replay HOST PORT KEYFILE MACHINE   logs in, then says the same
 *		again on a new connection; prints both last statuses
 *	peer relay HOST PORT CERT KEY   listens, prints its port, and passes
 *		the bytes of one TLS session on into another
 *	peer rogue CERT KEY   a server that knows no key; prints its port, then
 *		all that it is sent
 *	peer inetd PROGRAM...   listens, prints its port, runs the program on
 *		the first connection
 *	peer notified PATH   prints the first datagram that comes to a socket
 */
#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/io.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/client.h"
#include "net/server.h"
#include "net/tls.h"

static struct err e;

static void ok(int rc)
{
	if (rc < 0)
		tool_die(&e);
}

static struct client_to target(char **argv)
{
	return (struct client_to){argv[0], argv[1], 20 * NS_PER_S, NULL};
}

/* ---- raw ---- */

/* Moves bytes until the server has closed; standard input may end before. */
static void pump(struct client *c)
{
	struct pollfd fd[2] = {{STDIN_FILENO, POLLIN, 0}, {c->fd, POLLIN, 0}};
	char buf[65536];
	short want;
	ssize_t n;

	for (;;) {
		while ((n = conn_try_read(&c->conn, buf, sizeof(buf), &want,
					  &e)) > 0)
			if (io_write_full(STDOUT_FILENO, buf, (size_t)n) < 0)
				return;
		if (n < 0 || c->conn.eof)
			return;
		if (poll(fd, 2, 60000) <= 0)
			return;
		if (fd[0].revents == 0)
			continue;
		n = read(STDIN_FILENO, buf, sizeof(buf));
		if (n <= 0)
			fd[0].fd = -1;
		else if (conn_write(&c->conn, buf, (size_t)n, &e) < 0)
			return;
	}
}

static int raw(char **argv)
{
	struct client_to to = target(argv);
	struct login_secret secret;
	uint8_t key[LOGIN_KEY_LEN];
	struct client c;

	if (strcmp(argv[3], "-") != 0) {
		ok(login_secret_read(&secret, argv[2], &e));
		ok(login_key(&secret, argv[3], key, &e));
	}
	ok(client_open(&c, &to, &e));
	if (strcmp(argv[3], "-") != 0)
		ok(client_login(&c, argv[3], key, &e));
	pump(&c);
	client_close(&c);
	return 0;
}

/* ---- replay ---- */

static unsigned say(struct client *c, const char *line, char *body)
{
	struct client_answer a;
	unsigned status;

	ok(client_ask(c, "POST", "/v1/login", line, strlen(line), &a, &e));
	status = a.status;
	snprintf(body, LOGIN_LINE_SIZE, "%s", a.body);
	client_answer_free(&a);
	return status;
}

static int replay(char **argv)
{
	struct client_to to = target(argv);
	char hello[LOGIN_LINE_SIZE], proof[LOGIN_LINE_SIZE];
	char answer[LOGIN_LINE_SIZE];
	struct login_secret secret;
	struct login l = {0};
	uint8_t hmac[LOGIN_PROOF_LEN];
	struct client c;

	ok(login_secret_read(&secret, argv[2], &e));
	snprintf(l.machine, sizeof(l.machine), "%s", argv[3]);
	ok(login_key(&secret, l.machine, l.key, &e));
	ok(login_nonce(l.client_nonce, &e));
	login_hello_line(&l, hello);
	ok(client_open(&c, &to, &e));
	ok(conn_exporter(&c.conn, l.exporter, &e));
	say(&c, hello, answer);
	if (!login_word_parse(answer, "nonce", l.server_nonce))
		return 1;
	ok(login_proof(&l, false, hmac, &e));
	login_word_line("proof", hmac, proof);
	printf("%u\n", say(&c, proof, answer));
	client_close(&c);
	ok(client_open(&c, &to, &e));
	say(&c, hello, answer);
	printf("%u\n", say(&c, proof, answer));
	client_close(&c);
	return 0;
}

/* ---- listening ---- */

static int take_connection(void)
{
	struct pollfd p;
	unsigned port;
	int fd, one;

	ok(server_listen("127.0.0.1:0", &fd, &port, &e));
	printf("%u\n", port);
	fflush(stdout);
	p = (struct pollfd){fd, POLLIN, 0};
	poll(&p, 1, 60000);
	one = accept(fd, NULL, NULL);
	close(fd);
	if (one < 0)
		tool_die_errno(0, "accept");
	return one;
}

/* Everything that is there goes from one to the other: false at the end. */
static bool pass_on(struct conn *from, struct conn *to)
{
	char buf[65536];
	short want;
	ssize_t n;

	while ((n = conn_try_read(from, buf, sizeof(buf), &want, &e)) > 0)
		if (conn_write(to, buf, (size_t)n, &e) < 0)
			return false;
	return n == 0 && !from->eof;
}

static int relay(char **argv)
{
	struct client_to to = target(argv);
	struct client server;
	struct conn client;
	SSL_CTX *tls;
	int fd;

	ok(tls_server(&tls, argv[2], argv[3], &e));
	fd = take_connection();
	ok(conn_open(&client, tls, fd, fd, "client", &e));
	ok(conn_accept(&client, &e));
	ok(client_open(&server, &to, &e));
	while (pass_on(&client, &server.conn) &&
	       pass_on(&server.conn, &client)) {
		struct pollfd p[2] = {{fd, POLLIN, 0}, {server.fd, POLLIN, 0}};

		if (poll(p, 2, 20000) <= 0)
			break;
	}
	client_close(&server);
	conn_close(&client);
	close(fd);
	SSL_CTX_free(tls);
	return 0;
}

static void answer_line(struct conn *c, const char *line)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(line), line);

	ok(conn_write(c, text, (size_t)n, &e));
}

static int rogue(char **argv)
{
	char line[LOGIN_LINE_SIZE];
	uint8_t guess[32] = {1, 2, 3};
	struct conn c;
	SSL_CTX *tls;
	char buf[65536];
	ssize_t n;
	int fd, asked = 0;

	ok(tls_server(&tls, argv[0], argv[1], &e));
	fd = take_connection();
	ok(conn_open(&c, tls, fd, fd, "client", &e));
	c.idle_ns = 20 * NS_PER_S;
	ok(conn_accept(&c, &e));
	while ((n = conn_read(&c, buf, sizeof(buf), &e)) > 0) {
		fwrite(buf, 1, (size_t)n, stdout);
		if (memchr(buf, '\t', (size_t)n) == NULL)
			continue; /* the head alone */
		login_word_line(asked++ == 0 ? "nonce" : "proof", guess, line);
		answer_line(&c, line);
	}
	conn_close(&c);
	close(fd);
	SSL_CTX_free(tls);
	return 0;
}

static int inetd(char **argv)
{
	int fd = take_connection();

	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	execvp(argv[0], argv);
	tool_die_errno(0, "%s", argv[0]);
}

static int notified(char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct pollfd p = {fd, POLLIN, 0};
	char text[256];
	ssize_t n;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", argv[0]);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    poll(&p, 1, 20000) <= 0)
		tool_die_errno(0, "%s", argv[0]);
	n = recv(fd, text, sizeof(text), 0);
	if (n > 0)
		printf("%.*s\n", (int)n, text);
	close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args; /* with the name */
		int (*run)(char **argv);
	} modes[] = {{"raw", 5, raw},	  {"replay", 5, replay},
		     {"relay", 5, relay}, {"rogue", 3, rogue},
		     {"inetd", 2, inetd}, {"notified", 2, notified}};
	size_t i;

	tool_init("peer");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (argc > modes[i].args && strcmp(argv[1], modes[i].name) == 0)
			return tool_finish(modes[i].run(argv + 2));
	fputs("usage: see the head of peer.c\n", stderr);
	return PS_USAGE;
}
