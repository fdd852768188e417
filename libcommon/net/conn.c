#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "base/units.h"
#include "net/conn.h"
#include "net/tls.h"

#define LINGER_NS (2 * NS_PER_S)
/* More than is under way at 1 Gbit/s and 100 ms. */
#define LINGER_BYTES (16 * 1024 * 1024)

static int set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* Each message of the handshake's protocol, also behind the handshake. */
static void on_message(int write, int version, int type, const void *buf,
		       size_t n, SSL *ssl, void *arg)
{
	struct conn *c = arg;

	(void)version;
	(void)ssl;
	if (write || type != SSL3_RT_HANDSHAKE || n < 1 ||
	    *(const uint8_t *)buf != SSL3_MT_KEY_UPDATE)
		return;
	c->keys++;
	if (c->keys > CONN_KEYS + c->in_bytes / CONN_KEYS_BYTES)
		c->floods = true;
}

/* Before OpenSSL reads more: the one place where it can be stopped. */
static long on_read(BIO *b, int oper, const char *p, size_t len, int i, long l,
		    int ret, size_t *done)
{
	const struct conn *c = (const struct conn *)BIO_get_callback_arg(b);

	(void)p;
	(void)len;
	(void)i;
	(void)l;
	(void)done;
	if (oper != BIO_CB_READ || !c->floods)
		return ret;
	BIO_clear_retry_flags(b);
	return -1;
}

int conn_open(struct conn *c, SSL_CTX *ctx, int rfd, int wfd, const char *peer,
	      struct err *e)
{
	BIO *r, *w;

	*c = (struct conn){.rfd = rfd, .wfd = wfd, .peer = peer};
	if (set_nonblock(rfd) < 0 || set_nonblock(wfd) < 0)
		return err_sys(e, 0, "%s", peer);
	c->ssl = SSL_new(ctx);
	r = BIO_new_fd(rfd, BIO_NOCLOSE);
	w = BIO_new_fd(wfd, BIO_NOCLOSE);
	if (c->ssl == NULL || r == NULL || w == NULL) {
		BIO_free(r);
		BIO_free(w);
		SSL_free(c->ssl);
		c->ssl = NULL;
		return tls_err(e, PS_TEMPFAIL, peer);
	}
	BIO_set_callback_ex(r, on_read);
	BIO_set_callback_arg(r, (char *)c);
	SSL_set_msg_callback(c->ssl, on_message);
	SSL_set_msg_callback_arg(c->ssl, c);
	SSL_set_bio(c->ssl, r, w);
	return 0;
}

int conn_open_plain(struct conn *c, int fd, const char *peer, struct err *e)
{
	*c = (struct conn){.plain = true, .rfd = fd, .wfd = fd, .peer = peer};
	return set_nonblock(fd) < 0 ? err_sys(e, 0, "%s", peer) : 0;
}

/* ---- waiting ---- */

static int timed_out(struct conn *c, struct err *e)
{
	c->broken = true;
	return err_set(e, PS_UNAVAILABLE, "%s: timed out", c->peer);
}

/* Nanoseconds that this wait may take; INT64_MAX: no limit; <= 0: over. */
static int64_t time_left(const struct conn *c, int64_t begun)
{
	int64_t now = mono_now_ns(), left = INT64_MAX, n;

	if (c->deadline_ns != 0)
		left = c->deadline_ns - now;
	n = c->idle_ns;
	if (c->stop_ns != 0 && (n == 0 || n > CONN_STOP_IDLE_NS))
		n = CONN_STOP_IDLE_NS;
	if (n != 0 && begun + n - now < left)
		left = begun + n - now;
	if (c->stop_ns != 0 && c->stop_ns + CONN_STOP_NS - now < left)
		left = c->stop_ns + CONN_STOP_NS - now;
	return left;
}

void conn_busy(struct conn *c)
{
	c->busy = true;
	c->waits = 0;
	c->had_bytes = c->in_bytes;
	c->looked_ns = mono_now_ns();
}

/* Does the peer send so little at a time that it can only be on purpose? */
static bool trickles(struct conn *c)
{
	int64_t now, took;
	uint64_t got;

	if (!c->busy || c->idle_ns == 0 || ++c->waits < CONN_WAITS)
		return false;
	now = mono_now_ns();
	took = now - c->looked_ns;
	got = c->in_bytes - c->had_bytes;
	c->waits = 0;
	c->looked_ns = now;
	c->had_bytes = c->in_bytes;
	return got < CONN_WAITS_BYTES && took < CONN_WAITS_NS &&
	       took < c->idle_ns;
}

