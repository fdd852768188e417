/* Sizes, durations, times, names, as people write them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/name.h"
#include "base/text.h"
#include "base/units.h"
#include "base/version.h"

static void numbers_are_digits_and_nothing_else(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_true(parse_u64("0", 10, &v) && v == 0);
	assert_true(parse_u64("18446744073709551615", UINT64_MAX, &v));
	assert_true(v == UINT64_MAX);
	v = 7;
	assert_false(parse_u64("18446744073709551616", UINT64_MAX, &v));
	assert_false(parse_u64("99999999999999999999999", UINT64_MAX, &v));
	assert_false(parse_u64("11", 10, &v));
	assert_false(parse_u64("", 10, &v));
	assert_false(parse_u64("-1", 10, &v));
	assert_false(parse_u64("+1", 10, &v));
	assert_false(parse_u64(" 1", 10, &v));
	assert_false(parse_u64("1 ", 10, &v));
	assert_false(parse_u64("0x1", 99, &v));
	assert_true(v == 7); /* untouched */
}

static void check_size(const char *text, uint64_t want)
{
	uint64_t v = 0;

	if (!parse_size(text, &v) || v != want)
		fail_msg("'%s' gave %llu", text, (unsigned long long)v);
}

static void sizes_are_powers_of_1024(void **state)
{
	(void)state;
	check_size("0", 0);
	check_size("4096", 4096);
	check_size("4096B", 4096);
	check_size("64K", 65536);
	check_size("64k", 65536);
	check_size("64KiB", 65536);
	check_size("64KB", 65536);
	check_size("1.5G", 3ull << 29);
	check_size("20M", 20ull << 20);
	check_size("16T", 16ull << 40);
	check_size("0.5K", 512);
	check_size("15E", 15ull << 60);
}

static void a_size_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
	    "",	   "K",	  "-1",	  "1..5K", "1.2.3K", "1KK", "1X",  "16E", "1e3",
	    "inf", "nan", "0x10", " 1K",   "1K ",    "1 K", ".5K", "1iB", NULL};
	uint64_t v;
	unsigned i;

	(void)state;
	for (i = 0; bad[i] != NULL; i++)
		if (parse_size(bad[i], &v))
			fail_msg("'%s' was taken as %llu", bad[i],
				 (unsigned long long)v);
}

static void check_duration(const char *text, uint64_t want)
{
	uint64_t v = 0;

	if (!parse_duration(text, &v) || v != want)
		fail_msg("'%s' gave %llu", text, (unsigned long long)v);
}

static void durations_are_seconds_with_a_unit(void **state)
{
	static const char *const bad[] = {"",	 "s",	"-1", "1x",  "1ms",
					  "1hh", "1e3", "1w", "1 s", NULL};
	uint64_t v;
	unsigned i;

	(void)state;
	check_duration("0", 0);
	check_duration("90", 90);
	check_duration("90s", 90);
	check_duration("15m", 900);
	check_duration("2h", 7200);
	check_duration("7d", 604800);
	check_duration("1.5h", 5400);
	for (i = 0; bad[i] != NULL; i++)
		if (parse_duration(bad[i], &v))
			fail_msg("'%s' was taken", bad[i]);
}

static void check_time(const char *text, int64_t want)
{
	int64_t v = 0;

	if (!parse_time(text, &v) || v != want)
		fail_msg("'%s' gave %lld", text, (long long)v);
}

static void times_are_rfc_3339(void **state)
{
	static const char *const bad[] = {"",
					  "now",
					  "2026-11-20",
					  "2026-13-01T00:00:00Z",
					  "2026-00-01T00:00:00Z",
					  "2026-11-32T00:00:00Z",
					  "2026-02-30T00:00:00Z",
					  "2026-11-20T24:00:00Z",
					  "2026-11-20T00:60:00Z",
					  "2026-11-20T00:00:00",
					  "2026-11-20T00:00:00.Z",
					  "2026-11-20T00:00:00Zx",
					  "2026-11-20T00:00:00+25:00",
					  "2026-11-20T00:00:00+1",
					  "9999-01-01T00:00:00Z",
					  "2026-11-20T00:00:00+1:00",
					  "2026-11-20T00:00:00+ 1:00",
					  "-026-11-20T00:00:00Z",
					  "2026-11-20T-1:00:00Z",
					  "@",
					  "@-1",
					  "@1x",
					  NULL};
	int64_t v;
	unsigned i;

	(void)state;
	check_time("1970-01-01T00:00:00Z", 0);
	check_time("2026-11-20T10:00:00Z", 1795168800 * NS_PER_S);
	check_time("2026-11-20t10:00:00z", 1795168800 * NS_PER_S);
	check_time("2026-11-20 10:00:00Z", 1795168800 * NS_PER_S);
	check_time("2026-11-20T11:00:00+01:00", 1795168800 * NS_PER_S);
	check_time("2026-11-20T09:30:00-00:30", 1795168800 * NS_PER_S);
	check_time("2026-11-20T10:00:00.25Z",
		   1795168800 * NS_PER_S + 250000000);
	check_time("2026-11-20T10:00:00.123456789Z",
		   1795168800 * NS_PER_S + 123456789);
	check_time("2024-02-29T00:00:00Z", 1709164800 * NS_PER_S);
	check_time("@1795168800", 1795168800 * NS_PER_S);
	for (i = 0; bad[i] != NULL; i++)
		if (parse_time(bad[i], &v))
			fail_msg("'%s' was taken as %lld", bad[i],
				 (long long)v);
}

