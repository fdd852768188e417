#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "base/secret.h"
#include "base/units.h"
#include "net/selftest.h"
#include "net/tls.h"

/*
 * Throughput is measured with four times as much as long as that can be
 * expected to take no longer than RATE_NS: little on a slow line, up to
 * PROBE_LARGE on a fast one.
 */
#define PROBE_SMALL (64 * 1024u)
#define PROBE_LARGE (16 * 1024 * 1024u)
#define READ_SIZE (64 * 1024u)
#define RATE_NS (2 * NS_PER_S)
#define TLS_NS (30 * NS_PER_S)
/* How a process server gets a new certificate. */
static const char renew[] =
    "cdpcli --registermt; without a configuration server: move certificate "
    "and key away, ps-receive --new-cert, restart";

struct test {
	struct client_to to; /* wait_ns: what is left for all steps */
	int64_t end_ns;
	const struct login_secret *secret;
	const char *machine;
	struct addrinfo *list;
	struct client c;
	int64_t date;	 /* of the server, seconds; 0: not said */
	int64_t date_ns; /* our clock then */
	char path[64];
	uint8_t *data;
	size_t len; /* of the probe */
	struct selftest_step step;
};

typedef int step_fn(struct test *t, struct err *e);

__attribute__((format(printf, 2, 3))) static void detail(struct test *t,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(t->step.detail, sizeof(t->step.detail), fmt, ap);
	va_end(ap);
}

__attribute__((format(printf, 2, 3))) static void warn(struct test *t,
						       const char *fmt, ...)
{
	va_list ap;

	t->step.result = SELFTEST_WARN;
	va_start(ap, fmt);
	vsnprintf(t->step.hint, sizeof(t->step.hint), fmt, ap);
	va_end(ap);
}

/* What is left of the time becomes the limit of each wait. */
static int set_time(struct test *t, struct err *e)
{
	t->to.wait_ns = t->end_ns - mono_now_ns();
	if (t->to.wait_ns <= 0)
		return err_set(e, PS_UNAVAILABLE, "no time is left");
	if (t->c.fd >= 0)
		t->c.conn.deadline_ns = t->end_ns;
	return 0;
}

/* ---- getting there ---- */

static int step_resolve(struct test *t, struct err *e)
{
	char host[64] = "";
	const struct addrinfo *a;
	size_t n = 0;
	int rc = client_resolve(&t->to, &t->list, e);

	if (rc < 0)
		return rc;
	for (a = t->list; a != NULL; a = a->ai_next) {
		if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host),
				NULL, 0, NI_NUMERICHOST) != 0 ||
		    n + strlen(host) + 3 > sizeof(t->step.detail))
			continue;
		n += (size_t)snprintf(t->step.detail + n,
				      sizeof(t->step.detail) - n, "%s%s",
				      n > 0 ? ", " : "", host);
	}
	return 0;
}

/* What a connection that could not be made says about the way. */
static void hint_tcp(const struct test *t, struct err *e)
{
	if (e->sys == ECONNREFUSED)
		err_hint(e,
			 "the host answers, nobody listens there: is "
			 "ps-receive running, with this port (%s)? Or a "
			 "firewall refuses it: allow inbound TCP %s on the "
			 "process server",
			 t->to.port, t->to.port);
	else if (e->sys == ETIMEDOUT)
		err_hint(e,
			 "nothing answers: a firewall that drops, or a "
			 "wrong address; allow inbound TCP %s on the process "
			 "server and on the way (perimeter network), and "
			 "check that its address is static, without NAT",
			 t->to.port);
}

static int step_tcp(struct test *t, struct err *e)
{
	int rc = client_tcp(&t->c, &t->to, t->list, e);

	if (rc == 0)
		detail(t, "connected to %s", t->c.peer);
	else
		hint_tcp(t, e);
	return rc;
}

/* Days from now until `when`: negative when that is over. */
static bool days_until(const ASN1_TIME *when, int *ret)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, NULL, when) != 1)
		return false;
	*ret = seconds < 0 ? days - 1 : days;
	return true;
}

/* How long the certificate lives. */
static int cert_days(struct test *t, int *ret, struct err *e)
{
	X509 *cert = SSL_get1_peer_certificate(t->c.conn.ssl);
	int begins = -1;
	bool ok = cert != NULL && days_until(X509_get0_notAfter(cert), ret) &&
		  days_until(X509_get0_notBefore(cert), &begins);

	X509_free(cert);
	if (!ok)
		return err_set(e, PS_PROTOCOL, "no certificate");
	if (begins <= 0) /* less than a day is for the next steps */
		return 0;
	err_set(e, PS_NOPERM, "the certificate begins only in %d days", begins);
	err_hint(e, "a clock is wrong: compare that of the process server, of "
		    "this machine, and of the one that made the certificate");
	return -PS_NOPERM;
}

