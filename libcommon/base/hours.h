/*
 * Rates by the time of the week, as people write them:
 *
 *	Mon-Fri 08:00-18:00 5Mbit; Sat,Sun 20Mbit; * 50Mbit
 *
 * Rules are divided by ';'. Each has days ("Mon-Fri", "Sat,Sun", "*"; left
 * out: all), hours ("08:00-18:00"; left out: all day; "22:00-06:00" goes on
 * into the next day) and a rate as parse_rate() reads it, or "unlimited". The
 * first rule that fits counts; where none does, what is limited otherwise.
 * Times are local ones, as the clock on the wall shows them: on the day when
 * the clock changes an hour is left out or comes twice, and so does its rule.
 */
#ifndef PS_BASE_HOURS_H
#define PS_BASE_HOURS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"

#define HOURS_RULES_MAX 32

struct hours_rule {
	uint8_t days;	   /* one bit each, Sunday is the first */
	uint16_t from, to; /* minutes of the day; from >= to: past midnight */
	uint64_t rate;	   /* bytes per second; 0: no limit */
};

struct hours {
	struct hours_rule rules[HOURS_RULES_MAX];
	unsigned n;
};

/* -PS_CONFIG with the part that makes no sense. */
int hours_parse(struct hours *ret, const char *text, struct err *e);

/* The rate at a time; `otherwise` where no rule fits. */
uint64_t hours_rate(const struct hours *h, time_t at, uint64_t otherwise);

/*
 * Seconds from `at` to the next whole minute of the clock on the wall: before
 * it no rule changes.
 */
unsigned hours_next(time_t at);

#endif
