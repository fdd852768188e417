/*
 * The login: client and server prove to each other, within one TLS session,
 * that they know the key of one machine.
 *
 *	root        = scrypt(passphrase, "ps-toolkit login v1", 2^15, 8, 1)
 *	machine key = HKDF-SHA-256(root, "ps-toolkit machine login" + machine)
 *	proof       = HMAC-SHA-256(machine key, "ps-toolkit client proof 1\0"
 *			+ client nonce + server nonce + TLS exporter + machine)
 *
 * (the server's with "server" for "client"; nonces and exporter have 32
 * bytes, the machine's name comes last, so that no two inputs look alike).
 *
 *	client: POST /v1/login   hello TAB MACHINE TAB NONCE LF
 *	server: 200              nonce TAB NONCE LF
 *	client: POST /v1/login   proof TAB HMAC LF
 *	server: 200              proof TAB HMAC LF, or 401
 *
 * The client proves first: a server that does not know the key learns
 * nothing that it could test offline without being asked. The exporter (RFC
 * 9266) binds the proof to this TLS session: one that is relayed from
 * another session, or recorded in one, is worth nothing. The salt of scrypt
 * is constant, because both ends must come to one root without talking;
 * therefore passphrases are generated, not thought up.
 *
 * The name "*" is the operator: may read the state of all machines and use
 * the self-test, may not write any disk.
 */
#ifndef PS_NET_LOGIN_H
#define PS_NET_LOGIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/name.h"

#define LOGIN_KEY_LEN 32
#define LOGIN_NONCE_LEN 32
#define LOGIN_PROOF_LEN 32
#define LOGIN_OPERATOR "*"
#define LOGIN_LINE_SIZE 256 /* any message of the login */
#define LOGIN_PASSPHRASE_SIZE 64

/* What a -P file holds: the passphrase, or one machine's derived key. */
struct login_secret {
	char machine[NAME_SIZE];    /* whose key; empty: the root */
	uint8_t key[LOGIN_KEY_LEN]; /* of the machine, or the root */
};

/*
 * Reads a secret file; a passphrase is stretched (0.1 s, 32 MiB).
 * -PS_NOPERM: others can read the file; -PS_DATA: empty or damaged.
 */
int login_secret_read(struct login_secret *s, const char *path, struct err *e);

/* The root of a passphrase. */
int login_root(const char *passphrase, uint8_t root[LOGIN_KEY_LEN],
	       struct err *e);

/*
 * The key that logs in as `machine` (or the operator). -PS_NOPERM when the
 * secret is the key of another machine.
 */
int login_key(const struct login_secret *s, const char *machine,
	      uint8_t key[LOGIN_KEY_LEN], struct err *e);

/* The line that a key file holds, with its newline. */
void login_key_line(const char *machine, const uint8_t key[LOGIN_KEY_LEN],
		    char out[LOGIN_LINE_SIZE]);

/* A fresh passphrase: 24 characters, 120 bits, NUL-terminated. */
int login_new_passphrase(char out[LOGIN_PASSPHRASE_SIZE], struct err *e);

/* A machine's name, or the operator's. */
bool login_name_ok(const char *name);

/* What the proofs of one login are made from. */
struct login {
	char machine[NAME_SIZE];
	uint8_t key[LOGIN_KEY_LEN];
	uint8_t client_nonce[LOGIN_NONCE_LEN];
	uint8_t server_nonce[LOGIN_NONCE_LEN];
	uint8_t exporter[32];
};

int login_nonce(uint8_t out[LOGIN_NONCE_LEN], struct err *e);
int login_proof(const struct login *l, bool server,
		uint8_t out[LOGIN_PROOF_LEN], struct err *e);
/* Compares in constant time. */
bool login_proof_ok(const uint8_t a[LOGIN_PROOF_LEN],
		    const uint8_t b[LOGIN_PROOF_LEN]);

/* "word TAB HEX LF"; parsing wants exactly that. */
void login_word_line(const char *word, const uint8_t value[32],
		     char out[LOGIN_LINE_SIZE]);
bool login_word_parse(const char *line, const char *word, uint8_t value[32]);
void login_hello_line(const struct login *l, char out[LOGIN_LINE_SIZE]);
/* Sets machine and client nonce. */
bool login_hello_parse(const char *line, struct login *l);

#endif
