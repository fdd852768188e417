/*
 * Sizing: figures that can be worked out by hand, and both sides of each
 * published limit.
 */
#include "config.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/units.h"
#include "fleet/sizing.h"

#define MIB (1024.0 * 1024)
#define T0 1800000000LL
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct sizing_opts plain = {.percentile = 95,
					 .growth = 0,
					 .ratio = 1,
					 .rpo = 900,
					 .retention = 86400,
					 .outage = 4 * 3600,
					 .initial = 72 * 3600,
					 .headroom = 0.3,
					 .tables = &tables[0]};

static FILE *table;

static void begin(void)
{
	table = tmpfile();
	assert_non_null(table);
	fputs("disk,machine,time,writes,write_bytes,size,extra\n", table);
}

/* One minute of a disk: MiB/s and writes a second. */
static void minute(const char *machine, const char *disk, unsigned at,
		   double mib, double writes)
{
	char time[TIME_TEXT];

	format_time((T0 + 60LL * (at + 1)) * NS_PER_S, time);
	fprintf(table, "%s,%s,%s,%.0f,%.0f,%llu,x\n", disk, machine, time,
		writes * 60, mib * MIB * 60, 100 * GIB);
}

static void end(struct churn *c, struct sizing *s, const struct sizing_opts *o)
{
	struct err e = {0};

	rewind(table);
	*c = (struct churn){0};
	assert_int_equal(churn_read(c, table, "table", &e), 0);
	assert_int_equal(churn_total(c, &e), 0);
	assert_int_equal(sizing_make(s, c, o, &e), 0);
	(void)fclose(table);
}

static void drop(struct churn *c, struct sizing *s)
{
	sizing_free(s, c);
	churn_free(c);
}

static void near(const char *what, double got, double want, double part)
{
	if (fabs(got - want) > part * fabs(want))
		fail_msg("%s is %.6g, wanted %.6g", what, got, want);
}
#define assert_near(got, want, part) near(#got, got, want, part)

/* 1 MiB/s all day long. */
static void test_constant(void **state)
{
	struct sizing_opts o = plain;
	struct sizing s;
	struct churn c;

	(void)state;
	begin();
	for (unsigned i = 0; i < 1440; i++)
		minute("m", i % 2 == 0 ? "a" : "b", i, 1, 64);
	end(&c, &s, &plain);
	assert_int_equal(c.nmachines, 1);
	assert_int_equal(c.machines[0].ndisks, 2);
	assert_near(s.mean, MIB, 1e-6);
	assert_near(s.rate, MIB, 1e-6);
	assert_near(s.day, 86400 * MIB, 1e-6);
	assert_int_equal(s.size, 200 * GIB);
	/* (1 - r) * 86400 may be pending, and takes 900 s: r = 86400/87300. */
	assert_near(s.need_all, 8 * MIB * 86400 / 87300, 2e-3);
	assert_near(s.need_90, 8 * MIB * 77760 / 78660, 2e-3);
	assert_near(s.cache, 4 * 3600 * MIB / 0.8, 1e-6);
	assert_near(s.vault, 200.0 * (double)GIB + 86400 * MIB, 1e-6);
	assert_near(s.initial_bits,
		    8 * (200.0 * (double)GIB / (72 * 3600) + MIB), 1e-6);
	assert_int_equal(s.servers[0], 1);
	assert_int_equal(s.accounts, 1);
	drop(&c, &s);

	/* Twice the churn on a line of three times that: no backlog. */
	begin();
	for (unsigned i = 0; i < 1440; i++)
		minute("m", "a", i, 1, 64);
	o.growth = 1;
	o.bandwidth = 8 * 3 * MIB;
	o.retention = 7 * 86400;
	end(&c, &s, &o);
	assert_near(s.mean, 2 * MIB, 1e-6);
	assert_true(s.rpo_all == 0);
	assert_near(s.initial_seconds, 100.0 * (double)GIB / MIB, 1e-6);
	/* Longer than measured: it goes on like this. */
	assert_near(s.retention, 7 * 86400 * 2 * MIB, 1e-6);
	drop(&c, &s);

	begin();
	for (unsigned i = 0; i < 1440; i++)
		minute("m", "a", i, 1, 64);
	o.bandwidth = 8 * 1.5 * MIB; /* less than the churn */
	end(&c, &s, &o);
	assert_true(s.rpo_all < 0);
	assert_true(s.initial_seconds < 0);
	drop(&c, &s);
}

