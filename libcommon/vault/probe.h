/*
 * Tries what an upload needs of a store: is it reachable, does it let us in,
 * is the clock right, can we write, read and delete, and how fast.
 */
#ifndef PS_VAULT_PROBE_H
#define PS_VAULT_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* One step: ok, or why not. `words`: figures, or the reason. */
typedef void probe_tell_fn(void *ctx, const char *step, bool ok,
			   const char *words);

/*
 * Writes an object of `bytes` bytes beside the vault's, reads it, deletes it.
 * The last step may be refused (a server that only adds needs no right to
 * delete): it is told, and is no failure. Returns what the first step that
 * failed returned, after it was told.
 */
int probe_run(const char *url, uint64_t bytes, probe_tell_fn *tell, void *ctx,
	      struct err *e);

#endif
