/*
 * Where a restore goes: a new file, a block device, a stream, or nowhere
 * (only verified). Unlike ends behind one small set of calls:
 *
 *	target_open()	 refuses what must not be written; touches nothing
 *	target_begin()	 size and room are checked; the first change
 *	target_write(), target_zero()
 *	target_commit()	 on stable storage, under its name
 *	target_close()	 without a commit: no file is left that looks complete
 */
#ifndef PS_VAULT_RESTORE_TARGET_H
#define PS_VAULT_RESTORE_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum target_kind {
	TARGET_NONE,   /* writes nothing */
	TARGET_FILE,   /* a new file, named when it is complete */
	TARGET_DEVICE, /* a block device, written in place */
	TARGET_STREAM, /* standard output, a pipe, a character device */
};

struct target;

/* Writes from memory and to places that are aligned to it are the fastest. */
#define TARGET_ALIGN 4096u

/*
 * `path` NULL: nowhere; "-": standard output. `force` allows to replace a
 * file or to overwrite a device. -PS_USAGE: it is there and force was not
 * given; -PS_NOPERM: mounted or otherwise in use.
 */
int target_open(struct target **ret, const char *path, bool force,
		struct err *e);
void target_close(struct target *t); /* NULL is allowed */

enum target_kind target_kind(const struct target *t);
/* Name for messages. */
const char *target_name(const struct target *t);
/* It was written to and, without a commit, holds half of a disk. */
bool target_spoiled(const struct target *t);

/*
 * `data_bytes` of the disk's `size` bytes will be written. -PS_USAGE: the
 * device is smaller than the disk; -PS_TEMPFAIL: no room (with force a file
 * is tried all the same: the file system may compress).
 */
int target_begin(struct target *t, uint64_t size, uint64_t data_bytes,
		 struct err *e);

/*
 * Streams take bytes in ascending order without gaps from one thread; all
 * others any place from any thread.
 */
int target_write(struct target *t, uint64_t offset, const void *buf, size_t n,
		 struct err *e);
/* Makes a range zero; in a new file it is a hole already. */
int target_zero(struct target *t, uint64_t offset, uint64_t n, struct err *e);
/* Asks the kernel to start writing; never waits for it, cannot fail. */
void target_hurry(struct target *t);

int target_commit(struct target *t, struct err *e);

#endif