/* An hour of 10 MiB/s in a quiet day. */
static void test_spike(void **state)
{
	struct sizing_opts o = plain;
	struct sizing s;
	struct churn c;

	(void)state;
	o.bandwidth = 8 * 5 * MIB;
	begin();
	for (unsigned i = 1440; i-- > 0;) /* the last first */
		minute("m", "a", i, i >= 600 && i < 660 ? 10 : 0, 64);
	end(&c, &s, &o);
	assert_near(s.peak, 10 * MIB, 1e-6);
	assert_true(s.rate == 0); /* 60 of 1440 minutes are less than 5 % */
	/* Half of 36,000 MiB is pending at its end, at 5 MiB/s: an hour. */
	assert_near(s.rpo_all, 3600, 1e-6);
	/* 120 minutes have something pending, 144 may at 90 %. */
	assert_true(s.rpo_90 == 0);
	assert_near(s.rpo_95, 1440, 1e-3); /* the 72nd largest of both ramps */
	/* (10 - r) * 3600 / r = 900 */
	assert_near(s.need_all, 8 * 8 * MIB, 2e-3);
	drop(&c, &s);
}

static const char *class_of(const struct sizing *s)
{
	const char *name = s->machines[0].disks[0].class;

	return name != NULL ? name : "none";
}

