#include "config.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/units.h"
#include "net/selftest.h"

#define LOOK_NS (5 * NS_PER_S)

/* A connection whose end reads or writes: deadline and room to talk. */
struct look {
	struct client c; /* its fd; no TLS */
	SSL_CTX *tls;
	struct conn conn;
};

static int open_look(struct look *l, const struct client_to *to,
		     const struct addrinfo *list, const SSL_METHOD *method)
{
	struct err e = {0};
	int rc;

	*l = (struct look){.c = {.fd = -1}};
	rc = client_tcp(&l->c, to, list, &e);
	if (rc < 0)
		return rc;
	l->tls = SSL_CTX_new(method);
	if (l->tls == NULL)
		return -PS_SOFTWARE;
	/* Whatever it speaks: nothing is sent to it. */
	SSL_CTX_set_security_level(l->tls, 0);
	SSL_CTX_set_min_proto_version(l->tls, TLS1_VERSION);
	rc = conn_open(&l->conn, l->tls, l->c.fd, l->c.fd, l->c.peer, &e);
	l->conn.deadline_ns = mono_now_ns() + to->wait_ns;
	return rc;
}

static void close_look(struct look *l)
{
	conn_close(&l->conn);
	SSL_CTX_free(l->tls);
	if (l->c.fd >= 0)
		close(l->c.fd);
}

/* Does it speak a TLS that is older? */
static void older_tls(const struct client_to *to, const struct addrinfo *list,
		      struct err *e)
{
	struct err why = {0};
	struct look l;
	bool older = open_look(&l, to, list, TLS_client_method()) == 0 &&
		     conn_connect(&l.conn, to->host, &why) == 0 &&
		     SSL_version(l.conn.ssl) < TLS1_3_VERSION;

	if (older) {
		err_set(e, PS_PROTOCOL, "%s: speaks %s, wanted is TLS 1.3",
			l.c.peer, SSL_get_version(l.conn.ssl));
		err_hint(e,
			 "this is not ps-receive: a proxy, a load balancer "
			 "or a firewall that ends TLS on the way must let "
			 "port %s through as it is",
			 to->port);
	}
	close_look(&l);
}

/* The first line of what it says to a plain request. */
static bool first_line(struct look *l, const struct client_to *to, char *line,
		       size_t size)
{
	char ask[700];
	size_t n = 0;
	int len = snprintf(ask, sizeof(ask),
			   "GET http://%s:%s/ HTTP/1.1\r\nHost: %s:%s\r\n"
			   "Connection: close\r\n\r\n",
			   to->host, to->port, to->host, to->port);
	struct err e = {0};

	if (len < 0 || (size_t)len >= sizeof(ask) ||
	    write(l->c.fd, ask, (size_t)len) != len)
		return false;
	while (n < size - 1 && memchr(line, '\n', n) == NULL) {
		ssize_t got;

		if (conn_wait(&l->conn, POLLIN, &e) < 0)
			return false;
		got = read(l->c.fd, line + n, size - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
	}
	line[n] = '\0';
	line[strcspn(line, "\r\n")] = '\0';
	return strncmp(line, "HTTP/", 5) == 0 || strncmp(line, "SSH-", 4) == 0;
}

static void plain_words(const struct client_to *to, const char *line,
			struct err *e)
{
	err_set(e, PS_PROTOCOL, "%s port %s: no TLS; it says '%s'", to->host,
		to->port, line);
	if (strstr(line, " 407") != NULL)
		err_hint(e,
			 "a proxy that wants to be authenticated is in "
			 "between: replication goes past proxies, straight "
			 "to port %s of the process server",
			 to->port);
	else
		err_hint(e, "another program has this port, or a proxy is in "
			    "between: check host, port and NAT rules (the "
			    "process server needs a static address without "
			    "NAT)");
}

void selftest_why_no_tls(const struct client_to *to,
			 const struct addrinfo *list, struct err *e)
{
	struct client_to short_to = *to;
	char line[128] = "";
	struct look l;
	bool plain;

	if (short_to.wait_ns > LOOK_NS)
		short_to.wait_ns = LOOK_NS;
	if (short_to.wait_ns > to->wait_ns / 2)
		short_to.wait_ns = to->wait_ns / 2;
	plain = open_look(&l, &short_to, list, TLS_client_method()) == 0 &&
		first_line(&l, to, line, sizeof(line));
	l.conn.broken = true; /* TLS has nothing to say goodbye to */
	close_look(&l);
	if (plain)
		plain_words(to, line, e);
	else
		older_tls(&short_to, list, e);
}
