/* ps-balance apply: the plan that is read. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ps-balance.h"

struct reading {
	json_t *to; /* machine -> where it goes */
	const char *name;
	plan_fn *fn;
	void *ctx;
};

/* The text of a key; "" when it is not there; NULL: something else is. */
static const char *word_of(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return v == NULL || json_is_null(v) ? "" : json_string_value(v);
}

static int read_move(struct reading *g, const json_t *o, struct err *e)
{
	const char *machine = word_of(o, "machine"), *to = word_of(o, "to"),
		   *from = word_of(o, "from"), *before;

	if (machine == NULL || to == NULL || from == NULL)
		return err_set(e, PS_DATA, "machine, from and to are names");
	if (*machine == '\0' || *to == '\0')
		return err_set(e, PS_DATA,
			       "has no machine, or no server to go to");
	before = word_of(g->to, machine);
	if (*before != '\0' && strcmp(before, to) != 0)
		return err_set(e, PS_DATA,
			       "machine '%s' goes to %s, and to %s, too",
			       machine, before, to);
	if (json_object_set_new(g->to, machine, json_string(to)) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory");
	return g->fn(g->ctx, machine, from, to, e);
}

static int read_moves(struct reading *g, const json_t *moves, struct err *e)
{
	size_t i;
	int rc = 0;

	if (!json_is_array(moves))
		return err_set(e, PS_DATA,
			       "%s: is no plan: it has no list 'moves'",
			       g->name);
	for (i = 0; i < json_array_size(moves) && rc == 0; i++) {
		rc = read_move(g, json_array_get(moves, i), e);
		if (rc < 0)
			err_prefix(e, "%s: move %zu", g->name, i + 1);
	}
	return rc;
}

int plan_read(const char *path, plan_fn *fn, void *ctx, struct err *e)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdin : fopen(path, "re");
	struct reading g = {NULL, standard ? "standard input" : path, fn, ctx};
	json_error_t why;
	json_t *plan;
	int rc;

	if (f == NULL)
		return err_sys(e, errno == ENOENT ? PS_NOINPUT : 0, "%s", path);
	plan = json_loadf(f, 0, &why);
	rc = ferror(f) ? err_sys(e, PS_IOERR, "%s", g.name) : 0;
	if (!standard)
		(void)fclose(f);
	if (rc == 0 && plan == NULL) {
		rc = err_set(e, PS_DATA, "%s:%d: %s", g.name, why.line,
			     why.text);
		err_hint(e, "make it with: ps-balance plan --json");
	}
	g.to = json_object();
	if (rc == 0)
		rc = read_moves(&g, json_object_get(plan, "moves"), e);
	json_decref(g.to);
	json_decref(plan);
	return rc;
}