static int judge_cert(struct test *t, int days, struct err *e)
{
	if (days < 0) {
		err_set(e, PS_NOPERM, "the certificate expired %d days ago",
			-days);
		err_hint(e,
			 "renew it on the process server: %s (or a clock is "
			 "wrong: compare both); sources without --ca still get "
			 "through",
			 renew);
		return -PS_NOPERM;
	}
	if (days < SELFTEST_CERT_SOON_DAYS)
		warn(t, "the certificate ends soon: renew it now: %s", renew);
	else if (days < SELFTEST_CERT_WARN_DAYS)
		warn(t, "plan to renew the certificate: %s", renew);
	return 0;
}

static int step_tls(struct test *t, struct err *e)
{
	struct err late;
	int rc, days = 0;

	/* Leaves time to find out who it is that does not answer. */
	t->to.wait_ns = t->to.wait_ns / 2 < TLS_NS ? t->to.wait_ns / 2 : TLS_NS;
	rc = client_tls(&t->c, e);
	if (rc == -PS_NOPERM)
		err_hint(e,
			 "the certificate is not what --ca asks for: another "
			 "server, another name than -i gives, a proxy that "
			 "looks into TLS, or one that was renewed");
	else if (rc == -PS_NOINPUT || rc == -PS_CONFIG)
		err_hint(e, "--ca wants a file with certificates (PEM)");
	else if (rc < 0 && set_time(t, &late) == 0) {
		selftest_why_no_tls(&t->to, t->list, e);
		rc = -e->code;
	}
	t->c.conn.idle_ns = t->end_ns - mono_now_ns();
	if (rc == 0)
		rc = cert_days(t, &days, e);
	if (rc < 0)
		return rc;
	detail(t, "%s, %s, certificate valid for %d days",
	       SSL_get_version(t->c.conn.ssl), SSL_get_cipher(t->c.conn.ssl),
	       days);
	return judge_cert(t, days, e);
}

static int step_browser(struct test *t, struct err *e)
{
	struct client_answer a;
	const char *date;
	int rc = client_ask(&t->c, "GET", "/", NULL, 0, &a, e);

	if (rc < 0)
		return rc;
	t->date_ns = time_now_ns();
	date = http_field(&t->c.head, "Date");
	if (date != NULL && !http_date_parse(date, &t->date))
		t->date = 0;
	if (a.status == 400)
		detail(t, "400 Bad Request, as it should be");
	else
		rc = err_set(e, PS_PROTOCOL,
			     "answered %u, a process server answers 400",
			     a.status);
	if (a.status == 407)
		err_hint(e,
			 "a proxy in between wants to be authenticated: take "
			 "it out of the way to port %s",
			 t->to.port);
	client_answer_free(&a);
	client_close(&t->c);
	return rc;
}

static int step_clock(struct test *t, struct err *e)
{
	int64_t diff = t->date - t->date_ns / NS_PER_S;

	if (t->date == 0)
		return err_set(e, PS_PROTOCOL, "the server told no time");
	if (diff < 0)
		diff = -diff;
	detail(t, "the server is %" PRId64 " s %s", diff,
	       t->date * NS_PER_S < t->date_ns ? "behind" : "ahead");
	if (diff >= SELFTEST_CLOCK_MAX_S)
		return err_set(e, PS_CONFIG,
			       "%s: the clocks must not differ by 15 minutes",
			       t->step.detail);
	if (diff > SELFTEST_CLOCK_WARN_S)
		warn(t, "set both clocks by NTP: bookmarks carry the time of "
			"the source");
	return 0;
}

static int step_login(struct test *t, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	int rc = login_key(t->secret, t->machine, key, e);

	if (rc == 0)
		rc = client_open(&t->c, &t->to, e);
	t->c.conn.deadline_ns = t->end_ns;
	if (rc == 0)
		rc = client_login(&t->c, t->machine, key, e);
	secret_wipe(key, sizeof(key));
	if (rc < 0 && rc != -PS_NOPERM) /* not the passphrase then */
		err_hint(e,
			 "it answered just before: does a firewall, NAT or a "
			 "proxy end connections to port %s, is the server "
			 "overloaded? see cxps.err there",
			 t->to.port);
	if (rc == 0)
		detail(t, "as '%s', both sides proved the key", t->machine);
	return rc;
}

/* ---- objects ---- */

