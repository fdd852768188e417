#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/units.h"

#define INTERVAL_NS (200 * 1000 * 1000LL)

static struct {
	const char *what;
	uint64_t total;
	int64_t begun, shown;
	bool on, dirty;
} p;

void progress_begin(const char *what, uint64_t total)
{
	p.what = what;
	p.total = total;
	p.begun = p.shown = mono_now_ns();
	p.on = !opt_quiet && isatty(STDERR_FILENO);
	p.dirty = false;
}

void progress_at(uint64_t done)
{
	char bytes[32], all[32], rate[32], left[32];
	double seconds, per_second;
	int64_t now;

	if (!p.on)
		return;
	now = mono_now_ns();
	if (now - p.shown < INTERVAL_NS)
		return;
	p.shown = now;
	p.dirty = true;
	seconds = (double)(now - p.begun) / NS_PER_S;
	per_second = (double)done / seconds;
	format_size(done, bytes, sizeof(bytes));
	format_size((uint64_t)per_second, rate, sizeof(rate));
	if (p.total > 0 && per_second > 0 && done <= p.total) {
		format_size(p.total, all, sizeof(all));
		format_duration((double)(p.total - done) / per_second, left,
				sizeof(left));
		fprintf(stderr, "\r\033[K%s: %s of %s (%.0f %%), %s/s, %s left",
			p.what, bytes, all,
			100.0 * (double)done / (double)p.total, rate, left);
	} else {
		fprintf(stderr, "\r\033[K%s: %s, %s/s", p.what, bytes, rate);
	}
}

void progress_end(void)
{
	if (p.on && p.dirty)
		fputs("\r\033[K", stderr);
	p.on = false;
}
