/* Private to the certificate authority (ca.h): its key and certificate. */
#ifndef PS_CONFIG_AUTHORITY_H
#define PS_CONFIG_AUTHORITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "config/registry.h"

struct authority {
	struct reg *reg;
	int64_t generation; /* from 1; one more with each renewal */
	X509 *cert;
	EVP_PKEY *key;
};

/* The newest; authority_drop() when it was found. -PS_NO: there is none. */
int authority_get(struct reg *r, struct authority *a, struct err *e);
void authority_drop(struct authority *a);

#endif
