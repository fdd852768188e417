/* Rules as `nft -j list ruleset` prints them: libnftables-json(5). */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "doctor/rules.h"

#define SETS_MAX 256

struct reader {
	struct ruleset *r;
	const json_t *sets[SETS_MAX]; /* named sets and maps */
	size_t nsets;
	const char *table; /* whose rule is read */
};

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text != NULL ? text : "";
}

/* ---- values ---- */

/* A value of the packet: a number, or one or two words for it. */
struct value {
	long long number; /* -1: none */
	const char *word, *other;
	bool interface; /* by which it comes or goes */
};

static enum fit fits(const struct reader *rd, const struct value *v,
		     const json_t *right);

static enum fit fits_any(const struct reader *rd, const struct value *v,
			 const json_t *list)
{
	enum fit best = FIT_NO, one;
	const json_t *it;
	size_t i;

	json_array_foreach(list, i, it)
	{
		/* An entry of a map is a pair. */
		one = fits(rd, v, it);
		if (one > best)
			best = one;
	}
	return best;
}

static enum fit fits_range(const struct value *v, const json_t *pair)
{
	const json_t *a = json_array_get(pair, 0), *b = json_array_get(pair, 1);

	if (v->number < 0 || !json_is_integer(a) || !json_is_integer(b))
		return FIT_MAYBE;
	return fit_of(v->number >= json_integer_value(a) &&
		      v->number <= json_integer_value(b));
}

static void name_table(const json_t *o, char out[CHAIN_NAME])
{
	snprintf(out, CHAIN_NAME, "nft %.6s %.60s", text_of(o, "family"),
		 text_of(o, "table"));
}

static void name_chain(char out[CHAIN_NAME], const char *table,
		       const char *chain)
{
	snprintf(out, CHAIN_NAME, "%.80s/%.70s", table, chain);
}

/* The set or map of that name in the table of the rule; NULL: not known. */
static const json_t *named_set(const struct reader *rd, const char *name)
{
	char table[CHAIN_NAME];
	size_t i;

	for (i = 0; i < rd->nsets; i++) {
		name_table(rd->sets[i], table);
		if (strcmp(text_of(rd->sets[i], "name"), name) == 0 &&
		    strcmp(table, rd->table) == 0)
			return rd->sets[i];
	}
	return NULL;
}

static enum fit fits_word(const struct reader *rd, const struct value *v,
			  const char *word)
{
	const json_t *set;

	if (word[0] == '@') {
		set = named_set(rd, word + 1);
		return set == NULL
			   ? FIT_MAYBE
			   : fits_any(rd, v, json_object_get(set, "elem"));
	}
	if (v->interface)
		return fits_interface(&rd->r->p, word, '*');
	if (v->word == NULL)
		return FIT_MAYBE;
	return fit_of(strcmp(word, v->word) == 0 ||
		      (v->other != NULL && strcmp(word, v->other) == 0));
}

static enum fit fits(const struct reader *rd, const struct value *v,
		     const json_t *right)
{
	if (json_is_integer(right))
		return v->number < 0
			   ? FIT_MAYBE
			   : fit_of(json_integer_value(right) == v->number);
	if (json_is_string(right))
		return fits_word(rd, v, json_string_value(right));
	if (json_is_array(right))
		return fits_any(rd, v, right);
	if (json_object_get(right, "set") != NULL)
		return fits(rd, v, json_object_get(right, "set"));
	if (json_object_get(right, "range") != NULL)
		return fits_range(v, json_object_get(right, "range"));
	if (json_object_get(right, "elem") != NULL)
		return fits(
		    rd, v,
		    json_object_get(json_object_get(right, "elem"), "val"));
	return FIT_MAYBE;
}

/* "fib daddr type" */
static bool to_local(const json_t *left)
{
	const json_t *fib = json_object_get(left, "fib");
	const json_t *flags = json_object_get(fib, "flags");
	const json_t *flag =
	    json_is_array(flags) ? json_array_get(flags, 0) : flags;

	return strcmp(text_of(fib, "result"), "type") == 0 &&
	       json_array_size(flags) <= 1 && json_is_string(flag) &&
	       strcmp(json_string_value(flag), "daddr") == 0;
}

