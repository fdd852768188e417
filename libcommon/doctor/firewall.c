/* Rules of this machine's firewall that drop what has to pass. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/command.h"
#include "doctor/rules.h"
#include "doctor/steps.h"

#define OUTPUT_MAX (16u << 20)

struct looking {
	struct finding *f;
	unsigned sources; /* of rules that could be read */
	unsigned refused; /* those that could not: no permission */
	unsigned blocked;
	char first[DOCTOR_LINE_SIZE];
	struct packet packet;
	const char *what;      /* "inbound TCP 9443" */
	struct nat_found *nat; /* not NULL: only that is looked for */
};

static void show_nat(struct looking *l, const struct ruleset *r)
{
	const struct rule_line *line;
	const struct chain *chain;
	size_t at = 0;

	while ((line = ruleset_nat(r, &at, &chain)) != NULL) {
		l->nat->rules++;
		l->nat->away += line->nat == NAT_TARGET &&
				line->fit == FIT_YES &&
				line->to_port != l->packet.port;
		find_shows(l->f, "NAT, %s: %s", chain->name, line->text);
	}
}

static void judge(struct looking *l, const struct ruleset *r)
{
	struct ruling ruling;

	if (l->nat != NULL) {
		show_nat(l, r);
		return;
	}
	ruleset_judge(r, &ruling);
	if (ruling.blocked) {
		if (l->blocked++ == 0)
			snprintf(l->first, sizeof(l->first), "%s", l->what);
		find_shows(l->f, "%s is dropped by %s", l->what, ruling.why);
	} else if (ruling.some_let) {
		find_shows(l->f, "%s passes for some only: %s", l->what,
			   ruling.let);
	} else if (ruling.some_dropped) {
		find_shows(l->f, "%s may be dropped for some: %s", l->what,
			   ruling.drop);
	}
}

/* Runs a program that prints rules: true when it has printed some. */
static bool ask(struct looking *l, const char *const *argv, char **ret)
{
	struct command c = {.argv = argv, .seconds = 8, .max = OUTPUT_MAX};
	int status;

	if (command_run(&c, ret, &status, NULL) < 0)
		return false;
	if (status == 0 && **ret != '\0') {
		l->sources++;
		return true;
	}
	l->refused += status != 0;
	free(*ret);
	return false;
}

static void look_at_nft(struct looking *l, bool skip_xt)
{
	const char *const argv[] = {"nft", "-j", "list", "ruleset", NULL};
	struct ruleset r = {.p = l->packet, .skip_xt = skip_xt};
	char *text;

	if (!ask(l, argv, &text))
		return;
	if (nft_parse(&r, text, NULL) == 0)
		judge(l, &r);
	ruleset_free(&r);
	free(text);
}

/* True when its rules are known. */
static bool look_at_iptables(struct looking *l)
{
	const char *const argv[] = {
	    l->packet.v6 ? "ip6tables-save" : "iptables-save", NULL};
	struct ruleset r = {.p = l->packet};
	char *text;

	if (!ask(l, argv, &text))
		return false;
	if (iptables_parse(&r, l->packet.v6 ? "ip6tables" : "iptables", text,
			   NULL) == 0)
		judge(l, &r);
	ruleset_free(&r);
	free(text);
	return true;
}

static void look(struct looking *l, bool inbound, const char *host,
		 const char *port)
{
	char what[64];

	l->packet = (struct packet){.inbound = inbound,
				    .v6 = strchr(host, ':') != NULL &&
					  strcmp(host, "::") != 0,
				    .port = (unsigned)strtoul(port, NULL, 10)};
	snprintf(what, sizeof(what), "%s TCP %u",
		 inbound ? "inbound" : "outbound", l->packet.port);
	l->what = what;
	look_at_nft(l, look_at_iptables(l));
	l->what = NULL;
}

void nat_look(const struct doctor *d, struct finding *f, struct nat_found *ret)
{
	struct looking l = {.f = f, .nat = ret};
	struct doctor_peer peer;

	*ret = (struct nat_found){0};
	if (doctor_peer(d, &peer))
		look(&l, !d->source, peer.host, peer.port);
}

static bool firewalld_runs(void)
{
	const char *const argv[] = {"firewall-cmd", "--state", NULL};
	struct command c = {.argv = argv, .seconds = 5, .max = 256};
	char *text;
	int status;

	if (command_run(&c, &text, &status, NULL) < 0)
		return false;
	free(text);
	return status == 0;
}

static void say_next(const struct looking *l, const char *port,
		     struct finding *f)
{
	bool in = strncmp(l->first, "inbound", 7) == 0;

	if (in && firewalld_runs())
		find_next(f,
			  "firewall-cmd --permanent --add-port=%s/tcp && "
			  "firewall-cmd --reload",
			  port);
	else
		find_next(f,
			  "allow %s in this machine's firewall, before the "
			  "rule that drops it",
			  l->first);
}

void step_firewall(const struct doctor *d, struct finding *f)
{
	struct looking l = {.f = f};
	struct doctor_peer peer, store;
	bool have = doctor_peer(d, &peer);
	struct doctor one;
	unsigned i;

	if (have)
		look(&l, !d->source, peer.host, peer.port);
	for (i = 0; !d->source && i < vault_count(d); i++) {
		vault_at(d, i, &one);
		if (doctor_endpoint_place(&one, &store) &&
		    strcmp(store.host, "127.0.0.1") != 0)
			look(&l, false, store.host, store.port);
	}
	if (l.blocked > 0) {
		find_failed(f, DOCTOR_CAUSE, "the firewall drops %s", l.first);
		say_next(&l, have ? peer.port : "9443", f);
	} else if (!have) {
		find_skipped(f, "no receive.listen in ps.yaml");
	} else if (l.sources == 0 && l.refused > 0) {
		find_skipped(f, "the rules cannot be read");
		find_next(f, "run ps-doctor as root");
	} else if (l.sources == 0) {
		find_passed(f, "no rules (or neither nft nor iptables-save is "
			       "installed)");
	} else if (f->n > 0) {
		find_passed(f, "no rule drops them for everybody; for some: "
			       "see the evidence (-v)");
	} else {
		find_passed(f, "no rule here drops them");
	}
}
