#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/durable.h"
#include "base/ini.h"
#include "base/secret.h"
#include "base/units.h"
#include "setup/files.h"

#define FILE_SIZE 65536
#define EXPIRES_S (90 * 86400)
#define TEMPLATE_URL "azblob://ACCOUNT/CONTAINER"

/* ---- INI ---- */

/* Reads a secret file that has to have this section and these keys only. */
static int read_ini(char *text, const char *path, const char *section,
		    const char *const *keys, struct fault *f)
{
	size_t n;
	int rc = secret_read(path, text, FILE_SIZE, &n, &f->err);

	if (rc == 0 && strlen(text) != n)
		rc = err_set(&f->err, PS_DATA, "%s: it is no text", path);
	else if (rc == 0 &&
		 (rc = ini_check(text, section, keys, &f->line, &f->err)) < 0)
		(void)err_prefix(&f->err, "%s", path);
	return rc;
}

static int value_of(const char *text, const char *path, const char *section,
		    const char *key, char out[SECRET_TEXT], struct err *e)
{
	int rc = ini_get(text, section, key, out, SECRET_TEXT, e);

	if (rc < 0)
		return err_prefix(e, "%s", path);
	if (rc == 0)
		out[0] = '\0';
	return 0;
}

static int need(const char *value, const char *path, const char *key,
		struct err *e)
{
	if (*value != '\0')
		return 0;
	return err_set(e, PS_DATA, "%s: %s is missing or empty", path, key);
}

int mysql_creds_read(struct mysql_creds *ret, const char *path, struct fault *f)
{
	static const char section[] = "MySQLCredentials";
	static const char *const keys[] = {"MySQLRootPassword",
					   "MySQLUserPassword", NULL};
	char text[FILE_SIZE];
	int rc = read_ini(text, path, section, keys, f);

	if (rc == 0)
		rc = value_of(text, path, section, keys[0], ret->root, &f->err);
	if (rc == 0)
		rc = value_of(text, path, section, keys[1], ret->user, &f->err);
	if (rc == 0)
		rc = need(ret->root, path, keys[0], &f->err);
	if (rc == 0)
		rc = need(ret->user, path, keys[1], &f->err);
	secret_wipe(text, sizeof(text));
	return rc < 0 ? fault_note(f, "mysql-credentials",
				   "mysql-creds-file-path", path)
		      : 0;
}

/* ---- proxy ---- */

static const char *const proxy_keys[] = {"ProxyAuthentication", "ProxyIP",
					 "ProxyPort",		"ProxyUserName",
					 "ProxyPassword",	NULL};

static int parse_host(char host[SECRET_TEXT], const char *path, struct err *e)
{
	size_t n;

	if (strncasecmp(host, "http://", 7) == 0)
		memmove(host, host + 7, strlen(host + 7) + 1);
	n = strlen(host);
	if (n > 0 && host[n - 1] == '/')
		host[n - 1] = '\0';
	if (*host == '\0' ||
	    host[strspn(host, "abcdefghijklmnopqrstuvwxyz"
			      "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")] !=
		'\0')
		return err_set(e, PS_DATA,
			       "%s: ProxyIP: '%s' is neither a name nor an "
			       "IPv4 address",
			       path, host);
	return 0;
}

static int parse_proxy(struct proxy_settings *p, char v[5][SECRET_TEXT],
		       const char *path, struct err *e)
{
	uint64_t port;

	p->auth = strcasecmp(v[0], "yes") == 0;
	if (!p->auth && strcasecmp(v[0], "no") != 0)
		return err_set(e, PS_DATA,
			       "%s: ProxyAuthentication is neither Yes nor No",
			       path);
	if (!parse_u64(v[2], 65535, &port) || port == 0)
		return err_set(e, PS_DATA, "%s: ProxyPort: '%s' is no port",
			       path, v[2]);
	p->port = (unsigned)port;
	memcpy(p->host, v[1], SECRET_TEXT);
	/* The documented file has both lines in any case. */
	if (p->auth) {
		memcpy(p->user, v[3], SECRET_TEXT);
		memcpy(p->password, v[4], SECRET_TEXT);
	}
	if (p->auth && (*p->user == '\0' || *p->password == '\0'))
		return err_set(
		    e, PS_DATA,
		    "%s: ProxyAuthentication is Yes, but %s is "
		    "missing or empty",
		    path, *p->user == '\0' ? "ProxyUserName" : "ProxyPassword");
	if (strchr(p->user, ':') != NULL)
		return err_set(e, PS_DATA,
			       "%s: ProxyUserName: a name with ':' cannot be "
			       "sent (RFC 7617)",
			       path);
	return parse_host(p->host, path, e);
}

