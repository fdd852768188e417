/*
 * TLS 1.3 and nothing older, by OpenSSL. No tickets and no resumption: every
 * connection makes keys of its own, and the login is bound to them.
 *
 * The server's certificate need not be signed by anyone: the login proves
 * who the server is (net/login.h). A client that wants more gives a CA.
 */
#ifndef PS_NET_TLS_H
#define PS_NET_TLS_H

#include <stdbool.h>

#include <openssl/ssl.h>

#include "base/err.h"

/*
 * Certificate (chain) and private key in PEM. The key file must be readable
 * by its owner only. -PS_CONFIG when they cannot be read or do not fit.
 */
int tls_server(SSL_CTX **ret, const char *cert, const char *key, struct err *e);

/* The same without a key: net/keeper.h adds one. */
int tls_server_public(SSL_CTX **ret, const char *cert, struct err *e);

/* `ca`: PEM file of who may sign the server's certificate; NULL: anybody. */
int tls_client(SSL_CTX **ret, const char *ca, struct err *e);

/*
 * Makes an EC P-256 key and a self-signed certificate for this host's name,
 * valid for three years. Neither file may be there: -PS_NO.
 */
int tls_new_cert(const char *cert, const char *key, struct err *e);

/* Has it the form of a pin: "sha256//" and base64, as curl takes it? */
bool tls_pin_ok(const char *pin);

/* Adds what OpenSSL has to say to a message; returns -code. */
int tls_err(struct err *e, int code, const char *what);

#endif
