#include "config.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/secret.h"
#include "doctor/redact.h"
#include "doctor/steps.h"
#include "vault/settings.h"

#define SECRET_MIN 6
#define FILE_MAX (256u * 1024)
/* Base64 of 64 bytes: the key of an Azure storage account. */
#define ACCOUNT_KEY_LEN 86

extern char **environ;

/* ---- what is known ---- */

int redact_add(struct redact *r, const char *secret, struct err *e)
{
	char **more, *copy;
	size_t i;

	if (secret == NULL || strlen(secret) < SECRET_MIN)
		return 0;
	for (i = 0; i < r->n; i++)
		if (strcmp(r->secrets[i], secret) == 0)
			return 0;
	more = realloc(r->secrets, (r->n + 1) * sizeof(*more));
	copy = strdup(secret);
	if (more != NULL)
		r->secrets = more;
	if (more == NULL || copy == NULL) {
		free(copy);
		return err_sys(e, PS_TEMPFAIL, "bundle");
	}
	r->secrets[r->n++] = copy;
	return 0;
}

static bool has(const char *name, const char *word)
{
	return strcasestr(name, word) != NULL;
}

/* Names whose values help and are no secrets. */
static bool harmless_name(const char *name)
{
	return !has(name, "key") && !has(name, "secret") &&
	       !has(name, "token") && !has(name, "string") &&
	       !has(name, "pass");
}

/* A line of a secret file. */
static int add_line(struct redact *r, char *line, struct err *e)
{
	char *value, *word;
	int rc = 0;

	secret_trim(line);
	if (*line == '\0' || *line == '#' || strncmp(line, "-----", 5) == 0)
		return 0;
	if (strncmp(line, "export ", 7) == 0)
		line += 7;
	value = strchr(line, '=');
	if (value != NULL && value > line && isupper((unsigned char)*line) &&
	    value[1] != '\0' &&
	    strspn(line, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") ==
		(size_t)(value - line)) {
		*value++ = '\0';
		if (harmless_name(line))
			return 0;
		value += *value == '"' || *value == '\'';
		value[strcspn(value, "\"'")] = '\0';
		return redact_add(r, value, e);
	}
	rc = redact_add(r, line, e);
	/* USER:PASSWORD, and lines of several words. */
	word = strchr(line, ':');
	if (rc == 0 && word != NULL)
		rc = redact_add(r, word + 1, e);
	while (rc == 0 && (word = strsep(&line, " \t")) != NULL)
		if (strlen(word) >= 16)
			rc = redact_add(r, word, e);
	return rc;
}

int redact_add_file(struct redact *r, const char *path, struct err *e)
{
	size_t n = 0;
	char *text = path != NULL ? doctor_read(path, FILE_MAX, &n) : NULL;
	char *rest = text, *line;
	int rc = 0;

	while (rc == 0 && rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		rc = add_line(r, line, e);
	if (text != NULL)
		secret_wipe(text, n);
	free(text);
	return rc;
}

int redact_add_environment(struct redact *r, struct err *e)
{
	char **it, name[128];
	int rc = 0;

	for (it = environ; rc == 0 && it != NULL && *it != NULL; it++) {
		const char *value = strchr(*it, '=');

		if (value == NULL || (size_t)(value - *it) >= sizeof(name))
			continue;
		memcpy(name, *it, (size_t)(value - *it));
		name[value - *it] = '\0';
		if (!harmless_name(name) && value[1] != '/')
			rc = redact_add(r, value + 1, e);
	}
	return rc;
}

/* Keys that name a secret file, or (wrongly) hold the secret itself. */
static int add_conf(struct redact *r, const struct conf *c, struct err *e)
{
	static const char *const words[] = {"key",  "pass",   "credential",
					    "auth", "secret", "token"};
	const char *key;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && (key = conf_key(c, i)) != NULL; i++) {
		const char *last = strrchr(key, '.'), *value;
		unsigned k;

		for (k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			if (strstr(last != NULL ? last : key, words[k]) != NULL)
				break;
		if (k == sizeof(words) / sizeof(words[0]))
			continue;
		value = conf_get(c, key);
		if (access(value, F_OK) == 0)
			rc = redact_add_file(r, value, e);
		else if (value[0] != '/')
			rc = redact_add(r, value, e);
	}
	return rc;
}

int redact_add_all(struct redact *r, const struct doctor *d, struct err *e)
{
	int rc = redact_add_environment(r, e);

	if (rc == 0)
		rc = add_conf(r, d->conf, e);
	if (rc == 0 && d->agent != NULL)
		rc = add_conf(r, d->agent->file, e);
	if (rc == 0)
		rc = redact_add_file(r, d->passphrase, e);
	if (rc == 0)
		rc = redact_add_file(r, store_settings.credentials, e);
	if (rc == 0)
		rc = redact_add_file(r, store_settings.proxy_auth, e);
	return rc;
}

void redact_free(struct redact *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		secret_wipe(r->secrets[i], strlen(r->secrets[i]));
		free(r->secrets[i]);
	}
	free(r->secrets);
	*r = (struct redact){0};
}

/* ---- a text that grows ---- */

struct out {
	char *buf;
	size_t n, cap;
	bool failed;
};

static void put(struct out *o, const char *text, size_t n)
{
	if (o->failed)
		return;
	if (o->buf == NULL || o->n + n + 1 > o->cap) {
		size_t cap = 2 * (o->n + n) + 1024;
		char *more = realloc(o->buf, cap);

		if (more == NULL) {
			o->failed = true;
			return;
		}
		o->buf = more;
		o->cap = cap;
	}
	memcpy(o->buf + o->n, text, n);
	o->n += n;
	o->buf[o->n] = '\0';
}

static void put_removed(struct out *o)
{
	put(o, REDACTED, strlen(REDACTED));
}

/* ---- what looks like a secret: a line at a time ---- */

/* A piece of the line that goes. */
struct cut {
	size_t from, to;
};

#define CUTS_MAX 64

struct cuts {
	struct cut items[CUTS_MAX];
	unsigned n;
	bool all; /* more than that: the whole line goes */
};

static void cut(struct cuts *c, size_t from, size_t to)
{
	if (from >= to)
		return;
	if (c->n == CUTS_MAX)
		c->all = true;
	else
		c->items[c->n++] = (struct cut){from, to};
}

/* "://USER:PASSWORD@": all between. */
static void cut_urls(struct cuts *c, const char *line)
{
	const char *at = line;

	while ((at = strstr(at, "://")) != NULL) {
		size_t n = strcspn(at + 3, "/ \t\"'<>"), k;

		for (k = n; k > 0 && at[3 + k - 1] != '@'; k--)
			;
		if (k > 1)
			cut(c, (size_t)(at + 3 - line),
			    (size_t)(at + 3 - line) + k - 1);
		at += 3;
	}
}

/* "Authorization: ..." and its like: to the end of the line or the string. */
static void cut_fields(struct cuts *c, const char *line)
{
	static const char *const words[] = {"authorization", "cookie",
					    "x-amz-security-token"};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = line;

		while ((at = strcasestr(at, words[i])) != NULL) {
			at += strlen(words[i]);
			at += strspn(at, "\"' \t");
			if (*at != ':' && *at != '=')
				continue;
			at += 1 + strspn(at + 1, "\"' \t");
			cut(c, (size_t)(at - line),
			    (size_t)(at - line) + strcspn(at, "\"'"));
		}
	}
}

