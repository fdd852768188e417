#include "config.h"

#include <ctype.h>
#include <stdbool.h>
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

int ini_get(const char *text, const char *section, const char *key, char *out,
	    size_t size, struct err *e)
{
	bool inside = false;
	unsigned number = 1;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* as editors put it */
		text += 3;
	for (; *text != '\0'; number++) {
		size_t n = strcspn(text, "\n");
		struct piece line = trim((struct piece){text, n});
		const char *equals;

		text += n + (text[n] == '\n');
		if (line.n > 0 && line.p[0] == '*')
			line = trim((struct piece){line.p + 1, line.n - 1});
		if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';')
			continue;
		if (line.p[0] == '[' && line.p[line.n - 1] == ']') {
			inside = same((struct piece){line.p + 1, line.n - 2},
				      section);
			continue;
		}
		equals = memchr(line.p, '=', line.n);
		if (equals == NULL)
			return err_set(e, PS_DATA, "line %u is no INI", number);
		if (inside && same(trim((struct piece){
				       line.p, (size_t)(equals - line.p)}),
				   key))
			return give(
			    unquote(trim((struct piece){
				equals + 1,
				line.n - (size_t)(equals - line.p) - 1})),
			    key, out, size, e);
	}
	return 0;
}
