#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "base/durable.h"
#include "base/secret.h"
#include "net/tls.h"

#define KEY_FILE_MAX 16384
#define CERT_DAYS (3 * 365)
/* Several records with one system call; more would be moved about. */
#define READ_AHEAD (64 * 1024)

/* 32 bytes of SHA-256 are 43 digits of base64 and a '='. */
bool tls_pin_ok(const char *pin)
{
	static const char begin[] = "sha256//";
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	return strncmp(pin, begin, strlen(begin)) == 0 &&
	       strspn(pin + strlen(begin), digits) == 43 &&
	       strcmp(pin + strlen(begin) + 43, "=") == 0;
}

int tls_err(struct err *e, int code, const char *what)
{
	unsigned long n = ERR_peek_last_error();
	const char *reason = n != 0 ? ERR_reason_error_string(n) : NULL;

	ERR_clear_error();
	return err_set(e, code, "%s: %s", what,
		       reason != NULL ? reason : "TLS failure");
}

static SSL_CTX *context(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL)
		return NULL;
	/* AES-128 first: the fastest where there are AES instructions. */
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx,
				     "TLS_AES_128_GCM_SHA256:"
				     "TLS_AES_256_GCM_SHA384:"
				     "TLS_CHACHA20_POLY1305_SHA256") != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
				  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD);
	return ctx;
}

static int use_key(SSL_CTX *ctx, const char *path, struct err *e)
{
	char pem[KEY_FILE_MAX];
	EVP_PKEY *key = NULL;
	BIO *bio;
	size_t n;
	int rc = secret_read(path, pem, sizeof(pem), &n, e);

	if (rc < 0)
		return rc;
	bio = BIO_new_mem_buf(pem, (int)n);
	if (bio != NULL)
		key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
	if (key == NULL || SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = tls_err(e, PS_CONFIG, path);
	EVP_PKEY_free(key);
	BIO_free(bio);
	secret_wipe(pem, sizeof(pem));
	return rc;
}

int tls_server_public(SSL_CTX **ret, const char *cert, struct err *e)
{
	SSL_CTX *ctx = context(TLS_server_method());
	int rc = 0;

	if (ctx == NULL)
		return tls_err(e, PS_SOFTWARE, "TLS");
	if (access(cert, R_OK) < 0)
		rc = err_sys(e, 0, "%s", cert);
	else if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		rc = tls_err(e, PS_CONFIG, cert);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return 0;
}

int tls_server(SSL_CTX **ret, const char *cert, const char *key, struct err *e)
{
	SSL_CTX *ctx = NULL;
	int rc = tls_server_public(&ctx, cert, e);

	if (rc < 0)
		return rc;
	rc = use_key(ctx, key, e);
	if (rc == 0 && SSL_CTX_check_private_key(ctx) != 1)
		rc = tls_err(e, PS_CONFIG, key);
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return 0;
}

int tls_client(SSL_CTX **ret, const char *ca, struct err *e)
{
	SSL_CTX *ctx = context(TLS_client_method());
	int rc = 0;

	if (ctx == NULL)
		return tls_err(e, PS_SOFTWARE, "TLS");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (ca != NULL) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
		if (access(ca, R_OK) < 0)
			rc = err_sys(e, 0, "%s", ca);
		else if (SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
			rc = tls_err(e, PS_CONFIG, ca);
	}
	if (rc < 0) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*ret = ctx;
	return 0;
}

/* ---- a certificate of one's own ---- */

/* The host's name as a certificate takes it: at most 64 characters. */
static void host_name(char out[65])
{
	if (gethostname(out, 65) < 0 || out[0] == '\0')
		snprintf(out, 65, "ps-receive");
	out[64] = '\0';
}

static int name_cert(X509 *x)
{
	char host[65], alt[80];
	X509_NAME *name = X509_get_subject_name(x);
	X509_EXTENSION *ext;
	int ok;

	host_name(host);
	snprintf(alt, sizeof(alt), "DNS:%s", host);
	if (X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				       (const unsigned char *)host, -1, -1,
				       0) != 1 ||
	    X509_set_issuer_name(x, name) != 1)
		return 0;
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
	if (ext == NULL)
		return 0;
	ok = X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
	return ok;
}

static X509 *make_cert(EVP_PKEY *key)
{
	X509 *x = X509_new();
	uint8_t serial[16];
	BIGNUM *n = NULL;
	bool ok;

	ok = x != NULL && RAND_bytes(serial, sizeof(serial)) == 1;
	if (ok) {
		serial[0] &= 0x7f;
		n = BN_bin2bn(serial, sizeof(serial), NULL);
	}
	/* A day back: clocks of two machines differ. */
	ok = ok && n != NULL && X509_set_version(x, 2) == 1 &&
	     BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL &&
	     X509_gmtime_adj(X509_getm_notBefore(x), -86400) != NULL &&
	     X509_gmtime_adj(X509_getm_notAfter(x), CERT_DAYS * 86400L) !=
		 NULL &&
	     X509_set_pubkey(x, key) == 1 && name_cert(x) == 1 &&
	     X509_sign(x, key, EVP_sha256()) > 0;
	BN_free(n);
	if (ok)
		return x;
	X509_free(x);
	return NULL;
}

/* Writes one PEM file that must not be there yet. */
static int write_pem(const char *path, BIO *pem, mode_t mode, struct err *e)
{
	char *data;
	long n = BIO_get_mem_data(pem, &data);
	int rc =
	    durable_write_path(path, data, (size_t)n, mode, DURABLE_CREATE, e);

	if (rc == -PS_NO)
		rc = err_set(e, PS_CANTCREAT, "%s: is there already", path);
	return rc;
}

int tls_new_cert(const char *cert, const char *key, struct err *e)
{
	EVP_PKEY *pkey = EVP_EC_gen("P-256");
	X509 *x = pkey != NULL ? make_cert(pkey) : NULL;
	BIO *kp = BIO_new(BIO_s_secmem()), *cp = BIO_new(BIO_s_mem());
	int rc;

	if (x == NULL || kp == NULL || cp == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(kp, pkey, NULL, NULL, 0, NULL,
					  NULL) != 1 ||
	    PEM_write_bio_X509(cp, x) != 1)
		rc = tls_err(e, PS_SOFTWARE, "new certificate");
	else if (access(cert, F_OK) == 0) /* before a key is made for it */
		rc = err_set(e, PS_CANTCREAT, "%s: is there already", cert);
	else
		rc = write_pem(key, kp, 0600, e);
	if (rc == 0)
		rc = write_pem(cert, cp, 0644, e);
	BIO_free(kp);
	BIO_free(cp);
	X509_free(x);
	EVP_PKEY_free(pkey);
	return rc;
}
