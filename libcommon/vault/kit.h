/*
 * The recovery kit: one page to be printed, with everything but the store's
 * credentials that a restore needs on a machine that has nothing: where the
 * vault is, the keys as words and as QR codes, the commands.
 */
#ifndef PS_VAULT_KIT_H
#define PS_VAULT_KIT_H

#include "segment/keyring.h"
#include "vault/vault.h"

struct kit_disk {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	bool opens; /* its oldest and newest object do, with these keys */
};

struct kit {
	const char *url, *endpoint; /* borrowed; endpoint may be NULL */
	const struct keyring *keys; /* of the vault, not of one machine */
	int64_t now_ns;
	struct kit_disk *disks; /* what the vault has, in order of names */
	size_t ndisks, closed;	/* closed: those that do not open */
};

/*
 * Looks into the vault: tries the keys on the oldest and the newest object of
 * each disk. -PS_NOPERM: these are the keys of one machine.
 */
int kit_look(struct kit *ret, struct vault *v, const struct keyring *keys,
	     struct err *e);
void kit_free(struct kit *k);

/*
 * Writes the page. What a stream keeps of it is the caller's to wipe;
 * KIT_ROOM() bytes are enough.
 */
int kit_write(const struct kit *k, bool html, FILE *f, struct err *e);
#define KIT_ROOM(k) (65536 + 256 * (k)->ndisks + 65536 * (size_t)(k)->keys->n)

#endif
