/* Lets the ports of a server pass the firewall of its own machine. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "doctor/command.h"
#include "doctor/interface.h"
#include "doctor/opening.h"
#include "doctor/rules.h"
#include "setup/openings.h"

#define OUTPUT_MAX (16u << 20)
#define WORDS 16

struct applying {
	bool dry;
	void (*tell)(void *ctx, const char *command);
	void *ctx;
	int done;
};

/* Runs a program that has to succeed. */
static int run(struct applying *a, const char *const *argv, struct err *e)
{
	struct command c = {.argv = argv, .seconds = 20, .max = 4096};
	char line[512] = "", *text;
	size_t n = 0;
	int rc, status;
	unsigned i;

	for (i = 0; argv[i] != NULL && n < sizeof(line); i++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s",
				      i > 0 ? " " : "", argv[i]);
	if (!a->dry) {
		rc = command_run(&c, &text, &status, e);
		if (rc < 0)
			return rc;
		text[strcspn(text, "\n")] = '\0';
		rc = status == 0
			 ? 0
			 : err_set(e, PS_UNAVAILABLE, "%s: %.300s", line, text);
		free(text);
		if (rc < 0)
			return rc;
	}
	a->done++;
	a->tell(a->ctx, line);
	return 0;
}

/* ---- firewalld ---- */

/* The zone of the interface that sources come by; none is the default one. */
static bool zone_option(const char *address, char out[64])
{
	char interface[IFNAMSIZ], ask[64], *text;
	const char *const argv[] = {"firewall-cmd", ask, NULL};
	struct command c = {.argv = argv, .seconds = 10, .max = 4096};
	int status;

	interface_of(address, interface);
	snprintf(ask, sizeof(ask), "--get-zone-of-interface=%s", interface);
	if (interface[0] == '\0' || command_run(&c, &text, &status, NULL) < 0)
		return false;
	text[strcspn(text, "\n")] = '\0';
	snprintf(out, 64, "--zone=%.40s", text);
	free(text);
	return status == 0 && out[7] != '\0';
}

/* At once and for good; other rules that are not stored yet stay. */
static int by_firewalld(struct applying *a, const char *address, unsigned port,
			struct err *e)
{
	char query[48], add[48], zone[64];
	const char *const in = zone_option(address, zone) ? zone : NULL;
	const char *const has[] = {"firewall-cmd", query, in, NULL};
	const char *const now[] = {"firewall-cmd", add, in, NULL};
	const char *const kept[] = {"firewall-cmd", "--permanent", add, in,
				    NULL};
	int rc;

	snprintf(query, sizeof(query), "--query-port=%u/tcp", port);
	snprintf(add, sizeof(add), "--add-port=%u/tcp", port);
	if (command_succeeds(has))
		return 0;
	rc = run(a, now, e);
	return rc < 0 ? rc : run(a, kept, e);
}

/* ---- nftables ---- */

/* "nft inet filter/input" as words of a command. */
static int insert_rule(struct applying *a, const char *chain, unsigned port,
		       struct err *e)
{
	char family[16], table[CHAIN_NAME], number[16], *slash;
	const char *argv[WORDS] = {"nft", "insert", "rule"};
	unsigned n = 3;

	if (sscanf(chain, "nft %15s %159s", family, table) != 2 ||
	    (slash = strchr(table, '/')) == NULL)
		return err_set(e, PS_CONFIG, "%s: no chain of nftables", chain);
	*slash = '\0';
	snprintf(number, sizeof(number), "%u", port);
	argv[n++] = family;
	argv[n++] = table;
	argv[n++] = slash + 1;
	argv[n++] = "tcp";
	argv[n++] = "dport";
	argv[n++] = number;
	argv[n++] = "accept";
	argv[n++] = "comment";
	argv[n++] = "\"ps-toolkit\"";
	argv[n] = NULL;
	return run(a, argv, e);
}

/* *ret: for ruleset_free(); -PS_NOINPUT: no nft here. */
static int read_nft(struct ruleset *ret, struct err *e)
{
	const char *const argv[] = {"nft", "-j", "list", "ruleset", NULL};
	struct command c = {.argv = argv, .seconds = 10, .max = OUTPUT_MAX};
	char *text;
	int status, rc = command_run(&c, &text, &status, e);

	if (rc < 0)
		return rc;
	if (status != 0)
		rc = err_set(e, PS_NOPERM, "nft: %.300s", text);
	else
		rc = *text != '\0' ? nft_parse(ret, text, e) : 0;
	free(text);
	return rc;
}

/* Would the packet be dropped if there were this base chain only? */
static bool drops_alone(const struct ruleset *r, size_t which)
{
	struct ruleset alone = *r;
	struct ruling ruling;
	size_t i;

	alone.chains = malloc(r->n * sizeof(*r->chains));
	if (alone.chains == NULL)
		return false;
	memcpy(alone.chains, r->chains, r->n * sizeof(*r->chains));
	for (i = 0; i < r->n; i++)
		alone.chains[i].base = i == which;
	ruleset_judge(&alone, &ruling);
	free(alone.chains);
	return ruling.blocked;
}

/* What iptables-save prints, for free(3); NULL: nothing. */
static char *iptables_saved(void)
{
	const char *const argv[] = {"iptables-save", NULL};
	struct command c = {.argv = argv, .seconds = 10, .max = OUTPUT_MAX};
	char *text;
	int status;

	if (command_run(&c, &text, &status, NULL) < 0)
		return NULL;
	if (status == 0)
		return text;
	free(text);
	return NULL;
}

/* Tables that iptables has made are its own: told, not touched. */
static int look_at_iptables(const char *saved, unsigned port, struct err *e)
{
	struct ruleset r = {.p = {.inbound = true, .port = port}};
	struct ruling ruling = {0};
	int rc = 0;

	if (iptables_parse(&r, "iptables", saved, NULL) == 0)
		ruleset_judge(&r, &ruling);
	if (ruling.blocked) {
		rc = err_set(e, PS_CONFIG,
			     "rules of iptables drop TCP %u: %.300s", port,
			     ruling.why);
		err_hint(e, "iptables -I INPUT -p tcp --dport %u -j ACCEPT",
			 port);
	}
	ruleset_free(&r);
	return rc;
}

static int by_nft(struct applying *a, unsigned port, struct err *e)
{
	char *saved = iptables_saved();
	struct ruleset r = {.p = {.inbound = true, .port = port},
			    .saved = saved};
	int rc = read_nft(&r, e);
	size_t i;

	for (i = 0; rc == 0 && i < r.n; i++)
		if (r.chains[i].base && drops_alone(&r, i))
			rc = insert_rule(a, r.chains[i].name, port, e);
	ruleset_free(&r);
	if (rc == 0 && !a->dry && saved != NULL)
		rc = look_at_iptables(saved, port, e);
	free(saved);
	return rc;
}

/* ---- all ---- */

int openings_apply(const struct openings *o, bool dry,
		   void (*tell)(void *ctx, const char *command), void *ctx,
		   struct err *e)
{
	struct applying a = {.dry = dry, .tell = tell, .ctx = ctx};
	bool daemon = firewalld_runs();
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < o->n; i++) {
		if (!o->items[i].inbound)
			continue;
		rc = daemon ? by_firewalld(&a, o->address, o->items[i].port, e)
			    : by_nft(&a, o->items[i].port, e);
	}
	return rc < 0 ? rc : a.done;
}
