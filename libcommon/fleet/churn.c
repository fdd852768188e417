#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "fleet/churn.h"

#define DISKS_MAX 20000
#define LINE_SIZE 4096
#define COLUMNS_MAX 64
#define SECONDS_MAX 86400 /* of one row */

enum column {
	C_TIME,
	C_MACHINE,
	C_DISK,
	C_SIZE,
	C_SECONDS,
	C_BYTES,
	C_WRITES,
	C_CHANGED,
	C_BY,
	COLUMNS
};

static const char *const names[COLUMNS] = {
    "time",	   "machine", "disk",	       "size", "seconds",
    "write_bytes", "writes",  "changed_bytes", "by"};

const char *churn_by_name(enum churn_by by)
{
	static const char *const words[CHURN_BYS] = {"writes", "trace",
						     "agents", "changed"};

	return words[by];
}

struct table {
	const char *name;
	unsigned line;
	int at[COLUMNS]; /* field of each column, -1: none */
	size_t machine;	 /* of the last row: rows stand together */
	size_t ndisks;
	struct err *e;
};

static int wrong(const struct table *t, const char *what, const char *value)
{
	return err_set(t->e, PS_DATA, "%s:%u: %s: '%.60s'", t->name, t->line,
		       what, value);
}

static int read_header(struct table *t, char *line)
{
	char *field, *rest = line;

	for (int c = 0; c < COLUMNS; c++)
		t->at[c] = -1;
	for (int i = 0; (field = strsep(&rest, ",")) != NULL; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			if (strcmp(field, names[c]) == 0)
				t->at[c] = i;
		}
	}
	for (int c = 0; c <= C_DISK; c++) {
		if (t->at[c] < 0)
			return wrong(t, "the first line has to name a column",
				     names[c]);
	}
	if (t->at[C_BYTES] < 0 && t->at[C_CHANGED] < 0)
		return wrong(t, "the first line has to name a column",
			     names[C_BYTES]);
	return 0;
}

static int find_machine(struct churn *c, struct table *t, const char *name,
			struct machine_churn **ret)
{
	struct machine_churn *grown;
	size_t i = t->machine;

	if (i >= c->nmachines || strcmp(c->machines[i].name, name) != 0) {
		for (i = 0; i < c->nmachines; i++) {
			if (strcmp(c->machines[i].name, name) == 0)
				break;
		}
	}
	t->machine = i;
	if (i == c->nmachines) {
		if (!name_ok(name))
			return wrong(t, "not a name of a machine", name);
		grown = realloc(c->machines, (i + 1) * sizeof(*grown));
		if (grown == NULL)
			return err_sys(t->e, PS_TEMPFAIL, "%s", t->name);
		c->machines = grown;
		grown[i] = (struct machine_churn){0};
		snprintf(grown[i].name, NAME_SIZE, "%s", name);
		c->nmachines++;
	}
	*ret = &c->machines[i];
	return 0;
}

static int find_disk(struct machine_churn *m, struct table *t, const char *name,
		     struct disk_churn **ret)
{
	struct disk_churn *grown;
	size_t i;

	for (i = 0; i < m->ndisks; i++) {
		if (strcmp(m->disks[i].name, name) == 0)
			break;
	}
	if (i == m->ndisks) {
		if (!name_ok(name))
			return wrong(t, "not a name of a disk", name);
		if (++t->ndisks > DISKS_MAX)
			return wrong(t, "too many disks", name);
		grown = realloc(m->disks, (i + 1) * sizeof(*grown));
		if (grown == NULL)
			return err_sys(t->e, PS_TEMPFAIL, "%s", t->name);
		m->disks = grown;
		memset(&grown[i], 0, sizeof(*grown));
		snprintf(grown[i].name, NAME_SIZE, "%s", name);
		m->ndisks++;
	}
	*ret = &m->disks[i];
	return 0;
}

struct row {
	int64_t time; /* ns, its end */
	uint64_t seconds, written, writes, size;
	uint64_t bytes; /* that count */
	enum churn_by by;
};

/* The text of a field; NULL: it is empty, or there is no such column. */
static const char *field_of(const struct table *t, char **f, enum column c)
{
	const char *text = t->at[c] < 0 ? NULL : f[t->at[c]];

	return text == NULL || *text == '\0' ? NULL : text;
}

static int number(const struct table *t, char **f, enum column c, uint64_t max,
		  uint64_t *ret)
{
	const char *text = field_of(t, f, c);

	if (text == NULL)
		return 0; /* keeps what it was */
	return parse_u64(text, max, ret) ? 0 : wrong(t, names[c], text);
}

/* The minutes that a row covers get equal parts of it. */
static int spread_row(struct machine_churn *m, const struct row *r,
		      struct err *e)
{
	size_t minutes = (size_t)((r->seconds + 59) / 60);
	int64_t last = (r->time / NS_PER_S - 1) / 60;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < minutes; i++) {
		rc = series_add(&m->bytes, last - (int64_t)i,
				(double)r->bytes / (double)minutes, e);
		if (rc == 0)
			rc = series_add(&m->writes, last - (int64_t)i,
					(double)r->writes / (double)minutes, e);
	}
	return rc;
}

