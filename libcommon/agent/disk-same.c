/*
 * Another disk under the old name, and another machine with the old state: a
 * link below /dev that moved, a disk that was replaced, a machine that was
 * cloned. Its blocks would become points of the one that is meant, and each of
 * them would be restored without a fault.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "disk/source.h"

#define MEANT "if that is meant: ps-agent accept "

static bool refuse(struct disk *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static bool refuse(struct disk *d, const char *fmt, ...)
{
	struct task_result r = {.code = PS_CONFIG};
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r.words, sizeof(r.words), fmt, ap);
	va_end(ap);
	/* What was read since the last look may have been of the other one. */
	disk_distrust_base(d);
	/* The others have their points without it. */
	d->st->alone = true;
	d->resync = false;
	disk_fail(d, &r);
	return false;
}

/* What was known is forgotten, and everything is read: once. */
static void accept_it(struct disk *d)
{
	struct control *c = &d->agent->control;

	if (!control_accepts(c, d->conf->name))
		return;
	agent_say(d->agent, d->conf->name,
		  "accepted as it is now: the whole disk is read");
	disk_distrust_base(d);
	d->st->identity[0] = d->st->host[0] = '\0';
	d->st->anew = true;
	d->st->rivals = 0;
	agent_save(d->agent);
	(void)control_accept_done(c, d->conf->name, NULL);
}

/* What is known now and was not before is kept. */
static void learn(struct disk *d, const char *disk, const char *host)
{
	struct disk_state *st = d->st;

	if (strlen(host) <= strlen(st->host) &&
	    (*disk == '\0' || st->identity[0] != '\0'))
		return;
	if (strlen(host) > strlen(st->host))
		snprintf(st->host, sizeof(st->host), "%s", host);
	snprintf(st->identity, sizeof(st->identity), "%s",
		 *disk != '\0' ? disk : st->identity);
	agent_save(d->agent); /* before anything of it is sent */
}

/*
 * What the kernel says now; of what it has no word for, and of names outside
 * /dev, what was found when the round began. False: not known.
 */
static bool known_as(const struct disk *d, char ret[IDENTITY_SIZE])
{
	if (identity_of_disk(d->conf->source, ret) && *ret != '\0')
		return true;
	snprintf(ret, IDENTITY_SIZE, "%s", d->found);
	return d->looked;
}

bool disk_same(struct disk *d)
{
	char disk[IDENTITY_SIZE], host[IDENTITY_SIZE];
	struct disk_state *st = d->st;

	accept_it(d);
	identity_of_host(host);
	if (st->host[0] != '\0' && identity_hosts_differ(st->host, host))
		return refuse(d,
			      "this state was made on another machine (is this "
			      "a clone?): nothing is sent; " MEANT "%s",
			      d->conf->name);
	if (st->rivals >= RIVALS)
		return refuse(d,
			      "another agent sends this disk, too (under this "
			      "machine's name, with its key): nothing more is "
			      "sent; stop the other one, then: ps-agent accept "
			      "%s",
			      d->conf->name);
	if (known_as(d, disk) && st->identity[0] != '\0' &&
	    strcmp(st->identity, disk) != 0)
		return refuse(d,
			      "%.100s is another disk (%.80s) than before "
			      "(%.80s): nothing is sent; " MEANT "%s",
			      d->conf->source,
			      *disk != '\0' ? disk : "without an identity",
			      st->identity, d->conf->name);
	learn(d, disk, host);
	return true;
}

bool disk_is_ours(struct disk *d)
{
	struct disk_state *st = d->st;

	/* Once for each point of ours: a try that is repeated proves nothing.
	 */
	if (d->seq <= st->own_seq || st->own_seq == st->rival_seq)
		return true;
	st->rival_seq = st->own_seq;
	st->unrivalled = 0;
	d->agent->changed = true;
	return ++st->rivals < RIVALS || disk_same(d);
}

void disk_own_point(struct disk *d)
{
	struct disk_state *st = d->st;

	st->own_seq = d->seq;
	if (st->rivals > 0 && ++st->unrivalled > RIVALS_FORGET)
		st->rivals = 0;
}

bool disk_has_shrunk(const struct disk *d)
{
	struct source s;
	bool smaller;

	if (d->scan.seq == 0 || d->scan.new_base ||
	    source_open(&s, d->source != NULL ? d->source : d->conf->source,
			NULL) < 0)
		return false;
	smaller = s.size < d->scan.size;
	source_close(&s);
	return smaller;
}
