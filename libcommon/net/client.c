#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/units.h"
#include "net/client.h"
#include "net/tls.h"

/* ---- connecting ---- */

int client_resolve(const struct client_to *to, struct addrinfo **ret,
		   struct err *e)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICSERV};
	int rc = getaddrinfo(to->host, to->port, &hints, ret);

	if (rc == EAI_SYSTEM)
		return err_sys(e, PS_UNAVAILABLE, "%s", to->host);
	if (rc != 0)
		return err_set(e, PS_UNAVAILABLE, "%s: %s", to->host,
			       gai_strerror(rc));
	return 0;
}

/* Waits for a connect() under way: 0, or -1 with errno. */
static int finish_connect(int fd, int64_t wait_ns)
{
	struct pollfd p = {fd, POLLOUT, 0};
	int64_t end = mono_now_ns() + wait_ns, left;
	socklen_t len = sizeof(int);
	int sys = ETIMEDOUT, n = 0;

	while (n <= 0 && (left = end - mono_now_ns()) > 0) {
		n = poll(&p, 1, (int)(left / 1000000) + 1);
		if (n < 0 && errno != EINTR)
			return -1;
	}
	if (n > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		return -1;
	errno = sys;
	return sys == 0 ? 0 : -1;
}

static int connect_one(const struct addrinfo *a, int64_t wait_ns)
{
	int fd =
	    socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		   a->ai_protocol);
	int on = 1, sys;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0 ||
	    (errno == EINPROGRESS && finish_connect(fd, wait_ns) == 0))
		return fd;
	sys = errno;
	close(fd);
	errno = sys;
	return -1;
}

int client_tcp(struct client *c, const struct client_to *to,
	       const struct addrinfo *list, struct err *e)
{
	int64_t end = mono_now_ns() + to->wait_ns, left;
	const struct addrinfo *a;
	int n = 0;

	memset(&c->conn, 0, sizeof(c->conn));
	memset(&c->in, 0, sizeof(c->in));
	c->to = to;
	c->fd = -1;
	c->tls = NULL;
	snprintf(c->peer, sizeof(c->peer), "%.255s port %.8s", to->host,
		 to->port);
	errno = EHOSTUNREACH;
	for (a = list; a != NULL; a = a->ai_next)
		n++;
	/* One that does not answer leaves time for those behind it. */
	for (a = list; a != NULL && c->fd < 0; a = a->ai_next, n--) {
		left = end - mono_now_ns();
		c->fd = connect_one(a, left > 0 ? left / n : 0);
	}
	return c->fd < 0 ? err_sys(e, PS_UNAVAILABLE, "%s", c->peer) : 0;
}

int client_tls(struct client *c, struct err *e)
{
	int rc = tls_client(&c->tls, c->to->ca, e);

	c->phase = CLIENT_TLS;
	if (rc == 0)
		rc = conn_open(&c->conn, c->tls, c->fd, c->fd, c->peer, e);
	if (rc == 0)
		rc = http_in_open(&c->in, conn_read, &c->conn, e);
	if (rc < 0)
		return rc;
	c->conn.deadline_ns = mono_now_ns() + c->to->wait_ns;
	rc = conn_connect(&c->conn, c->to->host, e);
	c->conn.deadline_ns = 0;
	c->conn.idle_ns = c->to->wait_ns;
	if (rc == 0)
		c->phase = CLIENT_LOGIN;
	return rc;
}

int client_open(struct client *c, const struct client_to *to, struct err *e)
{
	struct addrinfo *list;
	int rc = client_resolve(to, &list, e);

	c->fd = -1;
	c->phase = CLIENT_REACH;
	c->cause[0] = '\0';
	if (rc < 0)
		return rc;
	rc = client_tcp(c, to, list, e);
	freeaddrinfo(list);
	if (rc == 0)
		rc = client_tls(c, e);
	if (rc < 0)
		client_close(c);
	return rc;
}

