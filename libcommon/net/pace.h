/*
 * How fast one who has logged in may ask. A segment that was taken costs a
 * sync, and so is slow by itself; a question costs next to nothing, and
 * thousands a second of them would take the processors, and the listener that
 * writes the log, from the other machines.
 *
 * Each connection has an allowance of questions, then a rate. The connections
 * of a machine are numbered as they come, and the n-th has an n-th of the rate:
 * all 64 together have less than five times that of one.
 */
#ifndef PS_NET_PACE_H
#define PS_NET_PACE_H

#include <stdint.h>

#define PACE_BURST 30	 /* questions at once */
#define PACE_RATE 20	 /* a second, of the first connection */
#define PACE_CPU 200	 /* a second of processor time is so many questions */
#define PACE_SMALL 0.1	 /* a segment of next to no bytes is so many, */
#define PACE_FREE 262144 /* one of so many bytes is none */

struct pace {
	unsigned nth;  /* connection of its machine, from 1 */
	double tokens; /* < 0: debts */
	int64_t at;    /* mono_now_ns() of the last one; 0: none yet */
};

/* Takes `cost` questions: how many nanoseconds to wait before the next. */
int64_t pace_take(struct pace *p, int64_t now, double cost);

#endif
