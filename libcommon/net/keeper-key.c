/*
 * A private key that is somewhere else, as a provider of OpenSSL 3: a key
 * that knows its public half and signs by asking the keeper. A provider, not
 * the older methods of RSA and EC keys: those are given a digest, and a
 * keeper that signs digests signs anything. This one is given the whole text
 * and passes on the part of it that may differ.
 *
 * It lives in a library context of its own, so that nothing else in the
 * process can come upon its algorithms.
 */
#include "config.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "net/keeper.h"
#include "net/tls.h"

#define PARAM_SPKI "ps-public-key" /* SubjectPublicKeyInfo, DER */

static int channel = -1;

void keeper_use(int fd)
{
	channel = fd;
}

/* ---- the key ---- */

struct far_key {
	EVP_PKEY *public;
};

static void *key_new(void *provctx)
{
	(void)provctx;
	return OPENSSL_zalloc(sizeof(struct far_key));
}

static void key_free(void *keydata)
{
	struct far_key *k = keydata;

	if (k != NULL)
		EVP_PKEY_free(k->public);
	OPENSSL_free(k);
}

/* All of it, as far as anybody asks. */
static int key_has(const void *keydata, int selection)
{
	const struct far_key *k = keydata;

	(void)selection;
	return k != NULL && k->public != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct far_key *x = a, *y = b;

	(void)selection;
	return EVP_PKEY_eq(x->public, y->public) == 1;
}

static int import_as(struct far_key *k, const char *type,
		     const OSSL_PARAM params[])
{
	const OSSL_PARAM *spki = OSSL_PARAM_locate_const(params, PARAM_SPKI);
	EVP_PKEY_CTX *ctx;
	int ok;

	if (spki != NULL) {
		const unsigned char *p = spki->data;

		k->public = d2i_PUBKEY(NULL, &p, (long)spki->data_size);
		return k->public != NULL;
	}
	/* The public key of a certificate, to be compared with ours. */
	ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	ok = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
	     EVP_PKEY_fromdata(ctx, &k->public, EVP_PKEY_PUBLIC_KEY,
			       (OSSL_PARAM *)(uintptr_t)params) == 1;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int import_rsa(void *k, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import_as(k, "RSA", params);
}

static int import_ec(void *k, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import_as(k, "EC", params);
}

static int import_ed25519(void *k, int selection, const OSSL_PARAM params[])
{
	(void)selection;
	return import_as(k, "ED25519", params);
}

static const OSSL_PARAM *key_types(int selection)
{
	static const OSSL_PARAM types[] = {
	    {PARAM_SPKI, OSSL_PARAM_OCTET_STRING, NULL, 0, 0},
	    OSSL_PARAM_END,
	};

	(void)selection;
	return types;
}

/* Never a private half: who wants to sign has to come here. */
static int key_export(void *keydata, int selection, OSSL_CALLBACK *fn,
		      void *ctx)
{
	const struct far_key *k = keydata;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	return EVP_PKEY_export(k->public, EVP_PKEY_PUBLIC_KEY, fn, ctx);
}

static int key_params(void *keydata, OSSL_PARAM params[])
{
	const struct far_key *k = keydata;

	return EVP_PKEY_get_params(k->public, params);
}

static const OSSL_PARAM *key_gettable(void *provctx)
{
	static const OSSL_PARAM list[] = {
	    {OSSL_PKEY_PARAM_BITS, OSSL_PARAM_INTEGER, NULL, 0, 0},
	    {OSSL_PKEY_PARAM_SECURITY_BITS, OSSL_PARAM_INTEGER, NULL, 0, 0},
	    {OSSL_PKEY_PARAM_MAX_SIZE, OSSL_PARAM_INTEGER, NULL, 0, 0},
	    {OSSL_PKEY_PARAM_DEFAULT_DIGEST, OSSL_PARAM_UTF8_STRING, NULL, 0,
	     0},
	    {OSSL_PKEY_PARAM_MANDATORY_DIGEST, OSSL_PARAM_UTF8_STRING, NULL, 0,
	     0},
	    {OSSL_PKEY_PARAM_GROUP_NAME, OSSL_PARAM_UTF8_STRING, NULL, 0, 0},
	    OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

static const char *operation_ec(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

typedef void (*fn)(void);

#define KEY_FUNCTIONS(import)                                                  \
	{OSSL_FUNC_KEYMGMT_NEW, (fn)key_new},                                  \
	    {OSSL_FUNC_KEYMGMT_FREE, (fn)key_free},                            \
	    {OSSL_FUNC_KEYMGMT_HAS, (fn)key_has},                              \
	    {OSSL_FUNC_KEYMGMT_MATCH, (fn)key_match},                          \
	    {OSSL_FUNC_KEYMGMT_IMPORT, (fn)(import)},                          \
	    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (fn)key_types},                   \
	    {OSSL_FUNC_KEYMGMT_EXPORT, (fn)key_export},                        \
	    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (fn)key_types},                   \
	    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (fn)key_params},                    \
	{                                                                      \
		OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (fn)key_gettable            \
	}

static const OSSL_DISPATCH rsa_key[] = {KEY_FUNCTIONS(import_rsa), {0, NULL}};
static const OSSL_DISPATCH ed25519_key[] = {KEY_FUNCTIONS(import_ed25519),
					    {0, NULL}};
static const OSSL_DISPATCH ec_key[] = {
    KEY_FUNCTIONS(import_ec),
    {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (fn)operation_ec},
    {0, NULL}};

/* The names of the default provider: OpenSSL looks keys up by any of them. */
static const OSSL_ALGORITHM keys[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=ps-keeper", rsa_key,
     "RSA"},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=ps-keeper", ec_key, "EC"},
    {"ED25519:1.3.101.112", "provider=ps-keeper", ed25519_key, "Ed25519"},
    {NULL, NULL, NULL, NULL},
};

