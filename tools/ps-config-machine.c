/* ps-config machine: add, edit, disk, enable, disable, show, list, delete. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/machines.h"
#include "ps-config.h"

/* ---- settings ---- */

/* "-" takes a setting away; what was not given stays. */
static int take(const char *option, char *to, size_t size, const char *from,
		struct err *e)
{
	if (from == NULL)
		return 0;
	if (strlen(from) >= size)
		return err_set(e, PS_USAGE,
			       "--%s: has more than %zu characters", option,
			       size - 1);
	snprintf(to, size, "%s", strcmp(from, "-") == 0 ? "" : from);
	return 0;
}

static int take_options(struct reg_machine *m, struct err *e)
{
	const struct {
		const char *option;
		char *to;
		size_t size;
		const char *from;
	} all[] = {
	    {"machine-id", m->machine_id, sizeof(m->machine_id),
	     ask.machine_id},
	    {"policy", m->policy, sizeof(m->policy), ask.policy},
	    {"server", m->server, sizeof(m->server), ask.server},
	    {"target", m->target, sizeof(m->target), ask.target},
	    {"vault", m->vault, sizeof(m->vault), ask.vault},
	    {"recovered-name", m->recovered_name, sizeof(m->recovered_name),
	     ask.recovered_name},
	    {"recovered-size", m->recovered_size, sizeof(m->recovered_size),
	     ask.recovered_size},
	    {"recovered-network", m->recovered_network,
	     sizeof(m->recovered_network), ask.recovered_network},
	};
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && i < sizeof(all) / sizeof(all[0]); i++)
		rc =
		    take(all[i].option, all[i].to, all[i].size, all[i].from, e);
	return rc;
}

static int cmd_add(struct reg *r, char **operands, struct err *e)
{
	struct reg_machine m = {.name = ""};
	int rc = reg_name_check("machine", operands[0], e);

	if (rc == 0)
		rc = take("machine", m.name, sizeof(m.name), operands[0], e);
	if (rc == 0)
		rc = take_options(&m, e);
	return rc < 0 ? rc : machine_add(r, &m, e);
}

static int cmd_edit(struct reg *r, char **operands, struct err *e)
{
	struct reg_machine m;
	int rc = machine_get(r, operands[0], &m, e);

	if (rc == 0)
		rc = take_options(&m, e);
	return rc < 0 ? rc : machine_change(r, &m, e);
}

static int cmd_disk_add(struct reg *r, char **operands, struct err *e)
{
	struct reg_disk d = {.size =
				 ask.size != NOT_GIVEN ? (int64_t)ask.size : 0};
	int rc = take("disk", d.name, sizeof(d.name), operands[1], e);

	return rc < 0 ? rc : machine_disk_put(r, operands[0], &d, e);
}

static int cmd_disk_delete(struct reg *r, char **operands, struct err *e)
{
	return machine_disk_delete(r, operands[0], operands[1], e);
}

/* ---- protection ---- */

static int cmd_enable(struct reg *r, char **operands, struct err *e)
{
	return machine_enable(r, operands[0], e);
}

static int cmd_disable(struct reg *r, char **operands, struct err *e)
{
	int64_t job = 0;
	int rc;

	if (ask.keep_points == ask.purge)
		opt_misuse("machine disable needs --keep-points or --purge");
	rc = machine_disable(r, operands[0], ask.purge, &job, e);
	if (rc == 0 && ask.json)
		return print_json(
		    json_pack("{s:s, s:o}", "machine", operands[0], "job",
			      job != 0 ? json_integer(job) : json_null()),
		    e);
	if (rc == 0 && job != 0)
		printf("job %lld\n", (long long)job);
	return rc;
}

static int cmd_delete(struct reg *r, char **operands, struct err *e)
{
	return machine_delete(r, operands[0], e);
}

/* ---- answers ---- */

static int give(void *ctx, const struct reg_machine *m, struct err *e)
{
	struct listing *l = ctx;

	if (!listing_line(l, "MACHINE           STATE     POLICY        "
			     "SERVER        TARGET        DISKS  VAULT"))
		return listing_add(l, form_machine(m, json_integer(m->disks)),
				   e);
	printf("%-16s  %-8s  %-12s  %-12s  %-12s  %5lld  %s\n", m->name,
	       m->state, dash(m->policy), dash(m->server), dash(m->target),
	       (long long)m->disks, dash(m->vault));
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct listing l;

	(void)operands;
	listing_begin(&l);
	return listing_end(&l, machine_each(r, give, &l, e), e);
}

static int print_disk(void *ctx, const struct reg_disk *d, struct err *e)
{
	char size[32] = "size not known";

	(void)ctx;
	(void)e;
	if (d->size != 0)
		format_size((uint64_t)d->size, size, sizeof(size));
	printf("disk       %s, %s\n", d->name, size);
	return 0;
}

static int show_json(struct reg *r, const struct reg_machine *m, struct err *e)
{
	json_t *disks;
	int rc = form_disks(r, m->name, &disks, e);

	return rc < 0 ? rc : print_json(form_machine(m, disks), e);
}

static int cmd_show(struct reg *r, char **operands, struct err *e)
{
	struct reg_machine m;
	char when[40];
	int rc = machine_get(r, operands[0], &m, e);

	if (rc < 0)
		return rc;
	if (ask.json)
		return show_json(r, &m, e);
	when_text(m.changed, when);
	printf("machine    %s\nstate      %s\npolicy     %s\nserver     %s\n"
	       "target     %s\nvault      %s\nrecovered  name %s, size %s, "
	       "network %s\nchanged    %s\n",
	       m.name, m.state, dash(m.policy), dash(m.server), dash(m.target),
	       dash(m.vault), dash(m.recovered_name), dash(m.recovered_size),
	       dash(m.recovered_network), when);
	return machine_each_disk(r, m.name, print_disk, NULL, e);
}

const struct action machine_actions[] = {
    {"add", 1, " NAME [--policy P] [--server S] ...", cmd_add},
    {"edit", 1, " NAME [--policy P] [--server S] ...", cmd_edit},
    {"disk", 2, " NAME DISK [--size SIZE]", cmd_disk_add},
    {"disk-delete", 2, " NAME DISK", cmd_disk_delete},
    {"enable", 1, " NAME", cmd_enable},
    {"disable", 1, " NAME --keep-points|--purge", cmd_disable},
    {"show", 1, " NAME", cmd_show},
    {"list", 0, "", cmd_list},
    {"delete", 1, " NAME", cmd_delete},
    {0},
};
