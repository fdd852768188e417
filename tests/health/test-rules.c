/*
 * The thresholds of ps-health(1): both sides of each, each window rule, and
 * gaps in the samples.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "health/rules.h"

#define NOW (1800000000LL / 60 * 60)
#define WINDOW 15
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct sample samples[200];

/* n samples, one a minute, the last one now; all of this value. */
static void fill(enum metric m, size_t n, int64_t value)
{
	size_t i;

	for (i = 0; i < n; i++) {
		sample_clear(&samples[i]);
		samples[i].time = NOW - (int64_t)(n - 1 - i) * 60;
		samples[i].values[m] = value;
	}
}

static struct judgement judge(const struct rules *r, const char *name, size_t n)
{
	struct judgement j;
	const struct rule *rule = rules_find(r, name);

	assert_non_null(rule);
	rules_judge(r, rule, samples, n, NOW, &j);
	return j;
}

static void both_sides_of_each_threshold(void **state)
{
	static const struct {
		const char *rule;
		enum metric metric;
		int64_t value;
		enum level level;
	} rows[] = {
	    {"cpu", METRIC_CPU, 70, LEVEL_OK},
	    {"cpu", METRIC_CPU, 71, LEVEL_NOTICE},
	    {"cpu", METRIC_CPU, 80, LEVEL_NOTICE},
	    {"cpu", METRIC_CPU, 81, LEVEL_WARNING},
	    {"cpu", METRIC_CPU, 95, LEVEL_WARNING},
	    {"cpu", METRIC_CPU, 96, LEVEL_CRITICAL},
	    {"memory", METRIC_MEMORY, 70, LEVEL_OK},
	    {"memory", METRIC_MEMORY, 71, LEVEL_NOTICE},
	    {"memory", METRIC_MEMORY, 80, LEVEL_NOTICE},
	    {"memory", METRIC_MEMORY, 81, LEVEL_WARNING},
	    {"memory", METRIC_MEMORY, 95, LEVEL_WARNING},
	    {"memory", METRIC_MEMORY, 96, LEVEL_CRITICAL},
	    {"cache-free", METRIC_CACHE_FREE, 30, LEVEL_OK},
	    {"cache-free", METRIC_CACHE_FREE, 29, LEVEL_WARNING},
	    {"cache-free", METRIC_CACHE_FREE, 25, LEVEL_WARNING},
	    {"cache-free", METRIC_CACHE_FREE, 24, LEVEL_CRITICAL},
	    {"services", METRIC_SERVICES_DOWN, 0, LEVEL_OK},
	    {"services", METRIC_SERVICES_DOWN, 1, LEVEL_WARNING},
	    {"boot", METRIC_SERVICES_UNBOOT, 0, LEVEL_OK},
	    {"boot", METRIC_SERVICES_UNBOOT, 1, LEVEL_WARNING},
	    {"boot", METRIC_SERVICES_UNBOOT, 0, LEVEL_OK},
	    {"boot", METRIC_SERVICES_UNBOOT, 1, LEVEL_WARNING},
	    {"heartbeat", METRIC_HEARTBEAT_AGE, 900, LEVEL_OK},
	    {"heartbeat", METRIC_HEARTBEAT_AGE, 901, LEVEL_CRITICAL},
	    {"certificate", METRIC_CERT_DAYS, 60, LEVEL_OK},
	    {"certificate", METRIC_CERT_DAYS, 59, LEVEL_WARNING},
	    {"certificate", METRIC_CERT_DAYS, 7, LEVEL_WARNING},
	    {"certificate", METRIC_CERT_DAYS, 6, LEVEL_CRITICAL},
	    {"certificate", METRIC_CERT_DAYS, -3, LEVEL_CRITICAL},
	    {"clock", METRIC_CLOCK_UNSYNCED, 0, LEVEL_OK},
	    {"clock", METRIC_CLOCK_UNSYNCED, 1, LEVEL_WARNING},
	    {"clock-offset", METRIC_CLOCK_OFFSET, 300, LEVEL_OK},
	    {"clock-offset", METRIC_CLOCK_OFFSET, 301, LEVEL_WARNING},
	    {"clock-offset", METRIC_CLOCK_OFFSET, 900, LEVEL_WARNING},
	    {"clock-offset", METRIC_CLOCK_OFFSET, 901, LEVEL_CRITICAL},
	    {"cache-failed", METRIC_CACHE_FAILED, 0, LEVEL_OK},
	    {"cache-failed", METRIC_CACHE_FAILED, 1, LEVEL_CRITICAL},
	    {"single-writer", METRIC_SINGLE_WRITER, 0, LEVEL_OK},
	    {"single-writer", METRIC_SINGLE_WRITER, 1, LEVEL_NOTICE},
	    {"prune", METRIC_JOB_PRUNE, 2 * 86400, LEVEL_OK},
	    {"prune", METRIC_JOB_PRUNE, 2 * 86400 + 1, LEVEL_WARNING},
	    {"verify", METRIC_JOB_VERIFY, 8 * 86400, LEVEL_OK},
	    {"verify", METRIC_JOB_VERIFY, 8 * 86400 + 1, LEVEL_WARNING},
	    {"drill", METRIC_JOB_DRILL, 35 * 86400, LEVEL_OK},
	    {"drill", METRIC_JOB_DRILL, 35 * 86400 + 1, LEVEL_WARNING},
	    {"key-kit", METRIC_JOB_KEY_KIT, 366 * 86400, LEVEL_OK},
	    {"key-kit", METRIC_JOB_KEY_KIT, 366 * 86400 + 1, LEVEL_WARNING},
	    {"renew", METRIC_JOB_RENEW, 2 * 86400, LEVEL_OK},
	    {"renew", METRIC_JOB_RENEW, 2 * 86400 + 1, LEVEL_WARNING},
	};
	struct rules r;
	size_t i;

	(void)state;
	rules_default(&r);
	for (i = 0; i < COUNT(rows); i++) {
		struct judgement j;

		fill(rows[i].metric, WINDOW, rows[i].value);
		j = judge(&r, rows[i].rule, WINDOW);
		if (!j.known || j.level != rows[i].level)
			fail_msg("row %zu: %s at %lld is %s", i, rows[i].rule,
				 (long long)rows[i].value, level_name(j.level));
	}
}

