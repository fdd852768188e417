/*
 * The services of the toolkit, as the units of systemd in packaging/systemd
 * describe them: their text is built in, so that there is one definition. Of
 * systemd's keys those are read that say what runs, when, and how it ends;
 * what hardens a service is systemd's alone.
 */
#ifndef PS_SERVICE_UNIT_H
#define PS_SERVICE_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define UNIT_MAX 12	/* services */
#define UNIT_COMMANDS 4 /* of a job, one after another */
#define UNIT_ARGS 8	/* words of a command */
#define UNIT_CODES 8	/* exit codes with a meaning of their own */
#define UNIT_STOP_S 90	/* systemd's DefaultTimeoutStopSec */
#define UNIT_START_S 90 /* systemd's DefaultTimeoutStartSec */

struct unit {
	char name[32]; /* "receive": of ps-receive.service */
	char about[128];
	char text[2048]; /* what argv points into */
	char *argv[UNIT_COMMANDS][UNIT_ARGS + 1];
	unsigned ncommands;
	unsigned nbehind; /* the last of them: run whatever became of the job */
	char condition[256]; /* a file that has to be there, or empty */
	char user[32];	     /* who it runs as when root starts it */
	char after[256];     /* names of services that are started before */
	bool low_ports;	     /* that user may use ports below 1024 */
	bool notify;	     /* says itself when it is ready */
	bool main_only;	     /* what it leaves behind is to live on */
	bool persistent;     /* a job that was missed is done at once */
	unsigned every_s;    /* a job of a timer; 0: it runs all the time */
	unsigned start_s, stop_s, restart_s;
	unsigned watchdog_s;   /* 0: none */
	unsigned files;	       /* descriptors; 0: as they are */
	int final[UNIT_CODES]; /* exit codes behind which nothing is tried */
	unsigned nfinal;
	int good[UNIT_CODES]; /* exit codes beside 0 that are success */
	unsigned ngood;
};

struct units {
	struct unit list[UNIT_MAX];
	unsigned n;
	/* All of them, in the order in which they start: jobs last. */
	const struct unit *ordered[UNIT_MAX];
	unsigned nordered;
};

/*
 * All of them; *ret holds pointers into itself and must not be moved.
 * -PS_SOFTWARE: a unit that was built in cannot be read.
 */
int units_load(struct units *ret, struct err *e);

/* NULL: there is none of this name. */
const struct unit *units_find(const struct units *u, const char *name);

/* Is `code` in the list? */
bool unit_has_code(const int *list, unsigned n, int code);

/* For tests: one unit from the text of its .service and .timer (or NULL). */
int unit_read(struct unit *ret, const char *name, const char *service,
	      const char *timer, struct err *e);

/* What is built in; made from packaging/systemd. Ends with a NULL name. */
struct unit_text {
	const char *name; /* "ps-receive.service" */
	const char *text;
};
extern const struct unit_text unit_texts[];

#endif
