/*
 * Beginnings and ends of objects that are far away, kept on this machine, so
 * that a list need not fetch them again: one file for each disk of a vault, in
 * store_settings.list_cache or $XDG_CACHE_HOME/ps-toolkit/lists. Raw bytes are
 * kept, and checked like those from the store, with the key when one is given:
 * the cache proves nothing and may be deleted at any time. Whatever is wrong
 * with it, the store is asked instead.
 */
#ifndef PS_VAULT_TAIL_CACHE_H
#define PS_VAULT_TAIL_CACHE_H

#include "vault/vault.h"

/* What was read of one object. */
struct tail_memo {
	uint8_t head[SEG_HEADER_LEN];
	bool has_head;
	bool kept;    /* it comes from the cache */
	uint8_t *end; /* its last bytes, by malloc(3) */
	size_t end_len;
};

/* Gives these bytes when they are known; false: the store has to be asked. */
bool tail_memo_read(const struct tail_memo *m, uint64_t size, uint64_t pos,
		    void *buf, size_t n);
/* The store has given these bytes. */
void tail_memo_note(struct tail_memo *m, uint64_t size, uint64_t pos,
		    const void *buf, size_t n);
/* Only the last `len` bytes are of use. */
void tail_memo_trim(struct tail_memo *m, size_t len);
void tail_memo_drop(struct tail_memo *m);

struct tail_cache;

/* For up to `n` objects of a disk. NULL: there is no cache. */
struct tail_cache *tail_cache_open(const struct vault *v, const char *machine,
				   const char *disk, size_t n);
/* Fills a zeroed memo if this very object is known; by several threads. */
void tail_cache_get(const struct tail_cache *c, const struct vault_cover *cover,
		    struct tail_memo *m);
/* What is to be kept, in the order of covers; the memo's bytes are taken. */
void tail_cache_put(struct tail_cache *c, const struct vault_cover *cover,
		    struct tail_memo *m);
/* Writes the file if there is anything new. NULL is allowed. */
void tail_cache_close(struct tail_cache *c);

#endif