static int ask(struct test *t, const char *method, const char *path,
	       const void *body, size_t n, struct client_answer *a,
	       struct err *e)
{
	int rc = client_ask(&t->c, method, path, body, n, a, e);

	if (rc == 0) {
		rc = client_judge(&t->c, a, e);
		if (rc < 0)
			client_answer_free(a);
	}
	return rc;
}

static int put_probe(struct test *t, size_t n, struct err *e)
{
	struct client_answer a;
	int rc = ask(t, "PUT", t->path, t->data, n, &a, e);

	if (rc == 0)
		client_answer_free(&a);
	t->len = n;
	return rc;
}

static int step_put(struct test *t, struct err *e)
{
	uint64_t id;
	int rc;

	if (RAND_bytes((unsigned char *)&id, sizeof(id)) != 1 ||
	    RAND_bytes(t->data, PROBE_LARGE) != 1)
		return tls_err(e, PS_SOFTWARE, "random numbers");
	snprintf(t->path, sizeof(t->path), "/v1/probe/p%016" PRIx64, id);
	rc = put_probe(t, PROBE_SMALL, e);
	if (rc == 0)
		detail(t, "64 KiB of random bytes");
	return rc;
}

static int step_list(struct test *t, struct err *e)
{
	struct client_answer a;
	int rc = ask(t, "GET", "/v1/probe", NULL, 0, &a, e);

	if (rc < 0)
		return rc;
	if (strstr(a.body, strrchr(t->path, '/') + 1) == NULL)
		rc = err_set(e, PS_PROTOCOL, "what was put is not listed");
	else
		detail(t, "it is listed");
	client_answer_free(&a);
	return rc;
}

/* Reads the body and compares it; false in *whole when the time is over. */
static int compare_body(struct test *t, struct http_body *body, int64_t end_ns,
			bool *whole, struct err *e)
{
	uint8_t *buf = t->data + PROBE_LARGE;
	uint64_t at = 0;
	ssize_t got = 1;

	*whole = false;
	while (mono_now_ns() < end_ns) {
		got = http_body_read(body, buf, READ_SIZE, e);
		if (got < 0)
			return (int)got;
		if (got == 0)
			break;
		if (at + (uint64_t)got > t->len ||
		    memcmp(buf, t->data + at, (size_t)got) != 0)
			return err_set(e, PS_DATA,
				       "what came back is not what was sent");
		at += (uint64_t)got;
	}
	*whole = got == 0;
	if (*whole && at != t->len)
		return err_set(e, PS_DATA, "only %" PRIu64 " bytes came back",
			       at);
	t->len = (size_t)at;
	return 0;
}

/* Reads the probe back, for as long as `end_ns` says. */
static int get_probe(struct test *t, int64_t end_ns, bool *whole, struct err *e)
{
	struct http_body body;
	int rc = client_send(&t->c, "GET", t->path, NULL, 0, e);

	if (rc == 0)
		rc = http_read_head(&t->c.in, HTTP_ANSWER, &t->c.head, NULL,
				    NULL, e);
	if (rc == 0)
		return err_set(e, PS_UNAVAILABLE,
			       "%s: the server closed the connection",
			       t->c.peer);
	if (rc < 0)
		return rc;
	if (t->c.head.status != 200)
		return err_set(e, PS_PROTOCOL, "%s: answered %u", t->c.peer,
			       t->c.head.status);
	http_body_begin(&body, &t->c.in, &t->c.head, CLIENT_ANSWER_MAX);
	return compare_body(t, &body, end_ns, whole, e);
}

static int step_get(struct test *t, struct err *e)
{
	bool whole;
	int rc = get_probe(t, t->end_ns, &whole, e);

	if (rc == 0 && !whole)
		rc = err_set(e, PS_UNAVAILABLE, "%s: timed out", t->c.peer);
	if (rc == 0)
		detail(t, "the same bytes came back");
	return rc;
}

static int step_delete(struct test *t, struct err *e)
{
	struct client_answer a;
	int rc = ask(t, "DELETE", t->path, NULL, 0, &a, e);

	if (rc < 0)
		return rc;
	client_answer_free(&a);
	rc = client_ask(&t->c, "GET", t->path, NULL, 0, &a, e);
	if (rc < 0)
		return rc;
	if (a.status != 404)
		rc = err_set(e, PS_PROTOCOL, "it is still there");
	else
		detail(t, "it is gone");
	client_answer_free(&a);
	return rc;
}

/* ---- speed ---- */

