#include "config.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "config/authority.h"
#include "config/ca.h"
#include "config/passphrase.h"
#include "config/servers.h"
#include "config/x509.h"
#include "net/tls.h"

#define ALT_SIZE sizeof(((struct reg_cert *)0)->alt)
#define DAY_NS (86400 * NS_PER_S)

/* ---- names ---- */

static bool is_address(const char *text)
{
	uint8_t a[16];

	return inet_pton(AF_INET, text, a) == 1 ||
	       inet_pton(AF_INET6, text, a) == 1;
}

/* "DNS:a,IP:b", each as strict as can be: it goes into a configuration. */
static int check_alt(const char *alt, struct err *e)
{
	static const char dns[] = "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
	char one[256];

	while (*alt != '\0') {
		size_t n = strcspn(alt, ",");
		bool ok = n < sizeof(one);

		snprintf(one, sizeof(one), "%.*s", (int)n, alt);
		ok = ok &&
		     ((strncmp(one, "IP:", 3) == 0 && is_address(one + 3)) ||
		      (strncmp(one, "DNS:", 4) == 0 && one[4] != '\0' &&
		       one[4 + strspn(one + 4, dns)] == '\0'));
		if (!ok)
			return err_set(e, PS_USAGE,
				       "'%s' is no DNS:NAME or IP:ADDRESS",
				       one);
		alt += n + (alt[n] == ',');
	}
	return 0;
}

/* The server's name, its address, and what is asked for besides. */
static int make_alt(const struct reg_server *s, const char *more, char *out,
		    size_t size, struct err *e)
{
	bool known = strcmp(s->address, s->name) == 0;
	int n = snprintf(out, size, "DNS:%s%s%s%s%s", s->name,
			 known			  ? ""
			 : is_address(s->address) ? ",IP:"
						  : ",DNS:",
			 known ? "" : s->address, more != NULL ? "," : "",
			 more != NULL ? more : "");

	if (n >= (int)size)
		return err_set(e, PS_USAGE, "too many names");
	return check_alt(out, e);
}

/*
 * What a server says of its own names must not be the name of another: with
 * its certificate it could pose as that one.
 */
static int check_others(struct reg *r, const char *server, const char *alt,
			struct err *e)
{
	char one[256];
	int64_t n = 0;
	int rc = 0;

	while (*alt != '\0' && rc == 0) {
		size_t len = strcspn(alt, ",");

		snprintf(one, sizeof(one), "%.*s", (int)len, alt);
		alt += len + (alt[len] == ',');
		if (strncmp(one, "DNS:", 4) != 0)
			continue;
		rc = sql_number(r->db,
				"SELECT COUNT(*) FROM servers WHERE name <> ? "
				"AND LOWER(name) = LOWER(?)",
				SQL_ARGS(sql_text(server), sql_text(one + 4)),
				0, &n, e);
		if (rc == 0 && n > 0)
			rc = err_set(e, PS_NO,
				     "server '%s': '%s' is the name of another",
				     server, one + 4);
	}
	return rc;
}

int ca_check_names(struct reg *r, const struct reg_server *s, const char *more,
		   struct err *e)
{
	char alt[ALT_SIZE];
	int rc = make_alt(s, more, alt, sizeof(alt), e);

	return rc < 0 ? rc : check_others(r, s->name, alt, e);
}

/* ---- certificates ---- */

#define COLUMNS                                                                \
	"SELECT serial, subject, alt, begins, ends, pin, replaced, authority " \
	"FROM certificates "

static void take(struct reg_cert *c, const struct sql_row *row)
{
	sql_copy_text(row, 0, c->serial, sizeof(c->serial));
	sql_copy_text(row, 1, c->subject, sizeof(c->subject));
	sql_copy_text(row, 2, c->alt, sizeof(c->alt));
	c->begins = sql_get_int(row, 3);
	c->ends = sql_get_int(row, 4);
	sql_copy_text(row, 5, c->pin, sizeof(c->pin));
	sql_copy_text(row, 6, c->replaced, sizeof(c->replaced));
	c->authority = sql_get_int(row, 7);
}