/* ---- the signature ---- */

struct signing {
	const struct far_key *key;
	unsigned md;
};

static void *sig_new(void *provctx, const char *propq)
{
	(void)provctx;
	(void)propq;
	return OPENSSL_zalloc(sizeof(struct signing));
}

static void sig_free(void *ctx)
{
	OPENSSL_free(ctx);
}

static unsigned md_bits(const char *name)
{
	if (name == NULL || name[0] == '\0')
		return 0;
	if (strcasecmp(name, "SHA256") == 0 ||
	    strcasecmp(name, "SHA2-256") == 0)
		return 256;
	if (strcasecmp(name, "SHA384") == 0 ||
	    strcasecmp(name, "SHA2-384") == 0)
		return 384;
	if (strcasecmp(name, "SHA512") == 0 ||
	    strcasecmp(name, "SHA2-512") == 0)
		return 512;
	return UINT_MAX;
}

static int sig_init(void *ctx, const char *md, void *keydata,
		    const OSSL_PARAM params[])
{
	struct signing *s = ctx;

	(void)params;
	s->key = keydata;
	s->md = md_bits(md);
	return s->md != UINT_MAX;
}

/* What a server signs in TLS 1.3; the keeper makes it again itself. */
static int sig_sign(void *ctx, unsigned char *sig, size_t *len, size_t size,
		    const unsigned char *text, size_t n)
{
	static const char context[] = "TLS 1.3, server CertificateVerify";
	const size_t before = 64 + sizeof(context);
	uint8_t out[KEEPER_SIGNATURE_MAX];
	const struct signing *s = ctx;
	int got;

	if (sig == NULL) {
		*len = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (n <= before || memcmp(text + 64, context, sizeof(context)) != 0)
		return 0;
	got = keeper_sign(channel, s->md, text + before, n - before, out, NULL);
	if (got < 0 || (size_t)got > size)
		return 0;
	memcpy(sig, out, (size_t)got);
	*len = (size_t)got;
	return 1;
}

/* Padding and salt of RSA are what TLS 1.3 asks for: the keeper knows. */
static int sig_set(void *ctx, const OSSL_PARAM params[])
{
	(void)ctx;
	(void)params;
	return 1;
}

static const OSSL_PARAM *sig_settable(void *ctx, void *provctx)
{
	static const OSSL_PARAM list[] = {
	    {OSSL_SIGNATURE_PARAM_PAD_MODE, OSSL_PARAM_UTF8_STRING, NULL, 0, 0},
	    {OSSL_SIGNATURE_PARAM_PSS_SALTLEN, OSSL_PARAM_UTF8_STRING, NULL, 0,
	     0},
	    OSSL_PARAM_END,
	};

	(void)ctx;
	(void)provctx;
	return list;
}

static const OSSL_DISPATCH signature[] = {
    {OSSL_FUNC_SIGNATURE_NEWCTX, (fn)sig_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (fn)sig_free},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (fn)sig_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (fn)sig_sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (fn)sig_set},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (fn)sig_settable},
    {0, NULL}};