/* 1,000 bytes a second drain what takes 30 and 45 minutes. */
static void time_to_drain(void **state)
{
	static const struct {
		int64_t pending, rate;
		enum level level;
	} rows[] = {
	    {1800 * 1000, 1000, LEVEL_OK},
	    {1801 * 1000, 1000, LEVEL_WARNING},
	    {2700 * 1000, 1000, LEVEL_WARNING},
	    {2701 * 1000, 1000, LEVEL_CRITICAL},
	    {1, 0, LEVEL_CRITICAL}, /* never */
	    {0, 0, LEVEL_OK},
	    {METRIC_UNKNOWN, 0, LEVEL_OK},
	};
	struct rules r;
	size_t i, k;

	(void)state;
	rules_default(&r);
	for (i = 0; i < COUNT(rows); i++) {
		struct judgement j;

		fill(METRIC_PENDING_BYTES, WINDOW, rows[i].pending);
		for (k = 0; k < WINDOW; k++)
			samples[k].values[METRIC_STORE_RATE] = rows[i].rate;
		j = judge(&r, "to-drain", WINDOW);
		assert_int_equal(j.known, rows[i].pending != METRIC_UNKNOWN);
		assert_int_equal(j.level, rows[i].level);
	}
}

static void one_sample_on_the_good_side_is_enough(void **state)
{
	struct rules r;

	(void)state;
	rules_default(&r);
	fill(METRIC_CPU, WINDOW, 99);
	samples[7].values[METRIC_CPU] = 10;
	assert_int_equal(judge(&r, "cpu", WINDOW).level, LEVEL_OK);
	samples[7].values[METRIC_CPU] = 90;
	assert_int_equal(judge(&r, "cpu", WINDOW).level, LEVEL_WARNING);
	/* Outside of the window it does not matter. */
	fill(METRIC_CPU, WINDOW + 1, 99);
	samples[0].values[METRIC_CPU] = 10;
	assert_int_equal(judge(&r, "cpu", WINDOW + 1).level, LEVEL_CRITICAL);
}

static void the_mean_is_another_rule(void **state)
{
	struct rules r;
	size_t i;

	(void)state;
	rules_default(&r);
	r.mean = true;
	fill(METRIC_CPU, WINDOW, 100);
	for (i = 0; i < 5; i++)
		samples[i].values[METRIC_CPU] = 50; /* the mean is 83 */
	assert_int_equal(judge(&r, "cpu", WINDOW).level, LEVEL_WARNING);
	for (i = 0; i < 7; i++)
		samples[i].values[METRIC_CPU] = 50; /* 77 */
	assert_int_equal(judge(&r, "cpu", WINDOW).level, LEVEL_NOTICE);
}

static void two_thirds_of_the_window_are_needed(void **state)
{
	struct rules r;

	(void)state;
	rules_default(&r);
	fill(METRIC_CPU, 10, 99);
	assert_true(judge(&r, "cpu", 10).known);
	fill(METRIC_CPU, 9, 99);
	assert_false(judge(&r, "cpu", 9).known);
	/* Samples that do not know it do not count. */
	fill(METRIC_CPU, WINDOW, 99);
	samples[0].values[METRIC_CPU] = METRIC_UNKNOWN;
	assert_true(judge(&r, "cpu", WINDOW).known);
	for (size_t i = 0; i < 6; i++)
		samples[i].values[METRIC_CPU] = METRIC_UNKNOWN;
	assert_false(judge(&r, "cpu", WINDOW).known);
	/* A longer window needs more. */
	r.minutes = 60;
	fill(METRIC_CPU, 39, 99);
	assert_false(judge(&r, "cpu", 39).known);
	fill(METRIC_CPU, 40, 99);
	assert_true(judge(&r, "cpu", 40).known);
}

