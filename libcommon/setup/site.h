/*
 * What setup asks the configuration server of a process server that is
 * installed, and what a configuration server knows of its process servers.
 */
#ifndef PS_SETUP_SITE_H
#define PS_SETUP_SITE_H

#include "setup/steps.h"

struct site_view {
	char version[32]; /* of the configuration server; "": it does not say */
	char pin[64];	  /* of its key */
	bool registered;  /* it knows this server */
	int64_t machines; /* that use this server */
};

/*
 * Who this server is, from its identity, into s->name, host and port. The key
 * of its login is then s->secret. -PS_NOINPUT: it is not registered.
 */
int site_identity(struct steps *s, struct err *e);

/*
 * Logs in at s->host as s->name with s->secret. `known`: its certificate has
 * to be of the authority that this server knows; else the login alone proves
 * who it is. Errors as cs_open().
 */
int site_look(const struct steps *s, bool known, struct site_view *ret,
	      struct err *e);

/*
 * The configuration server forgets this server. 1: it had done so already;
 * -PS_NO: machines use it.
 */
int site_leave(const struct steps *s, struct err *e);

/* The parts of "[ADDRESS:]PORT". */
struct site_address {
	char host[256], port[8];
	bool any; /* of all interfaces */
};
void site_split(const char *listen, struct site_address *ret);

/*
 * On the configuration server: name and address of its process server as it was
 * entered and has not registered yet; "" when it was not.
 */
int site_find_own(const struct steps *s, char name[64], char address[300],
		  struct err *e);

/* There, too: how many servers have registered (process servers and master
 * targets; not its own, nor what was entered by hand), the first of them that
 * would not work with `version`, and how many machines use any server.
 * -PS_CONFIG: the tables are of another version. */
struct site_servers {
	unsigned n, bad;
	int64_t machines;
	char first[64], its[32];
};
int site_servers(struct steps *s, const char *version, struct site_servers *ret,
		 struct err *e);

#endif
