/*
 * Objects of a disk one after another, as bytes. Several pieces are on their
 * way at a time, those of the objects behind too: over a long line the rate is
 * then that of the line and not one piece for each round trip. Memory is
 * bounded by the pieces, whatever the objects' size and number.
 */
#ifndef PS_VAULT_READ_AHEAD_H
#define PS_VAULT_READ_AHEAD_H

#include <sys/types.h>

#include "vault/vault.h"

/* Bytes of a piece. */
#define READ_AHEAD_PIECE (1024 * 1024u)
/* Pieces that are on their way or wait: of a store far away, and near. */
#define READ_AHEAD_FAR 16u
#define READ_AHEAD_NEAR 2u

struct read_ahead;

/* Covers and names are borrowed until read_ahead_close(). */
int read_ahead_open(struct read_ahead **ret, struct vault *v,
		    const char *machine, const char *disk,
		    const struct vault_cover *covers, size_t n, struct err *e);
/* Waits for what is on its way; NULL is allowed. */
void read_ahead_close(struct read_ahead *a);

/*
 * The next bytes of object number i, at most `most`, which stay valid until
 * the next call: their number, 0 at the object's end, -CODE. Numbers ascend;
 * what was not taken of earlier objects is left out. One thread calls it.
 */
ssize_t read_ahead_take(struct read_ahead *a, size_t i, size_t most,
			const uint8_t **ret, struct err *e);

#endif
