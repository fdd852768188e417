#include "config.h"

#include <string.h>

#include "agent/agent.h"
#include "agent/commands.h"

static struct plan_stage *client(const struct agent *a, struct plan *p,
				 const char *what)
{
	const struct agent_conf *c = a->conf;
	struct plan_stage *s = plan_stage(
	    p, a->ps_config, "cxpsclient", "-i", a->state->place.host, "-l",
	    a->state->place.port, "-P", c->key_file, "-y", a->timeout,
	    "--machine", c->machine, what, NULL);

	plan_option(s, "--ca", c->ca);
	return s;
}

static struct plan_stage *status(const struct disk *d, struct plan *p)
{
	struct plan_stage *s;

	memset(p, 0, sizeof(*p));
	s = client(d->agent, p, "--status");
	plan_option(s, "--disk", d->conf->name);
	plan_option(s, "--report", d->report);
	return s;
}

void command_identify(const struct disk *d, struct plan *p)
{
	memset(p, 0, sizeof(*p));
	plan_stage(p, d->agent->ps_config, "ps-scan", "--identify",
		   d->conf->source, NULL);
}

void command_settle(const struct disk *d, struct plan *p)
{
	status(d, p);
	plan_stage(p, d->agent->ps_config, "ps-scan", "--commit", "--map",
		   d->map, NULL);
}

void command_restart(const struct disk *d, struct plan *p)
{
	status(d, p);
	plan_stage(p, d->agent->ps_config, "ps-scan", "--commit", "--restart",
		   "--machine", d->agent->conf->machine, "--disk",
		   d->conf->name, "--map", d->map, NULL);
}

void command_fetch_map(const struct disk *d, struct plan *p)
{
	struct plan_stage *s;

	memset(p, 0, sizeof(*p));
	s = client(d->agent, p, "--map");
	plan_option(s, "--disk", d->conf->name);
	plan_option(s, "--report", d->report);
	plan_option(s, "-o", d->digests);
}

void command_adopt(const struct disk *d, struct plan *p)
{
	memset(p, 0, sizeof(*p));
	plan_stage(p, d->agent->ps_config, "ps-scan", "--adopt", "--replace",
		   "--machine", d->agent->conf->machine, "--disk",
		   d->conf->name, "--map", d->map, NULL);
}

void command_look(const struct disk *d, struct plan *p)
{
	memset(p, 0, sizeof(*p));
	plan_stage(p, d->agent->ps_config, "ps-scan", "--status", "--json",
		   "--map", d->map, NULL);
}

void command_heads(const struct agent *a, struct plan *p)
{
	memset(p, 0, sizeof(*p));
	client(a, p, "--list");
}

void command_where(const struct agent *a, struct plan *p)
{
	const struct agent_conf *c = a->conf;
	struct plan_stage *s;

	memset(p, 0, sizeof(*p));
	s = plan_stage(p, a->ps_config, "cxpsclient", "--where", "-i",
		       c->config_host, "-l", a->where.port, "-P",
		       c->config_key != NULL ? c->config_key : c->key_file,
		       "-y", "20", "--machine", c->machine, NULL);
	plan_option(s, "--ca", c->config_ca);
	plan_option(s, "--pin", c->config_pin);
}

static void scan(const struct disk *d, enum pass_kind kind, struct plan *p)
{
	const struct agent_conf *c = d->agent->conf;
	struct plan_stage *s = plan_stage(p, d->agent->ps_config, "ps-scan",
					  "--machine", c->machine, "--disk",
					  d->conf->name, "--map", d->map, NULL);

	if (kind != PASS_POINT) {
		plan_word(s, "--no-point");
	} else {
		plan_option(s, "--bookmark", d->mark->id);
		plan_option(s, "--members",
			    d->st->complete ? d->mark->members : NULL);
		plan_option(s, "--consistency", cons_name(d->reached));
	}
	/* What is not a snapshot may be in use; the point says so. */
	if (kind == PASS_SHRINK || d->reached == CONS_NONE)
		plan_word(s, "--fuzzy");
	else if (d->window_s > 0)
		plan_word(s, "--held");
	if (d->listed)
		plan_option(s, "--changed", d->changes);
	/* Never while writers are held: before that, once. */
	if (d->listed &&
	    (kind == PASS_SHRINK ? d->shrinks == 1 : d->window_s == 0))
		plan_option(s, "--scrub", c->scrub);
	/* Only a base can say so. */
	if (d->st->anew && disk_has_shrunk(d))
		plan_word(s, "--full");
	plan_option(s, "--read-rate", c->read_rate);
	plan_word(s, kind == PASS_SHRINK ? d->conf->source : d->source);
}

void command_pass(const struct disk *d, enum pass_kind kind, struct plan *p)
{
	const struct agent *a = d->agent;
	struct plan_stage *s;

	memset(p, 0, sizeof(*p));
	scan(d, kind, p);
	plan_stage(p, a->ps_config, "ps-compress", NULL);
	if (a->conf->seal_key != NULL)
		plan_stage(p, a->ps_config, "ps-encrypt", "-k",
			   a->conf->seal_key, NULL);
	s = client(a, p, "--put");
	plan_word(s, "-");
	plan_option(s, "--report", d->report);
	/* Also without a rate: points go before initial replication. */
	plan_option(s, "--limit-rate", a->conf->send_rate);
	plan_option(s, "--share", a->share);
	plan_stage(p, a->ps_config, "ps-scan", "--commit", "--map", d->map,
		   NULL);
}

void command_provider(const struct disk *d, const char *word, struct plan *p)
{
	memset(p, 0, sizeof(*p));
	plan_stage(p, NULL, d->provider, word, NULL);
}

void command_list(const struct disk *d, const char *word, struct plan *p)
{
	command_provider(d, word, p);
	plan_stage(p, d->agent->ps_config, "ps-scan", "--merge", NULL);
}
