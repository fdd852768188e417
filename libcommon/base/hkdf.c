#include "config.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/hkdf.h"

/* Fetched once: a fetch walks every provider under locks. */
static EVP_KDF *hkdf(void)
{
	static EVP_KDF *kdf;
	EVP_KDF *got = __atomic_load_n(&kdf, __ATOMIC_ACQUIRE);
	EVP_KDF *none = NULL, *mine;

	if (got != NULL)
		return got;
	mine = EVP_KDF_fetch(NULL, "HKDF", NULL);
	if (mine == NULL)
		return NULL;
	if (__atomic_compare_exchange_n(&kdf, &none, mine, 0, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return mine;
	EVP_KDF_free(mine);
	return none;
}

/* OpenSSL takes parameters by pointers that are not const. */
static OSSL_PARAM octets(const char *name, const void *p, size_t n)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)p, n);
}

int hkdf_sha256(const void *key, size_t key_len, const void *salt,
		size_t salt_len, const void *info, size_t info_len, void *out,
		size_t out_len, struct err *e)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5];
	EVP_KDF *kdf = hkdf();
	EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
	unsigned n = 0;
	int ok = 0;

	params[n++] =
	    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[n++] = octets(OSSL_KDF_PARAM_KEY, key, key_len);
	params[n++] = octets(OSSL_KDF_PARAM_INFO, info, info_len);
	if (salt_len > 0)
		params[n++] = octets(OSSL_KDF_PARAM_SALT, salt, salt_len);
	params[n] = OSSL_PARAM_construct_end();
	if (ctx != NULL)
		ok = EVP_KDF_derive(ctx, out, out_len, params);
	EVP_KDF_CTX_free(ctx);
	if (ok != 1)
		return err_set(e, PS_SOFTWARE,
			       "HKDF is not available from OpenSSL");
	return 0;
}
