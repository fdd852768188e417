#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/rules.h"

/* Chains jump to chains: more than the kernel allows is a circle. */
#define DEPTH_MAX 16

enum fit fit_and(enum fit a, enum fit b)
{
	return a < b ? a : b;
}

enum fit fit_not(enum fit a)
{
	return a == FIT_YES ? FIT_NO : a == FIT_NO ? FIT_YES : FIT_MAYBE;
}

enum fit fit_of(bool b)
{
	return b ? FIT_YES : FIT_NO;
}

/* ---- the set ---- */

static struct chain *find(const struct ruleset *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strcmp(r->chains[i].name, name) == 0)
			return &r->chains[i];
	return NULL;
}

struct chain *ruleset_chain(struct ruleset *r, const char *name)
{
	struct chain *c = find(r, name), *more;

	if (c != NULL)
		return c;
	more = realloc(r->chains, (r->n + 1) * sizeof(*more));
	if (more == NULL)
		return NULL;
	r->chains = more;
	c = &more[r->n++];
	*c = (struct chain){0};
	snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

struct rule_line *chain_line(struct chain *c)
{
	struct rule_line *more = realloc(c->lines, (c->n + 1) * sizeof(*more));

	if (more == NULL)
		return NULL;
	c->lines = more;
	more[c->n] = (struct rule_line){.fit = FIT_YES};
	return &more[c->n++];
}

bool ruleset_has(const struct ruleset *r, const char *part)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (strstr(r->chains[i].name, part) != NULL)
			return true;
	return false;
}

void ruleset_free(struct ruleset *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		free(r->chains[i].lines);
	free(r->chains);
	r->chains = NULL;
	r->n = 0;
}

enum fit fits_interface(const struct packet *p, const char *name, char any)
{
	size_t n = strlen(name);

	if (p->interface[0] == '\0')
		return strcmp(name, "lo") == 0 ? FIT_NO : FIT_MAYBE;
	if (n > 0 && name[n - 1] == any)
		return fit_of(strncmp(p->interface, name, n - 1) == 0);
	return fit_of(strcmp(p->interface, name) == 0);
}

/* ---- the way of the packet ---- */

enum end { END_RETURN, END_ACCEPT, END_DROP };

struct walk {
	const struct ruleset *r;
	struct ruling *ruling;
};

static void note(char *out, size_t size, const struct chain *c,
		 const struct rule_line *l)
{
	if (out[0] == '\0')
		snprintf(out, size, "%s: %s", c->name, l->text);
}

/* A verdict that may not be reached, or may not fit. */
static void may(struct walk *w, const struct chain *c,
		const struct rule_line *l)
{
	struct ruling *r = w->ruling;

	if (l->verb == VERB_ACCEPT) {
		r->some_let = true;
		note(r->let, sizeof(r->let), c, l);
	} else if (l->verb == VERB_DROP) {
		r->some_dropped = true;
		note(r->drop, sizeof(r->drop), c, l);
	}
}

/* `sure`: the packet is here, and nothing before may have ended its way. */
static enum end go(struct walk *w, const struct chain *c, bool sure,
		   unsigned depth)
{
	size_t i;

	for (i = 0; c != NULL && i < c->n && depth < DEPTH_MAX; i++) {
		const struct rule_line *l = &c->lines[i];
		bool fits = sure && l->fit == FIT_YES;
		enum end end;

		if (l->fit == FIT_NO || l->verb == VERB_NONE)
			continue;
		if (l->verb == VERB_RETURN) {
			if (l->fit == FIT_YES)
				return END_RETURN;
			sure = false;
		} else if (l->verb == VERB_JUMP || l->verb == VERB_GOTO) {
			end = go(w, find(w->r, l->target), fits, depth + 1);
			if (fits && end != END_RETURN)
				return end;
			if (l->fit == FIT_YES && l->verb == VERB_GOTO)
				return END_RETURN;
		} else if (fits) {
			note(w->ruling->why, sizeof(w->ruling->why), c, l);
			memcpy(w->ruling->chain, c->name, CHAIN_NAME);
			return l->verb == VERB_ACCEPT ? END_ACCEPT : END_DROP;
		} else {
			may(w, c, l);
			if (l->fit == FIT_YES)
				return END_RETURN;
		}
	}
	return END_RETURN;
}

static void judge_chain(const struct ruleset *r, const struct chain *c,
			struct ruling *ret)
{
	struct ruling one = {0};
	struct walk w = {.r = r, .ruling = &one};
	enum end end = go(&w, c, true, 0);

	if (end == END_RETURN && c->drops) {
		end = END_DROP;
		snprintf(one.why, sizeof(one.why),
			 "%s: policy drop, and no rule accepts", c->name);
		memcpy(one.chain, c->name, CHAIN_NAME);
	}
	if (end == END_DROP && !one.some_let && !ret->blocked) {
		ret->blocked = true;
		memcpy(ret->why, one.why, sizeof(ret->why));
		memcpy(ret->chain, one.chain, sizeof(ret->chain));
	} else if (end == END_DROP && one.some_let && !ret->some_let) {
		ret->some_let = true;
		memcpy(ret->let, one.let, sizeof(ret->let));
	} else if (end != END_DROP && one.some_dropped && !ret->some_dropped) {
		ret->some_dropped = true;
		memcpy(ret->drop, one.drop, sizeof(ret->drop));
	}
}

void ruleset_judge(const struct ruleset *r, struct ruling *ret)
{
	size_t i;

	*ret = (struct ruling){0};
	for (i = 0; i < r->n; i++)
		if (r->chains[i].base)
			judge_chain(r, &r->chains[i], ret);
}

/* ---- address translation ---- */

static bool touches(const struct ruleset *r, const struct rule_line *l)
{
	if (l->nat == NAT_TARGET && l->to_port == r->p.port)
		return true;
	if (l->nat == NAT_NONE || l->fit == FIT_NO)
		return false;
	return l->names_port || l->nat == NAT_TARGET;
}

const struct rule_line *ruleset_nat(const struct ruleset *r, size_t *at,
				    const struct chain **ret_chain)
{
	size_t i, k, seen = 0;

	for (i = 0; i < r->n; i++)
		for (k = 0; k < r->chains[i].n; k++) {
			if (seen++ < *at || !touches(r, &r->chains[i].lines[k]))
				continue;
			*at = seen;
			*ret_chain = &r->chains[i];
			return &r->chains[i].lines[k];
		}
	return NULL;
}
