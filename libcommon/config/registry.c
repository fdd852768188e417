#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "base/units.h"
#include "config/registry.h"

#define CHANGE_ID_SIZE 33
#define KEEP_CHANGES_NS (24 * 3600 * NS_PER_S)

void reg_close(struct reg *r)
{
	if (r == NULL)
		return;
	sql_close(r->db);
	secret_wipe(r, sizeof(*r));
	free(r);
}

/* ---- one change ---- */

/* Takes the lock that each writer takes first. */
static int begin(struct reg *r, struct err *e)
{
	int rc = sql_begin(r->db, SQL_WRITE, e);

	if (rc == 0)
		rc = reg_run(r, "UPDATE state SET revision = revision + 1",
			     SQL_NO_ARGS, e);
	return rc;
}

static int attempt(struct reg *r, const char *id, reg_fn *fn, void *ctx,
		   bool *ret_committing, struct err *e)
{
	int64_t now = time_now_ns();
	int rc = begin(r, e);

	*ret_committing = false;
	if (rc == 0)
		rc = reg_run(r, "DELETE FROM changes WHERE time < ?",
			     SQL_ARGS(sql_int(now - KEEP_CHANGES_NS)), e);
	if (rc == 0)
		rc = reg_run(r, "INSERT INTO changes (id, time) VALUES (?, ?)",
			     SQL_ARGS(sql_text(id), sql_int(now)), e);
	if (rc == 0) {
		r->changing = true;
		rc = fn(r, ctx, e);
		r->changing = false;
	}
	if (rc == 0) {
		*ret_committing = true;
		rc = sql_commit(r->db, e);
	}
	if (rc != 0)
		sql_rollback(r->db);
	return rc;
}

/*
 * Was the change made whose answer was lost? 1 or 0. The lock is waited for:
 * the old session may still be about to commit.
 */
static int was_made(struct reg *r, const char *id, struct err *e)
{
	int64_t n = 0;
	int rc = begin(r, e);

	if (rc == 0)
		rc = sql_number(r->db,
				"SELECT COUNT(*) FROM changes WHERE id = ?",
				SQL_ARGS(sql_text(id)), 0, &n, e);
	sql_rollback(r->db);
	return rc < 0 ? rc : n > 0;
}

/* Connects again and finds out: 1 it was made, 0 to be repeated. */
static int recover(struct reg *r, const char *id, bool committing,
		   int64_t deadline, struct err *e)
{
	int rc;

	do {
		rc = sql_reconnect(r->db, deadline, e);
		if (rc == 0 && committing)
			rc = was_made(r, id, e);
	} while (rc < 0 && sql_trouble(r->db) != SQL_FINAL &&
		 mono_now_ns() < deadline);
	if (rc < 0 && committing) {
		err_prefix(e, "it is not known whether the change was made");
		err_hint(e, "when the database is back: ps-config audit");
	}
	return rc;
}

int reg_change(struct reg *r, reg_fn *fn, void *ctx, struct err *e)
{
	int64_t deadline = sql_deadline(r->db);
	char id[CHANGE_ID_SIZE];
	uint8_t random[16];
	bool committing;
	int rc, again;

	if (r->changing)
		return fn(r, ctx, e);
	if (RAND_bytes(random, sizeof(random)) != 1)
		return err_set(e, PS_SOFTWARE, "random numbers");
	hex_encode(random, sizeof(random), id);
	for (;;) {
		rc = attempt(r, id, fn, ctx, &committing, e);
		if (rc == 0 || sql_trouble(r->db) == SQL_FINAL)
			return rc;
		if (sql_trouble(r->db) == SQL_LOST) {
			again = recover(r, id, committing, deadline, e);
			if (again != 0)
				return again < 0 ? again : 0;
		}
		if (mono_now_ns() >= deadline)
			return rc;
	}
}

int reg_revision(struct reg *r, int64_t *ret, struct err *e)
{
	return sql_number(r->db, "SELECT revision FROM state", SQL_NO_ARGS, 0,
			  ret, e);
}

/* ---- for those who make changes ---- */

int reg_run(struct reg *r, const char *text, const struct sql_value *args,
	    unsigned nargs, struct err *e)
{
	int64_t rc = sql_run(r->db, text, args, nargs, e);

	return rc < 0 ? (int)rc : 0;
}

int reg_missing(struct err *e, const char *what, const char *name)
{
	return err_set(e, PS_NO, "%s '%s': there is none", what, name);
}

int reg_there(struct err *e, const char *what, const char *name)
{
	return err_set(e, PS_NO, "%s '%s': is there already", what, name);
}

