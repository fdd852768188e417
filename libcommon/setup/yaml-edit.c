#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/io.h"
#include "setup/install.h"
#include "setup/yaml-edit.h"

static size_t line_length(const char *line)
{
	size_t n = strcspn(line, "\n");

	return n + (line[n] == '\n');
}

/* "KEY:" behind `indent` blanks. */
static bool is_key(const char *line, size_t indent, const char *key)
{
	size_t n = strlen(key);

	return strspn(line, " ") == indent &&
	       strncmp(line + indent, key, n) == 0 && line[indent + n] == ':';
}

/* Does the block go on in this line? */
static bool is_inside(const char *line)
{
	return *line == ' ' || *line == '\n' || *line == '#';
}

static void put(FILE *f, size_t indent, const char *key, const char *value)
{
	fprintf(f, "%*s", (int)indent, "");
	yaml_line(f, key, value, "");
}

/* Copies the block that begins behind `at`; where it ends. */
static const char *copy_block(FILE *f, const char *at, const char *key,
			      const char *value)
{
	size_t indent = 0;
	bool done = false;

	for (; *at != '\0' && is_inside(at); at += line_length(at)) {
		if (indent == 0 && *at == ' ' && at[strspn(at, " ")] != '#' &&
		    at[strspn(at, " ")] != '\n') {
			const char *next = at + line_length(at);

			indent = strspn(at, " ");
			/* A key that is new stands first. */
			while (*next != '\0' && is_inside(next) &&
			       !is_key(next, indent, key))
				next += line_length(next);
			if (!is_key(at, indent, key) &&
			    !is_key(next, indent, key)) {
				put(f, indent, key, value);
				done = true;
			}
		}
		if (!done && indent > 0 && is_key(at, indent, key)) {
			put(f, indent, key, value);
			done = true;
		} else {
			fwrite(at, 1, line_length(at), f);
		}
	}
	return at;
}

static char *edited(const char *text, const char *block, const char *key,
		    const char *value)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);
	bool found = false;
	const char *at = text;

	if (f == NULL)
		return NULL;
	while (*at != '\0') {
		bool here = is_key(at, 0, block) && !found;

		fwrite(at, 1, line_length(at), f);
		at += line_length(at);
		if (here)
			at = copy_block(f, at, key, value);
		found |= here;
	}
	if (at > text && at[-1] != '\n')
		fputc('\n', f);
	if (!found) {
		fprintf(f, "%s:\n", block);
		put(f, 2, key, value);
	}
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

/* Is it YAML that has the value now? */
static bool has_value(const char *text, const char *block, const char *key,
		      const char *value)
{
	char path[64], name[128];
	struct conf *conf = NULL;
	const char *now = NULL;
	struct err e = {0};
	int fd = memfd_create("yaml", MFD_CLOEXEC);
	bool has;

	if (fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	snprintf(name, sizeof(name), "%s.%s", block, key);
	if (io_write_full(fd, text, strlen(text)) == 0 &&
	    conf_read(&conf, path, &e) == 0)
		now = conf_get(conf, name);
	has = now != NULL && strcmp(now, value) == 0;
	conf_free(conf);
	close(fd);
	return has;
}

int yaml_edit(const char *text, const char *block, const char *key,
	      const char *value, char **ret, struct err *e)
{
	int rc;

	*ret = edited(text, block, key, value);
	if (*ret == NULL)
		return err_sys(e, PS_TEMPFAIL, "ps.yaml");
	if (has_value(*ret, block, key, value))
		return 0;
	free(*ret);
	*ret = NULL;
	rc = err_set(e, PS_CONFIG, "ps.yaml: %s.%s cannot be changed by itself",
		     block, key);
	err_hint(e, "write it into the file as %s.%s: %s", block, key, value);
	return rc;
}

int yaml_set(char **text, const char *block, const char *key, const char *value,
	     struct err *e)
{
	char *now = NULL;
	int rc = yaml_edit(*text, block, key, value, &now, e);

	if (rc < 0)
		return rc;
	free(*text);
	*text = now;
	return 0;
}
