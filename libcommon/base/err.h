/*
 * One error idiom for the whole library.
 *
 * A function that can fail takes a `struct err *` as its last argument and
 * returns 0 (or another value >= 0 that its header names) on success and
 * -CODE on failure, where CODE is one of the exit codes below. It sets its
 * outputs only on success and prints nothing. `err` may be NULL when the
 * caller wants no words.
 *
 * A message reads "what failed: reason", without the program's name and
 * without a final newline; each level may put its own words before it.
 */
#ifndef PS_BASE_ERR_H
#define PS_BASE_ERR_H

/*
 * Exit codes: sysexits.h (4.3BSD), with a fixed meaning for a script that
 * decides whether to try again. 0 done; 1 the answer is no.
 */
enum ps_exit {
	PS_OK = 0,
	PS_NO = 1,	     /* the answer to a question is no */
	PS_USAGE = 64,	     /* called wrongly */
	PS_DATA = 65,	     /* damaged or impossible input: do not retry */
	PS_NOINPUT = 66,     /* an input does not exist */
	PS_UNAVAILABLE = 69, /* a peer cannot be reached: retry later */
	PS_SOFTWARE = 70,    /* a fault of this program */
	PS_STORAGE = 71,     /* stable storage did not confirm a write */
	PS_CANTCREAT = 73,   /* the output is there already and is left alone */
	PS_IOERR = 74,	     /* input/output error */
	PS_TEMPFAIL = 75,    /* temporary: the same call may succeed later */
	PS_PROTOCOL = 76,    /* the peer does not speak our protocol */
	PS_NOPERM = 77,	     /* not permitted, wrong key or passphrase */
	PS_CONFIG = 78,	     /* configuration is wrong or incomplete */
};

struct err {
	int code;	/* one of enum ps_exit; 0 while nothing failed */
	int sys;	/* errno behind it, or 0 */
	char msg[512];	/* what failed: reason */
	char hint[256]; /* what to do next, or empty */
};

/* Records a failure; returns -code. */
int err_set(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Records a failed system call: the message gets ": strerror(errno)". With
 * code 0 the code is derived from errno (err_code_of). Returns -code.
 */
int err_sys(struct err *e, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "words: " before the message; returns -e->code (-70 when e is NULL). */
int err_prefix(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Says what to do next. */
void err_hint(struct err *e, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The exit code that fits an errno value. */
int err_code_of(int errnum);

#ifdef __clang_analyzer__
/* The analyzer does not see into err.c: tell it that a failure is negative. */
#define err_set(e, code, ...) ((void)(err_set)(e, code, __VA_ARGS__), -(code))
#define err_sys(e, code, ...)                                                  \
	((void)(err_sys)(e, code, __VA_ARGS__),                                \
	 (code) != 0 ? -(code) : -PS_IOERR)
#define err_prefix(...) ((void)(err_prefix)(__VA_ARGS__), -PS_SOFTWARE)
#endif

#endif
