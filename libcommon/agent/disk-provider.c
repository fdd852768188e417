/* Snapshots: what a provider's script is asked. */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/commands.h"
#include "base/units.h"

#define PREFIX "ps-"

static void provider(struct disk *d, const char *word, enum disk_phase phase)
{
	snprintf(d->env_base, sizeof(d->env_base), "PS_BASE=%s", d->st->base);
	if (phase == DISK_CONVERGE)
		command_list(d, word, &d->task.plan);
	else
		command_provider(d, word, &d->task.plan);
	disk_run(d, phase, d->agent->conf->provider_timeout_s);
}

static void name_snapshot(struct disk *d, const char *snapshot)
{
	snprintf(d->env_snapshot, sizeof(d->env_snapshot), "PS_SNAPSHOT=%s",
		 snapshot);
}

void disk_traits(struct disk *d)
{
	d->window_s = 0;
	d->has_changes = d->keeps = false;
	d->crash_consistent = d->converges = false;
	name_snapshot(d, "");
	provider(d, "traits", DISK_TRAITS);
}

/* "key TAB value" */
static void trait(struct disk *d, const char *line)
{
	const char *tab = strchr(line, '\t');
	size_t n = tab != NULL ? (size_t)(tab - line) : 0;
	uint64_t s;

	if (n == 0)
		return;
	if (strncmp(line, "window", n) == 0 && parse_duration(tab + 1, &s))
		d->window_s = s;
	else if (strncmp(line, "changes", n) == 0)
		d->has_changes = strcmp(tab + 1, "yes") == 0;
	else if (strncmp(line, "keep", n) == 0)
		d->keeps = strcmp(tab + 1, "yes") == 0;
	else if (strncmp(line, "converge", n) == 0)
		d->converges = strcmp(tab + 1, "yes") == 0;
	else if (strncmp(line, "consistency", n) == 0)
		d->crash_consistent = strcmp(tab + 1, "crash") == 0;
}

static bool snapshot_ok(const char *id)
{
	size_t i;

	for (i = 0; id[i] != '\0'; i++)
		if (!isalnum((unsigned char)id[i]) && id[i] != '-')
			return false;
	return i < SNAPSHOT_SIZE && strncmp(id, PREFIX, 3) == 0;
}

void disk_doom(struct disk *d, const char *snapshot)
{
	if (d->ndoomed < DISK_DOOMED)
		snprintf(d->doomed[d->ndoomed++], SNAPSHOT_SIZE, "%s",
			 snapshot);
	else
		d->swept = false; /* the rest another time */
}

/* "source PATH", "consistency none" */
static void created(struct disk *d, const char *line)
{
	if (strncmp(line, "source ", 7) == 0 && line[7] != '\0') {
		free(d->source);
		d->source = strdup(line + 7);
	} else if (strncmp(line, "consistency ", 12) == 0) {
		d->reached = cons_parse(line + 12);
	}
}

void disk_provider_line(struct disk *d, const char *line)
{
	if (d->phase == DISK_TRAITS) {
		trait(d, line);
	} else if (d->phase == DISK_CREATE) {
		created(d, line);
	} else if (snapshot_ok(line)) {
		if (d->keeps && strcmp(line, d->st->base) == 0)
			d->base_seen = true;
		else
			disk_doom(d, line);
	}
}

/* Without a provider the source is read as it is. */
static const char *option(const struct disk *d, const char *key)
{
	unsigned i;

	for (i = 0; i < d->conf->noptions; i++)
		if (strcmp(d->conf->options[i].key, key) == 0)
			return d->conf->options[i].value;
	return "";
}

void disk_create(struct disk *d)
{
	if (!disk_has_provider(d)) {
		d->source = strdup(d->conf->source);
		d->reached = cons_parse(option(d, "consistency"));
		d->phase = DISK_CREATED;
		return;
	}
	snprintf(d->snapshot, sizeof(d->snapshot), PREFIX "%s", d->mark->id);
	d->reached = d->crash_consistent ? CONS_CRASH : CONS_NONE;
	name_snapshot(d, d->snapshot);
	provider(d, "create", DISK_CREATE);
}

void disk_converge(struct disk *d)
{
	/* A name for each pass: no two moments may have the same. */
	snprintf(d->step, sizeof(d->step), PREFIX "%.40s-%u", d->mark->id,
		 d->shrinks);
	name_snapshot(d, d->step);
	provider(d, "converge", DISK_CONVERGE);
}

static void converged(struct disk *d, const struct task_result *r)
{
	d->listed = r->code == 0;
	if (r->code > PS_NO) {
		/* Nobody knows what happened: this is no base. */
		disk_doom(d, d->step);
		d->step[0] = '\0';
		if (r->interrupted) {
			disk_fail(d, r);
			return;
		}
		agent_say(d->agent, d->conf->name,
			  "no change list (%s): the whole disk is read",
			  r->words);
	}
	disk_shrink(d);
}

void disk_base_moves(struct disk *d)
{
	if (d->step[0] == '\0')
		return;
	snprintf(d->st->base, sizeof(d->st->base), "%s", d->step);
	d->step[0] = '\0';
	agent_save(d->agent);
}

void disk_cleanup(struct disk *d)
{
	if (d->snapshot[0] != '\0') {
		disk_doom(d, d->snapshot);
		d->snapshot[0] = '\0';
	}
	if (d->ndoomed > 0) {
		name_snapshot(d, d->doomed[d->ndoomed - 1]);
		provider(d, "delete", DISK_DELETE);
	} else if (d->sweeping && !d->failed && !d->agent->stopping) {
		d->sweeping = false;
		disk_settle(d);
	} else {
		disk_end(d);
	}
}

static void deleted(struct disk *d, const struct task_result *r)
{
	d->ndoomed--;
	if (r->code != 0) {
		disk_error(d, "snapshot %s cannot be deleted: %.200s",
			   d->doomed[d->ndoomed], r->words);
		d->swept = false; /* tried again with the next bookmark */
	}
	disk_cleanup(d);
}

static void listed(struct disk *d, const struct task_result *r)
{
	if (r->code != 0) {
		disk_fail(d, r);
		return;
	}
	/* Of some the base is a name; they know themselves if it is good. */
	if (d->keeps && d->st->base[0] != '\0' && !d->base_seen) {
		agent_say(d->agent, d->conf->name,
			  "snapshot %s is gone: the whole disk is read",
			  d->st->base);
		d->st->base[0] = '\0';
	}
	disk_cleanup(d);
}

void disk_provider_done(struct disk *d, const struct task_result *r)
{
	switch (d->phase) {
	case DISK_TRAITS:
		if (r->code != 0) {
			disk_fail(d, r);
			return;
		}
		d->traits_known = true;
		d->base_seen = false;
		d->swept = d->sweeping = true;
		d->ndoomed = 0;
		provider(d, "list", DISK_LIST);
		break;
	case DISK_LIST:
		listed(d, r);
		break;
	case DISK_CREATE:
		if (r->code != 0) {
			disk_fail(d, r);
		} else if (d->source == NULL) {
			struct task_result none = {.code = PS_PROTOCOL};

			snprintf(none.words, sizeof(none.words),
				 "%s create: no line 'source PATH'",
				 d->provider);
			disk_fail(d, &none);
		} else {
			d->phase = DISK_CREATED;
		}
		break;
	case DISK_CONVERGE:
		converged(d, r);
		break;
	case DISK_DELETE:
		deleted(d, r);
		break;
	default:
		break;
	}
}
