/*
 * Takes secrets out of text that others will read: those that are known (the
 * contents of secret files and of the environment), and whatever looks like
 * one: private keys, Authorization fields, passwords in URLs, signatures of
 * SAS tokens, and values of names such as AccountKey, password, secret.
 */
#ifndef PS_DOCTOR_REDACT_H
#define PS_DOCTOR_REDACT_H

#include <stddef.h>

#include "base/err.h"

#define REDACTED "[removed]"

struct redact {
	char **secrets;
	size_t n;
};

/* A secret; shorter ones than six characters are not looked for. */
int redact_add(struct redact *r, const char *secret, struct err *e);
/*
 * What a secret file holds: its lines, values behind NAME=, passwords behind
 * USER:. A file that cannot be read (path NULL too) has nothing.
 */
int redact_add_file(struct redact *r, const char *path, struct err *e);
/* Variables whose names tell of a secret. */
int redact_add_environment(struct redact *r, struct err *e);
/* All that the configuration, the options and the environment name. */
struct doctor;
int redact_add_all(struct redact *r, const struct doctor *d, struct err *e);
void redact_free(struct redact *r);

/*
 * The text without secrets: for free(3); NULL: no memory. A value that is the
 * path of something that exists stays.
 */
char *redact_text(const struct redact *r, const char *text, size_t n,
		  size_t *ret_n);

#endif