/* Which bytes count, and how they were measured. */
static int choose_bytes(const struct table *t, char **f, struct row *r)
{
	const char *by = field_of(t, f, C_BY);

	if (field_of(t, f, C_CHANGED) != NULL) {
		r->by = CHURN_OTHER;
		for (int i = CHURN_TRACE; by != NULL && i < CHURN_BYS; i++)
			if (strcmp(by, churn_by_name(i)) == 0)
				r->by = i;
		return number(t, f, C_CHANGED, 1ULL << 50, &r->bytes);
	}
	if (field_of(t, f, C_BYTES) == NULL)
		return wrong(t, names[C_BYTES], "");
	r->by = CHURN_WRITES;
	r->bytes = r->written;
	return 0;
}

static int add_row(struct machine_churn *m, struct disk_churn *d,
		   const struct row *r, struct err *e)
{
	int rc;

	if (r->size > 0)
		d->size = r->size;
	spread_add(&d->rate, (double)r->bytes / (double)r->seconds);
	spread_add(&d->writes, (double)r->writes / (double)r->seconds);
	d->written += (double)r->written;
	d->nwrites += r->written > 0 ? (double)r->writes : 0;
	m->rows[r->by]++;
	rc = series_add(&d->hours, (r->time / NS_PER_S - 1) / 3600,
			(double)r->bytes, e);
	return rc == 0 ? spread_row(m, r, e) : rc;
}

static int read_row(struct churn *c, struct table *t, char *line)
{
	char *f[COLUMNS_MAX + 1] = {0}, *rest = line;
	struct row r = {.seconds = 60};
	struct machine_churn *m = NULL;
	struct disk_churn *d = NULL;
	int n = 0, rc = 0;

	while (n < COLUMNS_MAX && (f[n] = strsep(&rest, ",")) != NULL)
		n++;
	for (int i = 0; i < COLUMNS; i++) {
		if (t->at[i] >= n)
			return wrong(t, "this row has no column", names[i]);
	}
	if (!parse_time(f[t->at[C_TIME]], &r.time) || r.time < 0)
		return wrong(t, "not a time (RFC 3339)", f[t->at[C_TIME]]);
	rc = number(t, f, C_SECONDS, SECONDS_MAX, &r.seconds);
	if (rc == 0)
		rc = number(t, f, C_BYTES, 1ULL << 50, &r.written);
	if (rc == 0)
		rc = number(t, f, C_WRITES, 1ULL << 40, &r.writes);
	if (rc == 0)
		rc = number(t, f, C_SIZE, 1ULL << 60, &r.size);
	if (rc == 0)
		rc = choose_bytes(t, f, &r);
	if (rc == 0 && r.seconds == 0)
		rc = wrong(t, names[C_SECONDS], "0");
	if (rc == 0)
		rc = find_machine(c, t, f[t->at[C_MACHINE]], &m);
	if (rc == 0)
		rc = find_disk(m, t, f[t->at[C_DISK]], &d);
	if (rc < 0)
		return rc;
	rc = add_row(m, d, &r, t->e);
	return rc < 0 ? err_prefix(t->e, "%s:%u", t->name, t->line) : 0;
}

int churn_read(struct churn *c, FILE *in, const char *name, struct err *e)
{
	struct table t = {.name = name, .e = e};
	char line[LINE_SIZE];
	int rc = 0;

	for (size_t i = 0; i < c->nmachines; i++)
		t.ndisks += c->machines[i].ndisks;
	while (rc == 0 && fgets(line, sizeof(line), in) != NULL) {
		size_t len = strcspn(line, "\r\n");

		t.line++;
		if (line[len] == '\0' && len == sizeof(line) - 1)
			return wrong(&t, "a line is too long", "");
		line[len] = '\0';
		if (t.line == 1)
			rc = read_header(&t, line);
		else if (len > 0 && strcmp(line, "") != 0)
			rc = read_row(c, &t, line);
	}
	if (rc == 0 && ferror(in))
		return err_sys(e, PS_IOERR, "%s", name);
	if (rc == 0 && t.line == 0)
		return err_set(e, PS_DATA, "%s: this is empty", name);
	return rc;
}

int churn_total(struct churn *c, struct err *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->nmachines; i++) {
		const struct machine_churn *m = &c->machines[i];

		for (size_t k = 0; rc == 0 && k < m->bytes.n; k++) {
			if (isnan(m->bytes.v[k]))
				continue;
			rc = series_add(&c->bytes, m->bytes.first + (int64_t)k,
					(double)m->bytes.v[k], e);
			if (rc == 0)
				rc = series_add(&c->writes,
						m->bytes.first + (int64_t)k,
						(double)m->writes.v[k], e);
		}
	}
	return rc;
}

void churn_free(struct churn *c)
{
	for (size_t i = 0; i < c->nmachines; i++) {
		for (size_t k = 0; k < c->machines[i].ndisks; k++)
			series_free(&c->machines[i].disks[k].hours);
		free(c->machines[i].disks);
		series_free(&c->machines[i].bytes);
		series_free(&c->machines[i].writes);
	}
	free(c->machines);
	series_free(&c->bytes);
	series_free(&c->writes);
	*c = (struct churn){0};
}
