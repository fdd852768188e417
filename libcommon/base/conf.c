#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <yaml.h>

#include "base/conf.h"

#define CONF_MAX_BYTES (1024 * 1024)
#define CONF_MAX_DEPTH 8
#define KEY_SIZE 256

struct entry {
	char *key;
	char *value;
	unsigned line;
};

struct conf {
	char *path;
	struct entry *entries;
	size_t n, cap;
	bool begun; /* the one document of the file */
};

static int add(struct conf *c, const char *key, const yaml_event_t *ev,
	       struct err *e)
{
	unsigned line = (unsigned)ev->start_mark.line + 1;
	struct entry *grown;

	if (conf_get(c, key) != NULL)
		return err_set(e, PS_CONFIG, "%s:%u: '%s' stands there twice",
			       c->path, line, key);
	if (c->n == c->cap) {
		c->cap = c->cap == 0 ? 32 : 2 * c->cap;
		grown = realloc(c->entries, c->cap * sizeof(*grown));
		if (grown == NULL)
			return err_sys(e, PS_TEMPFAIL, "%s", c->path);
		c->entries = grown;
	}
	c->entries[c->n].line = line;
	c->entries[c->n].key = strdup(key);
	c->entries[c->n].value = strdup((const char *)ev->data.scalar.value);
	if (c->entries[c->n].key == NULL || c->entries[c->n].value == NULL) {
		free(c->entries[c->n].key);
		free(c->entries[c->n].value);
		return err_sys(e, PS_TEMPFAIL, "%s", c->path);
	}
	c->n++;
	return 0;
}

/* One level of the file: a mapping, a sequence, or the document itself. */
struct level {
	enum { DOCUMENT, MAPPING, SEQUENCE } kind;
	size_t prefix;	/* length of the key up to here */
	unsigned index; /* next number in a sequence */
	bool have_key;	/* in a mapping: the key was read */
};

static int syntax(const struct conf *c, size_t line, const char *what,
		  struct err *e)
{
	return err_set(e, PS_CONFIG, "%s:%zu: %s", c->path, line + 1, what);
}

/* Appends ".part" to the key at the level's prefix. */
static bool extend(char key[KEY_SIZE], const struct level *l, const char *part)
{
	size_t room = KEY_SIZE - l->prefix;
	int n = snprintf(key + l->prefix, room, "%s%s",
			 l->prefix > 0 ? "." : "", part);

	return n > 0 && (size_t)n < room;
}

/* Where a value begins: sets the key for it. */
static int begin_value(struct conf *c, struct level *l, char key[KEY_SIZE],
		       const yaml_event_t *ev, struct err *e)
{
	char num[16];

	if (l->kind == SEQUENCE) {
		snprintf(num, sizeof(num), "%u", l->index++);
		if (!extend(key, l, num))
			return syntax(c, ev->start_mark.line, "key too long",
				      e);
	}
	if (l->kind == MAPPING) {
		if (!l->have_key)
			return syntax(c, ev->start_mark.line,
				      "a key must be plain text", e);
		l->have_key = false;
	}
	return 0;
}

static const char no_anchors[] = "anchors are not supported";

/* Has a mapping or sequence that begins here an anchor? */
static bool anchored(const yaml_event_t *ev)
{
	return ev->type == YAML_MAPPING_START_EVENT
		   ? ev->data.mapping_start.anchor != NULL
		   : ev->data.sequence_start.anchor != NULL;
}

static int scalar(struct conf *c, struct level *l, char key[KEY_SIZE],
		  const yaml_event_t *ev, struct err *e)
{
	const char *text = (const char *)ev->data.scalar.value;
	int rc;

	if (ev->data.scalar.anchor != NULL)
		return syntax(c, ev->start_mark.line, no_anchors, e);
	if (strlen(text) != ev->data.scalar.length)
		return syntax(c, ev->start_mark.line, "NUL in a value", e);
	if (l->kind == MAPPING && !l->have_key) {
		if (*text == '\0' || !extend(key, l, text))
			return syntax(c, ev->start_mark.line, "bad key", e);
		l->have_key = true;
		return 0;
	}
	if (l->kind == DOCUMENT)
		return *text == '\0' ? 0
				     : syntax(c, ev->start_mark.line,
					      "expected 'key: value' lines", e);
	rc = begin_value(c, l, key, ev, e);
	return rc < 0 ? rc : add(c, key, ev, e);
}