/* What the packet has there; false: not known. *ret_never: it has no such. */
static bool value_of(const struct packet *p, const json_t *left,
		     struct value *ret, bool *ret_never)
{
	const json_t *payload = json_object_get(left, "payload");
	const char *proto = text_of(payload, "protocol");
	const char *field = text_of(payload, "field");
	const char *meta = text_of(json_object_get(left, "meta"), "key");
	const char *ct = text_of(json_object_get(left, "ct"), "key");

	*ret = (struct value){.number = -1};
	*ret_never = strcmp(proto, "udp") == 0 || strcmp(proto, "icmp") == 0 ||
		     strcmp(proto, "icmpv6") == 0 || strcmp(proto, "sctp") == 0;
	if (strcmp(field, "dport") == 0)
		*ret = (struct value){.number = p->port};
	else if (strcmp(meta, "l4proto") == 0 ||
		 strcmp(field, "nexthdr") == 0 ||
		 (strcmp(proto, "ip") == 0 && strcmp(field, "protocol") == 0))
		*ret = (struct value){.number = 6, .word = "tcp"};
	else if (strcmp(meta, "nfproto") == 0)
		*ret = (struct value){.number = -1,
				      .word = p->v6 ? "ipv6" : "ipv4"};
	else if (strcmp(meta, "protocol") == 0)
		*ret = (struct value){.number = p->v6 ? 0x86dd : 0x800,
				      .word = p->v6 ? "ip6" : "ip"};
	else if (strcmp(ct, "state") == 0)
		*ret = (struct value){
		    .number = 8, .word = "new", .other = "untracked"};
	else if (strcmp(ct, "status") == 0)
		/* Not of a translated connection: NAT is looked at by itself.
		 */
		*ret = (struct value){.number = 0, .word = ""};
	else if (p->inbound && to_local(left))
		*ret = (struct value){.number = -1, .word = "local"};
	else
		return false;
	return true;
}

/* Does `left` ask for the interface that the packet comes or goes by? */
static bool of_interface(const struct packet *p, const json_t *left)
{
	const char *key = text_of(json_object_get(left, "meta"), "key");

	return strcmp(key, p->inbound ? "iifname" : "oifname") == 0 ||
	       strcmp(key, p->inbound ? "iif" : "oif") == 0;
}

static enum fit fits_left(const struct reader *rd, const json_t *left,
			  const json_t *right)
{
	struct value v;
	bool never;

	if (of_interface(&rd->r->p, left))
		v = (struct value){.number = -1, .interface = true};
	else if (!value_of(&rd->r->p, left, &v, &never))
		return never ? FIT_NO : FIT_MAYBE;
	else if (never)
		return FIT_NO;
	return fits(rd, &v, right);
}

static enum fit fits_match(const struct reader *rd, const json_t *m)
{
	const char *op = text_of(m, "op");
	enum fit fit = fits_left(rd, json_object_get(m, "left"),
				 json_object_get(m, "right"));

	if (strcmp(op, "!=") == 0)
		return fit_not(fit);
	if (strcmp(op, "==") == 0 || strcmp(op, "in") == 0)
		return fit;
	return FIT_MAYBE;
}

/* ---- words for people ---- */

static void add(char *text, const char *more)
{
	size_t n = strlen(text);

	snprintf(text + n, RULE_TEXT - n, "%s%s", n > 0 ? " " : "", more);
}

static void add_json(char *text, const json_t *it)
{
	const json_t *prefix = json_object_get(it, "prefix");
	char *dump, net[80];

	if (prefix != NULL) {
		snprintf(
		    net, sizeof(net), "%.64s/%d", text_of(prefix, "addr"),
		    (int)json_integer_value(json_object_get(prefix, "len")));
		add(text, net);
		return;
	}
	dump = json_dumps(it, JSON_ENCODE_ANY | JSON_COMPACT);
	if (dump != NULL)
		add(text, json_is_string(it) ? json_string_value(it) : dump);
	free(dump);
}

