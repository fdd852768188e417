#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/bytes.h"
#include "base/units.h"

bool parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		if (!isdigit((unsigned char)*text) ||
		    mul_overflows(v, 10, &v) ||
		    add_overflows(v, (uint64_t)(*text - '0'), &v) || v > max)
			return false;
	}
	*ret = v;
	return true;
}

/* A decimal number with an optional fraction; `*rest` is what follows. */
static bool number(const char *text, double *ret, const char **rest)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*ret = strtod(text, &end);
	*rest = end;
	/* strtod also knows exponents and hexadecimal: not here */
	return errno == 0 && end == text + strspn(text, "0123456789.");
}

bool parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "KMGTPE";
	const char *rest, *u;
	double v;
	unsigned shift = 0;

	if (parse_u64(text, UINT64_MAX, ret))
		return true;
	if (!number(text, &v, &rest))
		return false;
	u = *rest == '\0' ? NULL : strchr(units, toupper((unsigned char)*rest));
	if (u != NULL) {
		shift = 10 * (unsigned)(u - units + 1);
		rest++;
		if (strcmp(rest, "iB") == 0)
			rest += 2;
	}
	if (strcmp(rest, "B") == 0)
		rest++;
	v = ldexp(v, (int)shift);
	if (*rest != '\0' || v >= 18446744073709551616.0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

bool parse_duration(const char *text, uint64_t *ret)
{
	const char *rest;
	double v;

	if (!number(text, &v, &rest))
		return false;
	if (strcmp(rest, "m") == 0)
		v *= 60;
	else if (strcmp(rest, "h") == 0)
		v *= 3600;
	else if (strcmp(rest, "d") == 0)
		v *= 86400;
	else if (*rest != '\0' && strcmp(rest, "s") != 0)
		return false;
	if (v > 1e15)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* ".123" as nanoseconds; moves *p behind it. */
static bool fraction(const char **p, int64_t *ret)
{
	int64_t unit = NS_PER_S / 10;

	*ret = 0;
	if (**p != '.')
		return true;
	if (!isdigit((unsigned char)*++*p))
		return false;
	for (; isdigit((unsigned char)**p); ++*p, unit /= 10)
		*ret += (**p - '0') * unit;
	return true;
}

/*
 * Does the text begin like this? 'd' stands for a digit, 'T' for what divides
 * date and time, all else for itself. sscanf alone would take signs and
 * spaces.
 */
static bool begins_like(const char *text, const char *shape)
{
	for (; *shape != '\0'; shape++, text++) {
		if (*shape == 'd' ? !isdigit((unsigned char)*text)
		    : *shape == 'T'
			? *text == '\0' || strchr("Tt ", *text) == NULL
			: *text != *shape)
			return false;
	}
	return true;
}

/* "Z", "+hh:mm" or "-hh:mm" up to the end, as seconds east. */
static bool zone(const char *p, int64_t *ret)
{
	unsigned h, m;

	*ret = 0;
	if (strcasecmp(p, "Z") == 0)
		return true;
	if ((*p != '+' && *p != '-') || !begins_like(p + 1, "dd:dd") ||
	    p[6] != '\0' || sscanf(p + 1, "%2u:%2u", &h, &m) != 2 || h > 23 ||
	    m > 59)
		return false;
	*ret = (int64_t)(h * 3600 + m * 60) * (*p == '-' ? -1 : 1);
	return true;
}

/* timegm makes 2 March of 30 February: such a day is none. */
static bool day_exists(const struct tm *tm)
{
	struct tm day = {.tm_year = tm->tm_year,
			 .tm_mon = tm->tm_mon,
			 .tm_mday = tm->tm_mday};

	timegm(&day);
	return day.tm_mday == tm->tm_mday && day.tm_mon == tm->tm_mon;
}

/* "2026-11-20T10:00:00"; moves *p behind it. */
static bool date_and_time(const char **p, struct tm *ret)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd";
	struct tm tm = {0};

	if (!begins_like(*p, shape) ||
	    sscanf(*p, "%4d-%2d-%2d%*c%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon,
		   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (!day_exists(&tm) || tm.tm_hour > 23 || tm.tm_min > 59 ||
	    tm.tm_sec > 60) /* a leap second */
		return false;
	*p += strlen(shape);
	*ret = tm;
	return true;
}

bool parse_time(const char *text, int64_t *ret_ns)
{
	int64_t frac, east, ns;
	struct tm tm;
	uint64_t epoch;

	if (*text == '@') {
		if (!parse_u64(text + 1, INT64_MAX / NS_PER_S, &epoch))
			return false;
		*ret_ns = (int64_t)epoch * NS_PER_S;
		return true;
	}
	if (!date_and_time(&text, &tm) || !fraction(&text, &frac) ||
	    !zone(text, &east) ||
	    mul_overflows((int64_t)timegm(&tm) - east, NS_PER_S, &ns) ||
	    add_overflows(ns, frac, &ns))
		return false;
	*ret_ns = ns;
	return true;
}

void format_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const units[] = {"B",   "KiB", "MiB", "GiB",
					    "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	unsigned u = 0;

	while (v >= 1023.5 && u < 6) {
		v /= 1024;
		u++;
	}
	if (u == 0)
		snprintf(out, size, "%llu B", (unsigned long long)bytes);
	else
		snprintf(out, size, "%.*f %s", v < 9.995 ? 2 : v < 99.95, v,
			 units[u]);
}

void format_duration(double s, char *out, size_t size)
{
	unsigned long long whole;

	if (s < 0 && size > 1) {
		*out = '-';
		format_duration(-s, out + 1, size - 1);
		return;
	}
	whole = (unsigned long long)(s + 0.5);
	/* The limits are where rounding gives the next unit. */
	if (s < 0.9995)
		snprintf(out, size, "%.0f ms", s * 1000);
	else if (s < 59.95)
		snprintf(out, size, "%.1f s", s);
	else if (s < 3600)
		snprintf(out, size, "%llum %02llus", whole / 60, whole % 60);
	else if (s < 2 * 86400)
		snprintf(out, size, "%lluh %02llum", whole / 3600,
			 whole % 3600 / 60);
	else
		snprintf(out, size, "%llud %02lluh", whole / 86400,
			 whole % 86400 / 3600);
}

void format_time(int64_t ns, char out[TIME_TEXT])
{
	time_t sec = (time_t)(ns / NS_PER_S);
	long frac = (long)(ns % NS_PER_S);
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += NS_PER_S;
		sec--;
	}
	if (gmtime_r(&sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	n = strftime(out, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac != 0)
		snprintf(out + n, TIME_TEXT - n, ".%09ldZ", frac);
	else
		snprintf(out + n, TIME_TEXT - n, "Z");
}

static int64_t now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t time_now_ns(void)
{
	return now(CLOCK_REALTIME);
}

int64_t mono_now_ns(void)
{
	return now(CLOCK_MONOTONIC);
}