int reg_name_check(const char *what, const char *name, struct err *e)
{
	size_t i, n = strlen(name);
	bool ok =
	    n >= 1 && n <= NAME_MAX_LEN && name[0] != '-' && name[n - 1] != '-';

	for (i = 0; ok && i < n; i++)
		ok = (name[i] >= 'a' && name[i] <= 'z') ||
		     (name[i] >= 'A' && name[i] <= 'Z') ||
		     (name[i] >= '0' && name[i] <= '9') || name[i] == '-';
	if (ok)
		return 0;
	return err_set(e, PS_USAGE,
		       "%s '%.70s': a name has 1 to 63 letters, digits and "
		       "hyphens, and no hyphen at either end",
		       what, name);
}

void reg_text_cut(char *text)
{
	size_t n = strlen(text), at = n;
	unsigned char lead;
	size_t want;

	/* Back to the byte that begins the last character. */
	while (at > 0 && n - at < 3 &&
	       ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0)
		return;
	lead = (unsigned char)text[at - 1];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (n - at + 1 < want)
		text[at - 1] = '\0';
}

/* Bytes of a control character that begins here; 0: none does. */
static size_t control_at(const unsigned char *p)
{
	if (*p < ' ' || *p == 0x7f)
		return 1;
	/* C1, as UTF-8 has it, is heard by terminals, too. */
	return *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0;
}

void reg_text_clean(char *out, size_t size, const char *words)
{
	size_t n, at = 0;

	while (*words != '\0' && at < size - 1) {
		n = control_at((const unsigned char *)words);
		if (n > 0)
			out[at++] = '?';
		else
			out[at++] = *words;
		words += n > 0 ? n : 1;
	}
	out[at] = '\0';
	if (*words != '\0')
		reg_text_cut(out);
}

int reg_text_check(const char *what, const char *text, size_t size,
		   struct err *e)
{
	const unsigned char *p = (const unsigned char *)text;
	json_t *utf8;

	if (strlen(text) >= size)
		return err_set(e, PS_USAGE, "%s: has more than %zu bytes", what,
			       size - 1);
	while (*p != '\0' && control_at(p) == 0)
		p++;
	if (*p != '\0')
		return err_set(e, PS_USAGE, "%s: has a control character",
			       what);
	utf8 = json_string(text); /* it refuses what is none */
	if (utf8 == NULL)
		return err_set(e, PS_USAGE, "%s: is no UTF-8", what);
	json_decref(utf8);
	return 0;
}

/* ---- the audit log ---- */

int reg_audit(struct reg *r, const char *what, const char *object,
	      struct err *e, const char *detail, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, detail);
	vsnprintf(text, sizeof(text), detail, ap);
	va_end(ap);
	reg_text_cut(text);
	return reg_run(r,
		       "INSERT INTO audit (time, who, what, object, detail) "
		       "VALUES (?, ?, ?, ?, ?)",
		       SQL_ARGS(sql_int(time_now_ns()), sql_text(r->who),
				sql_text(what), sql_text(object),
				sql_text(text)),
		       e);
}

struct audit_list {
	reg_audit_fn *fn;
	void *ctx;
};

static int give_audit(void *ctx, const struct sql_row *row, struct err *e)
{
	const struct audit_list *list = ctx;
	struct reg_audit_line l = {sql_get_int(row, 0),	 sql_get_int(row, 1),
				   sql_get_text(row, 2), sql_get_text(row, 3),
				   sql_get_text(row, 4), sql_get_text(row, 5)};

	return list->fn(list->ctx, &l, e);
}

int reg_audit_each(struct reg *r, const char *object, uint64_t limit,
		   reg_audit_fn *fn, void *ctx, struct err *e)
{
	struct audit_list list = {fn, ctx};
	int64_t n =
	    limit == 0 || limit > INT64_MAX ? INT64_MAX : (int64_t)limit;

	if (object == NULL)
		return sql_each(r->db,
				"SELECT * FROM (SELECT id, time, who, what, "
				"object, detail FROM audit ORDER BY id DESC "
				"LIMIT ?) AS newest ORDER BY id",
				SQL_ARGS(sql_int(n)), give_audit, &list, e);
	return sql_each(r->db,
			"SELECT * FROM (SELECT id, time, who, what, object, "
			"detail FROM audit WHERE object = ? ORDER BY id DESC "
			"LIMIT ?) AS newest ORDER BY id",
			SQL_ARGS(sql_text(object), sql_int(n)), give_audit,
			&list, e);
}
