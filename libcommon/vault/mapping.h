/*
 * The digest map of a disk, made again from the indexes in the vault: for a
 * source that lost its own.
 */
#ifndef PS_VAULT_MAPPING_H
#define PS_VAULT_MAPPING_H

#include "base/io.h"
#include "vault/vault.h"

/*
 * Writes the map after segment `seq` (0: the last one) to `path`, whole or
 * not at all, and gives the sequence. Only indexes are read. -PS_NO: no
 * such segment, or its chain is broken; -PS_NOPERM: sealed and no key.
 */
int vault_map(struct vault *v, const char *machine, const char *disk,
	      uint64_t seq, const struct keyring *keys, const char *path,
	      uint64_t *ret_seq, struct err *e);

/* The same as a stream (disk/digestmap.h), for another machine. */
int vault_digestmap(struct vault *v, const char *machine, const char *disk,
		    uint64_t seq, const struct keyring *keys,
		    struct io_out *out, uint64_t *ret_seq, struct err *e);

#endif
