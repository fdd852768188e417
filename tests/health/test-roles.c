/* What must run on which server, and how it is seen whether it does. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "health/check.h"
#include "health/gather.h"
#include "health/processes.h"

#define NOW (1800000000LL / 60 * 60)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static char dir[] = "/tmp/roles.XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int drop_dir(void **state)
{
	char cmd[100];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd) == 0 ? 0 : -1;
}

/* A file below the folder, with its folders. */
static const char *make(const char *name, const void *text, size_t n)
{
	static char path[200];
	char *slash;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (slash = path + strlen(dir); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
	return path;
}

static struct conf *conf_of(const char *text)
{
	struct conf *c;

	assert_int_equal(
	    conf_read(&c, make("ps.yaml", text, strlen(text)), NULL), 0);
	return c;
}

/* The rows of the manual's table. */
static void each_role_has_its_services(void **state)
{
	static const struct {
		const char *role, *list, *yaml, *want;
	} rows[] = {
	    {NULL, NULL, "a: b", "ps-receive, ps-pipeline"},
	    {"standalone", NULL, "a: b", "ps-receive, ps-pipeline"},
	    {"configuration", NULL, "a: b",
	     "ps-receive, ps-pipeline, ps-config serve"},
	    {"failback", NULL, "a: b", "ps-receive, ps-pipeline"},
	    {"master-target", NULL, "a: b", "ps-agent"},
	    {"source", NULL, "a: b", "ps-agent"},
	    {"standalone", NULL, "config: {server: cs}",
	     "ps-receive, ps-pipeline, ps-config heartbeat"},
	    {"configuration", NULL, "config: {server: cs}",
	     "ps-receive, ps-pipeline, ps-config serve, ps-config heartbeat"},
	    {"failback", NULL, "config: {server: cs}",
	     "ps-receive, ps-pipeline"},
	    {"master-target", NULL, "config: {server: cs}",
	     "ps-config heartbeat, ps-agent"},
	    {"source", NULL, "config: {server: cs}", "ps-agent"},
	    {NULL, NULL, "health: {role: source}", "ps-agent"},
	    {"failback", NULL, "health: {role: source}",
	     "ps-receive, ps-pipeline"},
	    /* Who lists them wants them all. */
	    {"source", "heartbeat,receive", "a: b",
	     "ps-receive, ps-config heartbeat"},
	    {"source", "", "a: b", ""},
	};
	char got[200];
	struct conf *c;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		c = conf_of(rows[i].yaml);
		services_names(role_services(c, rows[i].role, rows[i].list),
			       got, sizeof(got));
		assert_string_equal(got, rows[i].want);
		conf_free(c);
	}
	assert_null(role_find("butler"));
}

static void a_list_of_services_is_read_or_refused(void **state)
{
	const char *bad = NULL;
	unsigned set;

	(void)state;
	assert_true(services_parse("agent,,config,", &set, &bad));
	assert_int_equal(set, 1u << SERVICE_AGENT | 1u << SERVICE_CONFIG);
	assert_false(services_parse("agent,agents", &set, &bad));
	assert_string_equal(bad, "agents");
	assert_false(services_parse("rec", &set, &bad));
}

static void a_unit_that_some_target_wants_starts_at_boot(void **state)
{
	struct gather g = {.proc = dir, .state = dir, .units = dir};
	struct sample s;

	(void)state;
	g.services = 1u << SERVICE_CONFIG | 1u << SERVICE_HEARTBEAT;
	sample_clear(&s);
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_SERVICES_UNBOOT], 2);
	make("multi-user.target.wants/ps-heartbeat.service", "", 0);
	make("ps-config.service", "", 0);
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_SERVICES_UNBOOT], 1);
	make("multi-user.target.wants/ps-config.service", "", 0);
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_SERVICES_UNBOOT], 0);
	/* Without systemd nobody can say. */
	g.units = NULL;
	sample_clear(&s);
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_SERVICES_UNBOOT], METRIC_UNKNOWN);
}

static int runs(const char *proc, const struct process_ask *q)
{
	unsigned found;

	return process_scan(proc, q, 1, &found) ? found != 0 : -1;
}

