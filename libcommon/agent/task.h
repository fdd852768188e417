/*
 * Programs under way: a chain whose output is taken line by line, whose
 * messages are passed on and remembered, with a deadline. One loop waits for
 * all tasks, for signals and for one more descriptor, without threads.
 */
#ifndef PS_AGENT_TASK_H
#define PS_AGENT_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pipeline/chain.h"
#include "pipeline/gauge.h"

#define LOOP_TASKS 256	/* at one time; more are refused with 75 */
#define TASK_LINE 512	/* longer lines are cut */
#define TASK_MESSAGES 4 /* the newest are remembered */

struct task_line {
	char text[TASK_LINE];
	size_t n;
};

struct task;

/* What a chain came to. */
struct task_result {
	int code;		   /* an exit code; 0: all stages ended well */
	unsigned stage;		   /* the cause, when code is not 0 */
	bool overdue, interrupted; /* its limit; we asked it to end */
	char words[400];	   /* why, when code is not 0 */
};

typedef void task_line_fn(void *ctx, const char *line);
typedef void task_done_fn(void *ctx, const struct task_result *r);

struct task {
	/* Filled in by whoever starts it. */
	struct plan plan;
	const char *who;    /* before each message: a disk's name */
	uint64_t limit_s;   /* 0: none */
	task_line_fn *line; /* may be NULL */
	task_done_fn *done;
	void *ctx;
	char *const *env;	 /* "KEY=value", ends in NULL; may be NULL */
	const char *in_path;	 /* read by the first stage; may be NULL */
	const char *out_path;	 /* gets the output instead of `line` */
	void (*prepare)(void *); /* see chain.h */
	void *prepare_ctx;
	struct gauge *gauge; /* which stage is the slowest? May be NULL */

	/* The loop's. */
	struct task *next;
	struct chain chain;
	int out, err; /* what we read; -1: closed */
	int64_t deadline;
	bool overdue, running, stopped;
	int64_t closing; /* all stages ended: pipes are read until then */
	struct task_line out_line, err_line;
	char messages[TASK_MESSAGES][200];
	bool said[TASK_MESSAGES]; /* was it passed on? */
	unsigned nmessages;
};

struct loop {
	struct task *first;
	int sigfd;
	int extra_fd; /* -1: none */
	void (*extra)(void *ctx);
	void (*signal)(void *ctx, int sig);
	/* For people: a message of a program. False: they do not see it. */
	bool (*say)(void *ctx, const char *who, const char *words);
	void *ctx;
};

/* Blocks the signals that it waits for: TERM, INT, HUP, CHLD. */
int loop_open(struct loop *l, struct err *e);
void loop_close(struct loop *l);

/*
 * Starts a task. `done` is called from loop_wait(), never from here: when it
 * cannot be started too, with code 75.
 */
void task_start(struct loop *l, struct task *t);
/* Asks its stages to end: SIGTERM, some seconds later SIGKILL. */
void task_stop(struct task *t);
/*
 * Have people just seen these words? Among the newest messages of its programs,
 * with the program's name or without it.
 */
bool task_said(const struct task *t, const char *words);
/* Only the first stage: what it gave before goes through to the end. */
void task_drain(struct task *t, uint64_t seconds);

/* Waits for something to happen until `until` (mono_now_ns), handles it. */
void loop_wait(struct loop *l, int64_t until);

#endif