static int wait_for(struct conn *c, short want, struct err *e)
{
	struct pollfd p = {want == POLLOUT ? c->wfd : c->rfd, want, 0};
	int64_t begun = mono_now_ns();

	if (want == POLLIN && trickles(c)) {
		c->broken = true;
		return err_set(e, PS_UNAVAILABLE,
			       "%s: too slow: a few bytes at a time", c->peer);
	}
	for (;;) {
		struct timespec ts;
		int64_t left;
		int n;

		if (c->stop != NULL && *c->stop) {
			if (!c->busy)
				return err_set(e, PS_UNAVAILABLE, "stopping");
			if (c->stop_ns == 0)
				c->stop_ns = mono_now_ns();
		}
		left = time_left(c, begun);
		if (left <= 0)
			return timed_out(c, e);
		ts.tv_sec = (time_t)(left / NS_PER_S);
		ts.tv_nsec = (long)(left % NS_PER_S);
		n = ppoll(&p, 1, left == INT64_MAX ? NULL : &ts, c->mask);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, 0, "%s", c->peer);
	}
}

int conn_wait(struct conn *c, short want, struct err *e)
{
	int64_t begun = mono_now_ns();
	int rc = wait_for(c, want, e);

	if (want == POLLIN)
		c->starved_ns += mono_now_ns() - begun;
	return rc;
}

/*
 * What a call of OpenSSL that did not succeed means: 0 with *want when it
 * has to be repeated, or the peer has closed (eof); else -CODE.
 */
static int outcome(struct conn *c, int ret, short *want, struct err *e)
{
	int sys = errno;

	switch (SSL_get_error(c->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		*want = POLLIN;
		return 0;
	case SSL_ERROR_WANT_WRITE:
		*want = POLLOUT;
		return 0;
	case SSL_ERROR_ZERO_RETURN:
		c->eof = true;
		return 0;
	case SSL_ERROR_SYSCALL:
		c->broken = true;
		errno = sys;
		ERR_clear_error();
		if (c->floods)
			return err_set(e, PS_PROTOCOL,
				       "%s: new keys again and again", c->peer);
		if (sys == 0)
			return err_set(e, PS_UNAVAILABLE,
				       "%s: the connection was cut", c->peer);
		return err_sys(e, PS_UNAVAILABLE, "%s", c->peer);
	default:
		c->broken = true;
		if (ERR_GET_REASON(ERR_peek_last_error()) ==
		    SSL_R_UNEXPECTED_EOF_WHILE_READING) {
			ERR_clear_error();
			return err_set(e, PS_UNAVAILABLE,
				       "%s: the connection was cut", c->peer);
		}
		return tls_err(e, PS_PROTOCOL, c->peer);
	}
}

/* ---- begin and end ---- */

static int handshake(struct conn *c, int (*step)(SSL *), struct err *e)
{
	for (;;) {
		short want = 0;
		int ret, rc;

		errno = 0;
		ERR_clear_error();
		ret = step(c->ssl);
		if (ret == 1)
			return 0;
		rc = outcome(c, ret, &want, e);
		if (rc == 0 && c->eof) {
			c->broken = true;
			rc = err_set(e, PS_UNAVAILABLE,
				     "%s: closed during the TLS handshake",
				     c->peer);
		}
		if (rc == 0)
			rc = conn_wait(c, want, e);
		if (rc < 0)
			return rc;
	}
}

int conn_accept(struct conn *c, struct err *e)
{
	return handshake(c, SSL_accept, e);
}

int conn_connect(struct conn *c, const char *host, struct err *e)
{
	long verify;
	int rc;

	if (SSL_set_tlsext_host_name(c->ssl, host) != 1 ||
	    SSL_set1_host(c->ssl, host) != 1)
		return tls_err(e, PS_USAGE, host);
	rc = handshake(c, SSL_connect, e);
	verify = SSL_get_verify_result(c->ssl);
	if (rc == -PS_PROTOCOL && verify != X509_V_OK &&
	    SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE)
		return err_set(e, PS_NOPERM, "%s: certificate: %s", c->peer,
			       X509_verify_cert_error_string(verify));
	return rc;
}

void conn_close(struct conn *c)
{
	if (c->ssl == NULL)
		return;
	if (!c->broken && SSL_is_init_finished(c->ssl)) {
		ERR_clear_error();
		SSL_shutdown(c->ssl); /* one alert, if there is room */
	}
	SSL_free(c->ssl);
	c->ssl = NULL;
	ERR_clear_error();
}

void conn_linger(struct conn *c)
{
	int64_t end = mono_now_ns() + LINGER_NS, left;
	size_t dropped = 0;
	char drop[16384];

	if (c->broken || c->plain)
		return;
	SSL_shutdown(c->ssl);
	c->broken = true; /* nothing more is sent */
	shutdown(c->wfd, SHUT_WR);
	while ((left = end - mono_now_ns()) > 0 && dropped < LINGER_BYTES) {
		struct pollfd p = {c->rfd, POLLIN, 0};
		ssize_t got;

		if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			break;
		got = read(c->rfd, drop, sizeof(drop));
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
			break;
		dropped += got > 0 ? (size_t)got : 0;
	}
}

int conn_exporter(struct conn *c, uint8_t out[CONN_EXPORTER_LEN], struct err *e)
{
	static const char label[] = "EXPORTER-Channel-Binding";

	if (SSL_export_keying_material(c->ssl, out, CONN_EXPORTER_LEN, label,
				       sizeof(label) - 1, NULL, 0, 0) != 1)
		return tls_err(e, PS_SOFTWARE, "TLS exporter");
	return 0;
}

/* ---- bytes ---- */

/* What read or write said without TLS: as outcome(). */
static ssize_t plain_outcome(struct conn *c, ssize_t n, short again,
			     short *want, struct err *e)
{
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		*want = again;
		return 0;
	}
	/* The other half has closed before it read all. */
	if (n == 0 || (again == POLLIN && errno == ECONNRESET)) {
		c->eof = true;
		return 0;
	}
	c->broken = true;
	return err_sys(e, PS_UNAVAILABLE, "%s", c->peer);
}

