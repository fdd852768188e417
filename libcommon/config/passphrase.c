#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/passphrase.h"
#include "config/rotation.h"

/* What its root is sealed as: a root of another generation does not open. */
static void seal_name(int64_t generation, char out[64])
{
	snprintf(out, 64, "passphrase %lld", (long long)generation);
}

struct making {
	bool rotate;
	int64_t overlap;
	uint8_t root[LOGIN_KEY_LEN];
};

static int store(struct reg *r, int64_t generation, const struct making *m,
		 struct err *e)
{
	uint8_t sealed[LOGIN_KEY_LEN + SEAL_OVERHEAD];
	char of[64];
	int rc;

	seal_name(generation, of);
	rc = seal_close(&r->seal, of, m->root, sizeof(m->root), sealed, e);
	if (rc == 0)
		rc = reg_run(r,
			     "INSERT INTO passphrases (generation, sealed, "
			     "made) VALUES (?, ?, ?)",
			     SQL_ARGS(sql_int(generation),
				      sql_blob(sealed, sizeof(sealed)),
				      sql_int(time_now_ns())),
			     e);
	return rc;
}

static int make(struct reg *r, void *ctx, struct err *e)
{
	const struct making *m = ctx;
	int64_t newest = 0;
	int rc = sql_number(
	    r->db, "SELECT COALESCE(MAX(generation), 0) FROM passphrases",
	    SQL_NO_ARGS, 0, &newest, e);

	if (rc < 0)
		return rc;
	if (!m->rotate && newest > 0) {
		rc = err_set(e, PS_NO, "there is a passphrase already");
		err_hint(e, "to replace it: ps-config passphrase rotate");
		return rc;
	}
	if (m->rotate && newest == 0) {
		rc = err_set(e, PS_NO, "there is no passphrase yet");
		err_hint(e, "to make one: ps-config passphrase new");
		return rc;
	}
	rc = reg_run(r, "UPDATE passphrases SET until = ? WHERE until IS NULL",
		     SQL_ARGS(sql_int(time_now_ns() + m->overlap)), e);
	if (rc == 0)
		rc = store(r, newest + 1, m, e);
	if (rc == 0 && m->rotate)
		rc = rotation_begin_here(r, newest + 1, e);
	return rc < 0
		   ? rc
		   : reg_audit(
			 r, m->rotate ? "passphrase-rotate" : "passphrase-new",
			 "passphrase", e, "generation %lld",
			 (long long)newest + 1);
}

int passphrase_make(struct reg *r, bool rotate, uint64_t overlap_s,
		    char out[LOGIN_PASSPHRASE_SIZE], struct err *e)
{
	struct making m = {.rotate = rotate,
			   .overlap = (int64_t)overlap_s * NS_PER_S};
	int rc = login_new_passphrase(out, e);

	if (rc == 0)
		rc = login_root(out, m.root, e);
	if (rc == 0)
		rc = reg_change(r, make, &m, e);
	secret_wipe(m.root, sizeof(m.root));
	if (rc < 0)
		secret_wipe(out, LOGIN_PASSPHRASE_SIZE);
	return rc;
}

/* ---- reading ---- */

struct list {
	passphrase_fn *fn;
	void *ctx;
	int64_t now;
};

static int give(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct list *list = ctx;
	struct reg_passphrase p = {.generation = sql_get_int(row, 0),
				   .made = sql_get_int(row, 1),
				   .until = sql_get_int(row, 2)};

	p.accepted = p.until == 0 || p.until > list->now;
	return list->fn(list->ctx, &p, e);
}

int passphrase_each(struct reg *r, passphrase_fn *fn, void *ctx, struct err *e)
{
	struct list list = {fn, ctx, time_now_ns()};

	return sql_each(r->db,
			"SELECT generation, made, until FROM passphrases "
			"ORDER BY generation DESC",
			SQL_NO_ARGS, give, &list, e);
}

/* ---- checking ---- */

struct checking {
	struct reg *reg;
	const struct login_secret *secret;
	int64_t seen, found;
};

static int compare(struct checking *c, struct login_secret *root,
		   int64_t generation, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	int rc = 0;

	if (c->secret->machine[0] == '\0')
		memcpy(key, root->key, sizeof(key));
	else
		rc = login_key(root, c->secret->machine, key, e);
	if (rc == 0 && CRYPTO_memcmp(key, c->secret->key, sizeof(key)) == 0)
		c->found = generation;
	secret_wipe(key, sizeof(key));
	return rc;
}

/* The root of a row of generation and sealed root. */
static int open_root(const struct reg *r, const struct sql_row *row,
		     uint8_t root[LOGIN_KEY_LEN], struct err *e)
{
	int64_t generation = sql_get_int(row, 0);
	char of[64];
	size_t n = 0;

	if (row->values[1].n != LOGIN_KEY_LEN + SEAL_OVERHEAD)
		return err_set(e, PS_DATA, "passphrase %lld: damaged",
			       (long long)generation);
	seal_name(generation, of);
	return seal_open(&r->seal, of, row->values[1].p, row->values[1].n, root,
			 &n, e);
}

static int check_row(void *ctx, const struct sql_row *row, struct err *e)
{
	struct checking *c = ctx;
	struct login_secret root = {.machine = ""};
	int rc = open_root(c->reg, row, root.key, e);

	c->seen++;
	if (rc == 0)
		rc = compare(c, &root, sql_get_int(row, 0), e);
	secret_wipe(&root, sizeof(root));
	return rc;
}

struct gathering {
	const struct reg *reg;
	struct keeper_roots *roots;
};

static int gather_root(void *ctx, const struct sql_row *row, struct err *e)
{
	struct gathering *g = ctx;
	struct keeper_root *root = &g->roots->list[g->roots->n];
	int rc;

	if (g->roots->n == KEEPER_ROOTS_MAX)
		return 0;
	rc = open_root(g->reg, row, root->key, e);
	root->generation = sql_get_int(row, 0);
	root->until = sql_get_int(row, 2);
	g->roots->n += rc == 0;
	return rc;
}

int passphrase_roots(struct reg *r, struct keeper_roots *ret, struct err *e)
{
	struct gathering g = {r, ret};

	memset(ret, 0, sizeof(*ret));
	return sql_each(r->db,
			"SELECT generation, sealed, until FROM passphrases "
			"WHERE until IS NULL OR until > ? ORDER BY generation "
			"DESC",
			SQL_ARGS(sql_int(time_now_ns())), gather_root, &g, e);
}

int64_t passphrase_check(struct reg *r, const struct login_secret *s,
			 struct err *e)
{
	struct checking c = {r, s, 0, 0};
	int rc = sql_each(r->db,
			  "SELECT generation, sealed FROM passphrases WHERE "
			  "until IS NULL OR until > ?",
			  SQL_ARGS(sql_int(time_now_ns())), check_row, &c, e);

	if (rc < 0)
		return rc;
	if (c.seen == 0)
		return err_set(e, PS_NO, "there is no passphrase yet");
	if (c.found == 0)
		return err_set(e, PS_NOPERM, "wrong passphrase");
	return c.found;
}
