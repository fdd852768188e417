#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/ini.h"

/* A piece of text, not ended by a NUL. */
struct piece {
	const char *p;
	size_t n;
};

static struct piece trim(struct piece x)
{
	while (x.n > 0 && isspace((unsigned char)x.p[0])) {
		x.p++;
		x.n--;
	}
	while (x.n > 0 && isspace((unsigned char)x.p[x.n - 1]))
		x.n--;
	return x;
}

static bool same(struct piece a, const char *b)
{
	for (;; a.p++, a.n--, b++) {
		while (a.n > 0 && *a.p == ' ') {
			a.p++;
			a.n--;
		}
		while (*b == ' ')
			b++;
		if (a.n == 0 || *b == '\0')
			return a.n == 0 && *b == '\0';
		if (tolower((unsigned char)*a.p) != tolower((unsigned char)*b))
			return false;
	}
}

static struct piece unquote(struct piece x)
{
	if (x.n >= 2 && (x.p[0] == '"' || x.p[0] == '\'') &&
	    x.p[x.n - 1] == x.p[0]) {
		x.p++;
		x.n -= 2;
	}
	return x;
}

static int give(struct piece value, const char *key, char *out, size_t size,
		struct err *e)
{
	if (value.n >= size)
		return err_set(e, PS_DATA, "%s: the value is too long", key);
	memcpy(out, value.p, value.n);
	out[value.n] = '\0';
	return 1;
}

/* One line that says something: a section, or a key and its value. */
struct line {
	unsigned number;
	struct piece section; /* p NULL: it is none */
	struct piece key, value;
};

/* The next one: 1; 0 at the end; -PS_DATA when it is no INI. */
static int next_line(const char **text, struct line *l, struct err *e)
{
	if (l->number == 0 && strncmp(*text, "\xef\xbb\xbf", 3) == 0)
		*text += 3; /* as editors put it */
	while (**text != '\0') {
		size_t n = strcspn(*text, "\n");
		struct piece line = trim((struct piece){*text, n});
		const char *equals;

		*text += n + ((*text)[n] == '\n');
		l->number++;
		if (line.n > 0 && line.p[0] == '*')
			line = trim((struct piece){line.p + 1, line.n - 1});
		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		l->section = (struct piece){0};
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			l->section = (struct piece){line.p + 1, line.n - 2};
			return 1;
		}
		equals = memchr(line.p, '=', line.n);
		if (equals == NULL)
			return err_set(e, PS_DATA, "line %u is no INI",
				       l->number);
		l->key =
		    trim((struct piece){line.p, (size_t)(equals - line.p)});
		l->value = unquote(trim((struct piece){
		    equals + 1, line.n - (size_t)(equals - line.p) - 1}));
		return 1;
	}
	return 0;
}

int ini_get(const char *text, const char *section, const char *key, char *out,
	    size_t size, struct err *e)
{
	struct line l = {0};
	bool inside = false;
	int rc;

	while ((rc = next_line(&text, &l, e)) > 0) {
		if (l.section.p != NULL)
			inside = same(l.section, section);
		else if (inside && same(l.key, key))
			return give(l.value, key, out, size, e);
	}
	return rc;
}

/* ---- what may stand there ---- */

static int check_key(const struct line *l, const char *const *keys,
		     uint64_t *seen, struct err *e)
{
	unsigned i = 0;

	while (keys[i] != NULL && !same(l->key, keys[i]))
		i++;
	if (keys[i] == NULL)
		return err_set(e, PS_DATA, "line %u: '%.*s' is not known",
			       l->number, (int)l->key.n, l->key.p);
	if ((*seen & (1ULL << i)) != 0)
		return err_set(e, PS_DATA, "line %u: '%s' stands there twice",
			       l->number, keys[i]);
	*seen |= 1ULL << i;
	return 0;
}

static int check_line(const struct line *l, const char *section,
		      const char *const *keys, bool *inside, uint64_t *seen,
		      struct err *e)
{
	if (l->section.p == NULL && *inside)
		return check_key(l, keys, seen, e);
	if (l->section.p == NULL)
		return err_set(e, PS_DATA, "line %u stands before [%s]",
			       l->number, section);
	if (*inside)
		return err_set(e, PS_DATA, "line %u: a second section",
			       l->number);
	*inside = same(l->section, section);
	if (!*inside)
		return err_set(e, PS_DATA, "line %u: the section is not [%s]",
			       l->number, section);
	return 0;
}

int ini_check(const char *text, const char *section, const char *const *keys,
	      unsigned *ret_line, struct err *e)
{
	struct line l = {0};
	bool inside = false;
	uint64_t seen = 0;
	int rc;

	while ((rc = next_line(&text, &l, e)) > 0) {
		rc = check_line(&l, section, keys, &inside, &seen, e);
		if (rc < 0)
			break;
	}
	*ret_line = rc < 0 ? l.number : 0;
	if (rc == 0 && !inside)
		return err_set(e, PS_DATA, "there is no [%s]", section);
	return rc;
}
