#include "config.h"

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

/* ASR's registration refuses clocks that differ by more. */
#define CLOCK_MAX_S 900
#define CERT_WARN_DAYS 60
#define PROBE_SMALL (1024 * 1024u)
#define PROBE_LARGE (16 * 1024 * 1024u)
#define FAST_ENOUGH_NS (NS_PER_S / 4)

struct test {
	const struct client_to *to;
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

static void warn(struct test *t, const char *hint)
{
	t->step.result = SELFTEST_WARN;
	snprintf(t->step.hint, sizeof(t->step.hint), "%s", hint);
}

/* ---- getting there ---- */

static int step_resolve(struct test *t, struct err *e)
{
	char host[64] = "";
	const struct addrinfo *a;
	size_t n = 0;
	int rc = client_resolve(t->to, &t->list, e);

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

static int step_tcp(struct test *t, struct err *e)
{
	int rc = client_tcp(&t->c, t->to, t->list, e);

	if (rc == 0)
		detail(t, "connected to %s", t->c.peer);
	return rc;
}

static int step_tls(struct test *t, struct err *e)
{
	int rc = client_tls(&t->c, e), days = 0, seconds = 0;
	X509 *cert;

	if (rc < 0)
		return rc;
	cert = SSL_get1_peer_certificate(t->c.conn.ssl);
	if (cert == NULL || ASN1_TIME_diff(&days, &seconds, NULL,
					   X509_get0_notAfter(cert)) != 1) {
		X509_free(cert);
		return err_set(e, PS_PROTOCOL, "no certificate");
	}
	X509_free(cert);
	detail(t, "%s, %s, certificate %s %d days",
	       SSL_get_version(t->c.conn.ssl), SSL_get_cipher(t->c.conn.ssl),
	       days < 0 || seconds < 0 ? "expired for" : "valid for",
	       days < 0 ? -days : days);
	if (days < CERT_WARN_DAYS)
		warn(t, "renew the certificate: ps-receive --new-cert");
	return 0;
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
		err_hint(e, "a proxy in between wants to be authenticated: "
			    "take it out of the way to port 9443");
	client_answer_free(&a);
	client_close(&t->c);
	return rc;
}

static int step_clock(struct test *t, struct err *e)
{
	int64_t diff = t->date - t->date_ns / NS_PER_S;

	if (t->date == 0)
		return err_set(e, PS_PROTOCOL, "the server told no time");
	detail(t, "the server is %" PRId64 " s %s", diff < 0 ? -diff : diff,
	       diff < 0 ? "behind" : "ahead");
	if (diff < -CLOCK_MAX_S || diff > CLOCK_MAX_S)
		warn(t, "set both clocks by NTP: bookmarks carry the time of "
			"the source");
	return 0;
}

static int step_login(struct test *t, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	int rc = login_key(t->secret, t->machine, key, e);

	if (rc == 0)
		rc = client_open(&t->c, t->to, e);
	if (rc == 0)
		rc = client_login(&t->c, t->machine, key, e);
	secret_wipe(key, sizeof(key));
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

static int get_probe(struct test *t, struct err *e)
{
	struct client_answer a;
	int rc = ask(t, "GET", t->path, NULL, 0, &a, e);

	if (rc < 0)
		return rc;
	if (a.len != t->len || memcmp(a.body, t->data, a.len) != 0)
		rc = err_set(e, PS_DATA, "what came back is not what was sent");
	client_answer_free(&a);
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
	rc = put_probe(t, 64 * 1024, e);
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

static int step_get(struct test *t, struct err *e)
{
	int rc = get_probe(t, e);

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
	char size[24], rate[24];

	format_size(t->len, size, sizeof(size));
	format_size((uint64_t)((double)t->len * 1e9 /
			       (double)(took_ns > 0 ? took_ns : 1)),
		    rate, sizeof(rate));
	detail(t, "%s/s (%s)", rate, size);
}

/* A slow line is measured with little, a fast one with more. */
static int step_upload(struct test *t, struct err *e)
{
	int64_t begin = mono_now_ns();
	int rc = put_probe(t, PROBE_SMALL, e);

	if (rc == 0 && mono_now_ns() - begin < FAST_ENOUGH_NS) {
		begin = mono_now_ns();
		rc = put_probe(t, PROBE_LARGE, e);
	}
	if (rc == 0)
		detail_rate(t, mono_now_ns() - begin);
	return rc;
}

static int step_download(struct test *t, struct err *e)
{
	int64_t begin = mono_now_ns();
	int rc = get_probe(t, e);

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
} steps[] = {
    {"resolve", step_resolve, false,
     "check the name, DNS and /etc/hosts; a process server has a static "
     "address"},
    {"tcp", step_tcp, false,
     "is ps-receive running? check routes, NAT and firewalls on both sides "
     "(inbound TCP 9443 on the server)"},
    {"tls", step_tls, false,
     "is it ps-receive that listens there? a proxy or a firewall that looks "
     "into TLS must be out of the way"},
    {"browser", step_browser, false,
     "is it ps-receive that listens there? (407: a proxy in between)"},
    {"clock", step_clock, false, "is it ps-receive that listens there?"},
    {"login", step_login, true,
     "compare the passphrase with the server's -P file; see cxps.err there"},
    {"put", step_put, true, "see cxps.err and cxps.xfer on the server"},
    {"list", step_list, true, "see cxps.err and cxps.xfer on the server"},
    {"get", step_get, true, "see cxps.err and cxps.xfer on the server"},
    {"delete", step_delete, true, "see cxps.err and cxps.xfer on the server"},
    {"upload", step_upload, true,
     "does it end while sending much? check MTU, timeouts of firewalls and "
     "cxps.err on the server"},
    {"download", step_download, true,
     "does it end while receiving much? check MTU and timeouts of firewalls"},
};

static int run_step(struct test *t, size_t i, selftest_fn *report, void *ctx)
{
	struct err e = {0};
	int64_t begin = mono_now_ns();
	int rc;

	t->step = (struct selftest_step){.name = steps[i].name};
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
	struct test t = {.to = to, .secret = secret, .machine = machine};
	size_t i, n = sizeof(steps) / sizeof(steps[0]);
	int rc = 0;

	t.c.fd = -1;
	t.data = malloc(PROBE_LARGE);
	if (t.data == NULL)
		return -PS_TEMPFAIL;
	for (i = 0; i < n && rc == 0; i++)
		if (!steps[i].login || secret != NULL)
			rc = run_step(&t, i, report, ctx);
	client_close(&t.c);
	if (t.list != NULL)
		freeaddrinfo(t.list);
	free(t.data);
	return rc;
}