static void a_time_that_was_written_can_be_read(void **state)
{
	static const int64_t times[] = {
	    0,	1,	  999999999, NS_PER_S, 1795168800 * NS_PER_S + 5,
	    -1, -NS_PER_S};
	char text[TIME_TEXT];
	int64_t v;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(*times); i++) {
		format_time(times[i], text);
		if (!parse_time(text, &v) || v != times[i])
			fail_msg("%lld became %s", (long long)times[i], text);
	}
	format_time(1795168800 * NS_PER_S, text);
	assert_string_equal(text, "2026-11-20T10:00:00Z");
}

static void check_format(uint64_t v, const char *want)
{
	char text[32];

	format_size(v, text, sizeof(text));
	assert_string_equal(text, want);
}

static void sizes_have_three_significant_digits(void **state)
{
	char text[32];

	(void)state;
	check_format(0, "0 B");
	check_format(1023, "1023 B");
	check_format(1024, "1.00 KiB");
	check_format(10240, "10.0 KiB");
	check_format(102400, "100 KiB");
	check_format(1ull << 30, "1.00 GiB");
	check_format(UINT64_MAX, "16.0 EiB");
	format_duration(0.0123, text, sizeof(text));
	assert_string_equal(text, "12 ms");
	format_duration(-7500, text, sizeof(text));
	assert_string_equal(text, "-2h 05m");
	format_duration(7500, text, sizeof(text));
	assert_string_equal(text, "2h 05m");
	format_duration(59.97, text, sizeof(text));
	assert_string_equal(text, "1m 00s");
}

static void names_are_safe_as_file_names(void **state)
{
	static const char *const bad[] = {
	    "",	   ".",	  "..",	      ".a",  "-a",   "_a", "a/b",
	    "a b", "a\n", "\303\244", "a:b", "a\\b", NULL};
	char longest[NAME_MAX_LEN + 2];
	struct err e = {0};
	unsigned i;

	(void)state;
	assert_true(name_ok("a"));
	assert_true(name_ok("web01.example-x_Y"));
	assert_true(name_ok("0"));
	for (i = 0; bad[i] != NULL; i++)
		if (name_ok(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
	memset(longest, 'x', sizeof(longest));
	longest[NAME_MAX_LEN] = '\0';
	assert_true(name_ok(longest));
	longest[NAME_MAX_LEN] = 'x';
	assert_false(name_ok_n(longest, NAME_MAX_LEN + 1));
	assert_false(name_ok_n("a\0b", 3));
	assert_int_equal(name_check("disk", "../x", PS_DATA, &e), -PS_DATA);
	assert_non_null(strstr(e.msg, "disk name '../x'"));
	assert_true(e.hint[0] != '\0');
}

static bool tamed(const char *text, const char *want)
{
	char buf[64];

	snprintf(buf, sizeof(buf), "%s", text);
	text_tame(buf);
	return strcmp(buf, want) == 0;
}

static void what_is_no_utf_8_becomes_question_marks(void **state)
{
	(void)state;
	assert_true(tamed("", ""));
	assert_true(tamed("a\tb", "a\tb"));
	assert_true(tamed("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x92\xbe",
			  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x92\xbe"));
	assert_true(tamed("gr\xfc\xdf", "gr??"));	/* Latin-1 */
	assert_true(tamed("x\xe2\x82", "x??"));		/* cut */
	assert_true(tamed("\xc0\xaf", "??"));		/* overlong */
	assert_true(tamed("\xed\xa0\x80", "???"));	/* surrogate */
	assert_true(tamed("\xf4\x90\x80\x80", "????")); /* too large */
	assert_true(tamed("\xe2(\xa1", "?(?"));
}

static bool in_reach(const char *old, const char *now)
{
	struct version a, b;

	assert_true(version_parse(old, &a) && version_parse(now, &b));
	return version_in_reach(&a, &b);
}

static void versions_reach_four_releases(void **state)
{
	struct version v;

	(void)state;
	assert_true(in_reach("1.2", "1.2.9"));
	assert_true(in_reach("1.2.9", "1.2"));
	assert_true(in_reach("1.2.3", "1.6.0"));
	assert_false(in_reach("1.2.3", "1.7.0"));
	assert_false(in_reach("1.3.0", "1.2.9"));
	assert_false(in_reach("1.9.0", "2.0.0"));
	assert_false(in_reach("2.0.0", "1.9.0"));
	assert_true(in_reach("1.9.0", "1.10.0"));
	assert_true(version_parse("1.2.3-4~deb12", &v) && v.patch == 3);
	assert_false(version_parse("", &v));
	assert_false(version_parse("1", &v));
	assert_false(version_parse("1.", &v));
	assert_false(version_parse("-1.2", &v));
	assert_false(version_parse("1.-2", &v));
	assert_false(version_parse("v1.2", &v));
	assert_true(strcmp(version_ours(), PACKAGE_VERSION) == 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_digits_and_nothing_else),
	    cmocka_unit_test(sizes_are_powers_of_1024),
	    cmocka_unit_test(a_size_that_is_none_is_refused),
	    cmocka_unit_test(durations_are_seconds_with_a_unit),
	    cmocka_unit_test(times_are_rfc_3339),
	    cmocka_unit_test(a_time_that_was_written_can_be_read),
	    cmocka_unit_test(sizes_have_three_significant_digits),
	    cmocka_unit_test(names_are_safe_as_file_names),
	    cmocka_unit_test(what_is_no_utf_8_becomes_question_marks),
	    cmocka_unit_test(versions_reach_four_releases),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
