#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/units.h"
#include "config/backup.h"
#include "config/schema.h"

#define FORMAT "ps-config backup 1"

/* ---- writing ---- */

struct writing {
	struct io_out *out;
	struct sha256 sha;
	const char *table;
	uint64_t rows;
};

static int write_line(struct writing *w, json_t *line, struct err *e)
{
	char *text = line != NULL
			 ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER)
			 : NULL;
	size_t n = text != NULL ? strlen(text) : 0;
	int rc;

	json_decref(line);
	if (text == NULL)
		return err_set(e, PS_TEMPFAIL, "no memory for the backup");
	text[n++] = '\n'; /* in place of the NUL */
	sha256_update(&w->sha, text, n);
	rc = io_out_write(w->out, text, n, e);
	free(text);
	return rc;
}

static json_t *blob_json(const struct sql_value *v)
{
	char *hex = malloc(2 * v->n + 1);
	json_t *j = NULL;

	if (hex != NULL) {
		hex_encode(v->p, v->n, hex);
		j = json_pack("{s:s}", "hex", hex);
	}
	free(hex);
	return j;
}

static json_t *value_json(const struct sql_value *v)
{
	switch (v->type) {
	case SQL_INT:
		return json_integer(v->i);
	case SQL_TEXT:
		return json_stringn(v->p, v->n);
	case SQL_BLOB:
		return blob_json(v);
	default:
		return json_null();
	}
}

static int write_row(void *ctx, const struct sql_row *row, struct err *e)
{
	struct writing *w = ctx;
	json_t *o = json_object();
	unsigned i;

	for (i = 0; i < row->n; i++)
		if (json_object_set_new(o, row->names[i],
					value_json(&row->values[i])) < 0) {
			json_decref(o);
			return err_set(e, PS_DATA,
				       "%s: a value of %s is no UTF-8",
				       w->table, row->names[i]);
		}
	w->rows++;
	return write_line(
	    w, json_pack("{s:s, s:o}", "table", w->table, "row", o), e);
}

static int write_tables(struct reg *r, struct writing *w, struct err *e)
{
	const char *const *t;
	char text[128], when[TIME_TEXT];
	int rc;

	format_time(time_now_ns(), when);
	rc = write_line(w,
			json_pack("{s:s, s:i, s:s, s:s}", "format", FORMAT,
				  "schema", (int)schema_newest, "key_id",
				  r->seal.id, "made", when),
			e);
	for (t = schema_tables; rc == 0 && *t != NULL; t++) {
		w->table = *t;
		snprintf(text, sizeof(text), "SELECT * FROM %s ORDER BY 1, 2",
			 *t);
		rc = sql_each(r->db, text, SQL_NO_ARGS, write_row, w, e);
	}
	return rc;
}

int backup_write(struct reg *r, struct io_out *out, uint64_t *ret_rows,
		 struct err *e)
{
	struct writing w = {.out = out};
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX];
	int rc = sql_begin(r->db, SQL_READ, e);

	if (rc < 0)
		return rc;
	sha256_init(&w.sha);
	rc = write_tables(r, &w, e);
	sql_rollback(r->db);
	sha256_final(&w.sha, digest);
	if (rc < 0)
		return rc;
	hex_encode(digest, sizeof(digest), hex);
	sha256_init(&w.sha); /* that of the last line is not used */
	rc = write_line(
	    &w,
	    json_pack("{s:I, s:s}", "rows", (json_int_t)w.rows, "sha256", hex),
	    e);
	sha256_drop(&w.sha);
	if (rc == 0)
		rc = io_out_flush(out, e);
	*ret_rows = w.rows;
	return rc;
}

/* ---- checking ---- */

struct reading {
	FILE *f;
	const char *path;
	bool replace;
	bool replaced; /* there was something */
	char made[TIME_TEXT];
	char *line;
	size_t cap;
	uint64_t rows;
};

static int damaged(const struct reading *b, struct err *e)
{
	return err_set(e, PS_DATA, "%s: damaged, or no backup", b->path);
}

/* The next line: its length, 0 at the end. */
static ssize_t next_line(struct reading *b, struct err *e)
{
	ssize_t n = getline(&b->line, &b->cap, b->f);

	if (n < 0)
		return feof(b->f) ? 0 : err_sys(e, 0, "%s", b->path);
	return n;
}

