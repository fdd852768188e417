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
 * Which of `n` such processes run? Bits, by one look at all of them. One whose
 * arguments name a configuration or a folder is ours when it is one of ours;
 * one that names none has the usual configuration, and is ours when the first
 * place is that (or NULL). `proc` is
 * "/proc". False: the processes cannot be seen.
 */
bool process_scan(const char *proc, const struct process_ask *q, unsigned n,
		  unsigned *ret);

#endif
