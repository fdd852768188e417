/*
 * How a session's ssh begins: its command line, its process, and the pipe that
 * a password comes from. Private to session.c.
 */
#ifndef PS_PUSH_SESSION_START_H
#define PS_PUSH_SESSION_START_H

#include "push/session.h"

/* What sudo asks for the password with, and what the shell behind it says. */
#define SESSION_PROMPT "ps-push password:"
#define SESSION_READY "ps-push ready"

/* Starts ssh, as session_open() says; sets s->pid, in, out, err and the pipe.
 */
int session_start(struct session *s, const struct push_host *h,
		  const char *words, struct err *e);

/* The pipe of the password goes, if there is one. */
void session_drop_pipe(struct session *s);

#endif