static void old_samples_say_nothing_about_now(void **state)
{
	struct rules r;
	size_t i;

	(void)state;
	rules_default(&r);
	fill(METRIC_CPU, WINDOW, 99);
	for (i = 0; i < WINDOW; i++)
		samples[i].time -= 3600;
	assert_false(judge(&r, "cpu", WINDOW).known);
	fill(METRIC_CERT_DAYS, WINDOW, 1);
	for (i = 0; i < WINDOW; i++)
		samples[i].time -= 3600;
	assert_false(judge(&r, "certificate", WINDOW).known);
}

static void since_when(void **state)
{
	struct rules r;
	size_t i;

	(void)state;
	rules_default(&r);
	fill(METRIC_CPU, 60, 99);
	samples[19].values[METRIC_CPU] = 10;
	assert_int_equal(judge(&r, "cpu", 60).since, samples[20].time);
	/* A gap of five minutes is bridged, one of six is not. */
	fill(METRIC_CPU, 60, 99);
	for (i = 20; i < 24; i++)
		samples[i].values[METRIC_CPU] = METRIC_UNKNOWN;
	assert_int_equal(judge(&r, "cpu", 60).since, samples[0].time);
	samples[24].values[METRIC_CPU] = METRIC_UNKNOWN;
	assert_int_equal(judge(&r, "cpu", 60).since, samples[25].time);
}

static int read_text(struct rules *r, const char *text, char *msg, size_t size)
{
	char path[] = "/tmp/rules.XXXXXX";
	struct err e = {0};
	struct conf *c;
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	close(fd);
	assert_int_equal(conf_read(&c, path, &e), 0);
	rc = rules_read(r, c, &e);
	snprintf(msg, size, "%s", e.msg);
	conf_free(c);
	unlink(path);
	return rc;
}

/* Those of disks have no samples: test-check.c has the rest. */
static void thresholds_of_disks(void **state)
{
	static const struct {
		const char *rule;
		int64_t value;
		enum level level;
	} rows[] = {
	    {"disk-lag", 900, LEVEL_OK},
	    {"disk-lag", 901, LEVEL_WARNING},
	    {"disk-lag", 1800, LEVEL_WARNING},
	    {"disk-lag", 1801, LEVEL_CRITICAL},
	    {"churn", 20 << 20, LEVEL_OK},
	    {"churn", (20 << 20) + 1, LEVEL_WARNING},
	    {"churn-machine", 54 << 20, LEVEL_OK},
	    {"churn-machine", (54 << 20) + 1, LEVEL_WARNING},
	    {"churn-spike", 300, LEVEL_OK},
	    {"churn-spike", 301, LEVEL_WARNING},
	    {"crash-point", 3600, LEVEL_OK},
	    {"crash-point", 3601, LEVEL_WARNING},
	    {"app-point", 24 * 3600, LEVEL_OK},
	    {"app-point", 24 * 3600 + 1, LEVEL_WARNING},
	};
	struct rules r;
	size_t i;

	(void)state;
	rules_default(&r);
	for (i = 0; i < COUNT(rows); i++)
		if (rule_level(rules_find(&r, rows[i].rule), rows[i].value) !=
		    rows[i].level)
			fail_msg("row %zu", i);
}

static void thresholds_of_the_file(void **state)
{
	struct rules r;
	char msg[600];

	(void)state;
	rules_default(&r);
	assert_int_equal(read_text(&r,
				   "health:\n"
				   "  limits:\n"
				   "    cpu: {warning: 50, critical: off}\n"
				   "    disk-lag: {warning: 1h}\n"
				   "    churn: {warning: 2M, critical: 1G}\n",
				   msg, sizeof(msg)),
			 0);
	fill(METRIC_CPU, WINDOW, 100);
	assert_int_equal(judge(&r, "cpu", WINDOW).level, LEVEL_WARNING);
	assert_int_equal(rules_find(&r, "disk-lag")->warning, 3600);
	assert_int_equal(rules_find(&r, "churn")->warning, 2 << 20);
	assert_int_equal(rules_find(&r, "churn")->critical, 1 << 30);
	assert_true(rules_is_set(&r, "churn"));
	assert_false(rules_is_set(&r, "app-point"));
	assert_int_equal(read_text(&r,
				   "health:\n  limits:\n    cpu: "
				   "{warn: 50}\n",
				   msg, sizeof(msg)),
			 -PS_CONFIG);
	assert_non_null(strstr(msg, "line 3"));
	assert_int_equal(read_text(&r,
				   "health: {limits: {cpu: {notice: "
				   "many}}}\n",
				   msg, sizeof(msg)),
			 -PS_CONFIG);
	assert_non_null(strstr(msg, "many"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(both_sides_of_each_threshold),
	    cmocka_unit_test(time_to_drain),
	    cmocka_unit_test(one_sample_on_the_good_side_is_enough),
	    cmocka_unit_test(the_mean_is_another_rule),
	    cmocka_unit_test(two_thirds_of_the_window_are_needed),
	    cmocka_unit_test(old_samples_say_nothing_about_now),
	    cmocka_unit_test(since_when),
	    cmocka_unit_test(thresholds_of_disks),
	    cmocka_unit_test(thresholds_of_the_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