static int event(struct conf *c, struct level *levels, unsigned *depth,
		 char key[KEY_SIZE], const yaml_event_t *ev, struct err *e)
{
	struct level *l = &levels[*depth];
	int rc;

	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (c->begun)
			return syntax(c, ev->start_mark.line,
				      "a second document begins", e);
		c->begun = true;
		return 0;
	case YAML_SCALAR_EVENT:
		return scalar(c, l, key, ev, e);
	case YAML_ALIAS_EVENT:
		return syntax(c, ev->start_mark.line,
			      "aliases are not supported", e);
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (anchored(ev))
			return syntax(c, ev->start_mark.line, no_anchors, e);
		rc = begin_value(c, l, key, ev, e);
		if (rc < 0)
			return rc;
		if (*depth + 1 == CONF_MAX_DEPTH)
			return syntax(c, ev->start_mark.line, "nested too deep",
				      e);
		levels[++*depth] = (struct level){
		    .kind = ev->type == YAML_MAPPING_START_EVENT ? MAPPING
								 : SEQUENCE,
		    .prefix = l->kind == DOCUMENT ? 0 : strlen(key)};
		return 0;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		--*depth;
		return 0;
	default:
		return 0;
	}
}

static int parse(struct conf *c, FILE *f, struct err *e)
{
	struct level levels[CONF_MAX_DEPTH] = {{.kind = DOCUMENT}};
	char key[KEY_SIZE] = "";
	unsigned depth = 0;
	yaml_parser_t parser;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return err_set(e, PS_TEMPFAIL, "%s: out of memory", c->path);
	yaml_parser_set_input_file(&parser, f);
	for (bool end = false; rc == 0 && !end;) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&parser, &ev)) {
			rc = syntax(c, parser.problem_mark.line,
				    parser.problem != NULL ? parser.problem
							   : "not YAML",
				    e);
			break;
		}
		rc = event(c, levels, &depth, key, &ev, e);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
	}
	yaml_parser_delete(&parser);
	return rc;
}

int conf_read(struct conf **ret, const char *path, struct err *e)
{
	struct conf *c;
	FILE *f = fopen(path, "re");
	struct stat st;
	int rc;

	if (f == NULL)
		return err_sys(e, 0, "%s", path);
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		c->path = strdup(path);
	if (c == NULL || c->path == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "%s", path);
	else if (fstat(fileno(f), &st) == 0 && S_ISDIR(st.st_mode))
		rc = err_set(e, PS_CONFIG, "%s: a folder, not a file", path);
	else if (fseek(f, 0, SEEK_END) == 0 && ftell(f) > CONF_MAX_BYTES)
		rc = err_set(e, PS_CONFIG, "%s: over 1 MiB", path);
	else {
		rewind(f);
		rc = parse(c, f, e);
	}
	fclose(f);
	if (rc < 0)
		conf_free(c);
	else
		*ret = c;
	return rc;
}

void conf_free(struct conf *c)
{
	size_t i;

	if (c == NULL)
		return;
	for (i = 0; i < c->n; i++) {
		free(c->entries[i].key);
		free(c->entries[i].value);
	}
	free(c->entries);
	free(c->path);
	free(c);
}

static const struct entry *find(const struct conf *c, const char *key)
{
	size_t i;

	for (i = 0; c != NULL && i < c->n; i++)
		if (strcmp(c->entries[i].key, key) == 0)
			return &c->entries[i];
	return NULL;
}

const char *conf_get(const struct conf *c, const char *key)
{
	const struct entry *ent = find(c, key);

	return ent != NULL ? ent->value : NULL;
}

unsigned conf_line(const struct conf *c, const char *key)
{
	const struct entry *ent = find(c, key);

	return ent != NULL ? ent->line : 0;
}

const char *conf_path(const struct conf *c)
{
	return c != NULL ? c->path : NULL;
}

const char *conf_key(const struct conf *c, size_t i)
{
	return c != NULL && i < c->n ? c->entries[i].key : NULL;
}
