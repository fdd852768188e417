/*
 * One session of the system's OpenSSH client, in which the script target.sh
 * runs on a machine: lines of it are read, and what it asks for is sent.
 * Never a terminal, never a question to anybody, always a deadline.
 */
#ifndef PS_PUSH_SESSION_H
#define PS_PUSH_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "push/host.h"

#define SESSION_LINE 512

/* How all machines are logged in to. Text is borrowed. */
struct session_way {
	const char *user;	 /* NULL: ssh's own */
	const char *identity;	 /* key file; NULL: ssh's own, its agent */
	const char *password;	 /* NULL: keys only */
	const char *known_hosts; /* NULL: ssh's own files */
	bool accept_new;	 /* take keys of hosts that are not known */
	const char *folder;	 /* private, of this process, for pipes */
	const char *askpass;	 /* program that session_askpass() runs in */
	unsigned connect_s;	 /* to connect */
	unsigned idle_s;	 /* without anything in either direction */
	unsigned total_s;	 /* of a session */
	int cancel_fd;		 /* readable: everything ends */
};

enum session_rights {
	SESSION_AS_USER,
	SESSION_SUDO,	       /* that asks for no password */
	SESSION_SUDO_PASSWORD, /* that asks for the account's */
};

struct session {
	/* private */
	const struct session_way *way;
	pid_t pid;
	int in, out, err;
	char fifo[128]; /* "": none */
	int fifo_fd;
	enum session_rights rights;
	bool ready;    /* a shell reads there: it may be sent to */
	bool answered; /* sudo has got the password */
	char *pending; /* to be sent */
	size_t npending, cap;
	int file; /* after that; -1: none */
	off_t file_at, file_end;
	char buf[4 * SESSION_LINE];
	size_t nbuf;
	int64_t end_ns, idle_ns; /* mono_now_ns */
	bool out_ended;
	/* what ssh and programs there said, the last of it */
	char said[1024];
	size_t nsaid;
};

/*
 * Starts it: `words` is the command line of target.sh, made of words that
 * pass push_word_ok(). It also ends there after total_s, when the connection
 * died and nobody there was told (if timeout(1) is there).
 */
int session_open(struct session *s, const struct session_way *w,
		 const struct push_host *h, enum session_rights rights,
		 const char *words, struct err *e);

/* Queues bytes, or a part of a file (once), to be sent as they are taken. */
int session_send(struct session *s, const void *p, size_t n, struct err *e);
void session_send_file(struct session *s, int fd, off_t from, off_t size);

/*
 * The next line, without its newline: 1. 0: there is none any more.
 * -PS_TEMPFAIL: a deadline is over, or (e->sys ECANCELED) it was cancelled.
 */
int session_line(struct session *s, char line[SESSION_LINE], struct err *e);

/* A line that was none of ours: what the machine says instead of running. */
void session_said(struct session *s, const char *line);

/* Ends it. Returns ssh's exit status, 255 when ssh itself failed. */
int session_close(struct session *s);

/*
 * Is this process ssh's helper for passwords? Then it prints what is in the
 * pipe that ssh was given and ends. First thing in main().
 */
void session_askpass(void);

/*
 * What ssh's words mean when target.sh did not run, and the line of them that
 * tells it (the last one when none does), in printable characters.
 */
enum push_reason session_why(const struct session *s, char *line, size_t size);

#endif
