/*
 * The keys of a key file. Its text:
 *
 *	# comment
 *	ps-keyring 1
 *	KIND ID TIME KEY CHECK
 *
 * one line for each key, oldest first; the last one seals, all open. KIND is
 * "vault" or "machine=NAME"; ID 32 hex digits; TIME of its creation; KEY 64
 * hex digits; CHECK the CRC-32C of the line before the last space, so that a
 * key typed from paper is not taken with a wrong digit. A file holds vault
 * keys, or the keys of one machine, never both.
 *
 * The id of a vault key is HKDF-SHA-256(key, info "ps-toolkit key id"), 16
 * bytes. A machine's key has the id of the vault key it was derived from:
 * whoever holds that one opens what the machine seals.
 */
#ifndef PS_SEGMENT_KEYRING_H
#define PS_SEGMENT_KEYRING_H

#include <stdbool.h>

#include "segment/seal.h"

#define KEY_LEN 32
#define KEYRING_MAX 256u
#define KEYRING_TEXT_MAX (64 * 1024u)

struct key {
	uint8_t id[SEG_KEY_ID_LEN];
	int64_t created_ns;	 /* UTC */
	char machine[NAME_SIZE]; /* empty: a vault key */
	uint8_t secret[KEY_LEN];
};

struct keyring {
	unsigned n;
	struct key keys[]; /* KEYRING_MAX; the last one seals */
};

/* An empty ring. */
int keyring_new(struct keyring **ret, struct err *e);

/*
 * Reads the text of a key file; `name` is used in messages. -PS_CONFIG with
 * the number of the line when it is not one; keys are never in messages.
 */
int keyring_parse(struct keyring **ret, const char *text, const char *name,
		  struct err *e);
/*
 * Writes the text, KEYRING_TEXT_MAX bytes at most, and returns its length.
 * The caller wipes it.
 */
size_t keyring_format(const struct keyring *k, char *out);

/* Adds a new vault key, which seals from now on. */
int keyring_add(struct keyring *k, struct err *e);

/* The vault key of these bytes, with its id. */
int key_make(struct key *ret, const uint8_t secret[KEY_LEN], int64_t created_ns,
	     struct err *e);
/*
 * Adds a key that was made before, in its place by time; one that is there
 * already is not added again. -PS_CONFIG: no room, or keys of the vault and of
 * machines would be mixed.
 */
int keyring_take(struct keyring *k, const struct key *key, struct err *e);

/*
 * The ring with which one machine seals and opens its own segments, from a
 * ring of vault keys. -PS_NOPERM when these are a machine's keys.
 */
int keyring_derive(struct keyring **ret, const struct keyring *k,
		   const char *machine, struct err *e);

/* NULL when it is not in the ring. */
const struct key *keyring_find(const struct keyring *k,
			       const uint8_t id[SEG_KEY_ID_LEN]);

/* The machine key; -PS_NOPERM when the key is another machine's. */
int key_for_machine(const struct key *key, const char *machine,
		    uint8_t out[KEY_LEN], struct err *e);

#endif
