/*
 * Policies: what a protection group asks for. The machines of a policy with
 * multi-VM consistency share their recovery points.
 */
#ifndef PS_CONFIG_POLICIES_H
#define PS_CONFIG_POLICIES_H

#include "config/registry.h"

#define POLICY_RPO_S (15 * 60) /* alert when behind by more */
#define POLICY_RETENTION_S (24 * 3600)
#define POLICY_APP_S 3600

/* App-consistent points: none (0), or each 1 to 12 hours (as published). */
#define POLICY_APP_MIN_S 3600
#define POLICY_APP_MAX_S (12 * 3600)
#define POLICY_RETENTION_MAX_S (3650LL * 86400)

struct reg_policy {
	char name[NAME_SIZE];
	int64_t rpo_s, retention_s, app_s;
	bool multi_vm;
	int64_t machines; /* that have it; not stored */
};

/*
 * -PS_USAGE: the name or a figure is none that is allowed (app-consistent
 * points have to be more frequent than they are dropped); -PS_NO: there is
 * one of this name already, or for change none.
 */
int policy_add(struct reg *r, const struct reg_policy *p, struct err *e);
/*
 * `fill` is given the policy as it is and sets what shall be different, so
 * nothing is lost that somebody else has changed just before. It may be called
 * more than once.
 */
typedef void policy_fill_fn(void *ctx, struct reg_policy *p);
int policy_change(struct reg *r, const char *name, policy_fill_fn *fill,
		  void *ctx, struct err *e);
/* -PS_NO: there is none, or machines have it. */
int policy_delete(struct reg *r, const char *name, struct err *e);

int policy_get(struct reg *r, const char *name, struct reg_policy *ret,
	       struct err *e);
typedef int policy_fn(void *ctx, const struct reg_policy *p, struct err *e);
int policy_each(struct reg *r, policy_fn *fn, void *ctx, struct err *e);

#endif
