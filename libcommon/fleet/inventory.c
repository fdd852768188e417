#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/units.h"
#include "fleet/inventory.h"
#include "fleet/sizes.h"

#define MACHINES_MAX 1000000
#define SERVERS_MAX 10000
#define CHURN_MAX (INT64_MAX / MACHINES_MAX) /* sums have 63 bits */

static const char *const states[] = {"healthy", "warning", "critical",
				     "silent"};

const char *server_state_name(enum server_state s)
{
	return states[s];
}

/*
 * libyaml looks back at each open bracket for each new one: some kilobytes of
 * them take it hours. An inventory needs four; comments may have some, too.
 */
#define OPEN_MAX 2000
#define INPUT_MAX ((size_t)1 << 30)

/* Where the bytes come from. */
struct source {
	FILE *in;
	size_t bytes;
	int open; /* brackets and braces, wherever they stand */
};

/* What is being read. */
struct reader {
	yaml_document_t doc;
	const char *name;
	struct err *e;
};

static int wrong(const struct reader *r, const yaml_node_t *at,
		 const char *what)
{
	return err_set(r->e, PS_DATA, "%s:%zu: %s", r->name,
		       at->start_mark.line + 1, what);
}

static yaml_node_t *node(struct reader *r, int id)
{
	return yaml_document_get_node(&r->doc, id);
}

static const char *text_of(const yaml_node_t *n)
{
	const char *text = (const char *)n->data.scalar.value;

	return n->type == YAML_SCALAR_NODE &&
		       strlen(text) == n->data.scalar.length
		   ? text
		   : NULL;
}

static bool count_of(const char *text, uint64_t max, unsigned *ret)
{
	uint64_t n;

	if (!parse_u64(text, max, &n))
		return false;
	*ret = (unsigned)n;
	return true;
}

static bool bool_of(const char *text, bool *ret)
{
	*ret = strcmp(text, "true") == 0 || strcmp(text, "yes") == 0;
	return *ret || strcmp(text, "false") == 0 || strcmp(text, "no") == 0;
}

static bool state_of(const char *text, enum server_state *ret)
{
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(text, states[i]) == 0) {
			*ret = (enum server_state)i;
			return true;
		}
	}
	return false;
}

static bool name_of(const char *text, char ret[NAME_SIZE])
{
	if (!name_ok(text))
		return false;
	snprintf(ret, NAME_SIZE, "%s", text);
	return true;
}

/* false: the value makes no sense; *known: there is such a key. */
static bool server_value(struct server *s, const char *key, const char *value,
			 bool *known)
{
	bool ok = false;

	*known = true;
	if (strcmp(key, "name") == 0)
		ok = name_of(value, s->name);
	else if (strcmp(key, "state") == 0)
		ok = state_of(value, &s->state);
	else if (strcmp(key, "config-server") == 0)
		ok = bool_of(value, &s->config);
	else if (strcmp(key, "cores") == 0)
		ok = count_of(value, 4096, &s->cores) && s->cores > 0;
	else if (strcmp(key, "memory") == 0)
		ok = parse_size(value, &s->memory);
	else if (strcmp(key, "cache") == 0)
		ok = parse_size(value, &s->cache);
	else if (strcmp(key, "max-churn") == 0)
		ok = parse_size(value, &s->churn) && s->churn > 0;
	else if (strcmp(key, "max-machines") == 0)
		ok = count_of(value, MACHINES_MAX, &s->machines) &&
		     s->machines > 0;
	else
		*known = false;
	return ok;
}

