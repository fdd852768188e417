/*
 * The process that a stranger talks to: TLS, login, and after that nothing
 * but bytes, from TLS to the process that serves the machine (session.c) and
 * back. It never has a file, a key or another machine's data: who takes it
 * over has his own connection.
 */
#ifndef PS_NET_GATE_H
#define PS_NET_GATE_H

#include "net/server.h"

struct gate {
	int rfd, wfd;	  /* the peer */
	int keeper;	  /* channel to the keeper of the keys */
	int relay;	  /* to the process that serves, once there is one */
	const char *peer; /* for messages */
};

/* From the TLS handshake to the end of the connection. */
void gate_run(struct server *s, const struct gate *g);

#endif
