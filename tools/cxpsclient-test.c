#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/tool.h"
#include "base/units.h"
#include "cxpsclient-test.h"

/* Of an endless test the newest are kept. */
#define SAMPLES 1024
/* The steps, the whole, and throughput both ways. */
#define SERIES (SELFTEST_STEPS + 3)
#define TOTAL SELFTEST_STEPS
#define UPLOAD (SELFTEST_STEPS + 1)
#define DOWNLOAD (SELFTEST_STEPS + 2)

struct series {
	double v[SAMPLES];
	uint64_t count; /* of all that came */
};

struct result {
	struct selftest_step steps[SELFTEST_STEPS];
	unsigned n;
	enum selftest_result worst;
	const struct selftest_step *why; /* of the worst, when not ok */
	double seconds, up, down;
	int code;
};

struct tester {
	const struct test_options *o;
	struct result now;
	struct series *series; /* SERIES of them; NULL for one run */
	uint64_t runs, warned, failed;
	int code; /* of the first that failed */
};

static const char *const words[] = {"ok", "warn", "FAILED"};
static const char *const json_words[] = {"ok", "warn", "failed"};

static volatile sig_atomic_t stopping;

static void on_stop(int sig)
{
	(void)sig;
	stopping = 1;
}

/* ---- one run ---- */

/* Tenths of a millisecond matter here. */
static void format_took(double seconds, char *out, size_t size)
{
	if (seconds < 1)
		snprintf(out, size, "%.1f ms", seconds * 1e3);
	else
		format_duration(seconds, out, size);
}

static void print_step(const struct selftest_step *s)
{
	char took[32];

	format_took((double)s->took_ns / 1e9, took, sizeof(took));
	printf("%-7s%-10s%9s  %s\n", words[s->result], s->name, took,
	       s->detail);
	if (s->hint[0] != '\0')
		printf("%-26s  next: %s\n", "", s->hint);
	fflush(stdout);
}

/*
 * Words of a peer do not steer the terminal, are UTF-8 for JSON, and do not
 * end the words before the figures of a plugin.
 */
static void clean(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < ' ' || *text > '~' || *text == '|')
			*text = '?';
}

static void take_step(void *ctx, const struct selftest_step *s)
{
	struct tester *t = ctx;
	struct selftest_step *mine = &t->now.steps[t->now.n++];

	*mine = *s;
	clean(mine->detail);
	clean(mine->hint);
	if (s->result > t->now.worst) {
		t->now.worst = s->result;
		t->now.why = mine;
	}
	if (strcmp(s->name, "upload") == 0)
		t->now.up = s->rate;
	if (strcmp(s->name, "download") == 0)
		t->now.down = s->rate;
	if (t->o->show == TEST_LINES)
		print_step(mine);
}

static json_t *json_step(const struct selftest_step *s)
{
	json_t *it = json_pack("{s:s s:s s:f s:s s:s}", "step", s->name,
			       "result", json_words[s->result], "seconds",
			       (double)s->took_ns / 1e9, "detail", s->detail,
			       "hint", s->hint);

	if (s->rate > 0)
		json_object_set_new(it, "bytes_per_second",
				    json_integer((json_int_t)s->rate));
	return it;
}

