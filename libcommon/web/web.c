#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/secret.h"
#include "base/units.h"
#include "web/try.h"

#define RETRY_FOR 120u /* seconds */
#define STALL 60u
/* A server that never answered is given up sooner: its name is wrong. */
#define FIRST_CONTACT 10u
/* Back-off: half a second, doubled each time, up to half a minute. */
#define DELAY_MIN (NS_PER_S / 2)
#define DELAY_MAX (30 * NS_PER_S)
/* What the bucket of the limit holds. */
#define BURST_NS (NS_PER_S / 4)
#define AUTH_MAX 512

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- the client ---- */

static int copy_text(char **to, const char *text, struct err *e)
{
	if (text == NULL || *text == '\0')
		return 0;
	*to = strdup(text);
	return *to != NULL ? 0 : err_sys(e, PS_TEMPFAIL, "http");
}

static int read_proxy_auth(struct web *w, const char *path, struct err *e)
{
	char text[AUTH_MAX];
	size_t n;
	int rc;

	if (path == NULL || *path == '\0')
		return 0;
	rc = secret_read(path, text, sizeof(text), &n, e);
	if (rc < 0)
		return rc;
	secret_trim(text);
	if (strchr(text, ':') == NULL) {
		rc = err_set(e, PS_CONFIG, "%s: no USER:PASSWORD in it", path);
	} else {
		rc = copy_text(&w->proxy_auth, text, e);
		secret_harden_process();
	}
	secret_wipe(text, sizeof(text));
	return rc;
}

int web_open(struct web **ret, const struct web_config *c, struct err *e)
{
	struct web *w = calloc(1, sizeof(*w));
	int rc;

	if (w == NULL)
		return err_sys(e, PS_TEMPFAIL, "http");
	pthread_once(&started, start);
	pthread_mutex_init(&w->lock, NULL);
	w->retry_for = c->retry_for != 0 ? c->retry_for : RETRY_FOR;
	w->stall = c->stall != 0 ? c->stall : STALL;
	w->watch = c->watch;
	w->watch_ctx = c->watch_ctx;
	rc = copy_text(&w->proxy, c->proxy, e);
	if (rc == 0)
		rc = copy_text(&w->ca_file, c->ca_file, e);
	if (rc == 0)
		rc = read_proxy_auth(w, c->proxy_auth, e);
	if (rc < 0) {
		web_close(w);
		return rc;
	}
	*ret = w;
	return 0;
}

void web_close(struct web *w)
{
	if (w == NULL)
		return;
	while (w->nidle > 0)
		curl_easy_cleanup(w->idle[--w->nidle]);
	if (w->proxy_auth != NULL)
		secret_wipe(w->proxy_auth, strlen(w->proxy_auth));
	pthread_mutex_destroy(&w->lock);
	free(w->proxy_auth);
	free(w->proxy);
	free(w->ca_file);
	free(w);
}

/* ---- the limit ---- */

void web_limit(struct web *w, uint64_t per_second)
{
	atomic_store(&w->per_second, per_second);
}

/*
 * One bucket for all: each taker puts its bytes behind those of the others
 * and sleeps outside of the lock. A new limit counts from the next taker on.
 */
/* Returns how long it slept. */
static int64_t pace(struct web *w, uint64_t per_second, size_t n)
{
	int64_t now = mono_now_ns(), mine;
	struct timespec until;

	pthread_mutex_lock(&w->lock);
	if (w->next < now - BURST_NS)
		w->next = now - BURST_NS;
	w->next += (int64_t)((double)n * NS_PER_S / (double)per_second);
	mine = w->next;
	pthread_mutex_unlock(&w->lock);
	until.tv_sec = mine / NS_PER_S;
	until.tv_nsec = mine % NS_PER_S;
	while (mine > now && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME,
					     &until, NULL) == EINTR)
		;
	return mine > now ? mine - now : 0;
}

int64_t web_pace(struct web *w, size_t n)
{
	uint64_t per_second = atomic_load(&w->per_second);
	struct web_event ev = {.kind = WEB_MOVED, .bytes = n};

	if (per_second != 0)
		ev.limited_ns = pace(w, per_second, n);
	if (w->watch != NULL)
		w->watch(w->watch_ctx, &ev);
	return ev.limited_ns;
}

/* ---- tries ---- */

static void sleep_ns(int64_t ns)
{
	struct timespec left = {ns / NS_PER_S, ns % NS_PER_S};

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

/* Half of the delay is fixed, half is chance: clients do not come in waves. */
static int64_t jittered(int64_t delay)
{
	uint32_t r = 0;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != (ssize_t)sizeof(r))
		r = (uint32_t)mono_now_ns();
	return delay / 2 + (int64_t)((double)delay / 2 * r / UINT32_MAX);
}

