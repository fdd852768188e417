/*
 * Which key the data of a vault are sealed with: a note beside them (key.json,
 * see ps-vault(5)), so that a second server does not make a key of its own.
 * Nothing reads it to open anything.
 */
#ifndef PS_VAULT_KEY_NOTE_H
#define PS_VAULT_KEY_NOTE_H

#include "segment/keyring.h"
#include "vault/vault.h"

#define VAULT_KEY_NOTE "key.json"

struct vault_key {
	uint8_t id[SEG_KEY_ID_LEN];
	char host[NAME_SIZE]; /* that noted it; empty: a segment tells it */
};

/*
 * The key by the note; without one that of the newest segment of a disk (a few
 * are looked at). -PS_NO: nothing tells one.
 */
int vault_key_read(struct vault *v, struct vault_key *ret, struct err *e);

/*
 * Notes the newest of `keys`, unless the vault has a key. 0: the vault's is
 * one of `keys`. -PS_NO: it is another one.
 */
int vault_key_note(struct vault *v, const struct keyring *keys, struct err *e);

#endif