static int fit(struct reader *r, const yaml_node_t *at, struct server *s)
{
	uint64_t churn;
	unsigned machines;

	if (s->name[0] == '\0')
		return wrong(r, at, "a server without a name");
	if (s->churn > 0 && s->machines > 0)
		return 0;
	if (s->cores == 0 || s->memory == 0 || s->cache == 0)
		return wrong(r, at,
			     "a server needs cores, memory and cache, or "
			     "max-churn and max-machines");
	(void)sizes_fit(s->config ? sizes_config : sizes_process, s->cores,
			s->memory, s->cache, &churn, &machines);
	if (s->churn == 0)
		s->churn = churn;
	if (s->machines == 0)
		s->machines = machines;
	if (s->churn == 0 || s->machines == 0)
		return wrong(r, at, "this server is too small for anything");
	return 0;
}

/*
 * The words of a pair of a mapping; -PS_DATA when they are none, or the key
 * stands above already. Unknown keys end the reading, so pairs are few.
 */
static int words_of(struct reader *r, const yaml_node_t *map,
		    const yaml_node_pair_t *p, const char **key,
		    const char **value)
{
	const yaml_node_pair_t *q;
	char what[96];

	*key = text_of(node(r, p->key));
	*value = text_of(node(r, p->value));
	if (*key == NULL || *value == NULL)
		return wrong(r, node(r, p->value),
			     "neither a word nor a figure");
	for (q = map->data.mapping.pairs.start; q < p; q++) {
		const char *other = text_of(node(r, q->key));

		if (other == NULL || strcmp(other, *key) != 0)
			continue;
		snprintf(what, sizeof(what), "'%.40s' stands there twice",
			 *key);
		return wrong(r, node(r, p->key), what);
	}
	return 0;
}

static int read_server(struct reader *r, yaml_node_t *n, struct server *s)
{
	char what[160];

	if (n->type != YAML_MAPPING_NODE)
		return wrong(r, n, "a server is a list of 'key: value'");
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start;
	     p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *value = node(r, p->value);
		const char *key, *text;
		bool known = false;
		int rc = words_of(r, n, p, &key, &text);

		if (rc < 0)
			return rc;
		if (server_value(s, key, text, &known))
			continue;
		snprintf(what, sizeof(what),
			 known ? "'%.40s' cannot be '%.60s'"
			       : "a server has no '%.40s'",
			 key, text);
		return wrong(r, value, what);
	}
	return fit(r, n, s);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const char *const *)a), (*(const char *const *)b));
}

/* -1 when no two of these names are the same, else the place of one. */
static int twice(const char **names, size_t n)
{
	if (n > 0)
		qsort(names, n, sizeof(*names), by_name);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			return (int)i;
	}
	return -1;
}

static int find_server(const struct fleet *f, const char *name)
{
	for (size_t i = 0; i < f->nservers; i++) {
		if (strcmp(f->servers[i].name, name) == 0)
			return (int)i;
	}
	return NO_SERVER;
}

/* Machines of one server mostly stand together: *last is tried first. */
static bool machine_value(const struct fleet *f, struct machine *m,
			  const char *key, const char *value, int *last,
			  bool *known)
{
	*known = true;
	if (strcmp(key, "name") == 0)
		return name_of(value, m->name);
	if (strcmp(key, "churn") == 0)
		return parse_size(value, &m->churn) && m->churn <= CHURN_MAX;
	if (strcmp(key, "pinned") == 0)
		return bool_of(value, &m->pinned);
	*known = strcmp(key, "server") == 0;
	if (!*known)
		return false;
	if (value[0] == '\0' || strcmp(value, "null") == 0 ||
	    strcmp(value, "~") == 0)
		return true;
	if (*last == NO_SERVER || strcmp(f->servers[*last].name, value) != 0)
		*last = find_server(f, value);
	m->server = *last;
	return m->server != NO_SERVER;
}

static int read_machine(struct reader *r, const struct fleet *f, yaml_node_t *n,
			struct machine *m, int *last)
{
	char what[160];

