/*
 * Private to the store azblob://: Azure Blob Storage by its REST interface
 * (learn.microsoft.com/rest/api/storageservices), version 2021-12-02.
 */
#ifndef PS_VAULT_AZBLOB_H
#define PS_VAULT_AZBLOB_H

#include <stdatomic.h>
#include <stdbool.h>

#include "vault/parts.h"
#include "vault/settings.h"
#include "vault/store.h"
#include "web/web.h"

#define AZ_VERSION "2021-12-02"
#define AZ_URL_SIZE 8192u
#define AZ_NAME_SIZE 1025u /* of a blob: 1024 characters */
#define AZ_KEY_MAX 128u

enum az_auth { AZ_SHARED_KEY, AZ_SAS, AZ_TOKEN };

struct az_token; /* a bearer token of Entra ID, renewed in time */

struct azblob {
	struct store store;
	struct web *web;
	struct parts *parts;
	char account[64], container[64];
	char prefix[512];   /* "" or "a/b/" */
	char endpoint[512]; /* "https://ACCOUNT.blob.core.windows.net" */
	char url[700];	    /* as the user names it, for messages */
	enum az_auth auth;
	uint8_t key[AZ_KEY_MAX];
	size_t key_len;
	const char *sas; /* "sv=...&sig=..." */
	struct az_token *token;
	atomic_uint asked; /* objects for which blocks were looked for */
	atomic_llong skew; /* seconds that the service's clock is ahead */
	atomic_bool timed; /* skew is known */
};

static inline struct azblob *azblob_of(struct store *s)
{
	return (struct azblob *)s;
}

/* Finds out how to log in; what the environment or the file says. */
int az_login(struct azblob *az, struct err *e);
void az_logout(struct azblob *az);

/* ---- calls ---- */

/* A parameter of the query; arrays end in NULL, ordered by name. */
struct az_param {
	const char *name, *value;
};

struct az_call {
	struct web_request q;
	struct azblob *az;
	char url[AZ_URL_SIZE];
	char resource[AZ_URL_SIZE]; /* as it is signed */
	char what[AZ_NAME_SIZE];
};

/*
 * Prepares a call; `name` is relative to the prefix, NULL: the container.
 * To be ended with az_end() in every case.
 */
int az_begin(struct azblob *az, struct az_call *c, const char *method,
	     const char *name, const struct az_param *params, struct err *e);
/* Does it; 0: any answer that web_do() gives. */
int az_do(struct az_call *c, struct err *e);
void az_end(struct az_call *c);
/* Turns an answer that is no success into an error with fitting words. */
int az_refused(const struct az_call *c, struct err *e);
/* x-ms-content-crc64 of the body that the call has in memory. */
int az_send_crc(struct az_call *c, uint64_t crc, struct err *e);
/* Compares with what the service computed, if it tells. */
int az_check_crc(const struct az_call *c, uint64_t crc, struct err *e);

/* ---- signing ---- */

/*
 * The string that Shared Key signs, of method, headers, length and resource.
 * -PS_SOFTWARE: too long.
 */
int az_string_to_sign(const struct web_request *q, const char *resource,
		      char *out, size_t size, struct err *e);
/* base64(HMAC-SHA256(key, text)). */
#define AZ_SIGNATURE_SIZE 48
int az_hmac(const uint8_t *key, size_t key_len, const char *text,
	    char out[AZ_SIGNATURE_SIZE], struct err *e);
/* base64 (RFC 4648); `size` has room for 4 / 3 of n and a NUL. */
void az_base64(const uint8_t *p, size_t n, char *out);
/* -1: not base64, or longer than `size`. */
int az_unbase64(const char *text, uint8_t *out, size_t size, size_t *ret_len);

/* ---- tokens ---- */

/* By client secret, or with tenant NULL by the machine's managed identity. */
struct az_identity {
	const char *tenant, *client_id, *secret, *authority;
};

int az_token_open(struct az_token **ret, struct web *web,
		  const struct az_identity *id, struct err *e);
void az_token_close(struct az_token *t);
/* Sets Authorization, with a new token when the old one ends soon. */
int az_token_sign(struct az_token *t, struct web_request *q, struct err *e);
/* The service refused it. */
void az_token_forget(struct az_token *t);
/* A secret goes over https or stays on this machine: http://127.0.0.1. */
bool az_confidential(const char *url);

/* ---- answers in XML ---- */

/* One name of a list: of a blob, or (with a final '/') of what is below. */
typedef int az_name_fn(void *ctx, const struct store_entry *found,
		       struct err *e);
#define AZ_MARKER_SIZE 4096u
/* A page of List Blobs; the marker of the next one, "" after the last. */
int az_parse_list(const struct az_call *c, az_name_fn *fn, void *ctx,
		  char marker[AZ_MARKER_SIZE], struct err *e);
/* The uncommitted blocks of Get Block List. */
int az_parse_blocks(const struct az_call *c, az_name_fn *fn, void *ctx,
		    struct err *e);

/* ---- puts ---- */

int az_put_begin(struct store *s, const char *name, struct store_put **ret,
		 struct err *e);
int az_put_write(struct store_put *p, const void *buf, size_t n, struct err *e);
int az_put_end(struct store_put *p, bool later, struct err *e);
int az_put_commit(struct store_put *p, struct err *e);
void az_put_abort(struct store_put *p);

#endif
