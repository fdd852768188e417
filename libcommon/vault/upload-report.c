#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/tool.h"
#include "base/units.h"
#include "vault/upload-report.h"

/* Rate and cause are of intervals of so long. */
#define INTERVAL_NS (2 * NS_PER_S)
/* Of the newest interval: the kernel takes much at once, then nothing. */
#define RATE_WEIGHT 0.3
/* Shares of an interval: above, the limit is it; below, the input is not. */
#define LIMITED_SHARE 0.25
#define INPUT_SHARE 0.25
/* Clocks are set right meanwhile: an older answer says nothing of them. */
#define AHEAD_NS (600 * NS_PER_S)

static const char *const state_names[] = {"starting", "sending", "waiting",
					  "done", "failed"};

static const char *const causes[] = {
    "rate-limit", "store-errors", "store-unreachable",
    "proxy",	  "denied",	  "store-slow"};

static const char *cause_of(enum web_trouble t)
{
	switch (t) {
	case WEB_UNREACHABLE:
		return "store-unreachable";
	case WEB_PROXY:
		return "proxy";
	case WEB_DENIED:
		return "denied";
	default:
		return "store-errors";
	}
}

/* ---- writing ---- */

static double latency(const struct upload_report *r)
{
	uint64_t n =
	    r->requests < UPLOAD_REQUESTS ? r->requests : UPLOAD_REQUESTS;
	double sum = 0;
	uint64_t i;

	for (i = 0; i < n; i++)
		sum += r->latency[i];
	return n > 0 ? sum / (double)n : 0;
}

static int64_t until(const struct upload_span *s, int64_t now)
{
	return s->ns + (s->since != 0 ? now - s->since : 0);
}

static json_t *clock_ahead(const struct upload_report *r)
{
	if (r->ahead_ns == 0 || mono_now_ns() - r->ahead_ns > AHEAD_NS)
		return json_null();
	return json_integer((json_int_t)r->ahead_s);
}

static char *as_text(const struct upload_report *r)
{
	double limited = (double)until(&r->limited, mono_now_ns()) / NS_PER_S;
	char now[TIME_TEXT], *text = NULL;
	json_t *root;

	format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
	root = json_pack(
	    "{s:i s:s s:s s:s s:s s:b s:I s:I s:I s:I s:o s:o s:I s:I s:o s:s}",
	    "pid", (int)getpid(), "state", state_names[r->state], "cause",
	    r->cause, "error", r->error, "vault", r->vault, "single_writer",
	    (int)r->single_writer, "segments", (json_int_t)r->segments, "bytes",
	    (json_int_t)r->bytes, "rate", (json_int_t)r->rate, "limit_rate",
	    (json_int_t)r->limit, "limited_s", json_real(limited), "latency_ms",
	    json_real((double)(int64_t)(latency(r) * 1e4) / 10), "retries",
	    (json_int_t)r->retries, "errors", (json_int_t)r->errors,
	    "clock_ahead_s", clock_ahead(r), "updated", now);
	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER |
					    JSON_REAL_PRECISION(8));
	json_decref(root);
	return text;
}

/* With the lock held: rate and, while nothing fails, cause of the interval. */
static void measure(struct upload_report *r)
{
	int64_t now = mono_now_ns();
	int64_t slept = until(&r->limited, now), waited = until(&r->input, now);
	double took = (double)(now - r->since.ns), limited, input, rate;

	if (now - r->since.ns < INTERVAL_NS)
		return;
	limited = (double)(slept - r->since.limited_ns) / took;
	input = (double)(waited - r->since.input_ns) / took;
	rate = (double)(r->bytes - r->since.bytes) / took * NS_PER_S;
	r->rate += (rate - r->rate) * (r->rate == 0 ? 1 : RATE_WEIGHT);
	if (r->limit != 0 && r->rate > (double)r->limit)
		r->rate = (double)r->limit;
	if (!r->troubled && r->state == UPLOAD_SENDING)
		r->cause = limited > LIMITED_SHARE ? "rate-limit"
			   : input < INPUT_SHARE   ? "store-slow"
						   : "";
	r->since.ns = now;
	r->since.limited_ns = slept;
	r->since.input_ns = waited;
	r->since.bytes = r->bytes;
}

/* Waits for news, a second at most; false: it is over. */
static bool wait_for_news(struct upload_report *r)
{
	int64_t until = time_now_ns() + STATUS_EVERY_NS;
	struct timespec ts = {until / NS_PER_S, until % NS_PER_S};

	while (!r->news && !r->closing && time_now_ns() < until)
		pthread_cond_timedwait(&r->changed, &r->lock, &ts);
	r->news = false;
	return !r->closing;
}

