/*
 * The command has to name what made the rule: a port that is added to
 * firewalld's default zone does not help against a rule of another zone, a
 * rich rule, panic mode or another table.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "doctor/command.h"
#include "doctor/opening.h"

#define NAME 80

bool firewalld_runs(void)
{
	const char *const argv[] = {"firewall-cmd", "--state", NULL};

	return command_succeeds(argv);
}

/* ---- firewalld: chains are filter_IN_ZONE, filter_IN_ZONE_deny ---- */

static bool cut_end(char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	if (n <= m || strcmp(text + n - m, end) != 0)
		return false;
	text[n - m] = '\0';
	return true;
}

/*
 * Zone (or policy) and whether a rule of the administrator's drops, which
 * comes before the ports that are let in. False: it is not firewalld's.
 */
static bool firewalld_zone(const char *chain, char zone[NAME], bool *ret_rich)
{
	static const char *const ways[] = {"filter_IN_", "filter_OUT_"};
	const char *name = strchr(chain, '/');
	unsigned i;

	if (strncmp(chain, "nft inet firewalld/", 19) != 0 || name == NULL)
		return false;
	*zone = '\0';
	*ret_rich = false;
	for (i = 0; i < 2; i++)
		if (strncmp(name + 1, ways[i], strlen(ways[i])) == 0)
			snprintf(zone, NAME, "%s", name + 1 + strlen(ways[i]));
	*ret_rich = cut_end(zone, "_deny") || cut_end(zone, "_pre");
	if (!*ret_rich && !cut_end(zone, "_allow"))
		(void)cut_end(zone, "_post");
	return true;
}

static bool by_firewalld(const struct closed *c, char *out, unsigned size)
{
	unsigned port = c->packet.port;
	char zone[NAME], with[NAME + 8] = "";
	bool rich;

	if (strncmp(c->chain, FIREWALLD_PANIC, sizeof(FIREWALLD_PANIC) - 1) ==
	    0) {
		snprintf(out, size,
			 "firewall-cmd --panic-off: firewalld drops "
			 "everything, for now");
		return true;
	}
	if (!firewalld_zone(c->chain, zone, &rich))
		return false;
	if (strncmp(zone, "policy_", 7) == 0 || !c->packet.inbound) {
		snprintf(out, size,
			 "firewall-cmd --list-all-policies; take out of "
			 "the policy what drops TCP %u",
			 port);
		return true;
	}
	if (zone[0] != '\0')
		snprintf(with, sizeof(with), " --zone=%s", zone);
	if (rich)
		snprintf(out, size,
			 "firewall-cmd%s --list-rich-rules, then for the one "
			 "that drops TCP %u: firewall-cmd --permanent%s "
			 "--remove-rich-rule='RULE' && firewall-cmd --reload",
			 with, port, with);
	else
		snprintf(out, size,
			 "firewall-cmd --permanent%s --add-port=%u/tcp && "
			 "firewall-cmd --reload",
			 with, port);
	return true;
}

/* ---- others ---- */

static bool by_iptables(const struct closed *c, char *out, unsigned size)
{
	char tool[16], table[32], chain[NAME];

	if (strncmp(c->chain, "ip", 2) != 0 ||
	    sscanf(c->chain, "%15s %31[^/]/%79s", tool, table, chain) != 3)
		return false;
	if (c->ufw)
		snprintf(out, size, "ufw allow %s%u/tcp",
			 c->packet.inbound ? "" : "out ", c->packet.port);
	else
		snprintf(out, size,
			 "%s -t %s -I %s -p tcp --dport %u -j ACCEPT; and the "
			 "same where the rules are loaded from at boot",
			 tool, table, chain, c->packet.port);
	return true;
}

static bool by_nft(const struct closed *c, char *out, unsigned size)
{
	char family[16], table[NAME], chain[NAME];

	if (sscanf(c->chain, "nft %15s %79[^/]/%79s", family, table, chain) !=
	    3)
		return false;
	snprintf(out, size,
		 "nft insert rule %s %s %s tcp dport %u accept; and the same "
		 "in /etc/nftables.conf, or where the rules come from",
		 family, table, chain, c->packet.port);
	return true;
}

void opening_say(const struct closed *c, char *out, unsigned size)
{
	if (by_firewalld(c, out, size) || by_iptables(c, out, size) ||
	    by_nft(c, out, size))
		return;
	snprintf(out, size,
		 "allow %s in this machine's firewall, before the rule that "
		 "drops it",
		 c->what);
}
