/* Private to ps-push: what its files share. */
#ifndef PS_TOOLS_PS_PUSH_H
#define PS_TOOLS_PS_PUSH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/accounts.h"
#include "config/registry.h"
#include "push/host.h"

/* One machine of a run. */
struct target {
	struct push_host host;
	struct push_result result;
	bool done;
};

/* ---- ps-push-secrets.c ---- */

struct secrets {
	char login[REG_TEXT_SIZE];
	char password[ACCOUNT_SECRET_SIZE];
	char passphrase[ACCOUNT_SECRET_SIZE];
	char folder[64]; /* private, for pipes; "": none was made */
	int lock;	 /* of that folder; -1: none */
	char self[512];	 /* this program, which helps ssh to the password */
};

/* Login and password of an account of the registry. */
int secrets_account(struct secrets *s, const struct reg_where *w,
		    const char *account, struct err *e);
/* One line of a file. */
int secrets_passphrase(struct secrets *s, const char *path, struct err *e);
/* Wipes them and removes the folder. */
void secrets_end(struct secrets *s);

/* ---- ps-push-report.c ---- */

/* Prints all; -CODE when that failed. */
int report_json(const struct target *t, size_t n, struct err *e);
void report_table(const struct target *t, size_t n);

#endif
