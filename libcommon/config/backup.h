/*
 * The whole registry as one text file, the same for SQLite and MariaDB, so
 * that a site can move from one to the other: lines of JSON.
 *
 *	{"format": "ps-config backup 1", "schema": 1, "key_id": "...", ...}
 *	{"table": "servers", "row": {"name": "ps1", "port": 9443, ...}}
 *	...
 *	{"rows": 12, "sha256": "..."}
 *
 * Numbers, text and null are themselves, bytes are {"hex": "..."}; rows come
 * in an order in which they can be entered. The last line has the SHA-256 of
 * all bytes before it. Secrets are sealed as they are in the registry: the
 * file is worth nothing without config.key, to its owner as well.
 */
#ifndef PS_CONFIG_BACKUP_H
#define PS_CONFIG_BACKUP_H

#include "base/io.h"
#include "config/registry.h"

/* Writes one unchanging view of it; *ret_rows is their number. */
int backup_write(struct reg *r, struct io_out *out, uint64_t *ret_rows,
		 struct err *e);

/*
 * Enters a backup, wholly or not. The file is read through and checked
 * before. -PS_DATA: damaged, cut off, no backup; -PS_CONFIG: sealed with
 * another key, or of a newer schema; -PS_NO: something has been entered
 * already, and not `replace`, which forgets it.
 */
int backup_restore(struct reg *r, const char *path, bool replace,
		   uint64_t *ret_rows, struct err *e);

#endif