static int check_head(struct reg *r, struct reading *b, struct err *e)
{
	const char *format = "", *key_id = "", *made = "";
	json_t *j = json_loads(b->line, 0, NULL);
	int schema = 0, rc = 0;

	if (json_unpack(j, "{s:s, s:i, s:s, s:s}", "format", &format, "schema",
			&schema, "key_id", &key_id, "made", &made) < 0 ||
	    strcmp(format, FORMAT) != 0)
		rc = damaged(b, e);
	else if (schema < 1 || schema > (int)schema_newest) {
		rc = err_set(e, PS_CONFIG,
			     "%s: has tables of version %d, this program knows "
			     "%u",
			     b->path, schema, schema_newest);
		err_hint(e, "take the program that made it, or a newer one");
	} else if (strcmp(key_id, r->seal.id) != 0) {
		rc = err_set(e, PS_CONFIG,
			     "%s: its secrets are sealed with another key",
			     b->path);
		err_hint(e, "put the config.key that belongs to it into the "
			    "folder first");
	}
	reg_text_clean(b->made, sizeof(b->made), made);
	json_decref(j);
	return rc;
}

/* Is this the last line, and right? */
static bool is_last(const struct reading *b, uint64_t rows, const char *hex)
{
	json_t *j = json_loads(b->line, 0, NULL);
	json_int_t n = -1;
	const char *sha = "";
	bool ok =
	    json_unpack(j, "{s:I, s:s!}", "rows", &n, "sha256", &sha) == 0 &&
	    n >= 0 && (uint64_t)n == rows && strcmp(sha, hex) == 0;

	json_decref(j);
	return ok;
}

/* Reads it through: the digest of all but the last line stands in that. */
static int check_file(struct reg *r, struct reading *b, struct err *e)
{
	uint8_t digest[SHA256_LEN];
	char hex[SHA256_HEX] = "";
	struct sha256 sha;
	uint64_t lines = 0;
	bool last = false;
	ssize_t n;
	int rc = 0;

	sha256_init(&sha);
	while (rc == 0 && (n = next_line(b, e)) != 0) {
		if (n < 0)
			rc = (int)n;
		else if (lines++ == 0)
			rc = check_head(r, b, e);
		else if (last)
			rc = damaged(b, e); /* more behind the last */
		if (rc == 0 && strncmp(b->line, "{\"rows\":", 8) == 0) {
			sha256_final(&sha, digest);
			hex_encode(digest, sizeof(digest), hex);
			last = is_last(b, lines - 2, hex);
			sha256_init(&sha);
		} else if (rc == 0)
			sha256_update(&sha, b->line, (size_t)n);
	}
	sha256_drop(&sha);
	return rc == 0 && !last ? damaged(b, e) : rc;
}

/* ---- entering ---- */

#define COLUMNS_MAX 32
#define BLOB_MAX 65536

/* A row on its way into its table. */
struct entering {
	struct sql_value values[COLUMNS_MAX];
	uint8_t blobs[2][BLOB_MAX];
	unsigned n, nblobs;
	char names[1024], marks[3 * COLUMNS_MAX];
};

static bool take_value(struct entering *x, const json_t *j)
{
	struct sql_value *v = &x->values[x->n];
	const char *hex = json_string_value(json_object_get(j, "hex"));
	size_t n = hex != NULL ? strlen(hex) / 2 : 0;

	if (json_is_null(j))
		*v = (struct sql_value){.type = SQL_NULL};
	else if (json_is_integer(j))
		*v = sql_int(json_integer_value(j));
	else if (json_is_string(j))
		*v = (struct sql_value){.type = SQL_TEXT,
					.p = json_string_value(j),
					.n = json_string_length(j)};
	else if (hex != NULL && x->nblobs < 2 && n <= BLOB_MAX &&
		 hex_decode(hex, x->blobs[x->nblobs], n))
		*v = sql_blob(x->blobs[x->nblobs++], n);
	else
		return false;
	return true;
}