static void detail_rate(struct test *t, int64_t took_ns)
{
	char size[24];

	if (took_ns <= 0)
		took_ns = 1;
	t->step.rate = (double)t->len * (double)NS_PER_S / (double)took_ns;
	format_size(t->len, size, sizeof(size));
	detail(t, "%.*f MB/s (%s)", t->step.rate < 10e6 ? 3 : 1,
	       t->step.rate / 1e6, size);
}

static int step_upload(struct test *t, struct err *e)
{
	int64_t took = 0;
	size_t n;
	int rc = 0;

	for (n = PROBE_SMALL; rc == 0; n *= 4) {
		int64_t begin = mono_now_ns();

		rc = put_probe(t, n, e);
		took = mono_now_ns() - begin;
		if (n == PROBE_LARGE || 4 * took > RATE_NS)
			break;
	}
	if (rc == 0)
		detail_rate(t, took);
	return rc;
}

/* What was uploaded last; the last step may leave the rest of it. */
static int step_download(struct test *t, struct err *e)
{
	int64_t begin = mono_now_ns();
	bool whole;
	int rc = get_probe(t, begin + RATE_NS, &whole, e);

	if (rc == 0 && t->len == 0)
		rc = err_set(e, PS_UNAVAILABLE, "%s: nothing came in time",
			     t->c.peer);
	if (rc == 0)
		detail_rate(t, mono_now_ns() - begin);
	return rc;
}

/* ---- all of them ---- */

static const struct {
	const char *name;
	step_fn *run;
	bool login; /* this one and those behind it need a secret */
	const char *hint;
} steps[SELFTEST_STEPS] = {
    {"resolve", step_resolve, false,
     "check the name, DNS and /etc/hosts; a process server has a static "
     "address"},
    {"tcp", step_tcp, false,
     "check routes, NAT and firewalls on both sides: inbound TCP 9443 must be "
     "allowed on the process server"},
    {"tls", step_tls, false,
     "is it ps-receive that listens there? a proxy or a firewall that looks "
     "into TLS must be out of the way; or the server has all connections that "
     "it may have: see cxps.err there"},
    {"browser", step_browser, false,
     "is it ps-receive that listens there? (407: a proxy in between)"},
    {"clock", step_clock, false,
     "set both clocks by NTP: bookmarks carry the time of the source, and "
     "registration refuses such clocks"},
    {"login", step_login, true,
     "compare the passphrase with the server's -P file; see cxps.err there"},
    {"put", step_put, true, "see cxps.err and cxps.xfer on the server"},
    {"list", step_list, true, "see cxps.err and cxps.xfer on the server"},
    {"get", step_get, true,
     "see cxps.err and cxps.xfer on the server; bytes that change: its memory "
     "may be bad"},
    {"delete", step_delete, true, "see cxps.err and cxps.xfer on the server"},
    {"upload", step_upload, true,
     "does it end while sending much? check MTU, timeouts of firewalls, "
     "anti-virus software, and cxps.err on the server"},
    {"download", step_download, true,
     "does it end while receiving much? check MTU, timeouts of firewalls and "
     "anti-virus software"},
};

const char *selftest_name(unsigned i)
{
	return steps[i].name;
}

static int run_step(struct test *t, size_t i, selftest_fn *report, void *ctx)
{
	struct err e = {0};
	int64_t begin = mono_now_ns();
	int rc;

	t->step = (struct selftest_step){.name = steps[i].name};
	rc = set_time(t, &e);
	if (rc == 0)
		rc = steps[i].run(t, &e);
	t->step.took_ns = mono_now_ns() - begin;
	if (rc < 0) {
		t->step.result = SELFTEST_FAILED;
		detail(t, "%s", e.msg);
		snprintf(t->step.hint, sizeof(t->step.hint), "%s",
			 e.hint[0] != '\0' ? e.hint : steps[i].hint);
	}
	report(ctx, &t->step);
	return rc;
}

int selftest_run(const struct client_to *to, const struct login_secret *secret,
		 const char *machine, selftest_fn *report, void *ctx)
{
	struct test t = {.to = *to, .secret = secret, .machine = machine};
	size_t i;
	int rc = 0;

	t.c.fd = -1;
	t.end_ns = mono_now_ns() + to->wait_ns;
	t.data = malloc(PROBE_LARGE + READ_SIZE);
	if (t.data == NULL)
		return -PS_TEMPFAIL;
	for (i = 0; i < SELFTEST_STEPS && rc == 0; i++)
		if (!steps[i].login || secret != NULL)
			rc = run_step(&t, i, report, ctx);
	client_close(&t.c);
	if (t.list != NULL)
		freeaddrinfo(t.list);
	free(t.data);
	return rc;
}
