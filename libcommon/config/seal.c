#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/hkdf.h"
#include "base/secret.h"
#include "config/seal.h"
#include "net/tls.h"

#define KEY_WORD "ps-config-key-1\t"
#define FORM 1
#define NONCE 12
#define TAG 16

static int make_file(const char *path, struct err *e)
{
	char line[sizeof(KEY_WORD) + 2 * SEAL_KEY_LEN + 1];
	const size_t word = sizeof(KEY_WORD) - 1;
	uint8_t key[SEAL_KEY_LEN];
	int rc;

	if (RAND_priv_bytes(key, sizeof(key)) != 1)
		return tls_err(e, PS_SOFTWARE, "random numbers");
	memcpy(line, KEY_WORD, word);
	hex_encode(key, sizeof(key), line + word);
	line[sizeof(line) - 2] = '\n';
	line[sizeof(line) - 1] = '\0';
	rc = durable_write_path(path, line, strlen(line), 0600, DURABLE_CREATE,
				e);
	secret_wipe(line, sizeof(line));
	secret_wipe(key, sizeof(key));
	return rc == -PS_NO ? 0 : rc; /* another was quicker: read it */
}

int seal_load(struct seal *s, const char *path, int make, struct err *e)
{
	char text[256];
	uint8_t id[16];
	size_t n;
	int rc = 0;

	if (make && access(path, F_OK) < 0)
		rc = make_file(path, e);
	if (rc == 0)
		rc = secret_read(path, text, sizeof(text), &n, e);
	if (rc < 0)
		return rc;
	secret_trim(text);
	if (strncmp(text, KEY_WORD, sizeof(KEY_WORD) - 1) != 0 ||
	    !hex_decode(text + sizeof(KEY_WORD) - 1, s->key, sizeof(s->key)))
		rc = err_set(e, PS_DATA, "%s: damaged key", path);
	secret_wipe(text, sizeof(text));
	if (rc == 0)
		rc = hkdf_sha256(s->key, sizeof(s->key), NULL, 0,
				 "ps-config key id", 16, id, sizeof(id), e);
	if (rc == 0)
		hex_encode(id, sizeof(id), s->id);
	else
		secret_wipe(s, sizeof(*s));
	return rc;
}

int seal_close(const struct seal *s, const char *of, const void *secret,
	       size_t n, uint8_t *out, struct err *e)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t *nonce = out + 1, *body = nonce + NONCE;
	int len;
	bool ok =
	    c != NULL && RAND_bytes(nonce, NONCE) == 1 &&
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, s->key, nonce) ==
		1 &&
	    EVP_EncryptUpdate(c, NULL, &len, (const uint8_t *)of,
			      (int)strlen(of)) == 1 &&
	    EVP_EncryptUpdate(c, body, &len, secret, (int)n) == 1 &&
	    EVP_EncryptFinal_ex(c, body + len, &len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG, body + n) == 1;

	out[0] = FORM;
	EVP_CIPHER_CTX_free(c);
	return ok ? 0 : tls_err(e, PS_SOFTWARE, "sealing");
}

int seal_open(const struct seal *s, const char *of, const void *sealed,
	      size_t n, uint8_t *out, size_t *ret_n, struct err *e)
{
	const uint8_t *in = sealed, *body = in + 1 + NONCE;
	EVP_CIPHER_CTX *c;
	uint8_t tag[TAG];
	int len;
	bool ok;

	if (n < SEAL_OVERHEAD || in[0] != FORM)
		return err_set(e, PS_DATA, "%s: no sealed secret", of);
	n -= SEAL_OVERHEAD;
	memcpy(tag, body + n, TAG);
	c = EVP_CIPHER_CTX_new();
	ok = c != NULL &&
	     EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, s->key, in + 1) ==
		 1 &&
	     EVP_DecryptUpdate(c, NULL, &len, (const uint8_t *)of,
			       (int)strlen(of)) == 1 &&
	     EVP_DecryptUpdate(c, out, &len, body, (int)n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG, tag) == 1 &&
	     EVP_DecryptFinal_ex(c, out + len, &len) == 1;
	EVP_CIPHER_CTX_free(c);
	if (ok) {
		*ret_n = n;
		return 0;
	}
	secret_wipe(out, n);
	return err_set(e, PS_DATA,
		       "%s: was sealed with another key, or is damaged", of);
}