/* Names of columns stand in the statement: letters and '_' only. */
static bool take_row(struct entering *x, json_t *row)
{
	const char *name;
	json_t *value;

	x->n = x->nblobs = 0;
	x->names[0] = x->marks[0] = '\0';
	json_object_foreach(row, name, value)
	{
		size_t at = strlen(x->names);

		if (x->n == COLUMNS_MAX || *name == '\0' ||
		    name[strspn(name, "abcdefghijklmnopqrstuvwxyz_")] != '\0' ||
		    at + strlen(name) + 3 > sizeof(x->names) ||
		    !take_value(x, value))
			return false;
		snprintf(x->names + at, sizeof(x->names) - at, "%s%s",
			 x->n > 0 ? ", " : "", name);
		at = strlen(x->marks);
		snprintf(x->marks + at, sizeof(x->marks) - at, "%s?",
			 x->n++ > 0 ? ", " : "");
	}
	return x->n > 0;
}

static bool known_table(const char *name)
{
	const char *const *t = schema_tables;

	while (*t != NULL && strcmp(*t, name) != 0)
		t++;
	return *t != NULL;
}

static int enter_line(struct reg *r, struct reading *b, struct entering *x,
		      struct err *e)
{
	json_t *j = json_loads(b->line, 0, NULL), *row = NULL;
	const char *table = "";
	char text[2048];
	int rc;

	if (json_unpack(j, "{s:s, s:o!}", "table", &table, "row", &row) < 0 ||
	    !known_table(table) || !take_row(x, row))
		rc = damaged(b, e);
	else {
		snprintf(text, sizeof(text), "INSERT INTO %s (%s) VALUES (%s)",
			 table, x->names, x->marks);
		rc = reg_run(r, text, x->values, x->n, e);
	}
	json_decref(j);
	return rc;
}

/* What init makes by itself does not count. */
static int check_empty(struct reg *r, struct reading *b, struct err *e)
{
	int64_t n = 0;
	int rc = sql_number(
	    r->db,
	    "SELECT (SELECT COUNT(*) FROM servers) + (SELECT COUNT(*) FROM "
	    "policies) + (SELECT COUNT(*) FROM machines) + (SELECT COUNT(*) "
	    "FROM accounts) + (SELECT COUNT(*) FROM passphrases) + (SELECT "
	    "COUNT(*) FROM jobs)",
	    SQL_NO_ARGS, 0, &n, e);

	b->replaced = n > 0;
	if (rc < 0 || n == 0 || b->replace)
		return rc;
	rc = err_set(e, PS_NO, "%s: is not empty", sql_where(r->db));
	err_hint(e, "to forget what is in it: --replace");
	return rc;
}

static int clear(struct reg *r, struct err *e)
{
	size_t i = 0;
	char text[128];
	int rc = 0;

	while (schema_tables[i] != NULL)
		i++;
	while (rc == 0 && i-- > 0) {
		snprintf(text, sizeof(text), "DELETE FROM %s",
			 schema_tables[i]);
		rc = reg_run(r, text, SQL_NO_ARGS, e);
	}
	return rc;
}

static int enter(struct reg *r, void *ctx, struct err *e)
{
	struct reading *b = ctx;
	struct entering *x = malloc(sizeof(*x));
	int rc = check_empty(r, b, e);
	ssize_t n = 0;

	if (x == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "%s", b->path);
	if (rc == 0)
		rc = clear(r, e);
	rewind(b->f);
	if (rc == 0)
		n = next_line(b, e); /* the head */
	for (b->rows = 0; rc == 0 && n > 0; b->rows++) {
		n = next_line(b, e);
		if (n <= 0 || strncmp(b->line, "{\"rows\":", 8) == 0)
			break;
		rc = enter_line(r, b, x, e);
	}
	free(x);
	if (rc == 0 && n < 0)
		rc = (int)n;
	return rc < 0
		   ? rc
		   : reg_audit(r, "restore", "registry", e, "%llu rows of %s%s",
			       (unsigned long long)b->rows, b->made,
			       b->replaced ? ", in place of others" : "");
}

int backup_restore(struct reg *r, const char *path, bool replace,
		   uint64_t *ret_rows, struct err *e)
{
	struct reading b = {
	    .f = fopen(path, "re"), .path = path, .replace = replace};
	int rc;

	if (b.f == NULL)
		return err_sys(e, 0, "%s", path);
	rc = check_file(r, &b, e);
	if (rc == 0)
		rc = reg_change(r, enter, &b, e);
	if (rc == 0)
		*ret_rows = b.rows;
	free(b.line);
	fclose(b.f);
	return rc;
}
