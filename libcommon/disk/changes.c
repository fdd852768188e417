#include "config.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "disk/changes.h"

#define LINE_MAX_LEN 256
/* One range in JSON; longer ones are refused, so memory stays bounded. */
#define ELEMENT_MAX 4096u

enum family { FAMILY_NONE, FAMILY_CHANGE, FAMILY_ALLOCATION };

struct state_name {
	const char *name;
	enum family family;
	bool read;
};

static const struct state_name states[] = {
    {"dirty", FAMILY_CHANGE, true},    {"clean", FAMILY_CHANGE, false},
    {"data", FAMILY_ALLOCATION, true}, {"zero", FAMILY_ALLOCATION, true},
    {"hole", FAMILY_ALLOCATION, true}, {"hole,zero", FAMILY_ALLOCATION, true},
};

struct list {
	FILE *f;
	const char *name;
	unsigned long line;
	uint64_t disk_size;
	uint64_t after; /* end of the range before */
	enum family family;
	struct ranges ranges;
	size_t element; /* bytes of the JSON value that is being read */
};

static int refuse(const struct list *l, struct err *e, const char *what)
{
	return err_set(e, PS_DATA, "%s: line %lu: %s", l->name, l->line, what);
}

static const struct state_name *find_state(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(states) / sizeof(*states); i++)
		if (strcmp(states[i].name, name) == 0)
			return &states[i];
	return NULL;
}

static int take(struct list *l, uint64_t start, uint64_t len, const char *state,
		struct err *e)
{
	const struct state_name *s = find_state(state);
	uint64_t end;

	if (s == NULL)
		return err_set(e, PS_DATA,
			       "%s: line %lu: unknown state '%.40s'", l->name,
			       l->line, state);
	if (l->family != FAMILY_NONE && s->family != l->family) {
		refuse(l, e,
		       "changes (dirty, clean) and allocation (data, zero, "
		       "hole) in one list");
		err_hint(e, "a hole is not a clean range: give one kind only");
		return -PS_DATA;
	}
	l->family = s->family;
	if (len == 0)
		return refuse(l, e, "empty range");
	if (add_overflows(start, len, &end) || end > l->disk_size)
		return refuse(l, e, "range outside the disk");
	if (start < l->after)
		return refuse(l, e,
			      "overlaps the range before, or is out of "
			      "order");
	l->after = end;
	return s->read ? ranges_add(&l->ranges, start, end, e) : 0;
}

/* ---- text ---- */

static int text_line(struct list *l, char *line, struct err *e)
{
	char *save = NULL, *field[4];
	uint64_t start, len;
	unsigned n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	for (n = 0; n < 4; n++) {
		field[n] = strtok_r(n == 0 ? line : NULL, " \t", &save);
		if (field[n] == NULL)
			break;
	}
	if (n == 0 || field[0][0] == '#')
		return 0;
	if (n != 3 || !parse_u64(field[0], UINT64_MAX, &start) ||
	    !parse_u64(field[1], UINT64_MAX, &len))
		return refuse(l, e, "not START LENGTH STATE");
	return take(l, start, len, field[2], e);
}

static int read_text(struct list *l, struct err *e)
{
	char line[LINE_MAX_LEN];
	int rc = 0;

	while (rc == 0 && fgets(line, sizeof(line), l->f) != NULL) {
		size_t len = strlen(line);

		l->line++;
		/* A last line without its end may have lost more than that. */
		if (len == 0 || line[len - 1] != '\n')
			return refuse(l, e,
				      feof(l->f) ? "cut off" : "line too long");
		rc = text_line(l, line, e);
	}
	return rc;
}

/* ---- JSON ---- */

static int next_char(struct list *l)
{
	int c = getc(l->f);

	if (c == '\n')
		l->line++;
	return c;
}

static int next_solid(struct list *l)
{
	int c;

	do
		c = next_char(l);
	while (c != EOF && isspace(c));
	return c;
}

/* One byte each time, so that nothing behind the value is consumed. */
static size_t feed(void *buffer, size_t n, void *ctx)
{
	struct list *l = ctx;
	int c;

	if (n == 0 || l->element++ >= ELEMENT_MAX)
		return (size_t)-1;
	c = next_char(l);
	if (c == EOF)
		return 0;
	*(char *)buffer = (char)c;
	return 1;
}

static bool get_u64(const json_t *o, const char *key, uint64_t *ret)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_integer(v) || json_integer_value(v) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(v);
	return true;
}

/* One element of the array, whose '{' was just put back. */
static int json_element(struct list *l, struct err *e)
{
	json_error_t je;
	uint64_t start, len;
	const char *state;
	json_t *o;
	int rc;

	l->element = 0;
	o = json_load_callback(
	    feed, l, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &je);
	if (o == NULL)
		return refuse(l, e, "not JSON as nbdinfo --map prints it");
	state = json_string_value(json_object_get(o, "description"));
	if (state == NULL || !get_u64(o, "offset", &start) ||
	    !get_u64(o, "length", &len))
		rc = refuse(l, e, "offset, length or description is missing");
	else
		rc = take(l, start, len, state, e);
	json_decref(o);
	return rc;
}

static int read_json(struct list *l, struct err *e)
{
	bool first = true;
	int c, rc;

	l->line = 1;
	(void)next_solid(l); /* the '[' that told us */
	for (;;) {
		c = next_solid(l);
		if (first && c == ']')
			break;
		first = false;
		if (c != '{')
			return refuse(l, e, "a range should begin here");
		ungetc(c, l->f);
		rc = json_element(l, e);
		if (rc < 0)
			return rc;
		c = next_solid(l);
		if (c == ']')
			break;
		if (c != ',')
			return refuse(l, e, "the list is cut off or damaged");
	}
	if (next_solid(l) != EOF)
		return refuse(l, e, "something stands behind the list");
	return 0;
}

int changes_read(FILE *f, const char *name, uint64_t disk_size,
		 struct ranges *ret, struct err *e)
{
	struct list l = {.f = f, .name = name, .disk_size = disk_size};
	int c = getc(f), rc;

	/* Whoever should have written it may have failed. */
	if (c == EOF && !ferror(f)) {
		err_set(e, PS_DATA, "%s: empty change list", name);
		err_hint(e, "that nothing has changed is said by '0 SIZE "
			    "clean'");
		return -PS_DATA;
	}
	ungetc(c, f);
	rc = c == '[' ? read_json(&l, e) : read_text(&l, e);
	if (rc == 0 && ferror(f))
		rc = err_sys(e, PS_IOERR, "%s", name);
	if (rc == 0)
		rc = ranges_add_all(ret, &l.ranges, e);
	ranges_free(&l.ranges);
	return rc;
}

int changes_merge(FILE *from, const char *name, FILE *to, struct err *e)
{
	struct ranges r = {0};
	uint64_t end = 0;
	size_t i;
	/* How large the disk is, its scan knows. */
	int rc = changes_read(from, name, INT64_MAX, &r, e);

	if (rc < 0)
		return rc;
	for (i = 0; i < r.n; i++)
		end = r.items[i].end > end ? r.items[i].end : end;
	ranges_tidy(&r); /* may widen the last one */
	if (r.n == 0)
		fputs("0 1 clean\n", to);
	for (i = 0; i < r.n; i++) {
		const struct range *x = &r.items[i];

		fprintf(to, "%" PRIu64 " %" PRIu64 " dirty\n", x->start,
			(x->end < end ? x->end : end) - x->start);
	}
	ranges_free(&r);
	return 0;
}
