/*
 * The certificate authority of the site: the configuration server's own. It
 * certifies process servers and master targets, so that those who talk to
 * them need not be told each one's pin.
 *
 * EC P-256 and SHA-256 throughout (FIPS 186-5); X.509 as RFC 5280 has it. The
 * authority's key lies in the registry, sealed. A request (PKCS #10) proves
 * that who asks has the key; names come from the registry and from the
 * administrator, never from the request.
 */
#ifndef PS_CONFIG_CA_H
#define PS_CONFIG_CA_H

#include <openssl/evp.h>

#include "config/registry.h"
#include "net/login.h"

#define CA_S (3650 * 86400LL)	      /* the authority's own time */
#define CA_CERT_S (3 * 365 * 86400LL) /* as published */
#define CA_WARN_DAYS 60
#define CA_SUBJECT "ps-config authority"
#define CA_PEM_SIZE 8192
#define CA_PIN_SIZE 64 /* "sha256//" and base64, as curl takes it */

/* Makes the authority if there is none. */
int ca_init(struct reg *r, struct err *e);

/*
 * Renews its certificate when one that is made now for cert_s would be cut
 * off by its end within CA_WARN_DAYS, in the second half of its time; for
 * another CA_S, on the same name and key: what either has signed is good with
 * the other, so those who have only one of them go on. Several processes may do
 * so at once.
 */
int ca_renew(struct reg *r, uint64_t cert_s, struct err *e);

/* Its certificate in PEM. -PS_NO: there is none. */
int ca_certificate(struct reg *r, char pem[CA_PEM_SIZE], struct err *e);

struct reg_cert {
	char serial[NAME_SIZE];	  /* 32 hexadecimal digits */
	char subject[NAME_SIZE];  /* the server */
	char alt[1024];		  /* "DNS:ps1,IP:192.0.2.1" */
	int64_t begins, ends;	  /* ns */
	char pin[CA_PIN_SIZE];	  /* of its public key */
	char replaced[NAME_SIZE]; /* serial of the next one; "" none */
	int64_t authority;	  /* generation of the one that signed it */
};

/* What is to be said of the authority's own; its generation in `authority`. */
int ca_look(struct reg *r, struct reg_cert *ret, struct err *e);

/* "ok", "renew" (within CA_WARN_DAYS), "expired", "replaced" */
const char *cert_state(const struct reg_cert *c, int64_t now_ns);
/*
 * Is it time for another one? From CA_WARN_DAYS before its end on; when it
 * was made for less than twice that, after half of its time.
 */
bool cert_due(const struct reg_cert *c, int64_t now_ns);
/*
 * The same, or the authority has a newer certificate than the one that its
 * owner got with this: 1; 0: it will do.
 */
int ca_outdated(struct reg *r, const struct reg_cert *c, struct err *e);

struct ca_request {
	const char *server; /* in the registry */
	const char *csr;    /* PEM */
	const char *alt;    /* more names: "DNS:a,IP:b"; NULL: none */
	uint64_t valid_s;   /* from now on; not beyond the authority's end */
	/*
	 * Who renews a certificate that has expired proves that it belongs
	 * here: a passphrase or its own derived key. NULL: it does not.
	 */
	const struct login_secret *proof;
	int64_t passphrase_generation; /* set by ca_issue() */
	/* It has logged in, with passphrase_generation: that is its proof. */
	bool logged_in;
	bool keep; /* the one that it has will do, if key and names are so */
};

struct reg_server;
/*
 * May a server have these names in its certificate (`more` may be NULL), when
 * it is itself that asks for them? -PS_USAGE: one is none; -PS_NO: one is the
 * name of another server.
 */
int ca_check_names(struct reg *r, const struct reg_server *s, const char *more,
		   struct err *e);

/*
 * Issues a certificate for a server of the registry: names are its name and
 * its address, and `alt`. One that it had is marked as replaced. -PS_NO: no
 * such server or authority; -PS_DATA: no request, or it is not signed with
 * its own key; -PS_USAGE: a name in alt that is none; -PS_NOPERM: the newest
 * one has expired and there is no (right) proof.
 */
int ca_issue(struct reg *r, struct ca_request *q, char pem[CA_PEM_SIZE],
	     struct err *e);

/*
 * The same for the configuration server itself: `subject` has a space in it,
 * and so is no server's name; alt as "DNS:a,IP:b".
 */
int ca_issue_own(struct reg *r, const char *subject, const char *alt,
		 EVP_PKEY *key, char pem[CA_PEM_SIZE], struct err *e);

/* The one in force of a subject; serial "" when there is none. */
int ca_latest(struct reg *r, const char *subject, struct reg_cert *ret,
	      char pem[CA_PEM_SIZE], struct err *e);

typedef int cert_fn(void *ctx, const struct reg_cert *c, struct err *e);
/* By server, oldest first; `current`: without those that were replaced. */
int cert_each(struct reg *r, bool current, cert_fn *fn, void *ctx,
	      struct err *e);

#endif
