#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/hours.h"
#include "base/rate.h"

#define TEXT_MAX 1024
#define DAY (24 * 60)
#define ALL_DAYS 0x7f

/* 0 (Sunday) to 6; -1. */
static int day(const char *text, size_t n)
{
	static const char *const names[] = {"sunday",	 "monday",   "tuesday",
					    "wednesday", "thursday", "friday",
					    "saturday"};
	int i;

	for (i = 0; i < 7; i++)
		if ((n == 3 || n == strlen(names[i])) &&
		    strncasecmp(text, names[i], n) == 0)
			return i;
	return -1;
}

/* "Mon", "Mon-Fri": false when it is none. */
static bool day_range(const char *text, uint8_t *days)
{
	size_t n = strcspn(text, "-");
	int first = day(text, n), last = first;

	if (text[n] == '-')
		last = day(text + n + 1, strlen(text + n + 1));
	if (first < 0 || last < 0)
		return false;
	for (;; first = (first + 1) % 7) { /* "Sat-Mon" goes over the end */
		*days |= (uint8_t)(1u << first);
		if (first == last)
			return true;
	}
}

static bool days(const char *text, uint8_t *ret)
{
	char copy[TEXT_MAX], *rest = copy, *part;

	if (strcmp(text, "*") == 0) {
		*ret = ALL_DAYS;
		return true;
	}
	snprintf(copy, sizeof(copy), "%s", text);
	*ret = 0;
	while ((part = strsep(&rest, ",")) != NULL)
		if (!day_range(part, ret))
			return false;
	return true;
}

/* "08:00", to 24:00; moves *p behind it. */
static bool minute(const char **p, uint16_t *ret)
{
	const char *s = *p;
	unsigned h, m;

	if (!isdigit((unsigned char)s[0]) || !isdigit((unsigned char)s[1]) ||
	    s[2] != ':' || !isdigit((unsigned char)s[3]) ||
	    !isdigit((unsigned char)s[4]))
		return false;
	h = (unsigned)(s[0] - '0') * 10 + (unsigned)(s[1] - '0');
	m = (unsigned)(s[3] - '0') * 10 + (unsigned)(s[4] - '0');
	*p = s + 5;
	*ret = (uint16_t)(h * 60 + m);
	return m < 60 && h * 60 + m <= DAY;
}

static bool hours(const char *text, struct hours_rule *r)
{
	return minute(&text, &r->from) && r->from < DAY && *text++ == '-' &&
	       minute(&text, &r->to) && *text == '\0' && r->from != r->to;
}

static bool rate(const char *text, uint64_t *ret)
{
	*ret = 0;
	if (strcasecmp(text, "unlimited") == 0)
		return true;
	return parse_rate(text, ret) && *ret > 0;
}

/* "[DAYS] [HOURS] RATE" */
static bool rule(char *text, struct hours_rule *r)
{
	char *words[3], *word, *rest = text;
	unsigned n = 0, i = 0;

	*r = (struct hours_rule){.days = ALL_DAYS, .to = DAY};
	while ((word = strsep(&rest, " \t\n")) != NULL) {
		if (*word == '\0')
			continue;
		if (n == 3)
			return false;
		words[n++] = word;
	}
	if (n > 1 && !isdigit((unsigned char)*words[0])) {
		if (!days(words[0], &r->days))
			return false;
		i++;
	}
	if (i + 1 < n) {
		if (!hours(words[i], r))
			return false;
		i++;
	}
	return i + 1 == n && rate(words[i], &r->rate);
}

static bool blank(const char *text)
{
	return text[strspn(text, " \t\n")] == '\0';
}

int hours_parse(struct hours *ret, const char *text, struct err *e)
{
	char copy[TEXT_MAX], *rest = copy, *part, said[80];

	*ret = (struct hours){0};
	if (snprintf(copy, sizeof(copy), "%s", text) >= (int)sizeof(copy))
		return err_set(e, PS_CONFIG, "the schedule is too long");
	while ((part = strsep(&rest, ";")) != NULL) {
		if (blank(part) && rest == NULL && ret->n > 0)
			break; /* a ';' at the end */
		if (ret->n == HOURS_RULES_MAX)
			return err_set(e, PS_CONFIG,
				       "the schedule has over %d rules",
				       HOURS_RULES_MAX);
		part += strspn(part, " \t\n");
		snprintf(said, sizeof(said), "%s", part);
		if (!rule(part, &ret->rules[ret->n++]))
			return err_set(e, PS_CONFIG,
				       "'%s' is no rule such as "
				       "'Mon-Fri 08:00-18:00 5Mbit'",
				       said);
	}
	return 0;
}

static bool fits(const struct hours_rule *r, const struct tm *t)
{
	unsigned now = (unsigned)(t->tm_hour * 60 + t->tm_min);
	unsigned today = (unsigned)t->tm_wday, before = (today + 6) % 7;

	if (r->from < r->to)
		return (r->days >> today & 1) != 0 && now >= r->from &&
		       now < r->to;
	/* Past midnight: the day is that on which it begins. */
	return ((r->days >> today & 1) != 0 && now >= r->from) ||
	       ((r->days >> before & 1) != 0 && now < r->to);
}

uint64_t hours_rate(const struct hours *h, time_t at, uint64_t otherwise)
{
	struct tm t;
	unsigned i;

	if (localtime_r(&at, &t) == NULL)
		return otherwise;
	for (i = 0; i < h->n; i++)
		if (fits(&h->rules[i], &t))
			return h->rules[i].rate;
	return otherwise;
}

unsigned hours_next(time_t at)
{
	struct tm t;

	/* Not every zone is whole minutes away from UTC ("right/" ones). */
	if (localtime_r(&at, &t) == NULL)
		return 60 - (unsigned)(at % 60);
	return t.tm_sec < 60 ? 60 - (unsigned)t.tm_sec : 1;
}
