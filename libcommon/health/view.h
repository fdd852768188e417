/* One verdict, four views: for people, scripts, Nagios and Prometheus. */
#ifndef PS_HEALTH_VIEW_H
#define PS_HEALTH_VIEW_H

#include <stdio.h>

#include "health/check.h"

void view_text(const struct health *h, FILE *f);

/* `disks` may be NULL. -CODE when it cannot be written. */
int view_json(const struct health *h, const struct disks *disks, FILE *f,
	      struct err *e);

/*
 * "STATUS: text | perfdata" and a line for each alert, as the Monitoring
 * Plugins Development Guidelines have it. Returns what the plugin has to exit
 * with: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
 */
int view_nagios(const struct health *h, const struct rules *rules, FILE *f);
/* The same number without the text. */
int view_exit(const struct health *h);

/*
 * The text format of Prometheus, version 0.0.4: for the textfile collector of
 * its node exporter.
 */
int view_prometheus(const struct health *h, const struct disks *disks, FILE *f,
		    struct err *e);

/* "OK", "WARNING", "CRITICAL", "UNKNOWN" */
const char *view_status(const struct health *h);

#endif