static void *writer(void *arg)
{
	struct upload_report *r = arg;
	char *text;

	pthread_mutex_lock(&r->lock);
	do {
		measure(r);
		text = as_text(r);
		pthread_mutex_unlock(&r->lock);
		status_write(&r->file, text);
		free(text);
		pthread_mutex_lock(&r->lock);
	} while (wait_for_news(r));
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* With the lock held. */
static void tell_news(struct upload_report *r)
{
	r->news = true;
	pthread_cond_signal(&r->changed);
}

/* Words of a store may hold anything; JSON takes no broken UTF-8. */
static void put_words(struct upload_report *r, const char *words)
{
	size_t i;

	snprintf(r->error, sizeof(r->error), "%.*s", (int)sizeof(r->error) - 1,
		 words);
	for (i = 0; r->error[i] != '\0'; i++)
		if (r->error[i] < ' ' || r->error[i] > '~')
			r->error[i] = '?';
}

/* ---- what the process before has failed with ---- */

static void take_over(struct upload_report *r)
{
	json_t *o = json_load_file(r->file.path, 0, NULL);
	const char *state = json_string_value(json_object_get(o, "state"));
	const char *cause = json_string_value(json_object_get(o, "cause"));
	const char *error = json_string_value(json_object_get(o, "error"));
	const json_t *ahead = json_object_get(o, "clock_ahead_s");
	size_t i;

	if (state != NULL && cause != NULL && error != NULL && *error != '\0') {
		for (i = 0; i < sizeof(causes) / sizeof(causes[0]); i++)
			if (strcmp(cause, causes[i]) == 0)
				r->cause = causes[i];
		put_words(r, error);
		r->troubled = *r->cause != '\0';
	}
	/* It stands until the store tells another time, as the cause does. */
	if (json_is_integer(ahead)) {
		r->ahead_s = json_integer_value(ahead);
		r->ahead_ns = mono_now_ns();
	}
	json_decref(o);
}

/* Up to the query, without user and password. */
static void clean_url(const char *url, char *out, size_t size)
{
	const char *host = strstr(url, "://"), *at;
	size_t n;

	host = host != NULL ? host + 3 : url;
	n = strcspn(host, "/?#");
	for (at = host + n; at > host && at[-1] != '@'; at--)
		;
	n = strcspn(at, "?#");
	snprintf(out, size, "%.*s%.*s", (int)(host - url), url, (int)n, at);
}

void upload_report_open(struct upload_report *r, const char *path,
			const char *vault, uint64_t limit)
{
	*r = (struct upload_report){
	    .file = {.path = path}, .limit = limit, .cause = ""};
	pthread_mutex_init(&r->lock, NULL);
	if (path == NULL)
		return;
	clean_url(vault, r->vault, sizeof(r->vault));
	r->since.ns = mono_now_ns();
	take_over(r);
	pthread_cond_init(&r->changed, NULL);
	if (pthread_create(&r->thread, NULL, writer, r) != 0) {
		tool_warn("%s: the report cannot be written", path);
		r->file.path = NULL;
	}
}

/* ---- what happens ---- */

static void fine(struct upload_report *r)
{
	if (r->troubled)
		r->cause = "";
	r->troubled = false;
	r->error[0] = '\0';
}

static void tried(struct upload_report *r, const struct web_event *ev)
{
	if (r->troubled != (ev->trouble != WEB_FINE))
		tell_news(r);
	r->retries += ev->again;
	if (ev->date != 0) {
		r->ahead_s = ev->date - time_now_ns() / NS_PER_S;
		r->ahead_ns = mono_now_ns();
	}
	if (ev->trouble == WEB_FINE) {
		r->latency[r->requests++ % UPLOAD_REQUESTS] = ev->seconds;
		fine(r);
	} else {
		r->errors++;
		r->troubled = true;
		r->cause = cause_of(ev->trouble);
		put_words(r, ev->words);
	}
}

void upload_report_rate(struct upload_report *r, uint64_t limit)
{
	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->limit = limit;
	tell_news(r);
	pthread_mutex_unlock(&r->lock);
}

void upload_report_single_writer(struct upload_report *r)
{
	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->single_writer = true;
	tell_news(r);
	pthread_mutex_unlock(&r->lock);
}

void upload_report_web(void *ctx, const struct web_event *ev)
{
	struct upload_report *r = ctx;

	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	if (ev->kind == WEB_TRIED) {
		tried(r, ev);
	} else {
		r->limited.ns += ev->limited_ns;
		r->bytes += ev->bytes;
	}
	pthread_mutex_unlock(&r->lock);
}

void upload_report_moved(struct upload_report *r, size_t bytes)
{
	struct web_event ev = {.kind = WEB_MOVED, .bytes = bytes};

	upload_report_web(r, &ev);
}

static void enter(struct upload_span *s, bool now_in)
{
	int64_t now = mono_now_ns();

	s->ns = until(s, now);
	s->since = now_in ? now : 0;
}

void upload_report_limit(struct upload_report *r, bool sleeps)
{
	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	enter(&r->limited, sleeps);
	pthread_mutex_unlock(&r->lock);
}

void upload_report_input(struct upload_report *r, bool waits)
{
	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	if (r->state == UPLOAD_STARTING) {
		r->state = UPLOAD_SENDING;
		tell_news(r);
	}
	enter(&r->input, waits);
	pthread_mutex_unlock(&r->lock);
}

void upload_report_stored(struct upload_report *r, double seconds)
{
	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->segments++;
	if (seconds > 0)
		r->latency[r->requests++ % UPLOAD_REQUESTS] = seconds;
	fine(r);
	pthread_mutex_unlock(&r->lock);
}

void upload_report_end(struct upload_report *r, int code, const struct err *e)
{
	char *text, words[sizeof(e->msg) + sizeof(e->hint) + 4];

	if (r->file.path == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	r->closing = true;
	tell_news(r);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	r->state = code == 0 || code == PS_NO ? UPLOAD_DONE
		   : code == PS_TEMPFAIL || code == PS_UNAVAILABLE
		       ? UPLOAD_WAITING
		       : UPLOAD_FAILED;
	if (r->state == UPLOAD_DONE) {
		fine(r);
		r->cause = "";
	} else if (e != NULL) {
		snprintf(words, sizeof(words), "%s%s%s", e->msg,
			 e->hint[0] != '\0' ? "; " : "", e->hint);
		put_words(r, words);
		if (!r->troubled)
			r->cause = code == PS_NOPERM ? "denied"
				   : code == PS_UNAVAILABLE
				       ? "store-unreachable"
				       : "store-errors";
	}
	r->rate = 0;
	text = as_text(r);
	status_write(&r->file, text);
	free(text);
}
