/*
 * Accounts: names and passwords with which machines are reached for push
 * installs and discovery. The passwords are sealed (config/seal.h).
 */
#ifndef PS_CONFIG_ACCOUNTS_H
#define PS_CONFIG_ACCOUNTS_H

#include "config/registry.h"

#define ACCOUNT_SECRET_SIZE 1024 /* with its NUL */

struct reg_account {
	char name[NAME_SIZE]; /* as people call it */
	char login[REG_TEXT_SIZE];
	int64_t added, changed; /* ns */
};

/* -PS_USAGE: not allowed; -PS_NO: there is one already. */
int account_add(struct reg *r, const char *name, const char *login,
		const char *secret, struct err *e);
/* What is NULL stays. -PS_NO: there is none. */
int account_change(struct reg *r, const char *name, const char *login,
		   const char *secret, struct err *e);
int account_delete(struct reg *r, const char *name, struct err *e);

/* Its secret; who asks stands in the audit log. */
int account_secret(struct reg *r, const char *name,
		   char out[ACCOUNT_SECRET_SIZE], struct err *e);

typedef int account_fn(void *ctx, const struct reg_account *a, struct err *e);
int account_each(struct reg *r, account_fn *fn, void *ctx, struct err *e);

#endif
