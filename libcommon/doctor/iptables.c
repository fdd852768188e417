/* Rules as iptables-save(8) prints them. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor/rules.h"

#define WORDS_MAX 64

/* Cuts a line into words; "..." is one. */
static unsigned cut(char *line, char *words[WORDS_MAX])
{
	unsigned n = 0;

	for (;;) {
		line += strspn(line, " \t\n");
		if (*line == '\0' || n == WORDS_MAX)
			return n;
		if (*line == '"') {
			words[n++] = ++line;
			while (*line != '\0' && *line != '"')
				line +=
				    line[0] == '\\' && line[1] != '\0' ? 2 : 1;
		} else {
			words[n++] = line;
			line += strcspn(line, " \t\n");
		}
		if (*line != '\0')
			*line++ = '\0';
	}
}

/* "9443", "9000:9500", and lists of them. */
static enum fit fits_port(const char *list, unsigned port)
{
	const char *at = list;

	while (*at != '\0') {
		char *end;
		unsigned long a = strtoul(at, &end, 10), b = a;

		if (end == at && *end != ':')
			return FIT_MAYBE; /* a name of /etc/services */
		if (*end == ':') {
			at = end + 1;
			b = strtoul(at, &end, 10);
			if (end == at)
				b = 65535;
		}
		if (port >= a && port <= b)
			return FIT_YES;
		at = *end == ',' ? end + 1 : end;
		if (*end != ',' && *end != '\0')
			return FIT_MAYBE;
	}
	return FIT_NO;
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

/* One condition with its value: does the packet fulfil it? */
static enum fit fits(const struct packet *p, const char *name,
		     const char *value)
{
	if (strcmp(name, "-p") == 0 || strcmp(name, "--protocol") == 0)
		return fit_of(strcmp(value, "tcp") == 0 ||
			      strcmp(value, "6") == 0 ||
			      strcmp(value, "all") == 0);
	if (strcmp(name, "--dport") == 0 || strcmp(name, "--dports") == 0)
		return fits_port(value, p->port);
	if (strcmp(name, p->inbound ? "-i" : "-o") == 0)
		return fits_interface(p, value, '+');
	if (strcmp(name, "--dst-type") == 0 && p->inbound)
		return fit_of(strstr(value, "LOCAL") != NULL);
	if (strcmp(name, "--ctstate") == 0 || strcmp(name, "--state") == 0)
		return fit_of(strstr(value, "NEW") != NULL ||
			      strstr(value, "UNTRACKED") != NULL);
	return FIT_MAYBE;
}

/* "TABLE/CHAIN", as a chain is known by; what is longer is cut. */
static void chain_name(const char *table, const char *chain,
		       char out[CHAIN_NAME])
{
	char whole[2 * CHAIN_NAME];

	snprintf(whole, sizeof(whole), "%s/%s", table, chain);
	snprintf(out, CHAIN_NAME, "%.*s", CHAIN_NAME - 1, whole);
}

/* Takes the words of a rule behind "-A CHAIN". */
static void take_words(const struct packet *p, const char *table, char **words,
		       unsigned n, struct rule_line *l)
{
	static const char *const silent[] = {
	    "-m",	    "--match",	   "--comment",	 "--reject-with",
	    "--log-prefix", "--log-level", "--to-ports", "--to-destination",
	    "--to-source",  NULL};
	static const char *const flags[] = {"--syn", NULL};
	bool negated = false;
	unsigned i;

	for (i = 0; i < n; i++) {
		const char *word = words[i];
		const char *value = i + 1 < n ? words[i + 1] : "";
		enum fit fit;

		if (strcmp(word, "!") == 0) {
			negated = true;
			continue;
		}
		if (strcmp(word, "-j") == 0 || strcmp(word, "-g") == 0) {
			l->verb = word[1] == 'g' ? VERB_GOTO : VERB_JUMP;
			chain_name(table, value, l->target);
			if (strcmp(value, "ACCEPT") == 0)
				l->verb = VERB_ACCEPT;
			else if (strcmp(value, "DROP") == 0 ||
				 strcmp(value, "REJECT") == 0)
				l->verb = VERB_DROP;
			else if (strcmp(value, "RETURN") == 0)
				l->verb = VERB_RETURN;
			i++;
		} else if (strcmp(word, "--tcp-flags") == 0) {
			/* MASK FLAGS: a new connection has SYN alone. */
			fit = fit_of(i + 2 < n &&
				     strcmp(words[i + 2], "SYN") == 0);
			l->fit = fit_and(l->fit, negated ? fit_not(fit) : fit);
			i += 2;
		} else if (is_one_of(word, silent)) {
			i++;
		} else if (is_one_of(word, flags)) {
			fit = negated ? FIT_NO : FIT_YES;
			l->fit = fit_and(l->fit, fit);
		} else if (word[0] == '-') {
			fit = fits(p, word, value);
			l->fit = fit_and(l->fit, negated ? fit_not(fit) : fit);
			if (value[0] != '-')
				i++;
		}
		negated = false;
	}
}

/* What is behind the last ':' of "ADDR:PORT", or all of "PORT". */
static unsigned port_of(const char *text)
{
	const char *colon = strrchr(text, ':');
	unsigned long v = strtoul(colon != NULL ? colon + 1 : text, NULL, 10);

	return v < 65536 && (colon != NULL || strchr(text, '.') == NULL)
		   ? (unsigned)v
		   : 0;
}

/* The targets of iptables-extensions(8) that change addresses. */
static void take_nat(const struct packet *p, char **words, unsigned n,
		     struct rule_line *l)
{
	unsigned i;

