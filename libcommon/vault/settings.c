#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "vault/settings.h"

#define FILE_MAX 16384u

struct store_settings store_settings;

/* What was read once: it is no longer in the environment. */
struct known {
	struct known *next;
	char *name, *value; /* NULL: looked for, and not there */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct known *all;
static bool file_read;

static const struct known *find(const char *name)
{
	const struct known *k;

	for (k = all; k != NULL; k = k->next)
		if (strcmp(k->name, name) == 0)
			break;
	return k;
}

/* Takes the value over. */
static int note(const char *name, char *value, struct err *e)
{
	struct known *k = calloc(1, sizeof(*k));

	if (k != NULL)
		k->name = strdup(name);
	if (k == NULL || k->name == NULL) {
		free(k);
		free(value);
		return err_sys(e, PS_TEMPFAIL, "credentials");
	}
	k->value = value;
	k->next = all;
	all = k;
	return 0;
}

/* "NAME=VALUE", also "export NAME='VALUE'" as for a shell. */
static int take_line(char *line, unsigned number, struct err *e)
{
	char *value, *copy;
	size_t n;

	line += strspn(line, " \t");
	secret_trim(line);
	if (*line == '\0' || *line == '#')
		return 0;
	if (strncmp(line, "export ", 7) == 0)
		line += 7;
	value = strchr(line, '=');
	if (value == NULL || value == line)
		return err_set(e, PS_CONFIG, "%s: line %u is not NAME=VALUE",
			       store_settings.credentials, number);
	*value++ = '\0';
	n = strlen(value);
	if (n >= 2 && (*value == '"' || *value == '\'') &&
	    value[n - 1] == *value) {
		value[n - 1] = '\0';
		value++;
	}
	copy = strdup(value);
	if (copy == NULL)
		return err_sys(e, PS_TEMPFAIL, "credentials");
	return note(line, copy, e);
}

static int read_file(struct err *e)
{
	char text[FILE_MAX];
	char *line = text;
	unsigned number = 1;
	size_t n;
	int rc;

	rc = secret_read(store_settings.credentials, text, sizeof(text), &n, e);
	if (rc < 0)
		return rc;
	while (rc == 0 && *line != '\0') {
		char *end = line + strcspn(line, "\n");
		bool last = *end == '\0';

		*end = '\0';
		rc = take_line(line, number++, e);
		line = last ? end : end + 1;
	}
	secret_wipe(text, sizeof(text));
	return rc;
}

static int look_up(const char *name, const char **ret, struct err *e)
{
	const struct known *k;
	int rc = 0;

	if (store_settings.credentials != NULL && !file_read) {
		rc = read_file(e);
		file_read = rc == 0;
	}
	k = rc == 0 ? find(name) : NULL;
	if (rc == 0 && k == NULL) {
		rc = note(name, secret_from_env(name), e);
		k = rc == 0 ? find(name) : NULL;
	}
	if (k != NULL)
		*ret = k->value != NULL && *k->value != '\0' ? k->value : NULL;
	return rc;
}

int store_credential(const char *name, const char **ret, struct err *e)
{
	int rc;

	secret_harden_process();
	pthread_mutex_lock(&lock);
	rc = look_up(name, ret, e);
	pthread_mutex_unlock(&lock);
	return rc;
}

int store_web(struct web **ret, struct err *e)
{
	const struct store_settings *s = &store_settings;
	struct web_config c = {.proxy = s->proxy,
			       .proxy_auth = s->proxy_auth,
			       .ca_file = s->ca_file,
			       .retry_for = s->retry_for,
			       .watch = s->watch,
			       .watch_ctx = s->watch_ctx};
	int rc = web_open(ret, &c, e);

	if (rc == 0)
		web_limit(*ret, s->rate);
	return rc;
}