/* A word of so many characters behind the name of a scheme. */
static void cut_schemes(struct cuts *c, const char *line)
{
	static const char *const words[] = {"bearer ", "sharedkey ", "basic "};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = line;

		while ((at = strcasestr(at, words[i])) != NULL) {
			size_t n;

			at += strlen(words[i]);
			n = strcspn(at, "\"' \t,;");
			if (n >= 12)
				cut(c, (size_t)(at - line),
				    (size_t)(at - line) + n);
		}
	}
}

/* Is the value a path of something that is there? */
static bool is_path(const char *value, size_t n)
{
	char path[1024];

	if (value[0] != '/' || n >= sizeof(path))
		return false;
	memcpy(path, value, n);
	path[n] = '\0';
	return access(path, F_OK) == 0;
}

static bool plain_word(const char *value, size_t n)
{
	static const char *const words[] = {"yes",  "no",   "true", "false",
					    "null", "none", "auto", "manual"};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i]) == n &&
		    strncasecmp(value, words[i], n) == 0)
			return true;
	return strspn(value, "0123456789") >= n;
}

/* "server.key: others can read it": a file, and what is said of it. */
static bool is_file_name(const char *line, const char *name, const char *value,
			 size_t n)
{
	size_t i = 0;

	while (i < n && isalpha((unsigned char)value[i]))
		i++;
	return name > line && name[-1] == '.' && i == n;
}

