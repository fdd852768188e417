/*
 * The files that an installation is given. Each is a secret: one that others
 * can read is refused.
 */
#ifndef PS_SETUP_FILES_H
#define PS_SETUP_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "setup/fault.h"

#define SECRET_TEXT 256
#define PASSPHRASE_SIZE 1024

struct mysql_creds {
	char root[SECRET_TEXT], user[SECRET_TEXT];
};

/* [MySQLCredentials] with MySQLRootPassword and MySQLUserPassword. */
int mysql_creds_read(struct mysql_creds *ret, const char *path,
		     struct fault *f);

struct proxy_settings {
	bool auth;
	char host[SECRET_TEXT]; /* name or address; empty: no proxy */
	unsigned port;
	char user[SECRET_TEXT], password[SECRET_TEXT];
};

/*
 * [ProxySettings] with ProxyAuthentication (Yes, No), ProxyIP, ProxyPort,
 * ProxyUserName, ProxyPassword; "http://" before the host is allowed.
 */
int proxy_settings_read(struct proxy_settings *ret, const char *path,
			struct fault *f);
/*
 * The same from https_proxy as programs have it,
 * "http://[USER:WORD@]HOST:PORT"; false: it is of another form.
 */
bool proxy_settings_parse(struct proxy_settings *ret, const char *url);
/* "http://HOST:PORT" */
void proxy_settings_url(const struct proxy_settings *p, char *out, size_t size);

/* One line; the newline at its end does not belong to it. */
int passphrase_file_read(char out[PASSPHRASE_SIZE], const char *path,
			 struct fault *f);

#define VAULT_SECRETS 12
struct vault_creds {
	char url[1024];	     /* as ps-upload takes it */
	int64_t expires;     /* seconds since 1970; 0: never */
	char endpoint[1024]; /* empty: that of the URL */
	char ca_file[PATH_MAX], key_file[PATH_MAX];
	struct {
		char name[64], value[4096];
	} secrets[VAULT_SECRETS];
	unsigned n;
};

/* Our YAML; see unifiedsetup(8). `now` in seconds, against its expiry. */
int vault_creds_read(struct vault_creds *ret, const char *path, int64_t now,
		     struct fault *f);
/* A commented one that has to be filled in; -PS_NO: the file is there. */
int vault_creds_template(const char *path, int64_t now, struct err *e);

#endif
