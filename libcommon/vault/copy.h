/*
 * A second vault: what one vault has and another has not is copied, object by
 * object, as stored; no key is needed. For each disk the copy goes on where
 * the other vault's history ends, in the order of sequences, by the rule of
 * the fence (upload.h): so a point becomes visible only when all that it needs
 * is there, a copy that was broken off goes on with the next call, and a
 * vault that has another history of a disk is never mixed with this one.
 *
 * Every object passes the checks of a reader on its way (CRCs, framing, and
 * the digest when it is not sealed): damage is not copied.
 */
#ifndef PS_VAULT_COPY_H
#define PS_VAULT_COPY_H

#include "vault/vault.h"

enum copy_end {
	COPY_DONE,
	COPY_REFUSED, /* another history, or one that cannot be joined */
	COPY_DAMAGED, /* the source has an object that cannot be read */
};

/* How it went with one disk. */
struct copy_disk {
	const char *machine, *disk;
	uint64_t from; /* the other vault's last sequence before */
	uint64_t to;   /* and now */
	uint64_t objects, bytes;
	enum copy_end end;
	char reason[512]; /* unless COPY_DONE */
};

typedef int copy_report_fn(void *ctx, const struct copy_disk *d, struct err *e);

struct copy {
	const char *machine, *disk; /* NULL: all */
	uint64_t rate;		    /* bytes per second; 0: no limit */
	bool dry_run;		    /* only say what there is to copy */
	copy_report_fn *report;
	void *ctx;
};

struct copy_totals {
	uint64_t disks, objects, bytes;
	uint64_t refused, damaged; /* disks */
};

/*
 * Goes on with the next disk after a refusal or damage and reports each; 0
 * even then (see the totals). Fails when a store or the callback does.
 */
int copy_run(struct vault *from, struct vault *to, const struct copy *how,
	     struct copy_totals *ret, struct err *e);

#endif
