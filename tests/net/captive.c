/*
 * captive: preloaded into ps-receive or ps-config serve, takes over the process
 * that reads "GATE: verb argument" or "WORKER: verb argument" from its peer,
 * does there what an attacker would, and answers "captive: verb: result". The
 * desk of ps-config serve hears "DESK: verb argument" from a worker, and says
 * the result on standard error. The process is the real one, with all that it
 * has and has not.
 *
 *	open FILE	for reading		make FILE	a new one
 *	connect PORT	of 127.0.0.1		exec FILE
 *	ptrace PID	attach			kill PID
 *	wx		memory that can be executed
 *	fork
 *	ask N		the keeper, on descriptor 6: 1 for a signature, 2 for
 *			a nonce
 */
#include "config.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/ssl.h>

static long connect_to(const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)atol(port)),
				.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 ? -1 : connect(fd, (struct sockaddr *)&a, sizeof(a));
}

#define ASK_SIZE 236 /* of libcommon/net/keeper.c */

static long ask_keeper(char what)
{
	char m[2048] = {what};

	if (send(6, m, ASK_SIZE, MSG_NOSIGNAL) < 0)
		return -1;
	errno = ECONNRESET;
	return recv(6, m, sizeof(m), 0) > 0 ? 0 : -1;
}

static long attack(const char *verb, const char *arg)
{
	long n = strtol(arg, NULL, 10);
	char *const argv[] = {(char *)(uintptr_t)arg, NULL};

	errno = 0;
	if (strcmp(verb, "open") == 0)
		return open(arg, O_RDONLY);
	if (strcmp(verb, "make") == 0)
		return open(arg, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (strcmp(verb, "connect") == 0)
		return connect_to(arg);
	if (strcmp(verb, "exec") == 0)
		return execv(arg, argv);
	if (strcmp(verb, "ptrace") == 0)
		return ptrace(PTRACE_SEIZE, (pid_t)n, NULL, NULL);
	if (strcmp(verb, "kill") == 0)
		return kill((pid_t)n, SIGTERM);
	if (strcmp(verb, "fork") == 0)
		return fork();
	if (strcmp(verb, "ask") == 0)
		return ask_keeper((char)n);
	if (strcmp(verb, "wx") == 0)
		return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
			   ? -1
			   : 0;
	return 0;
}

/* True when these bytes are an order; the result is in `out`. */
static int ordered(const char *word, const char *buf, ssize_t n, char out[256])
{
	char text[512], verb[32], arg[400] = "";
	const char *p;

	if (n <= 0)
		return 0;
	snprintf(text, sizeof(text), "%.*s", (int)n, buf);
	p = strstr(text, word);
	if (p == NULL || sscanf(p + strlen(word), "%31s %399s", verb, arg) < 1)
		return 0;
	if (attack(verb, arg) < 0)
		snprintf(out, 256, "captive: %s: %s\n", verb, strerror(errno));
	else
		snprintf(out, 256, "captive: %s: done\n", verb);
	return 1;
}

int SSL_read(SSL *ssl, void *buf, int n)
{
	int (*real)(SSL *, void *, int) =
	    (int (*)(SSL *, void *, int))dlsym(RTLD_NEXT, "SSL_read");
	int got = real(ssl, buf, n);
	char out[256];

	if (ordered("GATE: ", buf, got, out))
		SSL_write(ssl, out, (int)strlen(out));
	return got;
}

ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t (*real)(int, void *, size_t) =
	    (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	ssize_t got = real(fd, buf, n);
	char out[256];

	/* A worker reads its peer from descriptor 4, TLS is none of it. */
	if (fd == 4 && ordered("WORKER: ", buf, got, out))
		(void)!write(fd, out, strlen(out));
	return got;
}

ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t (*real)(int, void *, size_t, int) =
	    (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
	ssize_t got = real(fd, buf, n, flags);
	char out[256];

	if (ordered("DESK: ", buf, got, out))
		(void)!write(2, out, strlen(out));
	return got;
}
