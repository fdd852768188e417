/* Private to verify: one object at a time, its records in parallel. */
#ifndef PS_VAULT_VERIFY_OBJECT_H
#define PS_VAULT_VERIFY_OBJECT_H

#include "vault/vault.h"

struct object_checker;

/* `data`: expand records and compare their blocks, too. */
int checker_new(struct object_checker **ret, bool data, struct err *e);
void checker_free(struct object_checker *c);

/* Every byte of an open object; -PS_DATA: damaged, e says how. */
int checker_run(struct object_checker *c, const struct vault_object *o,
		struct err *e);
/* Bytes read so far, for the progress line. */
uint64_t checker_bytes(const struct object_checker *c);

#endif