	for (i = 0; i + 1 < n; i++) {
		const char *word = words[i], *value = words[i + 1];

		if (strcmp(word, "-j") == 0 &&
		    (strcmp(value, "MASQUERADE") == 0 ||
		     strcmp(value, "SNAT") == 0))
			l->nat = NAT_SOURCE;
		else if (strcmp(word, "-j") == 0 &&
			 (strcmp(value, "REDIRECT") == 0 ||
			  strcmp(value, "DNAT") == 0))
			l->nat = NAT_TARGET;
		else if (strcmp(word, "--to-ports") == 0 ||
			 strcmp(word, "--to-destination") == 0)
			l->to_port = port_of(value);
		else if (strcmp(word, "--dport") == 0 ||
			 strcmp(word, "--dports") == 0)
			l->names_port = fits_port(value, p->port) == FIT_YES;
	}
}

static bool our_hook(const struct packet *p, const char *table,
		     const char *chain)
{
	if (strstr(table, " nat") != NULL)
		return false;
	if (p->inbound)
		return strcmp(chain, "INPUT") == 0 ||
		       strcmp(chain, "PREROUTING") == 0;
	return strcmp(chain, "OUTPUT") == 0 ||
	       strcmp(chain, "POSTROUTING") == 0;
}

static int take_line(struct ruleset *r, const char *table, char *line,
		     struct err *e)
{
	char name[CHAIN_NAME], text[RULE_TEXT], *words[WORDS_MAX];
	struct rule_line *l;
	struct chain *c;
	unsigned n;

	snprintf(text, sizeof(text), "%s", line);
	n = cut(line, words);
	if (n < 2 || (words[0][0] != ':' && strcmp(words[0], "-A") != 0))
		return 0;
	chain_name(table, words[0][0] == ':' ? words[0] + 1 : words[1], name);
	c = ruleset_chain(r, name);
	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "rules");
	if (words[0][0] == ':') {
		c->base = our_hook(&r->p, table, words[0] + 1);
		c->drops = strcmp(words[1], "DROP") == 0;
		return 0;
	}
	l = chain_line(c);
	if (l == NULL)
		return err_sys(e, PS_TEMPFAIL, "rules");
	snprintf(l->text, sizeof(l->text), "%s", text);
	take_nat(&r->p, words + 2, n - 2, l);
	take_words(&r->p, table, words + 2, n - 2, l);
	return 0;
}

/*
 * "# Table `filter' contains incompatible base-chains, use 'nft' ...": one of
 * its name that somebody has made by nft; its chains are printed as empty.
 */
static bool is_foreign(const char *saved, const char *table)
{
	char words[CHAIN_NAME];
	const char *at;

	snprintf(words, sizeof(words), "# Table `%.60s' ", table);
	at = strstr(saved, words);
	return at != NULL &&
	       memmem(at, strcspn(at, "\n"), "incompatible", 12) != NULL;
}

bool iptables_printed(const char *saved, const char *table)
{
	const char *at = saved;
	size_t n = strlen(table);

	if (saved == NULL || strstr(saved, "(nf_tables)") == NULL ||
	    is_foreign(saved, table))
		return false;
	while ((at = strstr(at, "\n*")) != NULL) {
		at += 2;
		if (strncmp(at, table, n) == 0 && at[n] == '\n')
			return true;
	}
	return false;
}

int iptables_parse(struct ruleset *r, const char *prefix, const char *text,
		   struct err *e)
{
	char *copy = strdup(text), *rest = copy, *line;
	char table[CHAIN_NAME] = "";
	int rc = 0;

	if (copy == NULL)
		return err_sys(e, PS_TEMPFAIL, "rules");
	while (rc == 0 && (line = strsep(&rest, "\n")) != NULL) {
		if (line[0] == '*')
			snprintf(table, sizeof(table), "%s %.60s", prefix,
				 line + 1);
		else
			rc = take_line(r, table, line, e);
	}
	free(copy);
	return rc;
}