/* A name that says so, then ':' or '=', then the value. */
static void cut_values(struct cuts *c, const char *line)
{
	static const char *const words[] = {
	    "password", "passwd",     "passphrase",	  "secret",
	    "token",	"sig",	      "signature",	  "accountkey",
	    "key",	"credential", "connectionstring", "connection_string",
	    "api_key",	"apikey",     "accesskey",	  "pwd"};
	unsigned i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *at = line;

		while ((at = strcasestr(at, words[i])) != NULL) {
			const char *v = at + strlen(words[i]);
			/* "key" by itself in JSON names an alert. */
			bool plain = at > line && at[-1] == '"' &&
				     strcmp(words[i], "key") == 0;
			const char *name = at;
			bool middle = at > line &&
				      isalpha((unsigned char)at[-1]) &&
				      strlen(words[i]) == 3;
			size_t n;

			at = v;
			/* "monkey:", "design=": no. */
			if (middle || plain)
				continue;
			v += strspn(v, "\"'");
			v += strspn(v, " \t");
			if (*v != ':' && *v != '=')
				continue;
			v++;
			v += strspn(v, " \t");
			v += strspn(v, "\"'");
			n = strcspn(v, "\"';,&} \t");
			/* The whole string, of its many parts. */
			if (strncmp(words[i], "connection", 10) == 0)
				n = strcspn(v, "\"' \t");
			if (!is_path(v, n) && !plain_word(v, n) &&
			    !is_file_name(line, name, v, n))
				cut(c, (size_t)(v - line),
				    (size_t)(v - line) + n);
		}
	}
}

/* Long runs of base64 with "==" behind: keys of storage accounts; JWTs. */
static void cut_shapes(struct cuts *c, const char *line)
{
	static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	const char *at = line;

	while (*at != '\0') {
		size_t n = strspn(at, base64), from = (size_t)(at - line), w;

		if (n >= ACCOUNT_KEY_LEN && at[n] == '=')
			cut(c, from, from + n + strspn(at + n, "="));
		w = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
			       "uvwxyz0123456789-_.");
		if (strncmp(at, "eyJ", 3) == 0 && w > 40)
			cut(c, from, from + w);
		n = n > w ? n : w;
		at += n > 0 ? n : 1;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static void put_line(struct out *o, const char *line, size_t n)
{
	struct cuts c = {.n = 0};
	size_t at = 0;
	unsigned i;

	cut_urls(&c, line);
	cut_fields(&c, line);
	cut_schemes(&c, line);
	cut_values(&c, line);
	cut_shapes(&c, line);
	if (c.all) {
		put_removed(o);
		return;
	}
	qsort(c.items, c.n, sizeof(c.items[0]), by_place);
	for (i = 0; i < c.n; i++) {
		if (c.items[i].to <= at)
			continue;
		if (c.items[i].from >= at) {
			put(o, line + at, c.items[i].from - at);
			put_removed(o);
		}
		at = c.items[i].to;
	}
	put(o, line + at, n - at);
}

/* ---- all of it ---- */

static void remove_known(const char *secret, char *text, size_t *n,
			 struct out *o)
{
	size_t len = strlen(secret);
	const char *at = text, *hit;

	while ((hit = memmem(at, *n - (size_t)(at - text), secret, len)) !=
	       NULL) {
		put(o, at, (size_t)(hit - at));
		put_removed(o);
		at = hit + len;
	}
	put(o, at, *n - (size_t)(at - text));
}

/* Known secrets first: they may hold what ends a value. */
static char *without_known(const struct redact *r, const char *text, size_t n,
			   size_t *ret_n)
{
	char *now = malloc(n + 1);
	size_t i, k;

	if (now == NULL)
		return NULL;
	/* A NUL would hide what is behind it. */
	memcpy(now, text, n);
	for (k = 0; k < n; k++)
		if (now[k] == '\0')
			now[k] = ' ';
	now[n] = '\0';
	for (i = 0; i < r->n; i++) {
		struct out o = {0};

		if (memmem(now, n, r->secrets[i], strlen(r->secrets[i])) ==
		    NULL)
			continue;
		remove_known(r->secrets[i], now, &n, &o);
		secret_wipe(now, n);
		free(now);
		if (o.failed) {
			free(o.buf);
			return NULL;
		}
		now = o.buf;
		n = o.n;
	}
	*ret_n = n;
	return now;
}

char *redact_text(const struct redact *r, const char *text, size_t n,
		  size_t *ret_n)
{
	char *now = without_known(r, text, n, &n), *line, *rest = now;
	struct out o = {0};
	bool key = false, first = true;

	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL) {
		bool begins = strstr(line, "-----BEGIN ") != NULL &&
			      strstr(line, "PRIVATE KEY") != NULL;

		if (!first)
			put(&o, "\n", 1);
		first = false;
		if (begins)
			key = true;
		if (key)
			put_removed(&o);
		else
			put_line(&o, line, strlen(line));
		if (strstr(line, "-----END ") != NULL)
			key = false;
	}
	put(&o, "", 0);
	free(now);
	if (now == NULL || o.failed) {
		free(o.buf);
		return NULL;
	}
	*ret_n = o.n;
	return o.buf;
}
