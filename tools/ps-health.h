/* Private to ps-health: commands in files of their own. */
#ifndef PS_TOOLS_PS_HEALTH_H
#define PS_TOOLS_PS_HEALTH_H

#include "health/gather.h"
#include "health/rules.h"
#include "health/why.h"

/* What the options say to those who look. */
struct looking {
	int dirfd; /* folder of samples and alerts; -1: there is none */
	struct gather gather;
	const char *agent; /* at a source: its agent.yaml; NULL: a server */
	struct rules rules;
	bool json;
};

/* Replaces a file as a whole. */
int replace_file(const char *path, const char *text, size_t n, struct err *e);

/* How things are now; to be freed by why_free(). */
int look_now(const struct looking *l, const char *machine, const char *disk,
	     struct why *ret, struct err *e);

/*
 * Names what holds replication back, of all, of a machine or of one disk.
 * 0: not behind; 1: behind; -CODE.
 */
int cmd_why(const struct looking *l, const char *machine, const char *disk,
	    struct err *e);

/* Writes the page of page.h. */
int cmd_report(const struct looking *l, const char *path, struct err *e);
/* The same on a screen, or line by line, until somebody ends it. */
int cmd_watch(const struct looking *l, unsigned interval_s, struct err *e);

#endif
