/* What the authority does with OpenSSL, without the registry. */
#ifndef PS_CONFIG_X509_H
#define PS_CONFIG_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "config/ca.h"

/* Certificates begin so long before they are made: clocks differ. */
#define X509_BEGUN_NS (86400 * NS_PER_S)

struct x509_want {
	const char *subject;
	const char *alt; /* "DNS:a,IP:b"; NULL: an authority, self-signed */
	EVP_PKEY *key;	 /* that is certified */
	X509 *issuer;	 /* NULL: itself */
	EVP_PKEY *issuer_key;
	uint64_t valid_s; /* from now on */
};

/* A certificate with a random serial of 127 bits. */
int x509_make(X509 **ret, const struct x509_want *w, struct err *e);

/* The request's public key, when it is signed with it. */
int x509_request_key(EVP_PKEY **ret, const char *csr, struct err *e);

int x509_to_pem(X509 *x, char pem[CA_PEM_SIZE], struct err *e);
int x509_from_pem(X509 **ret, const char *pem, struct err *e);

/* The private key as DER (PKCS #8): for sealing. Returns its length. */
int x509_key_to_der(EVP_PKEY *key, uint8_t *out, size_t size, struct err *e);
int x509_key_from_der(EVP_PKEY **ret, const uint8_t *der, size_t n,
		      struct err *e);

/* The private key of a file in PEM that only its owner can read. */
int x509_key_from_file(EVP_PKEY **ret, const char *path, struct err *e);
/* Makes an EC P-256 key in a file for its owner. -PS_NO: it is there. */
int x509_new_key_file(const char *path, struct err *e);
/* A request (PKCS #10, PEM) for a key, with this name in it. */
int x509_new_request(EVP_PKEY *key, const char *subject, char pem[CA_PEM_SIZE],
		     struct err *e);

/* The pin of its key: of any certificate, also of one that is not ours. */
int x509_pin(X509 *x, char pin[CA_PIN_SIZE], struct err *e);
/* Fills in serial, times and pin of one that x509_make() has made. */
int x509_describe(X509 *x, struct reg_cert *c, struct err *e);

#endif
