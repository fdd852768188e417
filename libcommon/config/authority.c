#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/authority.h"
#include "config/ca.h"
#include "config/x509.h"
#include "net/tls.h"

#define KEY_MAX 512
#define WARN_NS (CA_WARN_DAYS * 86400 * NS_PER_S)

static void seal_name(int64_t generation, char out[64])
{
	snprintf(out, 64, "authority %lld", (long long)generation);
}

/* ---- reading ---- */

static int no_authority(struct err *e)
{
	int rc = err_set(e, PS_NO, "there is no authority yet");

	err_hint(e, "to make one: ps-config init");
	return rc;
}

void authority_drop(struct authority *a)
{
	X509_free(a->cert);
	EVP_PKEY_free(a->key);
}

static int open_one(void *ctx, const struct sql_row *row, struct err *e)
{
	struct authority *a = ctx;
	const struct sql_value *sealed = &row->values[2];
	uint8_t der[KEY_MAX];
	char of[64];
	size_t n = 0;
	int rc;

	a->generation = sql_get_int(row, 0);
	if (sealed->type != SQL_BLOB || sealed->n > KEY_MAX + SEAL_OVERHEAD)
		return err_set(e, PS_DATA, "authority: damaged key");
	seal_name(a->generation, of);
	rc = seal_open(&a->reg->seal, of, sealed->p, sealed->n, der, &n, e);
	if (rc == 0)
		rc = x509_key_from_der(&a->key, der, n, e);
	secret_wipe(der, sizeof(der));
	return rc < 0 ? rc : x509_from_pem(&a->cert, sql_get_text(row, 1), e);
}

int authority_get(struct reg *r, struct authority *a, struct err *e)
{
	int rc;

	*a = (struct authority){.reg = r};
	rc = sql_each(r->db,
		      "SELECT generation, pem, sealed FROM authorities "
		      "ORDER BY generation DESC LIMIT 1",
		      SQL_NO_ARGS, open_one, a, e);
	if (rc == 0 && a->generation == 0)
		rc = no_authority(e);
	if (rc < 0)
		authority_drop(a);
	return rc;
}

struct certificate {
	int64_t generation; /* 0: there is none */
	char *pem;
};

static int take_pem(void *ctx, const struct sql_row *row, struct err *e)
{
	struct certificate *c = ctx;

	(void)e;
	c->generation = sql_get_int(row, 0);
	sql_copy_text(row, 1, c->pem, CA_PEM_SIZE);
	return 0;
}

/* Without the key, which may be damaged. */
static int get_pem(struct reg *r, struct certificate *c, struct err *e)
{
	int rc = sql_each(r->db,
			  "SELECT generation, pem FROM authorities "
			  "ORDER BY generation DESC LIMIT 1",
			  SQL_NO_ARGS, take_pem, c, e);

	return rc == 0 && c->generation == 0 ? no_authority(e) : rc;
}

int ca_certificate(struct reg *r, char pem[CA_PEM_SIZE], struct err *e)
{
	struct certificate c = {0, pem};

	return get_pem(r, &c, e);
}

int ca_look(struct reg *r, struct reg_cert *ret, struct err *e)
{
	char pem[CA_PEM_SIZE];
	struct certificate c = {0, pem};
	X509 *x = NULL;
	int rc = get_pem(r, &c, e);

	*ret = (struct reg_cert){.serial = ""};
	if (rc == 0)
		rc = x509_from_pem(&x, pem, e);
	if (rc == 0)
		rc = x509_describe(x, ret, e);
	ret->authority = c.generation;
	snprintf(ret->subject, sizeof(ret->subject), "%s", CA_SUBJECT);
	X509_free(x);
	return rc;
}

int ca_outdated(struct reg *r, const struct reg_cert *c, struct err *e)
{
	int64_t newest;
	int rc = sql_number(
	    r->db, "SELECT COALESCE(MAX(generation), 0) FROM authorities",
	    SQL_NO_ARGS, 0, &newest, e);

	if (rc < 0)
		return rc;
	return c->authority < newest || cert_due(c, time_now_ns());
}

