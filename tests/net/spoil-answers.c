/*
 * spoil-answers: preloaded into ps-receive, a server that is broken in one
 * way. What it says in its TLS session is changed:
 *
 *	SPOIL=body	one bit of every body of 64 KiB and more
 *	SPOIL=large	the same, of 1 MiB and more
 *	SPOIL=OLD=NEW	each answer that begins or goes on with OLD says NEW
 */
#include "config.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

typedef int write_fn(SSL *ssl, const void *buf, int n);

static int spoil_bit(write_fn *next, SSL *ssl, const void *buf, int n)
{
	char *copy = malloc((size_t)n);
	int rc;

	if (copy == NULL)
		return -1;
	memcpy(copy, buf, (size_t)n);
	copy[100] ^= 1; /* of the first record */
	rc = next(ssl, copy, n);
	free(copy);
	return rc;
}

static int spoil_text(write_fn *next, SSL *ssl, const char *how,
		      const void *buf, int n)
{
	const char *new = strchr(how, '=') + 1;
	size_t len = (size_t)(new - how) - 1;
	char copy[4096], *at;

	memcpy(copy, buf, (size_t)n);
	at = memmem(copy, (size_t)n, how, len);
	if (at != NULL)
		memcpy(at, new, strnlen(new, len));
	return next(ssl, copy, n);
}

/* The symbol is looked up anew: casting what dlsym gives is not ISO C. */
int SSL_write(SSL *ssl, const void *buf, int n)
{
	const char *how = getenv("SPOIL");
	write_fn *next;
	int least;

	*(void **)&next = dlsym(RTLD_NEXT, "SSL_write");
	if (how != NULL && strchr(how, '=') != NULL && n <= 4096)
		return spoil_text(next, ssl, how, buf, n);
	least = how != NULL && strcmp(how, "large") == 0 ? 1 << 20 : 1 << 16;
	if (how != NULL && strchr(how, '=') == NULL && n >= least)
		return spoil_bit(next, ssl, buf, n);
	return next(ssl, buf, n);
}
