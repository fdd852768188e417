#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/durable.h"
#include "base/secret.h"
#include "base/units.h"
#include "config/x509.h"
#include "net/tls.h"

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool set_serial(X509 *x)
{
	uint8_t serial[16];
	BIGNUM *n;
	bool ok;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	/* Always 127 bits, so that it has 32 digits and is positive. */
	serial[0] = (serial[0] & 0x3f) | 0x40;
	n = BN_bin2bn(serial, sizeof(serial), NULL);
	ok = n != NULL &&
	     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
	BN_free(n);
	return ok;
}

static bool set_name(X509 *x, const char *subject, X509 *issuer)
{
	X509_NAME *name = X509_get_subject_name(x);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
					  (const unsigned char *)subject, -1,
					  -1, 0) == 1 &&
	       X509_set_issuer_name(x, issuer != NULL
					   ? X509_get_subject_name(issuer)
					   : name) == 1;
}

/* From a day ago, for valid_s; not beyond the issuer's own end. */
static bool set_times(X509 *x, uint64_t valid_s, X509 *issuer)
{
	if (X509_gmtime_adj(X509_getm_notBefore(x),
			    -(long)(X509_BEGUN_NS / NS_PER_S)) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), (long)valid_s) == NULL)
		return false;
	return issuer == NULL ||
	       ASN1_TIME_compare(X509_get0_notAfter(x),
				 X509_get0_notAfter(issuer)) <= 0 ||
	       X509_set1_notAfter(x, X509_get0_notAfter(issuer)) == 1;
}

static bool add_extensions(X509 *x, const struct x509_want *w)
{
	X509 *issuer = w->issuer != NULL ? w->issuer : x;

	if (!add_extension(x, issuer, NID_subject_key_identifier, "hash"))
		return false;
	if (w->issuer == NULL)
		return add_extension(x, issuer, NID_basic_constraints,
				     "critical,CA:TRUE,pathlen:0") &&
		       add_extension(x, issuer, NID_key_usage,
				     "critical,keyCertSign,cRLSign");
	return add_extension(x, issuer, NID_authority_key_identifier,
			     "keyid:always") &&
	       add_extension(x, issuer, NID_basic_constraints,
			     "critical,CA:FALSE") &&
	       add_extension(x, issuer, NID_key_usage,
			     "critical,digitalSignature") &&
	       add_extension(x, issuer, NID_ext_key_usage,
			     "serverAuth,clientAuth") &&
	       add_extension(x, issuer, NID_subject_alt_name, w->alt);
}

int x509_make(X509 **ret, const struct x509_want *w, struct err *e)
{
	X509 *x = X509_new();
	bool ok = x != NULL && X509_set_version(x, X509_VERSION_3) == 1 &&
		  set_serial(x) && set_name(x, w->subject, w->issuer) &&
		  set_times(x, w->valid_s, w->issuer) &&
		  X509_set_pubkey(x, w->key) == 1 && add_extensions(x, w) &&
		  X509_sign(x, w->issuer_key, EVP_sha256()) > 0;

	if (!ok) {
		X509_free(x);
		return tls_err(e, PS_SOFTWARE, "new certificate");
	}
	*ret = x;
	return 0;
}

/* Is it a kind of key that everybody takes, and strong enough? */
static bool key_ok(EVP_PKEY *key)
{
	return EVP_PKEY_get_security_bits(key) >= 112 &&
	       (EVP_PKEY_is_a(key, "EC") || EVP_PKEY_is_a(key, "RSA") ||
		EVP_PKEY_is_a(key, "ED25519"));
}

int x509_request_key(EVP_PKEY **ret, const char *csr, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(csr, -1);
	X509_REQ *q =
	    bio != NULL ? PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL) : NULL;
	EVP_PKEY *key = q != NULL ? X509_REQ_get_pubkey(q) : NULL;
	int rc = 0;

	if (key == NULL)
		rc = tls_err(e, PS_DATA, "no certificate request");
	else if (X509_REQ_verify(q, key) != 1)
		rc = err_set(e, PS_DATA,
			     "the certificate request is not "
			     "signed with its own key");
	else if (!key_ok(key))
		rc = err_set(e, PS_DATA,
			     "the certificate request has a weak "
			     "or unusual key");
	X509_REQ_free(q);
	BIO_free(bio);
	if (rc < 0)
		EVP_PKEY_free(key);
	else
		*ret = key;
	return rc;
}

int x509_to_pem(X509 *x, char pem[CA_PEM_SIZE], struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n = 0;
	bool ok = bio != NULL && PEM_write_bio_X509(bio, x) == 1 &&
		  (n = BIO_get_mem_data(bio, &data)) > 0 && n < CA_PEM_SIZE;

	if (ok) {
		memcpy(pem, data, (size_t)n);
		pem[n] = '\0';
	}
	BIO_free(bio);
	return ok ? 0 : tls_err(e, PS_SOFTWARE, "certificate");
}

