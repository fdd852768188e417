/* Protected machines and their disks, as the registry knows them. */
#ifndef PS_CONFIG_MACHINES_H
#define PS_CONFIG_MACHINES_H

#include "config/registry.h"

#define MACHINE_DISKS_MAX 31 /* as published */

#define MACHINE_NEW "new" /* known, not protected yet */
#define MACHINE_ENABLED "enabled"
#define MACHINE_DISABLED "disabled"

struct reg_machine {
	char name[NAME_SIZE];
	char machine_id[REG_TEXT_SIZE];
	char state[NAME_SIZE];
	char policy[NAME_SIZE]; /* "" none yet; so in all that follow */
	char server[NAME_SIZE]; /* its process server */
	char target[NAME_SIZE]; /* its master target */
	char vault[1024];	/* as ps-upload takes it */
	/* What is made of it on failover. */
	char recovered_name[NAME_SIZE], recovered_size[REG_TEXT_SIZE],
	    recovered_network[REG_TEXT_SIZE];
	int64_t added, changed; /* ns */
	int64_t disks;		/* not stored */
};

struct reg_disk {
	char name[NAME_SIZE];
	int64_t size; /* bytes; 0: not known */
};

/*
 * Adds a machine as new, or changes settings of one; its state stays.
 * -PS_USAGE: a name or text that is not allowed; -PS_NO: it is there already
 * (add), there is none (change), or no such policy, server or target; or
 * another machine has its machine id. Change: `changed` as it was read (0: it
 * does not matter): -PS_TEMPFAIL: somebody changed it since; -PS_CONFIG: it is
 * protected, and would have no policy or vault.
 */
int machine_add(struct reg *r, const struct reg_machine *m, struct err *e);
int machine_change(struct reg *r, const struct reg_machine *m, struct err *e);

/*
 * Begins to protect. -PS_CONFIG (as code 78253): it has no policy, server,
 * vault or disk; -PS_NO: there is none, it is enabled, or its points are
 * being deleted.
 */
int machine_enable(struct reg *r, const char *name, struct err *e);
/*
 * Ends it; points stay, or with `purge` a job is made (*ret_job) that tells
 * whoever keeps the vault to delete them. -PS_NO: it is not enabled.
 */
int machine_disable(struct reg *r, const char *name, bool purge,
		    int64_t *ret_job, struct err *e);
/* Forgets one that is not protected. -PS_NO: it is, or there is none. */
int machine_delete(struct reg *r, const char *name, struct err *e);

/*
 * Adds a disk or sets its size. -PS_NO: it would be one too many, or there is
 * no such machine.
 */
int machine_disk_put(struct reg *r, const char *machine,
		     const struct reg_disk *d, struct err *e);
int machine_disk_delete(struct reg *r, const char *machine, const char *disk,
			struct err *e);

int machine_get(struct reg *r, const char *name, struct reg_machine *ret,
		struct err *e);
typedef int machine_fn(void *ctx, const struct reg_machine *m, struct err *e);
int machine_each(struct reg *r, machine_fn *fn, void *ctx, struct err *e);
typedef int disk_fn(void *ctx, const struct reg_disk *d, struct err *e);
int machine_each_disk(struct reg *r, const char *machine, disk_fn *fn,
		      void *ctx, struct err *e);

#endif