	m->server = NO_SERVER;
	if (n->type != YAML_MAPPING_NODE)
		return wrong(r, n, "a machine is a list of 'key: value'");
	for (yaml_node_pair_t *p = n->data.mapping.pairs.start;
	     p < n->data.mapping.pairs.top; p++) {
		yaml_node_t *value = node(r, p->value);
		const char *key, *text;
		bool known = false;
		int rc = words_of(r, n, p, &key, &text);

		if (rc < 0)
			return rc;
		if (machine_value(f, m, key, text, last, &known))
			continue;
		snprintf(what, sizeof(what),
			 !known ? "a machine has no '%.40s'"
			 : strcmp(key, "server") == 0
			     ? "%.40s: there is no '%.60s'"
			     : "'%.40s' cannot be '%.60s'",
			 key, text);
		return wrong(r, value, what);
	}
	if (m->name[0] == '\0')
		return wrong(r, n, "a machine without a name");
	if (m->pinned && m->server == NO_SERVER)
		return wrong(r, n, "a pinned machine needs a server");
	return 0;
}

static int check_names(struct reader *r, const struct fleet *f)
{
	const char **names;
	size_t most = f->nservers > f->nmachines ? f->nservers : f->nmachines;
	int i;

	names = calloc(most + 1, sizeof(*names));
	if (names == NULL)
		return err_sys(r->e, PS_TEMPFAIL, "%s", r->name);
	for (size_t s = 0; s < f->nservers; s++)
		names[s] = f->servers[s].name;
	i = twice(names, f->nservers);
	if (i < 0) {
		for (size_t m = 0; m < f->nmachines; m++)
			names[m] = f->machines[m].name;
		i = twice(names, f->nmachines);
	}
	if (i >= 0)
		err_set(r->e, PS_DATA, "%s: '%s' stands there twice", r->name,
			names[i]);
	free(names);
	return i >= 0 ? -PS_DATA : 0;
}

/* A list below the top: its items; NULL with *n 0 when it is empty or absent.
 */
static int list_of(struct reader *r, yaml_node_t *list, size_t max, size_t size,
		   size_t *n, void **ret)
{
	if (list->type == YAML_SCALAR_NODE && list->data.scalar.length == 0)
		return 0;
	if (list->type != YAML_SEQUENCE_NODE)
		return wrong(r, list, "this has to be a list");
	*n = (size_t)(list->data.sequence.items.top -
		      list->data.sequence.items.start);
	if (*n > max)
		return wrong(r, list, "too many");
	*ret = calloc(*n + 1, size);
	if (*ret == NULL)
		return err_sys(r->e, PS_TEMPFAIL, "%s", r->name);
	return 0;
}

/* The lists `servers` and `machines`; what a plan adds is passed over. */
static int find_lists(struct reader *r, yaml_node_t *root,
		      yaml_node_t **servers, yaml_node_t **machines)
{
	static const char *const passed[] = {"moves", "load"};

	if (root->type != YAML_MAPPING_NODE)
		return wrong(r, root, "this is no inventory");
	for (yaml_node_pair_t *p = root->data.mapping.pairs.start;
	     p < root->data.mapping.pairs.top; p++) {
		const char *key = text_of(node(r, p->key));
		yaml_node_t **list = NULL;
		bool known = false;

		for (size_t i = 0; i < 2 && key != NULL; i++)
			known = known || strcmp(key, passed[i]) == 0;
		if (key != NULL && strcmp(key, "servers") == 0)
			list = servers;
		else if (key != NULL && strcmp(key, "machines") == 0)
			list = machines;
		else if (!known)
			return wrong(r, node(r, p->key),
				     "an inventory has 'servers' and "
				     "'machines', nothing else");
		if (list != NULL && *list != NULL)
			return wrong(r, node(r, p->key),
				     "this list stands there twice");
		if (list != NULL)
			*list = node(r, p->value);
	}
	if (*servers == NULL)
		return wrong(r, root, "there are no 'servers'");
	return 0;
}

