/*
 * What an installation is told, by flags, by files or by answers, and whether
 * it makes sense. Texts are borrowed.
 */
#ifndef PS_SETUP_CHOICES_H
#define PS_SETUP_CHOICES_H

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/name.h"
#include "setup/files.h"

#define SETUP_DATA_PORT 9443
#define SETUP_CS_PORT 443
#define SETUP_NOTES 8

struct choices {
	const char *mode;	      /* "CS", "PS" */
	const char *drive, *location; /* one of both */
	const char *mysql_file, *vault_file, *passphrase_file, *proxy_file;
	const char *env; /* "VMWare", "NonVMWare" */
	const char *psip, *csip;
	uint64_t port, cs_port;
	bool bypass, skip_space;
	const char *root; /* staged there; NULL: the system itself */
	const char *credentials_file; /* of the store, installed already */
	uint64_t retry_for;	      /* the same, seconds; 0: the usual */
	const char *name;	      /* of this server; NULL: its host's */

	/* What follows from them. */
	bool cs;	      /* configuration server, and process server */
	char dir[PATH_MAX];   /* of the data, as it was given */
	char here[NAME_SIZE]; /* name */
	char address[INET_ADDRSTRLEN]; /* of the data; empty: not known */
	struct mysql_creds mysql;
	struct vault_creds vault;	  /* url empty: none was given */
	struct proxy_settings proxy;	  /* host empty: none */
	char passphrase[PASSPHRASE_SIZE]; /* empty: none */
	char notes[SETUP_NOTES][200];	  /* what is odd, but works */
	unsigned nnotes;
};

/* All that is required, formats, contradictions; no file is opened. */
int choices_check(struct choices *c, struct fault *f);
/* Of it, the folder alone, and the addresses: for one page of questions. */
int choices_location(struct choices *c, struct fault *f);
int choices_addresses(struct choices *c, struct fault *f);
/* Reads and checks the files that are named. */
int choices_read(struct choices *c, struct fault *f);
/* What names the proxy: a file, or a variable of the environment. */
const char *choices_proxy_place(const struct choices *c);
void choices_wipe(struct choices *c);

/* The store's credentials as lines NAME=VALUE, for free(3); NULL: no memory.
 */
char *choices_credentials(const struct choices *c);

/* [MySQLCredentials] as ps-config takes it, likewise. */
char *choices_mysql(const struct choices *c);

/* The command line that gives these choices, without a newline. */
void choices_print(const struct choices *c, FILE *f);

#endif