int proxy_settings_read(struct proxy_settings *ret, const char *path,
			struct fault *f)
{
	static const char section[] = "ProxySettings";
	char text[FILE_SIZE], values[5][SECRET_TEXT];
	int rc = read_ini(text, path, section, proxy_keys, f);
	unsigned i;

	*ret = (struct proxy_settings){0};
	for (i = 0; rc == 0 && i < 5; i++)
		rc = value_of(text, path, section, proxy_keys[i], values[i],
			      &f->err);
	for (i = 0; rc == 0 && i < 3; i++)
		rc = need(values[i], path, proxy_keys[i], &f->err);
	if (rc == 0)
		rc = parse_proxy(ret, values, path, &f->err);
	secret_wipe(text, sizeof(text));
	secret_wipe(values, sizeof(values));
	return rc < 0 ? fault_note(f, "proxy-settings",
				   "proxy-settings-file-path", path)
		      : 0;
}

/* "host:3128/" into its parts. */
static bool parse_place(struct proxy_settings *p, const char *text)
{
	size_t n = strcspn(text, ":/");
	char port[8];
	uint64_t number;

	if (n == 0 || n >= sizeof(p->host) || text[n] != ':')
		return false;
	memcpy(p->host, text, n);
	p->host[n] = '\0';
	text += n + 1;
	snprintf(port, sizeof(port), "%.*s", (int)strcspn(text, "/"), text);
	if (!parse_u64(port, 65535, &number) || number == 0)
		return false;
	p->port = (unsigned)number;
	return parse_host(p->host, "", NULL) == 0;
}

bool proxy_settings_parse(struct proxy_settings *ret, const char *url)
{
	const char *at = strrchr(url, '@'), *colon;
	struct proxy_settings p = {0};
	bool ok;

	if (strncmp(url, "http://", 7) == 0)
		url += 7;
	if (at != NULL) {
		colon = memchr(url, ':', (size_t)(at - url));
		p.auth = true;
		if (colon == NULL || colon - url >= SECRET_TEXT ||
		    at - colon > SECRET_TEXT)
			return false;
		memcpy(p.user, url, (size_t)(colon - url));
		memcpy(p.password, colon + 1, (size_t)(at - colon - 1));
		url = at + 1;
	}
	ok = strstr(url, "://") == NULL && parse_place(&p, url);
	if (ok)
		*ret = p;
	secret_wipe(&p, sizeof(p));
	return ok;
}

void proxy_settings_url(const struct proxy_settings *p, char *out, size_t size)
{
	snprintf(out, size, "http://%s:%u", p->host, p->port);
}

/* ---- passphrase ---- */

int passphrase_file_read(char out[PASSPHRASE_SIZE], const char *path,
			 struct fault *f)
{
	size_t n;
	int rc = secret_read(path, out, PASSPHRASE_SIZE, &n, &f->err);

	if (rc == 0 && strlen(out) != n)
		rc = err_set(&f->err, PS_DATA, "%s: it is no text", path);
	if (rc == 0)
		secret_trim(out);
	if (rc == 0 && *out == '\0')
		rc = err_set(&f->err, PS_DATA, "%s: is empty", path);
	if (rc == 0 && strpbrk(out, "\r\n") != NULL) {
		rc = err_set(&f->err, PS_DATA,
			     "%s: has more than one line; it may hold nothing "
			     "but the passphrase",
			     path);
		f->line = 2;
	}
	return rc < 0
		   ? fault_note(f, "passphrase", "passphrase-file-path", path)
		   : 0;
}

/* ---- vault credentials ---- */