static void add_match(char *text, const json_t *m)
{
	const json_t *left = json_object_get(m, "left");
	const json_t *payload = json_object_get(left, "payload");

	if (payload != NULL) {
		add(text, text_of(payload, "protocol"));
		add(text, text_of(payload, "field"));
	} else if (json_object_get(left, "meta") != NULL) {
		add(text, text_of(json_object_get(left, "meta"), "key"));
	} else if (json_object_get(left, "ct") != NULL) {
		add(text, "ct");
		add(text, text_of(json_object_get(left, "ct"), "key"));
	} else {
		add_json(text, left);
	}
	if (strcmp(text_of(m, "op"), "!=") == 0)
		add(text, "!=");
	add_json(text, json_object_get(m, "right"));
}

/* ---- rules ---- */

static bool take_verdict(const json_t *stmt, const char *table,
			 struct rule_line *l)
{
	const char *target;

	if (json_object_get(stmt, "accept") != NULL)
		l->verb = VERB_ACCEPT;
	else if (json_object_get(stmt, "drop") != NULL ||
		 json_object_get(stmt, "reject") != NULL)
		l->verb = VERB_DROP;
	else if (json_object_get(stmt, "return") != NULL)
		l->verb = VERB_RETURN;
	else if (json_object_get(stmt, "jump") != NULL)
		l->verb = VERB_JUMP;
	else if (json_object_get(stmt, "goto") != NULL)
		l->verb = VERB_GOTO;
	else
		return false;
	target = text_of(
	    json_object_get(stmt, l->verb == VERB_JUMP ? "jump" : "goto"),
	    "target");
	name_chain(l->target, table, target);
	add(l->text, l->verb == VERB_ACCEPT		       ? "accept"
		     : json_object_get(stmt, "reject") != NULL ? "reject"
		     : l->verb == VERB_DROP		       ? "drop"
		     : l->verb == VERB_RETURN		       ? "return"
							       : "");
	return true;
}

/* A rule for each entry of a verdict map, as if it stood there by itself. */
static void take_map(const struct reader *rd, const json_t *vmap,
		     const char *table, const struct rule_line *before,
		     struct chain *c)
{
	const json_t *data = json_object_get(vmap, "data"), *it;
	const json_t *list = json_object_get(data, "set");
	size_t i;

	if (json_is_string(data) && json_string_value(data)[0] == '@')
		list = json_object_get(
		    named_set(rd, json_string_value(data) + 1), "elem");
	json_array_foreach(list, i, it)
	{
		struct rule_line *l = chain_line(c);

		if (l == NULL)
			return;
		*l = *before;
		l->fit =
		    fit_and(l->fit, fits_left(rd, json_object_get(vmap, "key"),
					      json_array_get(it, 0)));
		add_json(l->text, json_array_get(it, 0));
		(void)take_verdict(json_array_get(it, 1), table, l);
	}
}

/* masquerade, snat; redirect, dnat, which may name a port. */
static bool take_nat(const json_t *stmt, struct rule_line *l)
{
	static const struct {
		const char *word;
		enum nat nat;
	} words[] = {{"masquerade", NAT_SOURCE},
		     {"snat", NAT_SOURCE},
		     {"redirect", NAT_TARGET},
		     {"dnat", NAT_TARGET}};
	const json_t *it = NULL;
	json_int_t port;
	unsigned i;

	for (i = 0; it == NULL && i < sizeof(words) / sizeof(words[0]); i++) {
		it = json_object_get(stmt, words[i].word);
		if (it == NULL)
			continue;
		l->nat = words[i].nat;
		add(l->text, words[i].word);
	}
	if (it == NULL)
		return false;
	port = json_integer_value(json_object_get(it, "port"));
	l->to_port = port > 0 && port < 65536 ? (unsigned)port : 0;
	if (json_is_object(it))
		add_json(l->text, it);
	return true;
}

static bool is_port(const json_t *match)
{
	const json_t *left = json_object_get(match, "left");

	return strcmp(text_of(json_object_get(left, "payload"), "field"),
		      "dport") == 0;
}