ssize_t conn_try_read(struct conn *c, void *buf, size_t n, short *want,
		      struct err *e)
{
	int ret;

	if (c->eof)
		return 0;
	if (n > INT_MAX)
		n = INT_MAX;
	if (c->plain) {
		ssize_t got =
		    plain_outcome(c, read(c->rfd, buf, n), POLLIN, want, e);

		c->in_bytes += got > 0 ? (uint64_t)got : 0;
		return got;
	}
	errno = 0;
	ERR_clear_error();
	ret = SSL_read(c->ssl, buf, (int)n);
	if (ret <= 0)
		return outcome(c, ret, want, e);
	c->in_bytes += (uint64_t)ret;
	return ret;
}

ssize_t conn_try_write(struct conn *c, const void *buf, size_t n, short *want,
		       struct err *e)
{
	int ret;

	if (n > INT_MAX)
		n = INT_MAX;
	if (c->plain) {
		ssize_t put = plain_outcome(
		    c, send(c->wfd, buf, n, MSG_NOSIGNAL), POLLOUT, want, e);

		c->out_bytes += put > 0 ? (uint64_t)put : 0;
		return put;
	}
	errno = 0;
	ERR_clear_error();
	ret = SSL_write(c->ssl, buf, (int)n);
	if (ret <= 0) {
		ret = outcome(c, ret, want, e);
		if (ret == 0 && c->eof)
			ret = err_set(e, PS_UNAVAILABLE,
				      "%s: the connection was closed", c->peer);
		return ret;
	}
	c->out_bytes += (uint64_t)ret;
	return ret;
}

ssize_t conn_read(void *conn, void *buf, size_t n, struct err *e)
{
	struct conn *c = conn;

	for (;;) {
		short want = 0;
		ssize_t got = conn_try_read(c, buf, n, &want, e);
		int rc;

		if (got != 0 || c->eof)
			return got;
		rc = conn_wait(c, want, e);
		if (rc < 0)
			return rc;
	}
}

int conn_write(struct conn *c, const void *buf, size_t n, struct err *e)
{
	const char *p = buf;

	while (n > 0) {
		short want = 0;
		ssize_t put = conn_try_write(c, p, n, &want, e);
		int rc;

		if (put < 0)
			return (int)put;
		if (put == 0) {
			rc = conn_wait(c, want, e);
			if (rc < 0)
				return rc;
		}
		p += put;
		n -= (size_t)put;
	}
	return 0;
}