static int take_text(const char *value, const char *key, char *out, size_t size,
		     struct err *e)
{
	if (strlen(value) >= size)
		return err_set(e, PS_DATA, "%s: is too long", key);
	if (strpbrk(value, "\r\n") != NULL)
		return err_set(e, PS_DATA, "%s: has more than one line", key);
	snprintf(out, size, "%s", value);
	return 0;
}

static int take_path(const char *value, const char *key, char out[PATH_MAX],
		     struct err *e)
{
	if (value[0] != '/')
		return err_set(e, PS_DATA, "%s: '%s' is no whole path", key,
			       value);
	return take_text(value, key, out, PATH_MAX, e);
}

static int take_secret(struct vault_creds *v, const char *name,
		       const char *value, struct err *e)
{
	int rc;

	if ((strncmp(name, "AZURE_", 6) != 0 &&
	     strncmp(name, "AWS_", 4) != 0) ||
	    name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] != '\0')
		return err_set(e, PS_DATA,
			       "credentials.%s: is none of those in "
			       "ps-store(7)",
			       name);
	if (v->n == VAULT_SECRETS)
		return err_set(e, PS_DATA, "credentials: there are too many");
	rc = take_text(name, name, v->secrets[v->n].name,
		       sizeof(v->secrets[v->n].name), e);
	if (rc == 0)
		rc = take_text(value, name, v->secrets[v->n].value,
			       sizeof(v->secrets[v->n].value), e);
	v->n += rc == 0;
	return rc;
}

static int take_expiry(struct vault_creds *v, const char *value, int64_t now,
		       struct err *e)
{
	int64_t ns;

	if (strcmp(value, "never") == 0)
		return 0;
	if (!parse_time(value, &ns)) {
		(void)err_set(e, PS_DATA,
			      "expires: '%s' is neither a time nor 'never'",
			      value);
		err_hint(e, "a time as 2027-01-31T00:00:00Z");
		return -PS_DATA;
	}
	v->expires = ns / NS_PER_S;
	if (v->expires > now)
		return 0;
	(void)err_set(e, PS_CONFIG,
		      "expires: these credentials have expired: "
		      "%s",
		      value);
	err_hint(e, "get new ones for the vault");
	return -PS_CONFIG;
}

/* What stores have behind the first name, or as the first; whether all of it is
 * well the preflight tells. */
static int need_place(const char *value, struct err *e)
{
	bool azure = strncmp(value, "azblob://", 9) == 0;
	const char *p = value + (azure ? 9 : 5);

	if (!azure && strncmp(value, "s3://", 5) != 0)
		return 0;
	if (azure)
		p += strcspn(p, "/");
	if (p[strspn(p, "/")] != '\0')
		return 0;
	(void)err_set(e, PS_DATA, "vault: '%s' names no %s", value,
		      azure ? "container" : "bucket");
	err_hint(e, azure ? "write azblob://ACCOUNT/CONTAINER"
			  : "write s3://BUCKET");
	return -PS_DATA;
}

static int take_url(struct vault_creds *v, const char *value, struct err *e)
{
	int rc = need_place(value, e);

	if (rc < 0)
		return rc;
	if (strncmp(value, "azblob://", 9) != 0 &&
	    strncmp(value, "s3://", 5) != 0 &&
	    strncmp(value, "file:///", 8) != 0 && value[0] != '/')
		return err_set(e, PS_DATA,
			       "vault: '%s' is no vault: azblob://, s3://, "
			       "file:/// or a folder",
			       value);
	if (strcmp(value, TEMPLATE_URL) == 0)
		return err_set(e, PS_DATA,
			       "vault: the template is not filled in");
	return take_text(value, "vault", v->url, sizeof(v->url), e);
}

static int take_key(struct vault_creds *v, const char *key, const char *value,
		    int64_t now, struct err *e)
{
	if (strcmp(key, "vault") == 0)
		return take_url(v, value, e);
	if (strcmp(key, "expires") == 0)
		return take_expiry(v, value, now, e);
	if (strcmp(key, "endpoint") == 0)
		return take_text(value, key, v->endpoint, sizeof(v->endpoint),
				 e);
	if (strcmp(key, "ca-file") == 0)
		return take_path(value, key, v->ca_file, e);
	if (strcmp(key, "key-file") == 0)
		return take_path(value, key, v->key_file, e);
	if (strncmp(key, "credentials.", 12) == 0)
		return take_secret(v, key + 12, value, e);
	return err_set(e, PS_DATA, "'%s' is not known", key);
}