/* ---- making ---- */

/* What is stored of a new one. */
struct new_authority {
	int64_t generation;
	char pem[CA_PEM_SIZE];
	uint8_t sealed[KEY_MAX + SEAL_OVERHEAD];
	size_t n;
	int64_t ends;
};

static int store(struct reg *r, void *ctx, struct err *e)
{
	const struct new_authority *a = ctx;
	char ends[TIME_TEXT];
	int64_t newest;
	int rc = sql_number(
	    r->db, "SELECT COALESCE(MAX(generation), 0) FROM authorities",
	    SQL_NO_ARGS, 0, &newest, e);

	if (rc < 0 || newest >= a->generation)
		return rc; /* another was quicker */
	rc =
	    reg_run(r,
		    "INSERT INTO authorities (generation, pem, sealed, made) "
		    "VALUES (?, ?, ?, ?)",
		    SQL_ARGS(sql_int(a->generation), sql_text(a->pem),
			     sql_blob(a->sealed, a->n), sql_int(time_now_ns())),
		    e);
	format_time(a->ends, ends);
	return rc < 0
		   ? rc
		   : reg_audit(
			 r, newest == 0 ? "authority-new" : "authority-renew",
			 "authority", e, "until %s", ends);
}

/* A certificate for `key`, signed with itself; and the key, sealed. */
static int make(struct reg *r, EVP_PKEY *key, struct new_authority *a,
		struct err *e)
{
	const struct x509_want w = {.subject = CA_SUBJECT,
				    .key = key,
				    .issuer_key = key,
				    .valid_s = CA_S};
	struct reg_cert c = {.serial = ""};
	uint8_t der[KEY_MAX];
	X509 *x = NULL;
	char of[64];
	int n = 0, rc = x509_make(&x, &w, e);

	if (rc == 0)
		rc = x509_to_pem(x, a->pem, e);
	if (rc == 0)
		rc = x509_describe(x, &c, e);
	a->ends = c.ends;
	if (rc == 0)
		rc = n = x509_key_to_der(key, der, sizeof(der), e);
	seal_name(a->generation, of);
	if (rc >= 0)
		rc = seal_close(&r->seal, of, der, (size_t)n, a->sealed, e);
	a->n = (size_t)n + SEAL_OVERHEAD;
	secret_wipe(der, sizeof(der));
	X509_free(x);
	return rc < 0 ? rc : reg_change(r, store, a, e);
}

int ca_init(struct reg *r, struct err *e)
{
	struct new_authority a = {.generation = 1};
	EVP_PKEY *key;
	int64_t n;
	int rc = sql_number(r->db, "SELECT COUNT(*) FROM authorities",
			    SQL_NO_ARGS, 0, &n, e);

	if (rc < 0 || n > 0)
		return rc;
	key = EVP_EC_gen("P-256");
	rc = key != NULL ? make(r, key, &a, e)
			 : tls_err(e, PS_SOFTWARE, "new key");
	EVP_PKEY_free(key);
	return rc;
}

int ca_renew(struct reg *r, uint64_t cert_s, struct err *e)
{
	int64_t left, wanted = (int64_t)cert_s * NS_PER_S + WARN_NS;
	struct new_authority n = {.generation = 0};
	struct reg_cert c = {.serial = ""};
	struct authority a;
	int rc = authority_get(r, &a, e);

	if (rc < 0)
		return rc;
	rc = x509_describe(a.cert, &c, e);
	left = c.ends - time_now_ns();
	n.generation = a.generation + 1;
	if (rc == 0 && left <= wanted && left <= CA_S / 2 * NS_PER_S)
		rc = make(r, a.key, &n, e);
	authority_drop(&a);
	return rc;
}
