/* The process server as a source sees it: port, TLS, login, transfer. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/units.h"
#include "doctor/steps.h"
#include "net/selftest.h"

#define PORT_S 15
#define HTTPS_S 15
#define SELFTEST_S 50

struct test {
	struct finding *f;
	bool brief; /* only what is not well, and the speed */
	struct selftest_step failed, warned; /* name NULL: none */
	double up, down;
	unsigned steps;
};

static void take_step(void *ctx, const struct selftest_step *s)
{
	struct test *t = ctx;

	t->steps++;
	if (!t->brief || s->result != SELFTEST_OK || s->rate > 0)
		find_shows(t->f, "%-8s %s", s->name, s->detail);
	if (s->result == SELFTEST_FAILED && t->failed.name == NULL)
		t->failed = *s;
	if (s->result == SELFTEST_WARN && t->warned.name == NULL)
		t->warned = *s;
	if (strcmp(s->name, "upload") == 0)
		t->up = s->rate;
	if (strcmp(s->name, "download") == 0)
		t->down = s->rate;
}

static bool set_out(const struct doctor *d, unsigned seconds,
		    struct doctor_peer *peer, struct client_to *to,
		    struct finding *f)
{
	if (!doctor_peer(d, peer)) {
		find_skipped(f, "no receive.listen in ps.yaml");
		return false;
	}
	*to = (struct client_to){.host = peer->host,
				 .port = peer->port,
				 .wait_ns = (int64_t)seconds * NS_PER_S,
				 .ca = d->source ? d->agent->ca : NULL};
	return true;
}

static bool earlier_failed(const struct doctor *d, const char *step,
			   struct finding *f)
{
	const struct finding *was = finding_of(d, step);

	if (was == NULL || was->verdict != DOCTOR_FAILED)
		return false;
	find_skipped(f, "the step '%s' failed", step);
	return true;
}

/* ---- port ---- */

static void no_connection(const struct doctor_peer *peer, struct err *e)
{
	if (e->hint[0] != '\0')
		return;
	err_hint(e,
		 "is ps-receive running there, with this port? Allow "
		 "inbound TCP %s on the process server and on the way "
		 "(perimeter network)",
		 peer->port);
}

void step_port(const struct doctor *d, struct finding *f)
{
	struct client c = {.fd = -1};
	struct addrinfo *list = NULL;
	struct doctor_peer peer;
	struct client_to to;
	struct err e = {0};

	if (!set_out(d, PORT_S, &peer, &to, f))
		return;
	if (client_resolve(&to, &list, &e) < 0) {
		find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	if (client_tcp(&c, &to, list, &e) < 0) {
		no_connection(&peer, &e);
		/* A firewall of ours may be why: that step knows better. */
		find_error(f, DOCTOR_LIKELY, &e);
	} else {
		find_passed(f, "%s port %s takes connections", peer.host,
			    peer.port);
		find_shows(f, "connected to %s", c.peer);
	}
	if (!d->source && d->host == NULL)
		find_shows(f,
			   "tried from this machine; from outside: "
			   "ps-doctor on a source, or cxpsclient -i HOST "
			   "-l %s",
			   peer.port);
	client_close(&c);
	freeaddrinfo(list);
}

/* ---- https ---- */

/* One that the configuration server gave is not for us to replace. */
static bool is_given(const struct doctor *d, const struct selftest_step *s)
{
	return strcmp(s->name, "tls") == 0 && !d->source &&
	       strstr(s->detail, "expire") != NULL &&
	       role_config_server(d->conf) != NULL;
}

static void judge(const struct doctor *d, const struct test *t,
		  struct finding *f)
{
	const struct selftest_step *s = &t->failed;

	if (s->name != NULL) {
		find_failed(f, DOCTOR_CAUSE, "%s: %s", s->name, s->detail);
		find_next(f, "%s", s->hint);
	} else if (t->warned.name != NULL) {
		s = &t->warned;
		find_warned(f, "%s: %s", s->name, s->detail);
		find_next(f, "%s", s->hint);
	}
	if (s->name != NULL && is_given(d, s))
		find_next(f, "ps-config heartbeat renews it: journalctl -u "
			     "ps-heartbeat says why it did not; ps-config "
			     "register gets a new one, then ps-service restart "
			     "receive");
}

void step_https(const struct doctor *d, struct finding *f)
{
	struct test t = {.f = f};
	struct doctor_peer peer;
	struct client_to to;

	if (!set_out(d, HTTPS_S, &peer, &to, f) || earlier_failed(d, "port", f))
		return;
	find_passed(f, "TLS 1.3, and 400 Bad Request for a browser");
	(void)selftest_run(&to, NULL, "*", take_step, &t);
	judge(d, &t, f);
}

/* ---- self-test ---- */

void step_selftest(const struct doctor *d, struct finding *f)
{
	const char *file = d->source ? d->agent->key_file : d->passphrase;
	struct login_secret secret;
	struct test t = {.f = f, .brief = true};
	struct doctor_peer peer;
	struct client_to to;
	struct err e = {0};

	if (!set_out(d, SELFTEST_S, &peer, &to, f) ||
	    earlier_failed(d, "port", f) || earlier_failed(d, "https", f))
		return;
	if (file == NULL) {
		find_skipped(f, "no receive.passphrase in ps.yaml to log in "
				"with");
		return;
	}
	if (login_secret_read(&secret, file, &e) < 0) {
		if (e.sys != 0 && e.code == PS_NOPERM) {
			find_skipped(f, "%s (run as root)", e.msg);
			return;
		}
		find_error(f, DOCTOR_CAUSE, &e);
		return;
	}
	(void)selftest_run(&to, &secret, d->source ? d->agent->machine : "*",
			   take_step, &t);
	secret_wipe(&secret, sizeof(secret));
	f->rate = t.up;
	find_passed(f, "%u steps, up %.1f MB/s, down %.1f MB/s", t.steps,
		    t.up / 1e6, t.down / 1e6);
	judge(d, &t, f);
}