static int take_all(struct vault_creds *v, const struct conf *c, int64_t now,
		    struct fault *f)
{
	const char *key;
	size_t i;
	int rc = 0;

	for (i = 0; rc == 0 && (key = conf_key(c, i)) != NULL; i++) {
		f->line = conf_line(c, key);
		rc = take_key(v, key, conf_get(c, key), now, &f->err);
		if (rc < 0)
			return err_prefix(&f->err, "%s:%u", conf_path(c),
					  f->line);
	}
	f->line = 0;
	if (v->url[0] == '\0')
		return err_set(&f->err, PS_DATA, "%s: vault is missing",
			       conf_path(c));
	if (conf_get(c, "expires") == NULL)
		return err_set(&f->err, PS_DATA,
			       "%s: expires is missing (a time, or never)",
			       conf_path(c));
	return 0;
}

/* "PATH:3: words", as conf_read() says it; 0: it names no line. */
static unsigned line_of(const char *words, const char *path)
{
	size_t n = strlen(path);

	if (strncmp(words, path, n) != 0 || words[n] != ':')
		return 0;
	return (unsigned)strtoul(words + n + 1, NULL, 10);
}

int vault_creds_read(struct vault_creds *ret, const char *path, int64_t now,
		     struct fault *f)
{
	char text[FILE_SIZE];
	struct conf *c = NULL;
	size_t n;
	int rc = secret_read(path, text, sizeof(text), &n, &f->err);

	secret_wipe(text, sizeof(text));
	*ret = (struct vault_creds){0};
	if (rc == 0) {
		rc = conf_read(&c, path, &f->err);
		if (rc < 0)
			f->line = line_of(f->err.msg, path);
	}
	if (rc == 0)
		rc = take_all(ret, c, now, f);
	conf_free(c);
	return rc < 0 ? fault_note(f,
				   rc == -PS_CONFIG && ret->expires != 0
				       ? "vault-credentials-expired"
				       : "vault-credentials",
				   "vault-creds-file-path", path)
		      : 0;
}

static const char template[] =
    "# Vault credentials of ps-toolkit, for unifiedsetup(8).\n"
    "# Others must not be able to read this file.\n"
    "\n"
    "# The vault, as ps-upload(1) takes it: azblob://ACCOUNT/CONTAINER,\n"
    "# s3://BUCKET, or file:///FOLDER. It has to be there (ps-vault init).\n"
    "vault: " TEMPLATE_URL "\n"
    "\n"
    "# Until when these credentials may be used to install; or: never\n"
    "expires: %s\n"
    "\n"
    "# Where the service is, when it is not the public one, and who signs its\n"
    "# certificate.\n"
    "#endpoint: https://storage.example\n"
    "#ca-file: /etc/ssl/certs/example.pem\n"
    "\n"
    "# The vault's key, when other servers store in it already; without it a\n"
    "# new one is made.\n"
    "#key-file: /root/vault.key\n"
    "\n"
    "# As ps-store(7) names them.\n"
    "credentials:\n"
    "  AZURE_STORAGE_SAS_TOKEN: \"\"\n"
    "#  AZURE_STORAGE_KEY: \"\"\n"
    "#  AWS_ACCESS_KEY_ID: \"\"\n"
    "#  AWS_SECRET_ACCESS_KEY: \"\"\n";

int vault_creds_template(const char *path, int64_t now, struct err *e)
{
	char text[sizeof(template) + TIME_TEXT], when[TIME_TEXT];
	int n, rc;

	format_time((now + EXPIRES_S) * NS_PER_S, when);
	n = snprintf(text, sizeof(text), template, when);
	rc = durable_write_path(path, text, (size_t)n, 0600, DURABLE_CREATE, e);
	return rc == -PS_NO
		   ? err_set(e, PS_CANTCREAT, "%s: is there already", path)
		   : rc;
}
