#include "config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "fleet/churn.h"

#define DISKS_MAX 20000
#define LINE_SIZE 4096
#define BOM "\xEF\xBB\xBF" /* of UTF-8, as spreadsheets put it first */
#define COLUMNS_MAX 64
#define SECONDS_MAX 86400 /* of one row */
#define HOUR_S 3600
#define OVERLAP_S 300 /* in an hour: clocks are set, rows are rounded */
#define SIZE_MAX_DISK (1ULL << 48) /* the sum of 20,000 is one of 63 bits */

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
	int n;		 /* fields of the first line */
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

/* A field in quotes, from behind the first; *rest as for next_field(). */
static bool unquote(char *from, char **rest)
{
	char *to = from;

	for (; *from != '\0'; *to++ = *from++) {
		if (*from != '"')
			continue;
		if (*++from == '"')
			continue; /* two of them are one */
		*to = '\0';
		*rest = *from == ',' ? from + 1 : NULL;
		return *from == ',' || *from == '\0';
	}
	return false; /* it does not end */
}

/* One field, *rest is moved behind it, NULL after the last. */
static bool next_field(char **rest, char **ret)
{
	*ret = *rest;
	if (**rest != '"') {
		(void)strsep(rest, ",");
		return true;
	}
	++*ret;
	return unquote(*ret, rest);
}

/* All fields of a line: how many, -PS_DATA. */
static int split(const struct table *t, char *line, char *f[COLUMNS_MAX])
{
	char *rest = line;
	int n = 0;

	while (rest != NULL) {
		if (n == COLUMNS_MAX)
			return wrong(t, "too many columns, the last", rest);
		if (!next_field(&rest, &f[n++]))
			return wrong(t, "quotes that do not end a column",
				     f[n - 1]);
	}
	return n;
}

static int find_columns(struct table *t, char **f, int n)
{
	for (int c = 0; c < COLUMNS; c++)
		t->at[c] = -1;
	for (int i = 0; i < n; i++) {
		for (int c = 0; c < COLUMNS; c++) {
			if (strcmp(f[i], names[c]) != 0)
				continue;
			if (t->at[c] >= 0)
				return wrong(t, "two columns have one name",
					     names[c]);
			t->at[c] = i;
		}
	}
	return 0;
}

static int missing(const struct table *t, enum column c, char **f, int n)
{
	int rc = wrong(t, "the first line has to name a column", names[c]);

	if (n == 1 && strpbrk(f[0], ";\t") != NULL)
		err_hint(t->e, "columns are divided by commas");
	return rc;
}

static int read_header(struct table *t, char *line)
{
	char *f[COLUMNS_MAX];
	int rc;

	if (strncmp(line, BOM, sizeof(BOM) - 1) == 0)
		line += sizeof(BOM) - 1;
	t->n = split(t, line, f);
	rc = t->n < 0 ? t->n : find_columns(t, f, t->n);
	if (rc < 0)
		return rc;
	for (int c = 0; c <= C_DISK; c++) {
		if (t->at[c] < 0)
			return missing(t, c, f, t->n);
	}
	return t->at[C_BYTES] < 0 && t->at[C_CHANGED] < 0
		   ? missing(t, C_BYTES, f, t->n)
		   : 0;
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
	bool counted; /* the writes */
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
	char what[64];

	if (text == NULL)
		return 0; /* keeps what it was */
	if (parse_u64(text, max, ret))
		return 0;
	snprintf(what, sizeof(what),
		 "%s is no whole number of at most %" PRIu64, names[c], max);
	return wrong(t, what, text);
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

/* The hours that a row covers get the parts of it that lie in them. */
static int spread_hours(struct disk_churn *d, const struct row *r,
			struct err *e)
{
	int64_t to = r->time / NS_PER_S, from = to - (int64_t)r->seconds;
	int64_t begin = from * NS_PER_S, at, next;
	int rc = 0;

	d->from = d->to == 0 || begin < d->from ? begin : d->from;
	d->to = r->time > d->to ? r->time : d->to;
	for (at = from; rc == 0 && at < to; at = next) {
		next = (at / HOUR_S + 1) * HOUR_S;
		next = next < to ? next : to;
		rc = series_add(&d->hours, at / HOUR_S,
				(double)r->bytes * (double)(next - at) /
				    (double)r->seconds,
				e);
		if (rc == 0)
			rc = series_add(&d->seconds, at / HOUR_S,
					(double)(next - at), e);
	}
	return rc;
}

bool churn_overlaps(const struct disk_churn *d)
{
	for (size_t i = 0; i < d->seconds.n; i++) {
		if ((double)d->seconds.v[i] > HOUR_S + OVERLAP_S)
			return true;
	}
	return false;
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
	uint32_t minutes = (uint32_t)((r->seconds + 59) / 60);
	int rc;

	if (r->size > 0)
		d->size = r->size;
	/* A long row stands for as many minutes. */
	spread_add(&d->rate, (double)r->bytes / (double)r->seconds, minutes);
	spread_add(&d->writes, (double)r->writes / (double)r->seconds, minutes);
	if (r->counted && r->written > 0) {
		d->written += (double)r->written;
		d->nwrites += (double)r->writes;
	}
	m->guessed += !r->counted;
	m->rows[r->by]++;
	rc = spread_hours(d, r, e);
	return rc == 0 ? spread_row(m, r, e) : rc;
}

static int read_row(struct churn *c, struct table *t, char *line)
{
	char *f[COLUMNS_MAX];
	struct row r = {.seconds = 60};
	struct machine_churn *m = NULL;
	struct disk_churn *d = NULL;
	int n = split(t, line, f), rc = 0;

	if (n < 0)
		return n;
	/* Such as "1,5" in a column: all behind it would be another. */
	if (n > t->n)
		return wrong(t, "more columns than the first line, the last",
			     f[n - 1]);
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
		rc = number(t, f, C_SIZE, SIZE_MAX_DISK, &r.size);
	if (rc == 0)
		rc = choose_bytes(t, f, &r);
	r.counted = field_of(t, f, C_WRITES) != NULL;
	if (!r.counted)
		r.writes = DIV_ROUND_UP(r.bytes, CHURN_WRITE);
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
		for (size_t k = 0; k < c->machines[i].ndisks; k++) {
			series_free(&c->machines[i].disks[k].hours);
			series_free(&c->machines[i].disks[k].seconds);
		}
		free(c->machines[i].disks);
		series_free(&c->machines[i].bytes);
		series_free(&c->machines[i].writes);
	}
	free(c->machines);
	series_free(&c->bytes);
	series_free(&c->writes);
	*c = (struct churn){0};
}
