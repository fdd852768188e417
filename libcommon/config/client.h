/*
 * Talking to a configuration server: servers and agents. One connection, one
 * login, requests and answers in JSON (ps-config-api(5)).
 */
#ifndef PS_CONFIG_CLIENT_H
#define PS_CONFIG_CLIENT_H

#include <netinet/in.h>

#include <jansson.h>

#include "net/client.h"

#define CS_PORT "443"
#define CS_WAIT_S 60 /* for each answer; a held one takes longer by design */
#define CS_WORD_SIZE 32

struct cs_to {
	const char *host, *port;
	const char *name;   /* to log in as */
	const uint8_t *key; /* LOGIN_KEY_LEN bytes, of that name */
	/*
	 * The server's certificate has to be signed by `authority` (a file in
	 * PEM), or its key has to have this pin; both NULL or "": the login
	 * alone proves who it is.
	 */
	const char *authority, *pin;
	int64_t wait_ns; /* 0: CS_WAIT_S */
};

struct cs {
	struct client c;
	struct client_to to;
	char word[CS_WORD_SIZE]; /* "error" of the last refusal, or "" */
	unsigned retry_s; /* it asked to come again then; 0: it did not */
};

/*
 * Connects, checks the certificate, logs in. cs_close() in any case; `to` has
 * to live as long. -PS_UNAVAILABLE: not reached; -PS_PROTOCOL: no TLS 1.3 or
 * no configuration server; -PS_NOPERM: certificate or login refused.
 */
int cs_open(struct cs *cs, const struct cs_to *to, struct err *e);
void cs_close(struct cs *cs);

/* The check of the certificate alone, after client_tls(). */
int cs_check_pin(struct client *c, const char *authority, const char *pin,
		 struct err *e);
/* The pin of whoever is there: "sha256//..." */
int cs_peer_pin(struct client *c, char out[64], struct err *e);

/*
 * Asks with a body (borrowed; NULL: none), and gives the answer of a 2xx, the
 * caller's. Any other answer: -CODE, its words in `e`, its word in cs->word.
 * -PS_TEMPFAIL: try again after cs->retry_s.
 */
int cs_ask(struct cs *cs, const char *method, const char *path,
	   const json_t *body, json_t **ret, struct err *e);
/* The same in two halves. */
int cs_send(struct cs *cs, const char *method, const char *path,
	    const json_t *body, struct err *e);
int cs_take(struct cs *cs, json_t **ret, struct err *e);

/* What it says of itself and of us; "" where it does not say. */
#define CS_VERSION_SIZE 32
struct cs_about {
	char version[CS_VERSION_SIZE];
	char peer[INET6_ADDRSTRLEN]; /* the address that it sees us come from */
};
int cs_about(struct cs *cs, struct cs_about *ret, struct err *e);
/* The version alone. */
int cs_version(struct cs *cs, char out[CS_VERSION_SIZE], struct err *e);
/*
 * May a program of our version work with a configuration server of this one?
 * -PS_CONFIG: ours is newer, or too old; the hint has the order of upgrades.
 */
int cs_judge_version(const char *version, const char *host, struct err *e);
/*
 * The same of the machine's process server, which comes before its agents;
 * `machine` as of cs_machine(). 0: it has none, or does not say.
 */
int cs_judge_server(const json_t *machine, struct err *e);

/*
 * What a machine's agent has to know: {"machine", "state", "server": {"name",
 * "address", "port", "pin"}, "policy", "vault", "disks", "revision", ...}. The
 * login is the machine's own. -PS_NO: the registry does not have it.
 */
int cs_machine(const struct cs_to *to, const char *machine, json_t **ret,
	       struct err *e);

#endif