static void test_limits(void **state)
{
	static const struct {
		double mib, writes;
		const char *class;
		const char *why;
	} t[] = {
	    {1.9, 1.9 * 128, "standard", ""},
	    {1.9, 900, "P10", ""},	/* writes */
	    {2.1, 2.1 * 64, "P10", ""}, /* of 16 KiB: 4 */
	    {3.8, 3.8 * 64, "P10", ""},
	    {4.2, 4.2 * 64, "P20", ""},
	    {7.8, 7.8 * 32, "P10", ""}, /* of 32 KiB: 8 */
	    {8.3, 8.3 * 32, "P20", ""},
	    {4.8, 4.8 * 128, "P20", ""}, /* of 8 KiB: 5 */
	    {5.2, 5.2 * 128, "none", "5 at most with writes of 8 KiB"},
	    {19.7, 19.7 * 64, "P20", ""},
	    {20.4, 20.4 * 64, "none", "20 at most"},
	    {1, 7300, "P10", ""},
	    {1, 7700, "none", "writes a second, 7500 at most"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct sizing s;
		struct churn c;

		begin();
		for (unsigned k = 0; k < 20; k++)
			minute("m", "a", k, t[i].mib, t[i].writes);
		end(&c, &s, &plain);
		if (strcmp(class_of(&s), t[i].class) != 0)
			fail_msg("row %zu: class %s", i, class_of(&s));
		assert_true(t[i].why[0] == '\0'
				? s.machines[0].why[0] == '\0'
				: strstr(s.machines[0].why, t[i].why) != NULL);
		assert_int_equal(s.fit, t[i].why[0] == '\0');
		drop(&c, &s);
	}
}

/* Limits of a machine: the peak of the sum, not the sum of the peaks. */
static void test_machine_limits(void **state)
{
	struct sizing s;
	struct churn c;
	char name[8];

	(void)state;
	begin();
	for (unsigned k = 0; k < 200; k++)
		for (unsigned d = 0; d < 4; d++) {
			snprintf(name, sizeof(name), "d%u", d);
			minute("sum", name, k, 15, 15 * 64);
			minute("turns", name, k, k % 4 == d ? 19 : 0,
			       k % 4 == d ? 19 * 64 : 0);
		}
	end(&c, &s, &plain);
	assert_non_null(strstr(s.machines[0].why, "together 60.0 MiB/s, 54"));
	assert_string_equal(s.machines[1].why, "");
	assert_near(s.machines[1].rate, 19 * MIB, 1e-6);
	drop(&c, &s);

	begin();
	for (unsigned d = 0; d < 32; d++) {
		snprintf(name, sizeof(name), "d%u", d);
		minute("many", name, 0, 0.1, 1);
	}
	end(&c, &s, &plain);
	assert_string_equal(s.machines[0].why, "32 disks, 31 at most");
	drop(&c, &s);

	begin();
	for (unsigned k = 0; k < 1440; k++) {
		minute("day", "a", k, 13, 13 * 32);
		minute("day", "b", k, 13, 13 * 32);
	}
	end(&c, &s, &plain);
	assert_non_null(strstr(s.machines[0].why, "TiB in a day, 2 at most"));
	assert_int_equal(s.servers[2], 0); /* no server takes it */
	drop(&c, &s);
}

/* One row of `seconds`, that ends so long after T0. */
static void row(const char *machine, unsigned end_s, unsigned seconds,
		double mib)
{
	char time[TIME_TEXT];

	format_time((T0 + end_s) * NS_PER_S, time);
	fprintf(table, "%s,%s,a,%u,%.0f\n", time, machine, seconds, mib * MIB);
}

/* A day is a day, however long the rows are and wherever hours begin. */
static void test_day_of_a_disk(void **state)
{
	static const struct {
		unsigned end, seconds, rows;
		double mib; /* of a row */
		double day; /* MiB */
	} t[] = {
	    {86400, 86400, 1, 1000, 1000},
	    {40000, 36000, 1, 36000, 86400},
	    {1800, 60, 30, 60, 86400},
	    {4500, 60, 20, 60, 86400}, /* of two hours of the clock */
	    {86400 * 2, 86400, 2, 1000, 1000},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct sizing s;
		struct churn c;

		table = tmpfile();
		assert_non_null(table);
		fputs("time,machine,disk,seconds,changed_bytes\n", table);
		for (unsigned k = 0; k < t[i].rows; k++)
			row("m", t[i].end - k * t[i].seconds, t[i].seconds,
			    t[i].mib);
		end(&c, &s, &plain);
		assert_near(s.machines[0].disks[0].day, t[i].day * MIB, 1e-3);
		assert_near(s.machines[0].day, t[i].day * MIB, 1e-3);
		assert_int_equal(s.overlap, 0);
		drop(&c, &s);
	}
}

/* A row of a day counts for as many minutes as it has. */
static void test_long_rows(void **state)
{
	struct sizing s;
	struct churn c;

	(void)state;
	table = tmpfile();
	assert_non_null(table);
	fputs("time,machine,disk,seconds,changed_bytes\n", table);
	row("m", 36000, 36000, 36000);
	for (unsigned k = 0; k < 10; k++)
		row("m", 36060 + k * 60, 60, 600);
	end(&c, &s, &plain);
	assert_near(s.machines[0].disks[0].rate, MIB, 0.01);
	assert_near(s.machines[0].rate, MIB, 1e-3);
	drop(&c, &s);
}

/* One machine for the configuration server, or more than it takes. */
static void test_config_server(void **state)
{
	static const struct {
		unsigned machines, table;
		double mib;
		int own;
		unsigned alone;
	} t[] = {
	    {1, 0, 4, 0, 1}, /* 337.5 GiB of 350 */
	    {1, 0, 4.2, 1, 1},	   {101, 0, 0.01, 1, 1}, {151, 0, 0.01, 2, 1},
	    {201, 0, 0.01, -1, 1}, {551, 0, 0, -1, 2},	 {101, 1, 0, -1, 2},
	    {100, 1, 0, -1, 1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(t); i++) {
		struct sizing_opts o = plain;
		struct sizing s;
		struct churn c;
		char name[16];

		o.tables = &tables[t[i].table];
		begin();
		for (unsigned k = 0; k < t[i].machines; k++) {
			snprintf(name, sizeof(name), "m%u", k);
			minute(name, "a", 1, t[i].mib, 1);
		}
		end(&c, &s, &o);
		if (s.config != t[i].own || s.configs != t[i].alone)
			fail_msg("row %zu: %d, %u", i, s.config, s.configs);
		drop(&c, &s);
	}
}

/* Percentiles by nearest rank; the spread is within 1 %. */
static void test_percentiles(void **state)
{
	static struct spread p;
	struct series s = {0};

	(void)state;
	for (unsigned i = 1; i <= 1000; i++) {
		assert_int_equal(series_add(&s, 5000 - i, i, NULL), 0);
		spread_add(&p, i * 1000.0, 1);
	}
	assert_true(series_percentile(&s, 95) == 950);
	assert_true(series_percentile(&s, 100) == 1000);
	assert_true(series_percentile(&s, 0.01) == 1);
	assert_near(spread_percentile(&p, 95), 950000, 0.01);
	assert_near(spread_percentile(&p, 50), 500000, 0.01);
	assert_int_equal(series_add(&s, 5000 + SERIES_MINUTES_MAX, 1, NULL),
			 -PS_DATA);
	series_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_constant),
	    cmocka_unit_test(test_spike),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_machine_limits),
	    cmocka_unit_test(test_day_of_a_disk),
	    cmocka_unit_test(test_long_rows),
	    cmocka_unit_test(test_config_server),
	    cmocka_unit_test(test_percentiles),
	};

	return cmocka_run_group_tests_name("sizing", tests, NULL, NULL);
}