static void a_process_is_known_by_name_word_and_place(void **state)
{
	static const struct {
		const char *comm;
		char args[80];
		size_t n;
		bool named, usual;
	} rows[] = {
	    {"ps-config\n", "ps-config\0serve", 16, false, true},
	    {"ps-config\n", "ps-config\0list", 15, false, false},
	    {"ps-confi\n", "ps-config\0serve", 16, false, false},
	    {"ps-config\n", "ps-config\0serve\0--config\0ps.yaml", 33, true,
	     true},
	    {"ps-config\n", "ps-config\0serve\0--config=ps.yaml", 33, true,
	     true},
	    {"ps-config\n", "ps-config\0serve\0--config\0other", 31, false,
	     false},
	};
	char mine[200];
	struct process_ask q = {.program = "ps-config", .word = "serve"};
	char cwd[200];
	size_t i;

	(void)state;
	make("77/cwd/other", "", 0);
	snprintf(mine, sizeof(mine), "%s", make("77/cwd/ps.yaml", "", 0));
	snprintf(cwd, sizeof(cwd), "%s/gone", dir);
	for (i = 0; i < COUNT(rows); i++) {
		make("77/comm", rows[i].comm, strlen(rows[i].comm));
		make("77/cmdline", rows[i].args, rows[i].n);
		q.places[0] = mine;
		assert_int_equal(runs(dir, &q), rows[i].named);
		q.places[0] = SYSCONFDIR "/ps-toolkit/ps.yaml";
		assert_int_equal(runs(dir, &q),
				 rows[i].usual && !rows[i].named);
	}
	assert_int_equal(runs(cwd, &q), -1);
	/* Its environment names a place, too. */
	make("77/cmdline", rows[0].args, rows[0].n);
	make("77/environ", "A=b\0PS_CONFIG=ps.yaml", 22);
	assert_int_equal(runs(dir, &q), 0);
	q.places[0] = mine;
	assert_int_equal(runs(dir, &q), 1);
	make("77/environ", "PS_CONFIG=other", 16);
	assert_int_equal(runs(dir, &q), 0);
}

static void put(struct ring *r, int64_t time, unsigned down)
{
	struct sample s;

	sample_clear(&s);
	s.time = time;
	s.values[METRIC_SERVICES_DOWN] = __builtin_popcount(down);
	s.values[METRIC_RAW_DOWN] = down;
	assert_int_equal(ring_put(r, &s, NULL), 0);
}

static const struct alert *alert_of(const struct health *h, const char *code)
{
	size_t i;

	for (i = 0; i < h->n; i++)
		if (strcmp(h->alerts[i].code, code) == 0)
			return &h->alerts[i];
	return NULL;
}

static void only_what_the_role_needs_is_an_alert(void **state)
{
	static const struct {
		const char *role;
		const char *ends; /* of the evidence; NULL: no alert */
	} rows[] = {
	    {"standalone", NULL},
	    {"configuration", ": ps-config serve"},
	    {"master-target", ": ps-agent"},
	};
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), m;
	const struct alert *a;
	struct rules rules;
	struct health h;
	struct ring r;
	char aside[64];
	size_t i;

	(void)state;
	assert_int_equal(ring_open(&r, dirfd, true, aside, sizeof(aside), NULL),
			 0);
	for (m = 20; m >= 0; m--)
		put(&r, NOW - m * 60,
		    1u << SERVICE_CONFIG | 1u << SERVICE_AGENT);
	for (i = 0; i < COUNT(rows); i++) {
		rules_default(&rules);
		rules.services = role_services(NULL, rows[i].role, NULL);
		assert_int_equal(check_run(&r, NULL, &rules, NOW, &h, NULL), 0);
		a = alert_of(&h, "services");
		assert_int_equal(a != NULL, rows[i].ends != NULL);
		if (a != NULL)
			assert_string_equal(strrchr(a->evidence, ':'),
					    rows[i].ends);
		assert_int_equal(h.newest.values[METRIC_SERVICES_DOWN],
				 rows[i].ends != NULL);
		health_free(&h);
	}
	ring_close(&r);
	close(dirfd);
}

/* Sets the time of change of a file in the folder. */
static void touch(const char *name, int64_t time)
{
	const struct timespec times[2] = {{.tv_sec = time}, {.tv_sec = time}};

	assert_int_equal(utimensat(AT_FDCWD, make(name, "", 0), times, 0), 0);
}