/* Until when another try may begin. */
static int64_t deadline_of(const struct web *w, const struct web_request *q,
			   enum web_end end, int64_t begun)
{
	uint64_t s = q->retry_for != 0 ? q->retry_for : w->retry_for;

	if (end == WEB_NETWORK && !atomic_load(&w->worked) && s > FIRST_CONTACT)
		s = FIRST_CONTACT;
	return begun + (int64_t)s * NS_PER_S;
}

static int sign(struct web_request *q, struct err *e)
{
	return q->sign != NULL ? q->sign(q, q->sign_ctx, e) : 0;
}

/* A transfer that goes on asks for what is missing, of the same object. */
static int ask_range(struct web_request *q, const struct web_progress *p,
		     struct err *e)
{
	uint64_t from = q->range_pos + p->got;
	int rc;

	if (q->range_len == 0)
		return 0;
	rc = web_header(q, e, "Range", "bytes=%llu-%llu",
			(unsigned long long)from,
			(unsigned long long)(q->range_pos + q->range_len - 1));
	if (rc == 0 && p->got > 0 && p->etag[0] != '\0')
		rc = web_header(q, e, "If-Match", "%s", p->etag);
	return rc;
}

static int give_up(const struct web_request *q, int64_t begun, struct err *e)
{
	char took[32];

	if (e == NULL)
		return -PS_TEMPFAIL;
	if (q->answer.tries > 1) {
		size_t used = strlen(e->msg);

		format_duration((double)(mono_now_ns() - begun) / NS_PER_S,
				took, sizeof(took));
		snprintf(e->msg + used, sizeof(e->msg) - used,
			 " (%u tries in %s)", q->answer.tries, took);
	}
	return -e->code;
}

static enum web_trouble trouble_of(const struct web_request *q,
				   enum web_end end)
{
	int status = q->answer.status;

	if (q->answer.proxy || status == 407)
		return WEB_PROXY;
	if (end == WEB_NETWORK)
		return WEB_UNREACHABLE;
	if (end == WEB_LATER)
		return WEB_BUSY;
	if (status == 401 || status == 403)
		return WEB_DENIED;
	return end == WEB_FAILED ? WEB_UNUSABLE : WEB_FINE;
}

static void tell(struct web *w, const struct web_request *q, enum web_end end,
		 bool again, int64_t took_ns, const struct err *why)
{
	struct web_event ev = {.kind = WEB_TRIED,
			       .trouble = trouble_of(q, end),
			       .seconds = (double)took_ns / NS_PER_S,
			       .again = again,
			       .words = why->msg,
			       .date = q->answer.proxy ? 0 : q->answer.date};

	if (w->watch != NULL)
		w->watch(w->watch_ctx, &ev);
}

int web_do(struct web *w, struct web_request *q, struct err *e)
{
	struct web_progress p = {0};
	struct err local, *why = e != NULL ? e : &local;
	int64_t begun = mono_now_ns(), delay = DELAY_MIN;
	unsigned tries = 0;
	bool unsure = false;

	for (;;) {
		enum web_end end;
		int64_t wait, tried;
		bool over;
		int rc;

		web_answer_clear(q);
		q->answer.tries = ++tries;
		*why = (struct err){0};
		rc = ask_range(q, &p, why);
		if (rc == 0)
			rc = sign(q, why);
		if (rc < 0)
			return rc;
		p.retry_after = 0;
		p.limited_ns = 0;
		tried = mono_now_ns();
		end = web_try(w, q, &p, why);
		q->answer.unsure = unsure;
		wait = jittered(delay);
		if ((int64_t)p.retry_after * NS_PER_S > wait)
			wait = (int64_t)p.retry_after * NS_PER_S;
		over = end == WEB_ANSWERED || end == WEB_FAILED || q->once ||
		       mono_now_ns() + wait > deadline_of(w, q, end, begun);
		tell(w, q, end, !over, mono_now_ns() - tried - p.limited_ns,
		     why);
		if (end == WEB_ANSWERED)
			return 0;
		if (end == WEB_FAILED || q->once)
			return -why->code;
		unsure = unsure || end == WEB_LATER;
		if (over)
			return give_up(q, begun, why);
		sleep_ns(wait);
		delay = delay * 2 < DELAY_MAX ? delay * 2 : DELAY_MAX;
	}
}
