/*
 * A store keeps named objects: a folder, a container of Azure Blob, a bucket
 * of S3. Everything above it (upload, list, verify, restore) is the same for
 * all; each kind is one table of operations, and one test suite runs against
 * every kind.
 *
 * Names are relative, '/'-separated, made of checked names only.
 */
#ifndef PS_VAULT_STORE_H
#define PS_VAULT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct store;
struct store_put;

/* One name below a prefix. */
struct store_entry {
	const char *name;
	bool is_dir; /* it has names below it */
	uint64_t size;
	/* Another object of this name has another tag; 0: not known. */
	uint64_t tag;
};

/* 0 goes on. */
typedef int store_list_fn(void *ctx, const struct store_entry *en,
			  struct err *e);

/*
 * What is sent before its commit when that has to wait, at least: shorter
 * bodies go along with the commit at no cost.
 */
#define STORE_STAGE_LEAST (128u * 1024)

struct store_ops {
	const char *scheme; /* "file" */
	/*
	 * Opens the store that `url` names. `create`: make it when missing;
	 * else -PS_NOINPUT when it is not there.
	 */
	int (*open)(struct store **ret, const char *url, int create,
		    struct err *e);
	void (*close)(struct store *s);

	/*
	 * Calls fn for each direct child of `dir` ("" for the top) in
	 * ascending order of bytes. A missing dir has no children. Incomplete
	 * uploads are never listed.
	 */
	int (*list)(struct store *s, const char *dir, store_list_fn *fn,
		    void *ctx, struct err *e);

	/* -PS_NOINPUT when there is no such object. */
	int (*size)(struct store *s, const char *name, uint64_t *ret,
		    struct err *e);
	/* Exactly n bytes from pos; safe from several threads. */
	int (*read)(struct store *s, const char *name, uint64_t pos, void *buf,
		    size_t n, struct err *e);

	/* A create-only put: nothing is visible before commit returns 0. */
	int (*put_begin)(struct store *s, const char *name,
			 struct store_put **ret, struct err *e);
	int (*put_write)(struct store_put *p, const void *buf, size_t n,
			 struct err *e);
	/*
	 * No more comes; may be left out. `later`: the commit has to wait for
	 * others, so that it is worth a request to send the bytes meanwhile.
	 * NULL: the store has nothing to do. After an error only put_abort.
	 */
	int (*put_end)(struct store_put *p, bool later, struct err *e);
	/*
	 * 0: visible under its name and on stable storage. -PS_NO: the name
	 * is taken. Frees p in every case.
	 */
	int (*put_commit)(struct store_put *p, struct err *e);
	void (*put_abort)(struct store_put *p);

	/*
	 * Makes sure that an object which is already there is on stable
	 * storage (its writer may have died before its own sync).
	 */
	int (*confirm)(struct store *s, const char *name, struct err *e);
	/* Removes an object; one that is not there is success. */
	int (*remove)(struct store *s, const char *name, struct err *e);
	/*
	 * Seconds that the service's clock is ahead of ours, by its last
	 * answer; -PS_NO: not known. NULL: the store has no clock.
	 */
	int (*skew)(struct store *s, int64_t *ret_seconds);
	/* It keeps the limit of store_settings by itself. */
	bool paced;
	/* Sets another one: bytes per second, 0: none. Only when paced. */
	void (*limit)(struct store *s, uint64_t per_second);
	bool far; /* each answer takes a round trip over some network */
};

struct store {
	const struct store_ops *ops; /* first member of each kind */
};

extern const struct store_ops store_file, store_azblob, store_s3;

/* Opens by scheme; a plain path is a folder. -PS_USAGE: unknown scheme. */
int store_open(struct store **ret, const char *url, int create, struct err *e);
/* The same of the name alone: nothing is opened. */
int store_check(const char *url, struct err *e);
void store_close(struct store *s); /* NULL is allowed */
/* A small object in one call; -PS_NO: the name is taken. */
int store_put_text(struct store *s, const char *name, const char *text,
		   struct err *e);

#endif
