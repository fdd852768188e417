/*
 * The one way to put a file on stable storage.
 *
 * A durable file is written under a temporary name (".tmp.*") in the folder
 * where it will live, made with O_EXCL; durable_commit() syncs it, closes it
 * with the result checked, gives it its name and syncs the folder. Until the
 * commit returns 0 nobody sees the name. A failed fsync or close is final:
 * the temporary file is removed and the caller must not acknowledge anything.
 * A crash leaves at most a temporary file: durable_sweep() removes those.
 */
#ifndef PS_BASE_DURABLE_H
#define PS_BASE_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum durable_mode {
	DURABLE_REPLACE, /* rename over what has the name */
	DURABLE_CREATE,	 /* only if nobody has the name: -PS_NO otherwise */
};

struct durable {
	int dirfd; /* borrowed */
	int fd;	   /* open for reading and writing; -1 when not begun */
	char tmp[48];
	char name[256];
};

/* Begins a file `name` in the folder `dirfd`, with these permissions. */
int durable_begin(struct durable *d, int dirfd, const char *name, mode_t mode,
		  struct err *e);

/*
 * Syncs, names, syncs the folder. -PS_NO: DURABLE_CREATE and the name is
 * taken (no words in `e`); -PS_CANTCREAT: DURABLE_REPLACE, and a device or a
 * pipe is there; -PS_STORAGE: not confirmed by stable storage.
 * The temporary file is gone afterwards in every case.
 */
int durable_commit(struct durable *d, enum durable_mode how, struct err *e);

/* Drops what was begun; harmless after a commit. */
void durable_abort(struct durable *d);

/* All of it in one call, for small state files. */
int durable_write(int dirfd, const char *name, const void *buf, size_t n,
		  mode_t mode, enum durable_mode how, struct err *e);

/*
 * Opens the folder of a path; *ret_name is the last part of the path. The
 * descriptor is the caller's.
 */
int durable_folder(const char *path, const char **ret_name, struct err *e);

/* What does not give way to a file: a device, a pipe, /dev/stdout. */
bool durable_is_channel(const char *path);

/*
 * durable_write() by path. What is to be replaced and is a device or a pipe, or
 * a link below /dev or /proc (/dev/stdout), is written to instead.
 */
int durable_write_path(const char *path, const void *buf, size_t n, mode_t mode,
		       enum durable_mode how, struct err *e);

/* fsync of a folder or file that must already be there, by descriptor. */
int durable_sync(int fd, const char *what, struct err *e);

/*
 * Removes temporary files that crashed writers left in a folder. Call it
 * only while holding the lock that keeps other writers out.
 */
void durable_sweep(int dirfd);

/*
 * The same in a folder that others may be writing to at this moment: each
 * temporary file is locked (flock) while its writer lives, so only those of
 * the dead are removed. Where the file system shares no locks between hosts
 * a living writer may lose its file: its commit then fails, nothing else.
 */
void durable_sweep_dead(int dirfd);

#endif
