/*
 * Figures as people write them. Sizes are powers of 1024 (K, M, G, T, with or
 * without "iB"); durations are seconds with an optional s, m, h, d; times are
 * UTC, in nanoseconds since 1970, written as RFC 3339.
 */
#ifndef PS_BASE_UNITS_H
#define PS_BASE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NS_PER_S 1000000000LL
#define TIME_TEXT 40

/* A plain decimal number, all of the text; false when it is none or > max. */
bool parse_u64(const char *text, uint64_t max, uint64_t *ret);
/* "64M", "1.5GiB", "4096". */
bool parse_size(const char *text, uint64_t *ret);
/* "90", "15m", "2h", "7d": seconds. */
bool parse_duration(const char *text, uint64_t *ret);
/* "2026-11-20T10:00:00Z", fractions and "+01:00" allowed; "@SECONDS". */
bool parse_time(const char *text, int64_t *ret_ns);

/* "1.5 GiB"; three significant digits. */
void format_size(uint64_t bytes, char *out, size_t size);
/* "2h 05m", "12.3 s", "450 ms", "-12.3 s". */
void format_duration(double seconds, char *out, size_t size);
/* "2026-11-20T10:00:00.123456789Z"; whole seconds have no fraction. */
void format_time(int64_t ns, char out[TIME_TEXT]);

/* Now, UTC. */
int64_t time_now_ns(void);
/* A clock that never jumps, for intervals and deadlines. */
int64_t mono_now_ns(void);

#endif