static int read_lists(struct reader *r, struct fleet *f)
{
	yaml_node_t *root = yaml_document_get_root_node(&r->doc);
	yaml_node_t *servers = NULL, *machines = NULL;
	int rc, last = NO_SERVER;

	if (root == NULL)
		return err_set(r->e, PS_DATA, "%s: this is empty", r->name);
	rc = find_lists(r, root, &servers, &machines);
	if (rc == 0)
		rc = list_of(r, servers, SERVERS_MAX, sizeof(*f->servers),
			     &f->nservers, (void **)&f->servers);
	for (size_t i = 0; rc == 0 && i < f->nservers; i++)
		rc = read_server(r,
				 node(r, servers->data.sequence.items.start[i]),
				 &f->servers[i]);
	if (rc == 0 && machines != NULL)
		rc = list_of(r, machines, MACHINES_MAX, sizeof(*f->machines),
			     &f->nmachines, (void **)&f->machines);
	for (size_t i = 0; rc == 0 && i < f->nmachines; i++)
		rc = read_machine(
		    r, f, node(r, machines->data.sequence.items.start[i]),
		    &f->machines[i], &last);
	return rc == 0 ? check_names(r, f) : rc;
}

static int read_some(void *ctx, unsigned char *buf, size_t size, size_t *got)
{
	struct source *s = ctx;

	*got = fread(buf, 1, size, s->in);
	s->bytes += *got;
	for (size_t i = 0; i < *got; i++)
		s->open += (buf[i] == '[' || buf[i] == '{') -
			   ((buf[i] == ']' || buf[i] == '}') && s->open > 0);
	return ferror(s->in) == 0 && s->open <= OPEN_MAX &&
	       s->bytes <= INPUT_MAX;
}

static int not_yaml(const yaml_parser_t *p, const struct source *s,
		    const char *name, struct err *e)
{
	if (ferror(s->in))
		return err_sys(e, PS_IOERR, "%s", name);
	if (s->open > OPEN_MAX)
		return err_set(e, PS_DATA, "%s: more than %d open brackets",
			       name, OPEN_MAX);
	if (s->bytes > INPUT_MAX)
		return err_set(e, PS_DATA, "%s: is larger than 1 GiB", name);
	return err_set(e, PS_DATA, "%s:%zu: %s", name, p->problem_mark.line + 1,
		       p->problem != NULL ? p->problem : "not YAML");
}

/* One inventory at a time: a second document would be passed over. */
static int check_end(yaml_parser_t *p, const struct source *s, const char *name,
		     struct err *e)
{
	yaml_document_t more;
	const yaml_node_t *root;
	int rc = 0;

	if (!yaml_parser_load(p, &more))
		return not_yaml(p, s, name, e);
	root = yaml_document_get_root_node(&more);
	if (root != NULL)
		rc = err_set(e, PS_DATA, "%s:%zu: a second inventory", name,
			     root->start_mark.line + 1);
	yaml_document_delete(&more);
	return rc;
}

int fleet_read(struct fleet *ret, FILE *in, const char *name, struct err *e)
{
	struct reader r = {.name = name, .e = e};
	struct source s = {.in = in};
	struct fleet f = {0};
	yaml_parser_t p;
	int rc;

	if (!yaml_parser_initialize(&p))
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	yaml_parser_set_input(&p, read_some, &s);
	if (!yaml_parser_load(&p, &r.doc)) {
		rc = not_yaml(&p, &s, name, e);
		yaml_parser_delete(&p);
		return rc;
	}
	rc = read_lists(&r, &f);
	if (rc == 0)
		rc = check_end(&p, &s, name, e);
	yaml_document_delete(&r.doc);
	yaml_parser_delete(&p);
	if (rc < 0) {
		fleet_free(&f);
		return rc;
	}
	*ret = f;
	return 0;
}

void fleet_free(struct fleet *f)
{
	free(f->servers);
	free(f->machines);
	*f = (struct fleet){0};
}
