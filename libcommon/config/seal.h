/*
 * Secrets in the registry: sealed with a key that lies in a file outside the
 * database, so that whoever gets the database or a backup of it has names and
 * settings, but no secret.
 *
 *	sealed = 1 (version), nonce (12), AES-256-GCM(secret), tag (16)
 *
 * with a random nonce, and as associated data what the secret is of ("account
 * backup"): a sealed value that is put into another row does not open.
 */
#ifndef PS_CONFIG_SEAL_H
#define PS_CONFIG_SEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define SEAL_KEY_LEN 32
#define SEAL_OVERHEAD (1 + 12 + 16)
#define SEAL_ID_SIZE 33

struct seal {
	uint8_t key[SEAL_KEY_LEN];
	char id[SEAL_ID_SIZE]; /* tells keys apart and nothing of the key */
};

/*
 * Reads the key file; with `make` it is made (mode 0600) when it is not
 * there. -PS_NOPERM: others can read it; -PS_DATA: damaged; -PS_NOINPUT.
 */
int seal_load(struct seal *s, const char *path, int make, struct err *e);

/* `out` has room for n + SEAL_OVERHEAD bytes. */
int seal_close(const struct seal *s, const char *of, const void *secret,
	       size_t n, uint8_t *out, struct err *e);

/*
 * `out` has room for n bytes; *ret_n of them are the secret. -PS_DATA: it was
 * sealed with another key, for something else, or is damaged.
 */
int seal_open(const struct seal *s, const char *of, const void *sealed,
	      size_t n, uint8_t *out, size_t *ret_n, struct err *e);

#endif