void client_close(struct client *c)
{
	if (c->fd < 0)
		return;
	conn_close(&c->conn);
	http_in_close(&c->in);
	SSL_CTX_free(c->tls);
	c->tls = NULL;
	close(c->fd);
	c->fd = -1;
}

const char *client_cause(const struct client *c, int code)
{
	if (code == PS_UNAVAILABLE)
		return "unreachable";
	if (c->cause[0] != '\0')
		return c->cause;
	if (c->phase == CLIENT_TLS)
		return "tls";
	return c->phase == CLIENT_LOGIN ? "login" : "";
}

/* ---- requests ---- */

static int send_head(struct client *c, const char *method, const char *path,
		     const char *framing, struct err *e)
{
	char head[1024];
	const char *colon = strchr(c->to->host, ':') != NULL ? "[" : "";
	int n = snprintf(head, sizeof(head),
			 "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\n"
			 "User-Agent: cxpsclient\r\n%s\r\n",
			 method, path, colon, c->to->host,
			 *colon != '\0' ? "]" : "", c->to->port, framing);

	if (n < 0 || (size_t)n >= sizeof(head))
		return err_set(e, PS_USAGE, "%s: too long", path);
	return conn_write(&c->conn, head, (size_t)n, e);
}

int client_send_head(struct client *c, const char *method, const char *path,
		     struct err *e)
{
	return send_head(c, method, path, "Transfer-Encoding: chunked\r\n", e);
}

int client_send(struct client *c, const char *method, const char *path,
		const void *body, size_t n, struct err *e)
{
	char framing[64] = "";
	int rc;

	if (body != NULL)
		snprintf(framing, sizeof(framing), "Content-Length: %zu\r\n",
			 n);
	rc = send_head(c, method, path, framing, e);
	return rc == 0 && n > 0 ? conn_write(&c->conn, body, n, e) : rc;
}

