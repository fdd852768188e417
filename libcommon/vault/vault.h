/*
 * The vault: all segments of all machines. ps-vault(5) tells the layout.
 *
 *	vault.json			what it is: format version, fencing
 *	MACHINE/DISK/SEQ		one segment
 *	MACHINE/DISK/SEQ.FIRST		a merged one that covers FIRST..SEQ
 *
 * SEQ and FIRST have 20 digits. Names hold neither digest nor time, so that
 * two writers of one sequence collide: a create-only put is the fence.
 */
#ifndef PS_VAULT_VAULT_H
#define PS_VAULT_VAULT_H

#include <stdbool.h>

#include "segment/ack.h"
#include "segment/object.h"
#include "vault/store.h"

struct vault {
	struct store *store;
	bool single_writer; /* the store does not refuse a second create */
	bool cached; /* lists may use vault/tail-cache.h; by the caller */
	uint8_t id[SHA256_LEN]; /* of its place and its vault.json */
};

/* -PS_NOINPUT: nothing there; -PS_CONFIG: not a vault, or a newer one. */
int vault_open(struct vault *v, const char *url, struct err *e);
void vault_close(struct vault *v);
/* Makes an empty vault and probes the fence. Twice is success. */
int vault_init(const char *url, struct err *e);
/*
 * The same on a store that is open already; `url` is for messages. The store
 * goes to the vault only when attach succeeds; init leaves it the caller's.
 */
int vault_attach(struct vault *v, struct store *s, const char *url,
		 struct err *e);
int vault_init_store(struct store *s, const char *url, struct err *e);

/* "MACHINE/DISK/SEQ.FIRST" and its end. */
#define VAULT_NAME_SIZE (3 * NAME_SIZE)

/* One object of a disk: covers first..seq. */
struct vault_cover {
	uint64_t first, seq;
	uint64_t size; /* bytes as stored */
	uint64_t tag;  /* as in struct store_entry */
};

struct vault_covers {
	struct vault_cover *items; /* by seq, then by first, ascending */
	size_t n;
};

/* The full name of an object; and back from its last part (false: foreign). */
void vault_name(const char *machine, const char *disk,
		const struct vault_cover *c, char out[VAULT_NAME_SIZE]);
bool vault_parse_name(const char *name, struct vault_cover *ret);

/* The objects of a disk, from their names alone. None: n = 0. */
int vault_covers(struct vault *v, const char *machine, const char *disk,
		 struct vault_covers *ret, struct err *e);
void vault_covers_free(struct vault_covers *c);

/* Calls fn for each machine/disk that has a folder, in order of names. */
typedef int vault_disk_fn(void *ctx, const char *machine, const char *disk,
			  struct err *e);
int vault_disks(struct vault *v, const char *machine /* or NULL */,
		vault_disk_fn *fn, void *ctx, struct err *e);

/*
 * Opens one object for random access and checks that its header names this
 * machine, disk and cover. The returned object holds its own memory;
 * vault_object_close frees it. keys may be NULL.
 */
struct vault_object {
	struct seg_object seg;
	/* private: what its fetch function needs */
	struct store *store;
	struct tail_memo *memo;
	char name[VAULT_NAME_SIZE];
};

struct tail_memo;

int vault_object_open(struct vault *v, const char *machine, const char *disk,
		      const struct vault_cover *cover,
		      const struct keyring *keys, struct vault_object **ret,
		      struct err *e);
/* The same; what is read goes into the memo, or comes from it. */
int vault_object_open_memo(struct vault *v, const char *machine,
			   const char *disk, const struct vault_cover *cover,
			   const struct keyring *keys, struct tail_memo *memo,
			   struct vault_object **ret, struct err *e);
void vault_object_close(struct vault_object *o);

/*
 * The digest of segment `seq` as it came from the source: the object's own,
 * or in a merged one that of the list of replaced ones. -PS_NO: not there.
 */
int vault_digest_of(const struct seg_header *h, const struct seg_trailer *t,
		    uint64_t seq, uint8_t ret[SHA256_LEN]);

/*
 * The last sequence and the digest by which a successor must name it (of a
 * merged object: the replaced digest of its seq). seq 0: empty.
 */
int vault_head(struct vault *v, const char *machine, const char *disk,
	       uint64_t *ret_seq, uint8_t ret_digest[SHA256_LEN],
	       struct err *e);

#endif
