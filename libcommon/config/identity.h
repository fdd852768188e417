/*
 * Who a server is to its configuration server: a folder that ps-config
 * register makes, and that the heartbeat and others read.
 *
 *	identity.json	names, addresses, pins; written last
 *	server.key	the private key, made once
 *	server.crt	the certificate, as ps-receive takes it
 *	authority.crt	who signs certificates here
 *	login.key	the key of this name's login, derived from the
 *			passphrase, which is not kept
 */
#ifndef PS_CONFIG_IDENTITY_H
#define PS_CONFIG_IDENTITY_H

#include <jansson.h>

#include "config/registry.h"
#include "net/login.h"

#define IDENTITY_KEY "server.key"
#define IDENTITY_CERT "server.crt"
#define IDENTITY_AUTHORITY "authority.crt"
#define IDENTITY_LOGIN "login.key"
#define IDENTITY_PATH 4096

/* What to do with a folder that names another machine than this one. */
#define IDENTITY_CLONE_HINT                                                    \
	"for a clone remove that folder, and register it under another name; " \
	"several servers on one host have an --instance each, at register "    \
	"and at heartbeat"

struct identity {
	char name[NAME_SIZE];
	char role[8]; /* "ps", "mt" */
	char address[REG_TEXT_SIZE];
	int64_t port; /* of the data */
	char alt[1024];
	char machine_id[REG_TEXT_SIZE];
	char cs_host[REG_TEXT_SIZE], cs_port[8];
	char pin[64];	    /* of the configuration server */
	int64_t generation; /* of the passphrase */
};

/* -PS_NOINPUT: none (a hint says what to do); -PS_DATA: damaged. */
int identity_load(const char *dir, struct identity *ret, struct err *e);
/* Durable. The folder is there. */
int identity_save(const char *dir, const struct identity *id, struct err *e);
/*
 * Gives all of it to the owner of the folder: who registers is root, who reads
 * it is the service. Done only by root.
 */
int identity_give(const char *dir, struct err *e);
/* It is nobody's any more: all but the private key is removed. */
int identity_forget(const char *dir, struct err *e);

void identity_path(const char *dir, const char *name, char out[IDENTITY_PATH]);

/*
 * /etc/machine-id, or "" when this machine has none. `instance` (or NULL):
 * which of several servers on this machine; each has an id of its own then,
 * which is another one when the folder is copied to another machine.
 */
void identity_machine_id(const char *instance, char out[REG_TEXT_SIZE]);

#endif
