/* ps-health why */
#include "config.h"

#include <stdio.h>

#include "agent/why.h"
#include "base/name.h"
#include "base/opt.h"
#include "base/units.h"
#include "ps-health.h"

/* What the published limit is when ps.yaml says "off". */
#define SILENT_S 900

static int look_at_source(const struct looking *l, const char *machine,
			  const char *disk, struct why *ret, struct err *e)
{
	struct agent_conf *c;
	int rc = agent_conf_read(&c, l->agent, e);

	if (rc < 0)
		return rc;
	rc = agent_why(c, machine, disk, ret, e);
	agent_conf_free(c);
	return rc;
}

int look_now(const struct looking *l, const char *machine, const char *disk,
	     struct why *ret, struct err *e)
{
	const struct rule *lag = rules_find(&l->rules, "disk-lag");
	struct ring ring = {.fd = -1};
	struct disks disks = {0};
	struct why_input in = {
	    .gather = &l->gather,
	    .machine = machine,
	    .disk = disk,
	    .silent_s = lag->warning != RULE_NONE ? lag->warning : SILENT_S};
	int rc;

	if (l->agent != NULL)
		return look_at_source(l, machine, disk, ret, e);
	/* Without samples less is known, which is no failure. */
	if (l->dirfd >= 0 &&
	    ring_open(&ring, l->dirfd, false, NULL, 0, NULL) == 0)
		in.ring = &ring;
	if (l->dirfd >= 0 &&
	    disks_open(&disks, l->dirfd, false, NULL, 0, NULL) == 0)
		in.disks = &disks;
	rc = why_find(&in, time_now_ns() / NS_PER_S, ret, e);
	disks_close(&disks);
	if (in.ring != NULL)
		ring_close(&ring);
	return rc;
}

int cmd_why(const struct looking *l, const char *machine, const char *disk,
	    struct err *e)
{
	struct why w;
	int rc;

	if ((machine != NULL && !name_ok(machine)) ||
	    (disk != NULL && !name_ok(disk)))
		opt_misuse("this is no name of a machine or disk");
	rc = look_now(l, machine, disk, &w, e);
	if (rc < 0)
		return rc;
	if (l->json)
		rc = why_json(&w, stdout, e);
	else
		why_text(&w, stdout);
	rc = rc < 0 ? rc : w.behind ? PS_NO : PS_OK;
	why_free(&w);
	return rc;
}