static bool harmless(const json_t *stmt)
{
	static const char *const words[] = {
	    "counter", "log", "mangle", "notrack", "xt_comment", "ct helper"};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (json_object_get(stmt, words[i]) != NULL)
			return true;
	return json_is_string(stmt);
}

static void take_rule(const struct reader *rd, const json_t *rule,
		      const char *table, struct chain *c)
{
	struct rule_line l = {.fit = FIT_YES}, *to;
	const json_t *stmt;
	size_t i;

	json_array_foreach(json_object_get(rule, "expr"), i, stmt)
	{
		const json_t *match = json_object_get(stmt, "match");
		const json_t *vmap = json_object_get(stmt, "vmap");

		if (match != NULL) {
			enum fit fit = fits_match(rd, match);

			l.fit = fit_and(l.fit, fit);
			l.names_port |= is_port(match) && fit == FIT_YES;
			add_match(l.text, match);
		} else if (vmap != NULL) {
			take_map(rd, vmap, table, &l, c);
			return;
		} else if (take_verdict(stmt, table, &l) ||
			   take_nat(stmt, &l)) {
			break;
		} else if (!harmless(stmt)) {
			l.fit = fit_and(l.fit, FIT_MAYBE);
			add_json(l.text, stmt);
		}
	}
	to = chain_line(c);
	if (to != NULL)
		*to = l;
}

/* ---- chains ---- */

/* Does a packet of ours come through that hook? */
static bool our_hook(const struct packet *p, const json_t *chain)
{
	const char *hook = text_of(chain, "hook");

	if (strcmp(text_of(chain, "type"), "nat") == 0)
		return false;
	if (p->inbound)
		return strcmp(hook, "input") == 0 ||
		       strcmp(hook, "prerouting") == 0;
	return strcmp(hook, "output") == 0 || strcmp(hook, "postrouting") == 0;
}

static bool our_family(const struct packet *p, const char *family)
{
	return strcmp(family, "inet") == 0 ||
	       strcmp(family, p->v6 ? "ip6" : "ip") == 0;
}

/* A table that iptables has made is read as iptables prints it. */
static bool is_saved(const struct ruleset *r, const json_t *o)
{
	return strncmp(text_of(o, "family"), "ip", 2) == 0 &&
	       iptables_printed(r->saved, text_of(o, "table"));
}

static int take_object(struct reader *rd, const json_t *it, struct err *e)
{
	const json_t *chain = json_object_get(it, "chain");
	const json_t *rule = json_object_get(it, "rule");
	const json_t *o = chain != NULL ? chain : rule;
	char name[CHAIN_NAME], table[CHAIN_NAME];
	struct chain *c;

	if (o == NULL || !our_family(&rd->r->p, text_of(o, "family")) ||
	    is_saved(rd->r, o))
		return 0;
	name_table(o, table);
	name_chain(name, table, text_of(o, chain != NULL ? "name" : "chain"));
	c = ruleset_chain(rd->r, name);
	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "rules");
	rd->table = table;
	if (chain != NULL) {
		c->base = our_hook(&rd->r->p, chain);
		c->drops = strcmp(text_of(chain, "policy"), "drop") == 0;
	} else {
		take_rule(rd, rule, table, c);
	}
	rd->table = NULL;
	return 0;
}

static void take_set(struct reader *rd, const json_t *it)
{
	const json_t *set = json_object_get(it, "set");

	if (set == NULL)
		set = json_object_get(it, "map");
	if (set != NULL && rd->nsets < SETS_MAX)
		rd->sets[rd->nsets++] = set;
}

int nft_parse(struct ruleset *r, const char *json, struct err *e)
{
	json_t *all = json_loads(json, 0, NULL), *it;
	const json_t *list = json_object_get(all, "nftables");
	struct reader rd = {.r = r};
	size_t i;
	int rc = 0;

	if (!json_is_array(list)) {
		json_decref(all);
		return err_set(e, PS_DATA, "nft: this is no list of rules");
	}
	json_array_foreach(list, i, it)
	{
		take_set(&rd, it);
	}
	json_array_foreach(list, i, it)
	{
		if (rc == 0)
			rc = take_object(&rd, it, e);
	}
	json_decref(all);
	return rc;
}
