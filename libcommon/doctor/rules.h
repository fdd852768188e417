/*
 * Rules of a firewall as they look to one packet: the first of a connection
 * to a TCP port, from or to an address that is not known. So each rule fits,
 * does not, or may.
 */
#ifndef PS_DOCTOR_RULES_H
#define PS_DOCTOR_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct packet {
	bool inbound; /* else outbound; never over the loopback interface */
	bool v6;
	unsigned port; /* destination */
	/* By which it comes or goes; empty: not known, but not "lo". */
	char interface[16];
};

enum fit { FIT_NO, FIT_MAYBE, FIT_YES };
/* Both have to fit; and what does not, of a negated condition. */
enum fit fit_and(enum fit a, enum fit b);
enum fit fit_not(enum fit a);
enum fit fit_of(bool b);

enum verb {
	VERB_NONE, /* goes on: counter, log */
	VERB_ACCEPT,
	VERB_DROP, /* or reject */
	VERB_RETURN,
	VERB_JUMP,
	VERB_GOTO,
};

/* A rule that changes addresses: of who sends, or of where it goes. */
enum nat { NAT_NONE, NAT_SOURCE, NAT_TARGET };

#define CHAIN_NAME 160
#define RULE_TEXT 160

struct rule_line {
	enum fit fit;
	enum verb verb;
	char target[CHAIN_NAME]; /* of jump and goto: TABLE/CHAIN */
	enum nat nat;
	bool names_port;  /* its conditions name the packet's port */
	unsigned to_port; /* of NAT_TARGET; 0: it leaves the port */
	char text[RULE_TEXT];
};

struct chain {
	char name[CHAIN_NAME]; /* TABLE/CHAIN */
	bool base;	       /* the packet enters here */
	bool drops;	       /* by policy */
	struct rule_line *lines;
	size_t n;
};

struct ruleset {
	struct packet p;
	/*
	 * nft: leave out the tables that iptables-save has printed, which is
	 * this text; NULL: none.
	 */
	const char *saved;
	struct chain *chains;
	size_t n;
};

/* The chain of that name, made when it is missing; NULL: no memory. */
struct chain *ruleset_chain(struct ruleset *r, const char *name);
/* Another rule, at the end; NULL: no memory. */
struct rule_line *chain_line(struct chain *c);
void ruleset_free(struct ruleset *r);

struct ruling {
	bool blocked;		/* dropped, whoever sends it */
	char why[400];		/* the rule that does it */
	char chain[CHAIN_NAME]; /* where that stands */
	bool some_let;		/* dropped but for some, by `let` */
	char let[400];
	bool some_dropped; /* let but for some, by `drop` */
	char drop[400];
};

/* What becomes of the packet. */
void ruleset_judge(const struct ruleset *r, struct ruling *ret);

/*
 * The next rule of address translation that touches the packet's port: it
 * names it, leads to it, or sends all ports elsewhere. `at` begins at 0. NULL:
 * there is none left; *ret_chain is where it stands.
 */
const struct rule_line *ruleset_nat(const struct ruleset *r, size_t *at,
				    const struct chain **ret_chain);

/* Is there a chain whose name has this in it? */
bool ruleset_has(const struct ruleset *r, const char *part);

/* Reads `nft -j list ruleset`; -PS_DATA: it is none. */
int nft_parse(struct ruleset *r, const char *json, struct err *e);
/*
 * Is it an interface's name that ends with `any` for what may follow: '*' of
 * nft, '+' of iptables?
 */
enum fit fits_interface(const struct packet *p, const char *name, char any);
/* Reads what iptables-save prints; `prefix` names the tables. */
int iptables_parse(struct ruleset *r, const char *prefix, const char *text,
		   struct err *e);
/* It is nftables underneath, and this is one of the tables that it printed. */
bool iptables_printed(const char *saved, const char *table);

#endif