const char *cert_state(const struct reg_cert *c, int64_t now_ns)
{
	if (c->replaced[0] != '\0')
		return "replaced";
	if (now_ns >= c->ends)
		return "expired";
	return c->ends - now_ns <= CA_WARN_DAYS * DAY_NS ? "renew" : "ok";
}

bool cert_due(const struct reg_cert *c, int64_t now_ns)
{
	int64_t half = (c->ends - c->begins - X509_BEGUN_NS) / 2;
	int64_t left =
	    half < CA_WARN_DAYS * DAY_NS ? half : CA_WARN_DAYS * DAY_NS;

	return c->ends - now_ns <= left;
}

struct list {
	cert_fn *fn;
	void *ctx;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_cert c;

	take(&c, row);
	return list->fn(list->ctx, &c, e);
}

int cert_each(struct reg *r, bool current, cert_fn *fn, void *ctx,
	      struct err *e)
{
	struct list list = {fn, ctx};

	/* No server has a space in its name: those are our own. */
	return sql_each(r->db,
			current ? COLUMNS "WHERE replaced IS NULL AND "
					  "(subject LIKE '% %' OR subject IN "
					  "(SELECT name FROM servers)) "
					  "ORDER BY subject, begins"
				: COLUMNS "ORDER BY subject, begins",
			SQL_NO_ARGS, give, &list, e);
}

static int take_one(void *ctx, const struct sql_row *row, struct err *e)
{
	(void)e;
	take(ctx, row);
	return 0;
}

/* Who lets its certificate expire has to prove anew that it belongs here. */
static int check_proof(struct reg *r, struct ca_request *q, struct err *e)
{
	struct reg_cert c = {.serial = ""};
	int64_t generation;
	int rc =
	    sql_each(r->db, COLUMNS "WHERE subject = ? AND replaced IS NULL",
		     SQL_ARGS(sql_text(q->server)), take_one, &c, e);

	if (rc < 0)
		return rc;
	if (q->proof != NULL && q->proof->machine[0] != '\0' &&
	    strcmp(q->proof->machine, q->server) != 0)
		return err_set(e, PS_NOPERM,
			       "the key of '%s' is no proof for "
			       "'%s'",
			       q->proof->machine, q->server);
	if (q->proof != NULL) {
		generation = passphrase_check(r, q->proof, e);
		q->passphrase_generation = generation;
		return generation < 0 ? (int)generation : 0;
	}
	if (c.serial[0] == '\0' || time_now_ns() < c.ends)
		return 0;
	rc = err_set(e, PS_NOPERM, "the certificate of '%s' has expired",
		     q->server);
	err_hint(e, "renew it with the passphrase: -P FILE");
	return rc;
}

struct issuing {
	const struct ca_request *q;
	const struct reg_cert *c;
	const char *pem;
	int64_t authority;
};

static int store_cert(struct reg *r, void *ctx, struct err *e)
{
	const struct issuing *i = ctx;
	const struct reg_cert *c = i->c;
	int rc =
	    reg_run(r,
		    "UPDATE certificates SET replaced = ? WHERE "
		    "subject = ? AND replaced IS NULL",
		    SQL_ARGS(sql_text(c->serial), sql_text(c->subject)), e);

	if (rc == 0)
		rc =
		    reg_run(r,
			    "INSERT INTO certificates (serial, authority, "
			    "subject, alt, begins, ends, pin, pem) VALUES "
			    "(?, ?, ?, ?, ?, ?, ?, ?)",
			    SQL_ARGS(sql_text(c->serial), sql_int(i->authority),
				     sql_text(c->subject), sql_text(c->alt),
				     sql_int(c->begins), sql_int(c->ends),
				     sql_text(c->pin), sql_text(i->pem)),
			    e);
	if (rc == 0 && i->q->passphrase_generation > 0)
		rc = reg_run(r,
			     "UPDATE servers SET generation = ? WHERE name = ?",
			     SQL_ARGS(sql_int(i->q->passphrase_generation),
				      sql_text(c->subject)),
			     e);
	return rc < 0 ? rc
		      : reg_audit(r, "certificate", c->subject, e, "%s for %s",
				  c->serial, c->alt);
}