static int read_body(struct client *c, struct client_answer *a, struct err *e)
{
	struct http_body body;

	/* Our servers always say the length; so we have room from the start. */
	if (c->head.chunked || c->head.length > CLIENT_ANSWER_MAX)
		return err_set(e, PS_PROTOCOL,
			       "%s: an answer of unknown length", c->peer);
	http_body_begin(&body, &c->in, &c->head, CLIENT_ANSWER_MAX);
	a->body = malloc((size_t)c->head.length + 1);
	if (a->body == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", c->peer);
	return http_body_all(&body, a->body, (size_t)c->head.length + 1,
			     &a->len, e);
}

int client_answer_head(struct client *c, struct err *e)
{
	int64_t before = c->conn.deadline_ns;
	int rc;

	/* All of it, however slowly its bytes come. */
	if (before == 0)
		c->conn.deadline_ns = mono_now_ns() + c->to->wait_ns;
	rc = http_read_head(&c->in, HTTP_ANSWER, &c->head, NULL, NULL, e);
	c->conn.deadline_ns = before;
	if (rc == 0)
		return err_set(e, PS_UNAVAILABLE,
			       "%s: the server closed the "
			       "connection",
			       c->peer);
	return rc < 0 ? rc : 0;
}

int client_answer(struct client *c, struct client_answer *a, struct err *e)
{
	int rc = client_answer_head(c, e);

	*a = (struct client_answer){0};
	return rc < 0 ? rc : client_answer_body(c, a, e);
}

int client_answer_body(struct client *c, struct client_answer *a, struct err *e)
{
	const char *field;
	uint64_t n;
	int rc;

	*a = (struct client_answer){0};
	rc = read_body(c, a, e);
	if (rc < 0) {
		client_answer_free(a);
		return rc;
	}
	a->status = c->head.status;
	field = http_field(&c->head, "Retry-After");
	if (field != NULL && parse_u64(field, 86400, &n))
		a->retry_s = (unsigned)n;
	field = http_field(&c->head, "PS-Busy");
	a->busy_ms =
	    field != NULL && parse_u64(field, 1u << 31, &n) ? (int64_t)n : -1;
	field = http_field(&c->head, "PS-Cause");
	if (field != NULL)
		snprintf(a->cause, sizeof(a->cause), "%s", field);
	memcpy(c->cause, a->cause, sizeof(c->cause));
	c->retry_s = a->retry_s;
	return 0;
}

void client_answer_free(struct client_answer *a)
{
	free(a->body);
	a->body = NULL;
}

int client_ask(struct client *c, const char *method, const char *path,
	       const void *body, size_t n, struct client_answer *a,
	       struct err *e)
{
	int rc = client_send(c, method, path, body, n, e);

	return rc < 0 ? rc : client_answer(c, a, e);
}

static int code_of_status(unsigned status)
{
	switch (status) {
	case 401:
	case 403:
		return PS_NOPERM;
	case 423:
	case 503:
	case 507:
		return PS_TEMPFAIL;
	case 409:
		return PS_NO;
	default:
		return status >= 500 ? PS_UNAVAILABLE : PS_PROTOCOL;
	}
}

int client_judge(const struct client *c, const struct client_answer *a,
		 struct err *e)
{
	int len = (int)strcspn(a->body, "\r\n");

	if (len > 300)
		len = 300;
	if (a->status >= 200 && a->status < 300)
		return 0;
	if (a->retry_s != 0)
		return err_set(e, code_of_status(a->status),
			       "%s: %u %s%s%.*s (try again in %u s)", c->peer,
			       a->status, a->cause, *a->cause ? ": " : "", len,
			       a->body, a->retry_s);
	return err_set(e, code_of_status(a->status), "%s: %u %s%s%.*s", c->peer,
		       a->status, http_reason(a->status), len > 0 ? ": " : "",
		       len, a->body);
}

/* ---- login ---- */

/* One of the two questions; the answer's body goes to `line`. */
static int login_ask(struct client *c, const char *line,
		     char answer[LOGIN_LINE_SIZE], struct err *e)
{
	struct client_answer a;
	int rc = client_ask(c, "POST", "/v1/login", line, strlen(line), &a, e);

	if (rc < 0)
		return rc;
	rc = client_judge(c, &a, e);
	if (rc == -PS_NOPERM)
		err_hint(e,
			 "passphrase or key differ from the server's -P file");
	snprintf(answer, LOGIN_LINE_SIZE, "%s", a.body);
	client_answer_free(&a);
	return rc;
}

int client_login(struct client *c, const char *machine,
		 const uint8_t key[LOGIN_KEY_LEN], struct err *e)
{
	uint8_t ours[LOGIN_PROOF_LEN], theirs[LOGIN_PROOF_LEN];
	char line[LOGIN_LINE_SIZE], answer[LOGIN_LINE_SIZE];
	struct login l = {0};
	int rc;

	snprintf(l.machine, sizeof(l.machine), "%s", machine);
	memcpy(l.key, key, LOGIN_KEY_LEN);
	rc = login_nonce(l.client_nonce, e);
	if (rc == 0)
		rc = conn_exporter(&c->conn, l.exporter, e);
	login_hello_line(&l, line);
	if (rc == 0)
		rc = login_ask(c, line, answer, e);
	if (rc == 0 && !login_word_parse(answer, "nonce", l.server_nonce))
		rc = err_set(e, PS_PROTOCOL, "%s: not a login", c->peer);
	if (rc == 0)
		rc = login_proof(&l, false, ours, e);
	login_word_line("proof", ours, line);
	if (rc == 0)
		rc = login_ask(c, line, answer, e);
	if (rc == 0)
		rc = login_proof(&l, true, ours, e);
	if (rc == 0 && (!login_word_parse(answer, "proof", theirs) ||
			!login_proof_ok(ours, theirs))) {
		rc = err_set(e, PS_NOPERM,
			     "%s: the server does not know our key", c->peer);
		err_hint(e, "this is not the server that it should be");
	}
	if (rc == 0)
		c->phase = CLIENT_WORK;
	secret_wipe(&l, sizeof(l));
	return rc;
}
