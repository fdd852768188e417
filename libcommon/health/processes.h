/* Services that are known by their process alone. */
#ifndef PS_HEALTH_PROCESSES_H
#define PS_HEALTH_PROCESSES_H

#include <stdbool.h>

#define PROCESS_PLACES 2 /* configuration, folder */

struct process_ask {
	const char *program; /* its name: "ps-config" */
	const char *word;    /* among its arguments; NULL: whatever they are */
	/* Files or folders of ours, of which it names one; NULL: none. */
	const char *places[PROCESS_PLACES];
};

/*
 * Does such a process run? One whose arguments name a configuration or a
 * folder is ours when it is one of ours; one that names none has the usual
 * configuration, and is ours when the first place is that (or NULL). `proc` is
 * "/proc". 1, 0, or -1: the processes cannot be seen.
 */
int process_runs(const char *proc, const struct process_ask *q);

#endif