/* Certifies `key` for the names `alt`, and stores what was issued. */
static int certify(struct reg *r, const struct ca_request *q, const char *alt,
		   EVP_PKEY *key, char pem[CA_PEM_SIZE], struct err *e)
{
	struct x509_want w = {.subject = q->server,
			      .alt = alt,
			      .key = key,
			      .valid_s = q->valid_s};
	struct reg_cert c = {.serial = ""};
	struct issuing i = {q, &c, pem, 0};
	struct authority a = {0};
	X509 *x = NULL;
	int rc = ca_renew(r, q->valid_s, e);

	if (rc == 0)
		rc = authority_get(r, &a, e);
	if (rc < 0)
		return rc;
	w.issuer = a.cert;
	w.issuer_key = a.key;
	rc = x509_make(&x, &w, e);
	if (rc == 0)
		rc = x509_describe(x, &c, e);
	if (rc == 0)
		rc = x509_to_pem(x, pem, e);
	if (rc == 0) {
		snprintf(c.subject, sizeof(c.subject), "%s", q->server);
		snprintf(c.alt, sizeof(c.alt), "%s", alt);
		i.authority = a.generation;
		rc = reg_change(r, store_cert, &i, e);
	}
	X509_free(x);
	authority_drop(&a);
	return rc;
}

struct latest {
	struct reg_cert c;
	char *pem;
};

static int take_latest(void *ctx, const struct sql_row *row, struct err *e)
{
	struct latest *l = ctx;

	(void)e;
	take(&l->c, row);
	sql_copy_text(row, 8, l->pem, CA_PEM_SIZE);
	return 0;
}

int ca_latest(struct reg *r, const char *subject, struct reg_cert *ret,
	      char pem[CA_PEM_SIZE], struct err *e)
{
	struct latest l = {.pem = pem};
	int rc = sql_each(
	    r->db,
	    "SELECT serial, subject, alt, begins, ends, pin, replaced, "
	    "authority, pem FROM certificates WHERE subject = ? AND replaced "
	    "IS "
	    "NULL",
	    SQL_ARGS(sql_text(subject)), take_latest, &l, e);

	*ret = l.c;
	return rc;
}

/* Has it a good one for this very key and these names already? 1 or 0. */
static int has_already(struct reg *r, const struct ca_request *q,
		       const char *alt, EVP_PKEY *key, char pem[CA_PEM_SIZE],
		       struct err *e)
{
	struct reg_cert c;
	X509 *x = NULL;
	int rc = ca_latest(r, q->server, &c, pem, e);

	if (rc < 0 || c.serial[0] == '\0' || strcmp(c.alt, alt) != 0)
		return rc;
	rc = ca_outdated(r, &c, e);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	rc = x509_from_pem(&x, pem, e);
	if (rc == 0)
		rc = EVP_PKEY_eq(X509_get0_pubkey(x), key) == 1;
	X509_free(x);
	return rc;
}

int ca_issue(struct reg *r, struct ca_request *q, char pem[CA_PEM_SIZE],
	     struct err *e)
{
	char alt[ALT_SIZE];
	struct reg_server s;
	EVP_PKEY *key = NULL;
	int rc = server_get(r, q->server, &s, e);

	if (rc == 0)
		rc = make_alt(&s, q->alt, alt, sizeof(alt), e);
	if (rc == 0 && !q->logged_in)
		rc = check_proof(r, q, e);
	if (rc == 0)
		rc = x509_request_key(&key, q->csr, e);
	if (rc == 0 && q->keep)
		rc = has_already(r, q, alt, key, pem, e);
	if (rc == 0)
		rc = certify(r, q, alt, key, pem, e);
	EVP_PKEY_free(key);
	return rc < 0 ? rc : 0;
}

int ca_issue_own(struct reg *r, const char *subject, const char *alt,
		 EVP_PKEY *key, char pem[CA_PEM_SIZE], struct err *e)
{
	const struct ca_request q = {.server = subject, .valid_s = CA_CERT_S};
	int rc = check_alt(alt, e);

	return rc < 0 ? rc : certify(r, &q, alt, key, pem, e);
}
