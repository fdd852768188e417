/* ps-config init, ps-config audit. */
#include "config.h"

#include <stdio.h>

#include "base/tool.h"
#include "config/ca.h"
#include "ps-config.h"

/* The rest was done when the registry was opened. */
static int cmd_init(struct reg *r, char **operands, struct err *e)
{
	int rc = ca_init(r, e);

	(void)operands;
	if (rc == 0)
		rc = ca_renew(r, CA_CERT_S, e);
	if (rc == 0)
		tool_note("%s is ready", sql_where(r->db));
	return rc;
}

const struct action init_actions[] = {
    {NULL, 0, "", cmd_init},
    {0},
};

static int give_line(void *ctx, const struct reg_audit_line *l, struct err *e)
{
	struct listing *list = ctx;
	char when[40];

	if (listing_line(list,
			 "TIME                  WHO                   WHAT"
			 "                OBJECT          DETAIL")) {
		when_text(l->time, when);
		printf("%-20s  %-20s  %-18s  %-14s  %s\n", when, l->who,
		       l->what, l->object, l->detail);
		return 0;
	}
	return listing_add(
	    list,
	    json_pack("{s:I, s:o, s:s, s:s, s:s, s:s}", "id", (json_int_t)l->id,
		      "time", json_when(l->time), "who", l->who, "what",
		      l->what, "object", l->object, "detail", l->detail),
	    e);
}

static int cmd_audit(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(
	    &l, reg_audit_each(r, ask.object, ask.last, give_line, &l, e), e);
}

const struct action audit_actions[] = {
    {NULL, 0, "", cmd_audit},
    {0},
};