static const OSSL_ALGORITHM signatures[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=ps-keeper", signature,
     "RSA-PSS"},
    {"ECDSA", "provider=ps-keeper", signature, "ECDSA"},
    {"ED25519:1.3.101.112", "provider=ps-keeper", signature, "Ed25519"},
    {NULL, NULL, NULL, NULL},
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provctx, int operation, int *no_cache)
{
	(void)provctx;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT	? keys
	       : operation == OSSL_OP_SIGNATURE ? signatures
						: NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle,
			 const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
			 void **provctx)
{
	static const OSSL_DISPATCH functions[] = {
	    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (fn)query}, {0, NULL}};
	static char nothing; /* a context must not be NULL */

	(void)handle;
	(void)in;
	*out = functions;
	*provctx = &nothing;
	return 1;
}

/* The context lives as long as the process: keys refer to it. */
static OSSL_LIB_CTX *far_context(void)
{
	static OSSL_LIB_CTX *ctx;

	if (ctx != NULL)
		return ctx;
	ctx = OSSL_LIB_CTX_new();
	if (ctx == NULL)
		return NULL;
	if (OSSL_PROVIDER_add_builtin(ctx, "ps-keeper", provider_init) == 1 &&
	    OSSL_PROVIDER_load(ctx, "ps-keeper") != NULL)
		return ctx;
	OSSL_LIB_CTX_free(ctx);
	return ctx = NULL;
}

static EVP_PKEY *far_key(EVP_PKEY *public)
{
	static const char *const types[] = {"RSA", "EC", "ED25519"};
	unsigned char *der = NULL;
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;
	OSSL_PARAM params[2];
	int n = i2d_PUBKEY(public, &der);
	unsigned i;

	for (i = 0; i < 3 && !EVP_PKEY_is_a(public, types[i]); i++)
		;
	if (n > 0 && i < 3 && far_context() != NULL)
		ctx = EVP_PKEY_CTX_new_from_name(far_context(), types[i], NULL);
	params[0] =
	    OSSL_PARAM_construct_octet_string(PARAM_SPKI, der, (size_t)n);
	params[1] = OSSL_PARAM_construct_end();
	if (ctx != NULL &&
	    (EVP_PKEY_fromdata_init(ctx) != 1 ||
	     EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, params) != 1))
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	OPENSSL_free(der);
	return key;
}

int keeper_tls(SSL_CTX **ret, const char *cert, struct err *e)
{
	EVP_PKEY *key = NULL;
	SSL_CTX *ctx;
	X509 *x;
	int rc = tls_server_public(&ctx, cert, e);

	if (rc < 0)
		return rc;
	x = SSL_CTX_get0_certificate(ctx);
	if (x != NULL && X509_get0_pubkey(x) != NULL)
		key = far_key(X509_get0_pubkey(x));
	if (key == NULL)
		rc = err_set(e, PS_CONFIG,
			     "%s: its key must be RSA, EC or Ed25519", cert);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = tls_err(e, PS_CONFIG, cert);
	EVP_PKEY_free(key);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return 0;
}
