/*
 * The chain of objects that a restore reads, newest first back to the base.
 *
 * A disk of 16 TiB that was never merged has a quarter of a million of them,
 * too many to keep open. So each object is visited once: this checks all
 * that its index can prove, keeps some 100 bytes of it and closes it; while the
 * restore runs, objects are opened again when they are needed and a bounded
 * number stays open.
 */
#ifndef PS_VAULT_RESTORE_CHAIN_H
#define PS_VAULT_RESTORE_CHAIN_H

#include "vault/vault.h"

struct chain_object {
	struct vault_cover cover;
	uint8_t digest[SHA256_LEN];
	struct vault_object *open; /* NULL: closed */
	uint32_t users;		   /* it must stay open for so many */
	bool recent;		   /* used since the hand came by */
	size_t place;		   /* among the covers, while surveying */
};

/* Of a store far away: objects or pages that are read at a time. */
#define CHAIN_AHEAD 16u

/* One index page: what part of the disk it speaks of. */
struct chain_page {
	uint64_t first, end; /* bytes of the disk */
	uint32_t object;     /* number in the chain */
	uint32_t number;     /* of the page in its object */
};

struct chain {
	struct vault *vault; /* borrowed, as the four below */
	const char *machine, *disk;
	const struct keyring *keys;
	struct chain_object *objects; /* newest first; the last is a base */
	uint32_t nobjects;
	struct chain_page *pages; /* newest object first, then ascending */
	size_t npages;
	uint64_t disk_size; /* after the newest */
	uint32_t block_size;
	bool has_disk_digest; /* put there by the source */
	uint8_t disk_digest[SHA256_LEN];
	/*
	 * The key proves every object: the newest is sealed, and each older
	 * one is sealed too or bound by the digest that its successor names.
	 */
	bool authenticated;
	/* private */
	size_t objects_cap, pages_cap;
	uint32_t *open_list; /* objects that are open, a clock with a hand */
	uint32_t nopen, hand;
};

/*
 * Finds the chain that leads to `seq` and checks it: the widest covers, their
 * links, every segment digest recomputed from its index, one block size, no
 * shrinking disk. -PS_NO: the cover is broken (point no longer kept, or not
 * yet complete); -PS_NOPERM: sealed and no key; -PS_NOINPUT: an object went
 * away while we looked (retention): call again. Strings, vault and keys are
 * borrowed until chain_free().
 */
int chain_survey(struct chain *c, struct vault *v, const char *machine,
		 const char *disk, uint64_t seq, const struct keyring *keys,
		 struct err *e);
void chain_free(struct chain *c); /* a zeroed one is allowed */

/*
 * The open object number i; it stays open until chain_put(). One thread
 * calls these two; what is got may be read by many. -PS_DATA when it is no
 * longer the one that was surveyed.
 */
int chain_get(struct chain *c, uint32_t i, const struct seg_object **ret,
	      struct err *e);
void chain_put(struct chain *c, uint32_t i);

/* Puts the name of object i before the message, if it is not there; -code. */
int chain_prefix(const struct chain *c, uint32_t i, struct err *e);

#endif
