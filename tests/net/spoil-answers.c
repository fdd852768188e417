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

/* How long is the body that this head announces, and where does it begin? */
static size_t body_of(const char *buf, size_t n, size_t *ret_at)
{
	static const char word[] = "Content-Length: ";
	const char *end = memmem(buf, n, "\r\n\r\n", 4);
	const char *at = memmem(buf, n, word, sizeof(word) - 1);

	if (n < 9 || memcmp(buf, "HTTP/1.1 ", 9) != 0 || end == NULL ||
	    at == NULL || at > end)
		return 0;
	*ret_at = (size_t)(end + 4 - buf);
	return strtoul(at + sizeof(word) - 1, NULL, 10);
}

/*
 * A body comes in as many pieces as the processes of the server make of it:
 * the piece that holds the byte at SPOILED is the one to change.
 */
#define SPOILED 100
static int spoil_bit(write_fn *next, SSL *ssl, const char *buf, size_t n,
		     size_t least)
{
	static size_t left; /* bytes until that place; 0: none to come */
	char *copy = malloc(n);
	size_t at = 0;
	int rc;

	if (copy == NULL)
		return -1;
	memcpy(copy, buf, n);
	if (body_of(buf, n, &at) >= least)
		left = at + SPOILED;
	if (left > 0 && left <= n)
		copy[left - 1] ^= 1;
	left = left > n ? left - n : 0;
	rc = next(ssl, copy, (int)n);
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

	*(void **)&next = dlsym(RTLD_NEXT, "SSL_write");
	if (how != NULL && strchr(how, '=') != NULL && n <= 4096)
		return spoil_text(next, ssl, how, buf, n);
	if (how == NULL || strchr(how, '=') != NULL)
		return next(ssl, buf, n);
	return spoil_bit(next, ssl, buf, (size_t)n,
			 strcmp(how, "large") == 0 ? 1 << 20 : 1 << 16);
}