static void print_json(json_t *it)
{
	json_dumpf(it, stdout,
		   JSON_INDENT(2) | JSON_PRESERVE_ORDER |
		       JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
	json_decref(it);
}

static void print_run(const struct tester *t)
{
	const struct test_options *o = t->o;
	const struct result *r = &t->now;
	json_t *steps = json_array(), *it;
	char now[TIME_TEXT];
	unsigned i;

	for (i = 0; i < r->n; i++)
		json_array_append_new(steps, json_step(&r->steps[i]));
	format_time(time_now_ns(), now);
	it = json_pack("{s:s s:s s:s s:s s:i s:f s:o}", "host", o->to->host,
		       "port", o->to->port, "time", now, "result",
		       json_words[r->worst], "exit", r->code, "seconds",
		       r->seconds, "steps", steps);
	if (o->secret != NULL)
		json_object_set_new(it, "machine", json_string(o->machine));
	if (r->worst == SELFTEST_FAILED)
		json_object_set_new(it, "failed", json_string(r->why->name));
	print_json(it);
}

/* "host:port, step: why; next: ..." or the figures when all is well. */
static void print_words(const struct tester *t)
{
	const struct result *r = &t->now;

	printf("%s port %s: ", t->o->to->host, t->o->to->port);
	if (r->why != NULL)
		printf("%s: %s; next: %s; ", r->why->name, r->why->detail,
		       r->why->hint);
	printf("%u of %d steps in %.2f s", r->n,
	       t->o->secret != NULL ? SELFTEST_STEPS : SELFTEST_OPEN_STEPS,
	       r->seconds);
	if (r->down > 0)
		printf(", up %.1f MB/s, down %.1f MB/s", r->up / 1e6,
		       r->down / 1e6);
}

static int nagios_code(const struct result *r)
{
	return r->worst == SELFTEST_OK	   ? NAGIOS_OK
	       : r->worst == SELFTEST_WARN ? NAGIOS_WARNING
					   : NAGIOS_CRITICAL;
}

static void print_nagios(const struct tester *t)
{
	static const char *const states[] = {"OK", "WARNING", "CRITICAL"};
	const struct result *r = &t->now;
	unsigned i;

	printf("CXPS %s - ", states[nagios_code(r)]);
	print_words(t);
	printf(" | time=%.3fs;;;0", r->seconds);
	for (i = 0; i < r->n; i++)
		printf(" %s=%.4fs;;;0", r->steps[i].name,
		       (double)r->steps[i].took_ns / 1e9);
	if (r->down > 0)
		printf(" up_rate=%.0fB;;;0 down_rate=%.0fB;;;0", r->up,
		       r->down);
	putchar('\n');
}

static void show(const struct tester *t)
{
	switch (t->o->show) {
	case TEST_LINES:
		if (t->now.worst != SELFTEST_FAILED && t->o->secret == NULL)
			puts("login and transfer are tested with -P KEYFILE");
		break;
	case TEST_SHORT:
		printf("%s ", words[t->now.worst]);
		print_words(t);
		putchar('\n');
		break;
	case TEST_JSON:
		print_run(t);
		break;
	case TEST_NAGIOS:
		print_nagios(t);
		break;
	}
	fflush(stdout);
}

/* ---- figures of several runs ---- */

static void add(struct tester *t, unsigned which, double value)
{
	struct series *s = &t->series[which];

	s->v[s->count++ % SAMPLES] = value;
}

static void add_run(struct tester *t)
{
	const struct result *r = &t->now;
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (r->steps[i].result != SELFTEST_FAILED)
			add(t, i, (double)r->steps[i].took_ns / 1e9);
	if (r->worst == SELFTEST_FAILED)
		return;
	add(t, TOTAL, r->seconds);
	if (r->down > 0) {
		add(t, UPLOAD, r->up);
		add(t, DOWNLOAD, r->down);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figures {
	double min, median, max;
};

/* False when none came. Sorts the series. */
static bool figures(struct series *s, struct figures *ret)
{
	size_t n = s->count < SAMPLES ? (size_t)s->count : SAMPLES;

	if (n == 0)
		return false;
	qsort(s->v, n, sizeof(*s->v), by_value);
	ret->min = s->v[0];
	ret->max = s->v[n - 1];
	ret->median = n % 2 ? s->v[n / 2] : (s->v[n / 2 - 1] + s->v[n / 2]) / 2;
	return true;
}

static const char *series_name(unsigned i)
{
	return i == TOTAL      ? "all steps"
	       : i == UPLOAD   ? "up"
	       : i == DOWNLOAD ? "down"
			       : selftest_name(i);
}

static void print_row(unsigned i, const struct figures *f)
{
	const double v[] = {f->min, f->median, f->max};
	char text[32];
	unsigned k;

	printf("%-12s", series_name(i));
	for (k = 0; k < 3; k++) {
		if (i >= UPLOAD)
			snprintf(text, sizeof(text), "%.1f MB/s", v[k] / 1e6);
		else
			format_took(v[k], text, sizeof(text));
		printf("%14s", text);
	}
	putchar('\n');
}

static void summary_lines(struct tester *t)
{
	struct figures f;
	unsigned i;

	printf("%llu runs, %llu with warnings, %llu failed\n",
	       (unsigned long long)t->runs, (unsigned long long)t->warned,
	       (unsigned long long)t->failed);
	printf("%-12s%14s%14s%14s\n", "", "min", "median", "max");
	for (i = 0; i < SERIES; i++)
		if (figures(&t->series[i], &f))
			print_row(i, &f);
}

static void summary_json(struct tester *t)
{
	json_t *list = json_array();
	struct figures f;
	unsigned i;

	for (i = 0; i < SERIES; i++)
		if (figures(&t->series[i], &f))
			json_array_append_new(
			    list, json_pack("{s:s s:s s:f s:f s:f}", "name",
					    series_name(i), "unit",
					    i >= UPLOAD ? "bytes_per_second"
							: "seconds",
					    "min", f.min, "median", f.median,
					    "max", f.max));
	print_json(json_pack("{s:{s:I s:I s:I s:o}}", "summary", "runs",
			     (json_int_t)t->runs, "warned",
			     (json_int_t)t->warned, "failed",
			     (json_int_t)t->failed, "figures", list));
}

/* ---- again and again ---- */

static void run_once(struct tester *t)
{
	const struct test_options *o = t->o;
	int64_t begin = mono_now_ns();

	t->now = (struct result){0};
	t->now.code = -selftest_run(o->to, o->secret, o->machine, take_step, t);
	t->now.seconds = (double)(mono_now_ns() - begin) / 1e9;
	show(t);
	t->runs++;
	t->warned += t->now.worst == SELFTEST_WARN;
	t->failed += t->now.worst == SELFTEST_FAILED;
	if (t->code == 0)
		t->code = t->now.code;
	if (t->series != NULL)
		add_run(t);
}

/* The first signal ends it after the run that goes on, the second at once. */
static void take_signals(sigset_t *mask)
{
	struct sigaction stop = {.sa_handler = on_stop,
				 .sa_flags = (int)SA_RESETHAND};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, mask);
	sigdelset(mask, SIGINT);
	sigdelset(mask, SIGTERM);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
}

static void run_many(struct tester *t)
{
	const struct test_options *o = t->o;
	struct timespec pause = {.tv_sec = (time_t)o->interval_s};
	sigset_t mask, blocked;

	take_signals(&mask);
	for (;;) {
		sigprocmask(SIG_SETMASK, &mask, &blocked);
		run_once(t);
		sigprocmask(SIG_SETMASK, &blocked, NULL);
		if (stopping || t->runs == o->runs || ferror(stdout))
			break;
		/* The signals come in here, and nowhere between. */
		(void)ppoll(NULL, 0, &pause, &mask);
		if (stopping)
			break;
	}
	if (o->show == TEST_JSON)
		summary_json(t);
	else
		summary_lines(t);
}

int test_run(const struct test_options *o)
{
	struct tester t = {.o = o};

	if (o->runs == 1) {
		run_once(&t);
		return o->show == TEST_NAGIOS ? nagios_code(&t.now) : t.code;
	}
	t.series = calloc(SERIES, sizeof(*t.series));
	if (t.series == NULL)
		tool_die_errno(PS_TEMPFAIL, "figures");
	run_many(&t);
	free(t.series);
	return t.code;
}