static void a_heartbeat_is_expected_from_when_a_server_is_named(void **state)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct gather g = {.proc = "/proc", .state = dir};
	struct sample s;

	(void)state;
	assert_int_equal(gather_heartbeat_age(dir, NOW), METRIC_UNKNOWN);
	assert_int_equal(gather_expect(dirfd, GATHER_HEARTBEAT, true, NULL), 0);
	touch("heartbeat.since", NOW - 901);
	assert_int_equal(gather_heartbeat_age(dir, NOW), 901);
	/* That it is expected is not new. */
	assert_int_equal(gather_expect(dirfd, GATHER_HEARTBEAT, true, NULL), 0);
	assert_int_equal(gather_heartbeat_age(dir, NOW), 901);
	touch("heartbeat", NOW - 900);
	assert_int_equal(gather_heartbeat_age(dir, NOW), 900);
	touch("heartbeat", NOW + 5);
	assert_int_equal(gather_heartbeat_age(dir, NOW), 0);
	touch("heartbeat", NOW - 5000);
	sample_clear(&s);
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_HEARTBEAT_AGE], METRIC_UNKNOWN);
	g.server = "cs";
	gather_services(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_HEARTBEAT_AGE], 901);
	/* Named again later, it has its quarter of an hour again. */
	assert_int_equal(gather_expect(dirfd, GATHER_HEARTBEAT, false, NULL),
			 0);
	assert_int_equal(gather_heartbeat_age(dir, NOW), 5000);
	assert_int_equal(gather_job("heartbeat"), GATHER_HEARTBEAT);
	assert_int_equal(gather_job("renew"), GATHER_JOBS - 1);
	assert_int_equal(gather_job("job.prune"), -1);
	close(dirfd);
}

static void a_failure_goes_with_the_job(void **state)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int verify = gather_job("verify"), prune = gather_job("prune");
	char why[GATHER_WHY];

	(void)state;
	assert_int_equal(gather_expect_jobs(dirfd, "receive,verify", NULL), 0);
	assert_int_equal(gather_fail(dirfd, verify, "exit-code", NULL), 0);
	assert_int_equal(gather_fail(dirfd, prune, "exit-code", NULL), 0);
	assert_int_equal(gather_expect_jobs(dirfd, "receive,verify", NULL), 0);
	assert_true(gather_failed(dirfd, verify, why) != 0);
	assert_int_equal(gather_expect_jobs(dirfd, "receive", NULL), 0);
	assert_int_equal(gather_failed(dirfd, verify, why), 0);
	/* That one is run and stamped by somebody else. */
	assert_true(gather_failed(dirfd, prune, why) != 0);
	close(dirfd);
}

static void a_job_that_never_succeeds_is_overdue(void **state)
{
	int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct gather g = {.proc = "/proc", .state = dir};
	struct sample s;

	(void)state;
	gather_job_ages(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_JOB_VERIFY], METRIC_UNKNOWN);
	assert_int_equal(gather_expect_jobs(dirfd, "receive, verify", NULL), 0);
	touch("job.verify.since", NOW - 777);
	assert_int_equal(gather_expect_jobs(dirfd, "receive, verify", NULL), 0);
	gather_job_ages(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_JOB_VERIFY], 777);
	assert_int_equal(s.values[METRIC_JOB_RENEW], METRIC_UNKNOWN);
	touch("job.verify", NOW - 7);
	gather_job_ages(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_JOB_VERIFY], 7);
	/* "verify" is no part of another word; not named: not expected. */
	assert_int_equal(unlinkat(dirfd, "job.verify", 0), 0);
	assert_int_equal(gather_expect_jobs(dirfd, "verifyx,renew", NULL), 0);
	gather_job_ages(&g, NOW, &s);
	assert_int_equal(s.values[METRIC_JOB_VERIFY], METRIC_UNKNOWN);
	assert_true(s.values[METRIC_JOB_RENEW] != METRIC_UNKNOWN);
	close(dirfd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, drop_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_failure_goes_with_the_job),
	    TEST(each_role_has_its_services),
	    TEST(a_list_of_services_is_read_or_refused),
	    TEST(a_unit_that_some_target_wants_starts_at_boot),
	    TEST(a_process_is_known_by_name_word_and_place),
	    TEST(only_what_the_role_needs_is_an_alert),
	    TEST(a_job_that_never_succeeds_is_overdue),
	    TEST(a_heartbeat_is_expected_from_when_a_server_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
