/*
 * The clocks on both sides: of the process server, the configuration server
 * (their Date), and of the store's service. Both refuse a difference of 15
 * minutes.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/timex.h>

#include "base/units.h"
#include "doctor/steps.h"
#include "net/selftest.h"
#include "vault/settings.h"

#define WAIT_S 8
#define WAIT_EACH_S 3 /* of several stores */

struct clocks {
	unsigned asked, silent;
	int64_t worst; /* seconds, without sign */
	char whose[400];
};

static void told(struct clocks *k, const char *whose, int64_t ahead,
		 struct finding *f)
{
	int64_t diff = ahead < 0 ? -ahead : ahead;
	char words[32];

	format_duration((double)diff, words, sizeof(words));
	find_shows(f, "%s is %s %s us", whose, words,
		   ahead < 0 ? "behind" : "ahead of");
	k->asked++;
	if (k->whose[0] == '\0' || diff > k->worst) {
		k->worst = diff;
		snprintf(k->whose, sizeof(k->whose), "%s", whose);
	}
}

/* ---- servers ---- */

/* "the server is 12 s behind": words of the self-test's step. */
static void take_step(void *ctx, const struct selftest_step *s)
{
	int64_t *ahead = ctx;
	const char *at;
	long long n;

	if (strcmp(s->name, "clock") != 0)
		return;
	at = strstr(s->detail, "server is ");
	if (at == NULL || sscanf(at, "server is %lld s", &n) != 1)
		return;
	*ahead = strstr(at, "behind") != NULL ? -n : n;
}

static void ask_server(const char *whose, const struct doctor_peer *peer,
		       const char *ca, struct clocks *k, struct finding *f)
{
	const struct client_to to = {.host = peer->host,
				     .port = peer->port,
				     .wait_ns = WAIT_S * NS_PER_S,
				     .ca = ca};
	int64_t ahead = INT64_MIN;

	(void)selftest_run(&to, NULL, "*", take_step, &ahead);
	if (ahead == INT64_MIN) {
		k->silent++;
		find_shows(f, "%s tells no time", whose);
		return;
	}
	told(k, whose, ahead, f);
}

static void ask_servers(const struct doctor *d, struct clocks *k,
			struct finding *f)
{
	const char *config = role_config_server(d->conf);
	const char *port =
	    config != NULL ? conf_get(d->conf, "config.port") : NULL;
	struct doctor_peer peer;

	/* On a process server that one is our own clock. */
	if ((d->source || d->host != NULL) && doctor_peer(d, &peer))
		ask_server("the process server", &peer,
			   d->source ? d->agent->ca : NULL, k, f);
	if (d->source || config == NULL)
		return;
	snprintf(peer.host, sizeof(peer.host), "%s", config);
	snprintf(peer.port, sizeof(peer.port), "%s",
		 port != NULL ? port : "443");
	ask_server("the configuration server", &peer, NULL, k, f);
}

/* ---- the store ---- */

/* Any answer has the service's time; nothing is signed, nothing is asked for.
 */
static void ask_store(const struct doctor *d, struct clocks *k,
		      struct finding *f)
{
	struct web_request q = {.method = "GET", .what = "clock", .once = true};
	bool several = d->vaults.n > 1;
	char url[1024], plain[256], whose[400];
	struct web *w = NULL;
	struct err e = {0};

	if (!doctor_endpoint(d, url, sizeof(url)))
		return;
	doctor_plain_url(url, plain, sizeof(plain));
	store_settings.retry_for = several ? WAIT_EACH_S : WAIT_S;
	q.url = url;
	/* A refusal is dated as well. */
	if (store_web(&w, &e) == 0)
		(void)web_do(w, &q, &e);
	if (q.answer.date != 0) {
		snprintf(whose, sizeof(whose), "the store%s%s (%s)",
			 several ? " " : "", several ? d->vault_name : "",
			 plain);
		told(k, whose, q.answer.date - time_now_ns() / NS_PER_S, f);
	} else {
		k->silent++;
		find_shows(f, "the store (%s) tells no time", plain);
	}
	web_free(&q);
	web_close(w);
}

/* ---- all ---- */

static void judge(const struct clocks *k, struct finding *f)
{
	char words[32];

	format_duration((double)k->worst, words, sizeof(words));
	if (k->asked == 0 && k->silent == 0) {
		find_skipped(f, "no other clock to compare with");
	} else if (k->asked == 0) {
		find_skipped(f, "nobody else tells the time");
	} else if (k->worst >= SELFTEST_CLOCK_MAX_S) {
		find_failed(f, DOCTOR_CAUSE, "the clocks differ by %s: %s",
			    words, k->whose);
		find_next(f, "set both by NTP (chrony, systemd-timesyncd); 15 "
			     "minutes are the most that is accepted");
	} else if (k->worst > SELFTEST_CLOCK_WARN_S) {
		find_warned(f, "the clocks differ by %s: %s", words, k->whose);
		find_next(f, "set both by NTP (chrony, systemd-timesyncd)");
	} else {
		find_passed(f, "they agree within %" PRId64 " s", k->worst + 1);
	}
}

static void look_here(struct finding *f)
{
	struct timex tx = {0};
	int state = adjtimex(&tx);

	if (state >= 0 &&
	    (state == TIME_ERROR || (tx.status & STA_UNSYNC) != 0))
		find_shows(f, "the kernel knows of nothing that keeps this "
			      "clock right");
}

static void ask_stores(const struct doctor *d, struct clocks *k,
		       struct finding *f)
{
	struct doctor one;
	unsigned i;

	for (i = 0; !d->source && i < vault_count(d); i++) {
		vault_at(d, i, &one);
		ask_store(&one, k, f);
	}
	judge(k, f);
}

void step_clock(const struct doctor *d, struct finding *f)
{
	struct clocks k = {0};

	look_here(f);
	ask_servers(d, &k, f);
	ask_stores(d, &k, f);
}

void clock_against(const struct doctor *d, const char *whose,
		   const struct doctor_peer *peer, struct finding *f)
{
	struct clocks k = {0};

	look_here(f);
	ask_server(whose, peer, NULL, &k, f);
	ask_stores(d, &k, f);
}
