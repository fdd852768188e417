/*
 * The keeper: a process that holds the server's private key and the root of
 * the logins, and nothing else. No other process of the server ever has them
 * in memory: it is forked before they are read, and reads them itself.
 *
 * Each connection has a channel of its own to it, on which it may ask, once
 * each and no more:
 *
 *	sign	a TLS 1.3 CertificateVerify (RFC 8446, 4.4.3). The asker gives
 *		the transcript hash; the keeper puts the words of the server's
 *		context before it, so its key signs nothing else.
 *	nonce	the server's nonce of this login, made by the keeper: what was
 *		recorded in another login does not fit it.
 *	prove	is the client's proof right? Then the server's proof, never
 *		the key; and the listener hears who has logged in.
 *
 * Messages have a fixed size; any other ends the channel.
 */
#ifndef PS_NET_KEEPER_H
#define PS_NET_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <openssl/ssl.h>

#include "net/login.h"
#include "net/sandbox.h"

#define KEEPER_HASH_MAX 64
#define KEEPER_SIGNATURE_MAX 1024 /* RSA of 8192 bits */

struct keeper {
	pid_t pid;
	int fd; /* the listener's line to it */
};

/* Roots that are accepted at the same time: during a rotation, two. */
#define KEEPER_ROOTS_MAX 8

struct keeper_roots {
	uint64_t n;
	struct keeper_root {
		int64_t generation;
		int64_t until; /* ns, UTC; 0: no end */
		uint8_t key[LOGIN_KEY_LEN];
	} list[KEEPER_ROOTS_MAX];
};

struct keeper_files {
	const char *cert, *key;
	/* Where the root of the logins comes from: this file, */
	const char *passphrase;
	/*
	 * or (NULL) messages of struct keeper_roots on this descriptor, each
	 * in place of the one before; the keeper waits for the first. Whoever
	 * sends them holds the roots anyway. keeper_start() closes it.
	 */
	int roots;
};

/*
 * Forks the keeper and waits until it has read its files, has checked that
 * certificate and key fit, and has become `user`. Its errors are ours.
 */
int keeper_start(struct keeper *ret, const struct keeper_files *files,
		 const struct sandbox_user *user, struct err *e);

/* A channel for the connection `id`: our end of it, or -CODE. */
int keeper_channel(const struct keeper *k, uint64_t id, struct err *e);

/* Who has logged in. */
struct keeper_notice {
	uint64_t id;
	int64_t generation; /* of the root; 0: it was the only one */
	char machine[NAME_SIZE];
};
/* 1; 0 when there is none now; -PS_SOFTWARE when the keeper is gone. */
int keeper_heard(const struct keeper *k, struct keeper_notice *ret,
		 struct err *e);

/* ---- in a connection ---- */

/* `md`: 256, 384, 512, or 0 (Ed25519). Length of the signature, or -CODE. */
int keeper_sign(int fd, unsigned md, const uint8_t *hash, size_t n,
		uint8_t out[KEEPER_SIGNATURE_MAX], struct err *e);
int keeper_nonce(int fd, uint8_t out[LOGIN_NONCE_LEN], struct err *e);
/*
 * With machine, client's nonce and exporter of `l`: 1 and the server's proof,
 * 0 when the client's proof is wrong.
 */
int keeper_prove(int fd, const struct login *l,
		 const uint8_t theirs[LOGIN_PROOF_LEN],
		 uint8_t ours[LOGIN_PROOF_LEN], struct err *e);

/* ---- keeper-key.c ---- */

/*
 * A server context whose private key is the keeper's: it signs through
 * keeper_use(). RSA, EC (P-256, P-384, P-521) and Ed25519.
 */
int keeper_tls(SSL_CTX **ret, const char *cert, struct err *e);
/* The channel that this process signs through. */
void keeper_use(int fd);

#endif
