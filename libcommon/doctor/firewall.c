/* Rules of this machine's firewall that drop what has to pass. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/command.h"
#include "doctor/interface.h"
#include "doctor/opening.h"
#include "doctor/rules.h"
#include "doctor/steps.h"

#define OUTPUT_MAX (16u << 20)

struct looking {
	struct finding *f;
	unsigned sources; /* of rules that could be read */
	unsigned refused; /* those that could not: no permission */
	unsigned blocked;
	struct closed first; /* of the blocked */
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
		if (l->blocked++ == 0) {
			snprintf(l->first.what, sizeof(l->first.what), "%s",
				 l->what);
			memcpy(l->first.chain, ruling.chain, CHAIN_NAME);
			/* Before all others, and there in panic mode only. */
			if (ruleset_has(r, FIREWALLD_PANIC))
				snprintf(l->first.chain, CHAIN_NAME,
					 FIREWALLD_PANIC);
			l->first.packet = l->packet;
			l->first.ufw = ruleset_has(r, "/ufw");
		}
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

/* `saved`: what iptables-save has printed, or NULL. */
static void look_at_nft(struct looking *l, const char *saved)
{
	const char *const argv[] = {"nft", "-j", "list", "ruleset", NULL};
	struct ruleset r = {.p = l->packet, .saved = saved};
	char *text;

	if (!ask(l, argv, &text))
		return;
	if (nft_parse(&r, text, NULL) == 0)
		judge(l, &r);
	ruleset_free(&r);
	free(text);
}

/* What it prints, for free(3); NULL: its rules are not known. */
static char *look_at_iptables(struct looking *l)
{
	const char *const argv[] = {
	    l->packet.v6 ? "ip6tables-save" : "iptables-save", NULL};
	struct ruleset r = {.p = l->packet};
	char *text;

	if (!ask(l, argv, &text))
		return NULL;
	if (iptables_parse(&r, l->packet.v6 ? "ip6tables" : "iptables", text,
			   NULL) == 0)
		judge(l, &r);
	ruleset_free(&r);
	return text;
}

/* `host`: of inbound what we listen on, else where it goes. */
static void look(struct looking *l, bool inbound, const char *host,
		 const char *port)
{
	char what[64], *saved;

	l->packet = (struct packet){.inbound = inbound,
				    .v6 = strchr(host, ':') != NULL &&
					  strcmp(host, "::") != 0,
				    .port = (unsigned)strtoul(port, NULL, 10)};
	if (!inbound && interface_has(host))
		return; /* by "lo" */
	interface_of(host, l->packet.interface);
	snprintf(what, sizeof(what), "%s TCP %u",
		 inbound ? "inbound" : "outbound", l->packet.port);
	l->what = what;
	saved = look_at_iptables(l);
	look_at_nft(l, saved);
	free(saved);
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

/* What servers say to each other: registration, orders, heartbeats. */
static void look_at_config(const struct doctor *d, struct looking *l)
{
	const char *listen =
	    d->conf != NULL ? conf_get(d->conf, "config.listen") : NULL;
	const char *server = role_config_server(d->conf);
	const char *port =
	    d->conf != NULL ? conf_get(d->conf, "config.port") : NULL;
	const char *colon = listen != NULL ? strrchr(listen, ':') : NULL;
	char host[256];

	if (listen != NULL && (d->services & 1u << SERVICE_CONFIG) != 0) {
		snprintf(host, sizeof(host), "%.*s",
			 colon != NULL ? (int)(colon - listen) : 0, listen);
		look(l, true, host, colon != NULL ? colon + 1 : listen);
	}
	if (server != NULL && (d->services & 1u << SERVICE_HEARTBEAT) != 0)
		look(l, false, server, port != NULL ? port : "443");
}

static void look_at_stores(const struct doctor *d, struct looking *l)
{
	struct doctor_peer store;
	struct doctor one;
	unsigned i;

	for (i = 0; i < vault_count(d); i++) {
		vault_at(d, i, &one);
		if (doctor_endpoint_place(&one, &store) &&
		    strcmp(store.host, "127.0.0.1") != 0)
			look(l, false, store.host, store.port);
	}
}

void step_firewall(const struct doctor *d, struct finding *f)
{
	struct looking l = {.f = f};
	struct doctor_peer peer;
	bool have = doctor_peer(d, &peer);

	if (have)
		look(&l, !d->source, peer.host, peer.port);
	if (!d->source) {
		look_at_config(d, &l);
		look_at_stores(d, &l);
	}
	if (l.blocked > 0) {
		find_failed(f, DOCTOR_CAUSE, "the firewall drops %s",
			    l.first.what);
		opening_say(&l.first, f->next, sizeof(f->next));
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
