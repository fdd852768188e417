/* ps-config policy: add, edit, show, list, delete. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/policies.h"
#include "ps-config.h"

/* What the options say, over what is there. */
static void take_options(void *ctx, struct reg_policy *p)
{
	(void)ctx;
	if (ask.rpo != NOT_GIVEN)
		p->rpo_s = (int64_t)ask.rpo;
	if (ask.retention != NOT_GIVEN)
		p->retention_s = (int64_t)ask.retention;
	if (ask.app != NOT_GIVEN)
		p->app_s = (int64_t)ask.app;
	if (ask.multi_vm != NULL)
		p->multi_vm = strcmp(ask.multi_vm, "yes") == 0;
}

static int cmd_add(struct reg *r, char **operands, struct err *e)
{
	struct reg_policy p = {.rpo_s = POLICY_RPO_S,
			       .retention_s = POLICY_RETENTION_S,
			       .app_s = POLICY_APP_S};
	int rc = reg_name_check("policy", operands[0], e);

	if (rc < 0)
		return rc;
	snprintf(p.name, sizeof(p.name), "%s", operands[0]);
	take_options(NULL, &p);
	return policy_add(r, &p, e);
}

static int cmd_edit(struct reg *r, char **operands, struct err *e)
{
	return policy_change(r, operands[0], take_options, NULL, e);
}

static int cmd_delete(struct reg *r, char **operands, struct err *e)
{
	return policy_delete(r, operands[0], e);
}

static int give(void *ctx, const struct reg_policy *p, struct err *e)
{
	struct listing *l = ctx;
	char rpo[32], kept[32], app[32] = "never";

	if (!listing_line(l, "POLICY            RPO         RETENTION   "
			     "APP         MULTI-VM  MACHINES"))
		return listing_add(l, form_policy(p), e);
	format_duration((double)p->rpo_s, rpo, sizeof(rpo));
	format_duration((double)p->retention_s, kept, sizeof(kept));
	if (p->app_s != 0)
		format_duration((double)p->app_s, app, sizeof(app));
	printf("%-16s  %-10s  %-10s  %-10s  %-8s  %lld\n", p->name, rpo, kept,
	       app, p->multi_vm ? "yes" : "no", (long long)p->machines);
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(&l, policy_each(r, give, &l, e), e);
}

static int cmd_show(struct reg *r, char **operands, struct err *e)
{
	struct reg_policy p;
	struct listing l = {0};
	int rc = policy_get(r, operands[0], &p, e);

	if (rc < 0)
		return rc;
	return ask.json ? print_json(form_policy(&p), e) : give(&l, &p, e);
}

const struct action policy_actions[] = {
    {"add", 1, " NAME [--rpo T] [--retention T] ...", cmd_add},
    {"edit", 1, " NAME [--rpo T] [--retention T] ...", cmd_edit},
    {"show", 1, " NAME", cmd_show},
    {"list", 0, "", cmd_list},
    {"delete", 1, " NAME", cmd_delete},
    {0},
};