int x509_from_pem(X509 **ret, const char *pem, struct err *e)
{
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	if (x == NULL)
		return tls_err(e, PS_DATA, "certificate");
	*ret = x;
	return 0;
}

int x509_key_to_der(EVP_PKEY *key, uint8_t *out, size_t size, struct err *e)
{
	int n = i2d_PrivateKey(key, NULL);

	if (n <= 0 || (size_t)n > size || i2d_PrivateKey(key, &out) != n)
		return tls_err(e, PS_SOFTWARE, "private key");
	return n;
}

int x509_key_from_der(EVP_PKEY **ret, const uint8_t *der, size_t n,
		      struct err *e)
{
	*ret = d2i_AutoPrivateKey(NULL, &der, (long)n);
	return *ret != NULL ? 0 : tls_err(e, PS_DATA, "private key");
}

int x509_key_from_file(EVP_PKEY **ret, const char *path, struct err *e)
{
	char pem[CA_PEM_SIZE];
	BIO *bio;
	size_t n;
	int rc = secret_read(path, pem, sizeof(pem), &n, e);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(pem, (int)n);
	*ret =
	    bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
	BIO_free(bio);
	secret_wipe(pem, sizeof(pem));
	return *ret != NULL ? 0 : tls_err(e, PS_DATA, path);
}

int x509_new_key_file(const char *path, struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	BIO *bio = BIO_new(BIO_s_secmem());
	char *data;
	int rc;

	if (key == NULL || bio == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL,
					  NULL) != 1) {
		rc = tls_err(e, PS_SOFTWARE, "new key");
	} else {
		long n = BIO_get_mem_data(bio, &data);

		rc = durable_write_path(path, data, (size_t)n, 0600,
					DURABLE_CREATE, e);
	}
	BIO_free(bio);
	EVP_PKEY_free(key);
	return rc;
}

int x509_new_request(EVP_PKEY *key, const char *subject, char pem[CA_PEM_SIZE],
		     struct err *e)
{
	X509_REQ *q = X509_REQ_new();
	BIO *bio = BIO_new(BIO_s_mem());
	char *data;
	long n = 0;
	bool ok = q != NULL && bio != NULL &&
		  X509_NAME_add_entry_by_txt(
		      X509_REQ_get_subject_name(q), "CN", MBSTRING_UTF8,
		      (const unsigned char *)subject, -1, -1, 0) == 1 &&
		  X509_REQ_set_pubkey(q, key) == 1 &&
		  X509_REQ_sign(q, key, EVP_sha256()) > 0 &&
		  PEM_write_bio_X509_REQ(bio, q) == 1 &&
		  (n = BIO_get_mem_data(bio, &data)) > 0 && n < CA_PEM_SIZE;

	if (ok) {
		memcpy(pem, data, (size_t)n);
		pem[n] = '\0';
	}
	BIO_free(bio);
	X509_REQ_free(q);
	return ok ? 0 : tls_err(e, PS_SOFTWARE, "certificate request");
}

static bool take_time(const ASN1_TIME *t, int64_t *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*ret = (int64_t)timegm(&tm) * NS_PER_S;
	return true;
}

/* SHA-256 of the SubjectPublicKeyInfo (RFC 7469 section 2.4). */
static bool take_pin(X509 *x, char pin[CA_PIN_SIZE])
{
	uint8_t *der = NULL, digest[SHA256_LEN];
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);

	if (n <= 0)
		return false;
	sha256_of(der, (size_t)n, digest);
	OPENSSL_free(der);
	memcpy(pin, "sha256//", 8);
	return EVP_EncodeBlock((unsigned char *)pin + 8, digest, SHA256_LEN) >
	       0;
}

int x509_pin(X509 *x, char pin[CA_PIN_SIZE], struct err *e)
{
	return take_pin(x, pin) ? 0 : tls_err(e, PS_SOFTWARE, "certificate");
}

int x509_describe(X509 *x, struct reg_cert *c, struct err *e)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
	uint8_t serial[16];
	bool ok = n != NULL && BN_bn2binpad(n, serial, sizeof(serial)) > 0 &&
		  take_time(X509_get0_notBefore(x), &c->begins) &&
		  take_time(X509_get0_notAfter(x), &c->ends) &&
		  take_pin(x, c->pin);

	BN_free(n);
	if (!ok)
		return tls_err(e, PS_SOFTWARE, "certificate");
	hex_encode(serial, sizeof(serial), c->serial);
	return 0;
}
