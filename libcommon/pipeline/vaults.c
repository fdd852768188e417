#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/hours.h"
#include "base/rate.h"
#include "base/units.h"
#include "pipeline/vaults.h"

#define PREFIX "vaults."

/* ---- the entries of ps.yaml ---- */

/* Keys of an entry, and where their text goes. */
static const struct {
	const char *name;
	size_t offset;
} keys[] = {
    {"name", offsetof(struct plan_vault, name)},
    {"url", offsetof(struct plan_vault, url)},
    {"endpoint", offsetof(struct plan_vault, endpoint)},
    {"credentials", offsetof(struct plan_vault, credentials)},
    {"ca-file", offsetof(struct plan_vault, ca_file)},
    {"retry-for", offsetof(struct plan_vault, retry_for)},
    {"proxy", offsetof(struct plan_vault, proxy)},
    {"proxy-auth", offsetof(struct plan_vault, proxy_auth)},
    {"jobs", offsetof(struct plan_vault, jobs)},
    {"limit-rate", offsetof(struct plan_vault, limit_rate)},
    {"schedule", offsetof(struct plan_vault, schedule)},
};

static int wrong(const struct conf *c, const char *key, struct err *e,
		 const char *what)
{
	return err_set(e, PS_CONFIG, "%s:%u: %s: %s", conf_path(c),
		       conf_line(c, key), key, what);
}

/* "vaults.2.url": the number and the name of the key; false: another key. */
static bool split(const char *key, unsigned *number, const char **name)
{
	const char *dot;
	uint64_t v;
	char text[8];

	if (strncmp(key, PREFIX, strlen(PREFIX)) != 0)
		return false;
	key += strlen(PREFIX);
	dot = strchr(key, '.');
	if (dot == NULL || dot - key >= (long)sizeof(text))
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(dot - key), key);
	if (!parse_u64(text, VAULTS_MAX, &v))
		return false;
	*number = (unsigned)v;
	*name = dot + 1;
	return true;
}

static int take_key(struct vaults *v, const struct conf *c, const char *key,
		    struct err *e)
{
	const char *name, *value = conf_get(c, key);
	unsigned number;
	uint64_t rate;
	size_t i = 0;

	if (!split(key, &number, &name))
		return wrong(c, key, e, "expected a list of mappings");
	if (number >= VAULTS_MAX)
		return wrong(c, key, e, "too many vaults");
	while (i < sizeof(keys) / sizeof(*keys) &&
	       strcmp(keys[i].name, name) != 0)
		i++;
	if (i == sizeof(keys) / sizeof(*keys))
		return wrong(c, key, e, "no such key");
	if (*value == '\0')
		return wrong(c, key, e, "empty");
	if (strcmp(name, "name") == 0 && !name_ok(value))
		return wrong(c, key, e, "not a name");
	if (strcmp(name, "limit-rate") == 0 && !parse_rate(value, &rate))
		return wrong(c, key, e, "not a rate");
	if (strcmp(name, "schedule") == 0) {
		struct hours h;
		struct err why = {0};

		if (hours_parse(&h, value, &why) < 0)
			return wrong(c, key, e, why.msg);
	}
	memcpy((char *)&v->list[number] + keys[i].offset, &value,
	       sizeof(value));
	if (number >= v->n)
		v->n = number + 1;
	return 0;
}

static bool is_twice(const struct vaults *v, unsigned i)
{
	unsigned k;

	for (k = 0; k < i; k++)
		if (strcmp(v->list[k].name, v->list[i].name) == 0)
			return true;
	return false;
}

int vaults_from_conf(struct vaults *ret, const struct conf *c, struct err *e)
{
	const char *key;
	unsigned i;
	size_t k;
	int rc = 0;

	*ret = (struct vaults){0};
	for (k = 0; rc == 0 && (key = conf_key(c, k)) != NULL; k++)
		if (strcmp(key, "vaults") == 0 ||
		    strncmp(key, PREFIX, strlen(PREFIX)) == 0)
			rc = take_key(ret, c, key, e);
	for (i = 0; i < ret->n && rc == 0; i++) {
		struct plan_vault *v = &ret->list[i];

		v->listed = true;
		if (v->name == NULL || v->url == NULL)
			rc = err_set(e, PS_CONFIG,
				     "%s: vault %u of the list has no %s",
				     conf_path(c), i + 1,
				     v->name == NULL ? "name" : "url");
		else if (is_twice(ret, i))
			rc = err_set(e, PS_CONFIG,
				     "%s: two vaults have the name %s",
				     conf_path(c), v->name);
	}
	return rc;
}

bool vaults_key(const struct conf *c, const char *name, char *out, size_t size)
{
	char key[64];
	unsigned i;

	for (i = 0; i < VAULTS_MAX; i++) {
		const char *value;

		snprintf(key, sizeof(key), PREFIX "%u.name", i);
		value = conf_get(c, key);
		if (value != NULL && strcmp(value, name) == 0) {
			snprintf(out, size, PREFIX "%u", i);
			return true;
		}
	}
	return false;
}

/* ---- the command line ---- */

int vaults_add(struct vaults *v, const char *text, struct err *e)
{
	struct plan_vault *to = &v->list[v->n];
	const char *equals = strchr(text, '=');
	char *name = v->names[v->n];

	if (v->n == VAULTS_MAX)
		return err_set(e, PS_USAGE, "more than %d vaults", VAULTS_MAX);
	snprintf(name, NAME_SIZE, PLAN_DEFAULT);
	if (equals != NULL && equals - text < NAME_SIZE) {
		char word[NAME_SIZE];

		snprintf(word, sizeof(word), "%.*s", (int)(equals - text),
			 text);
		if (name_ok(word)) {
			memcpy(name, word, NAME_SIZE);
			text = equals + 1;
		}
	}
	if (*text == '\0')
		return err_set(e, PS_USAGE, "the vault '%s' has no URL", name);
	*to = (struct plan_vault){.name = name, .url = text};
	if (is_twice(v, v->n))
		return err_set(e, PS_USAGE,
			       "two vaults have the name '%s': say "
			       "--vault NAME=URL",
			       name);
	v->n++;
	return 0;
}

/* ---- what has changed ---- */

static bool is_rate(const char *key)
{
	const char *name;
	unsigned number;

	if (strcmp(key, "upload.limit-rate") == 0 ||
	    strcmp(key, "upload.schedule") == 0)
		return true;
	return split(key, &number, &name) && (strcmp(name, "limit-rate") == 0 ||
					      strcmp(name, "schedule") == 0);
}

/* Keys of `a` that `b` has not, or with another value. */
static enum vaults_change differ(const struct conf *a, const struct conf *b)
{
	enum vaults_change change = VAULTS_SAME;
	const char *key, *value;
	size_t i;

	for (i = 0; (key = conf_key(a, i)) != NULL; i++) {
		value = conf_get(b, key);
		if (value != NULL && strcmp(value, conf_get(a, key)) == 0)
			continue;
		if (!is_rate(key))
			return VAULTS_OTHER;
		change = VAULTS_RATES;
	}
	return change;
}

enum vaults_change vaults_compare(const struct conf *a, const struct conf *b)
{
	enum vaults_change x = differ(a, b), y = differ(b, a);

	return x > y ? x : y;
}
