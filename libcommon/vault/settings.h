/*
 * What stores are told beside their URL: where the service is, how to get
 * there, and with which credentials. One set for each process.
 */
#ifndef PS_VAULT_SETTINGS_H
#define PS_VAULT_SETTINGS_H

#include <stdint.h>

#include "base/err.h"
#include "web/web.h"

/* NULL and 0: what stands beside it. The strings are not copied. */
struct store_settings {
	const char *endpoint;	 /* URL of the service; the public one */
	const char *credentials; /* file, see store_credential(); none */
	const char *ca_file;	 /* PEM; the system's */
	const char *proxy;	 /* that of the environment */
	const char *proxy_auth;	 /* file with USER:PASSWORD; none */
	uint64_t retry_for;	 /* seconds; 120 */
	uint64_t rate;		 /* bytes per second, both ways; no limit */
	uint64_t jobs;		 /* transfers at a time; 4 */
	const char *list_cache;	 /* folder; see vault/tail-cache.h */
	uint64_t page;		 /* names in one answer of a list; 1000 */
	web_watch_fn *watch;	 /* see web.h; nobody */
	void *watch_ctx;
};

#define STORE_JOBS 4u
#define STORE_JOBS_MAX 16u

/* To be filled before the first store is opened. */
extern struct store_settings store_settings;

/*
 * A credential by the name that it has in the environment: from the
 * credentials file (lines NAME=VALUE, '#' begins a comment), else from the
 * environment, which loses it. *ret is NULL when it is nowhere; it stays
 * valid, the process is hardened. -PS_CONFIG with the line's number when the
 * file is none; errors of secret_read().
 */
int store_credential(const char *name, const char **ret, struct err *e);

/* A client by these settings. */
int store_web(struct web **ret, struct err *e);

#endif
