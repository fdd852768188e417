#include "config.h"

#include <stdio.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/bytes.h"
#include "base/hkdf.h"
#include "base/secret.h"
#include "net/login.h"
#include "net/tls.h"

#define SCRYPT_SALT "ps-toolkit login v1"
#define SCRYPT_N (UINT64_C(1) << 15)
#define SCRYPT_R 8
#define SCRYPT_P 1
#define SCRYPT_MEMORY (64 * 1024 * 1024)
#define KEY_WORD "ps-login-key-1"
#define SECRET_MAX 1024

bool login_name_ok(const char *name)
{
	return name_ok(name) || strcmp(name, LOGIN_OPERATOR) == 0;
}

int login_root(const char *passphrase, uint8_t root[LOGIN_KEY_LEN],
	       struct err *e)
{
	if (EVP_PBE_scrypt(passphrase, strlen(passphrase),
			   (const unsigned char *)SCRYPT_SALT,
			   sizeof(SCRYPT_SALT) - 1, SCRYPT_N, SCRYPT_R,
			   SCRYPT_P, SCRYPT_MEMORY, root, LOGIN_KEY_LEN) != 1)
		return tls_err(e, PS_TEMPFAIL, "scrypt");
	return 0;
}

/* A derived key: 1; a passphrase: 0; a damaged key: -PS_DATA. */
static int parse_key(struct login_secret *s, const char *text, const char *path,
		     struct err *e)
{
	const size_t word = sizeof(KEY_WORD) - 1;
	const char *name = text + word + 1, *hex;

	if (strncmp(text, KEY_WORD "\t", word + 1) != 0)
		return 0;
	hex = strchr(name, '\t');
	if (hex == NULL || (size_t)(hex - name) >= sizeof(s->machine))
		return err_set(e, PS_DATA, "%s: damaged key", path);
	memcpy(s->machine, name, (size_t)(hex - name));
	s->machine[hex - name] = '\0';
	if (!login_name_ok(s->machine) ||
	    !hex_decode(hex + 1, s->key, LOGIN_KEY_LEN))
		return err_set(e, PS_DATA, "%s: damaged key", path);
	return 1;
}

int login_secret_read(struct login_secret *s, const char *path, struct err *e)
{
	char text[SECRET_MAX];
	size_t n;
	int rc = secret_read(path, text, sizeof(text), &n, e);

	if (rc < 0)
		return rc;
	*s = (struct login_secret){0};
	secret_trim(text);
	if (text[0] == '\0' || strlen(text) + 8 < n)
		rc = err_set(e, PS_DATA, "%s: no passphrase in it", path);
	else if (strchr(text, '\n') != NULL)
		rc = err_set(e, PS_DATA, "%s: more than one line", path);
	else
		rc = parse_key(s, text, path, e);
	if (rc == 0)
		rc = login_root(text, s->key, e);
	secret_wipe(text, sizeof(text));
	if (rc < 0)
		secret_wipe(s, sizeof(*s));
	return rc < 0 ? rc : 0;
}

int login_key(const struct login_secret *s, const char *machine,
	      uint8_t key[LOGIN_KEY_LEN], struct err *e)
{
	char info[128];
	int rc;

	if (s->machine[0] == '\0') {
		snprintf(info, sizeof(info), "ps-toolkit machine login%s",
			 machine);
		return hkdf_sha256(s->key, LOGIN_KEY_LEN, NULL, 0, info,
				   strlen(info), key, LOGIN_KEY_LEN, e);
	}
	if (strcmp(s->machine, machine) != 0) {
		rc = err_set(e, PS_NOPERM,
			     "this key logs in as '%s', not as '%s'",
			     s->machine, machine);
		err_hint(e, "make one with: cxpsclient --derive-key %s",
			 machine);
		return rc;
	}
	memcpy(key, s->key, LOGIN_KEY_LEN);
	return 0;
}

void login_key_line(const char *machine, const uint8_t key[LOGIN_KEY_LEN],
		    char out[LOGIN_LINE_SIZE])
{
	char hex[2 * LOGIN_KEY_LEN + 1];

	hex_encode(key, LOGIN_KEY_LEN, hex);
	snprintf(out, LOGIN_LINE_SIZE, KEY_WORD "\t%s\t%s\n", machine, hex);
	secret_wipe(hex, sizeof(hex));
}

int login_new_passphrase(char out[LOGIN_PASSPHRASE_SIZE], struct err *e)
{
	/* 32 signs that are not taken for one another: 5 bits each */
	static const char signs[] = "abcdefghijkmnpqrstuvwxyz23456789";
	uint8_t random[24];
	unsigned n;

	if (RAND_priv_bytes(random, sizeof(random)) != 1)
		return tls_err(e, PS_SOFTWARE, "random numbers");
	for (n = 0; n < sizeof(random); n++)
		out[n] = signs[random[n] % 32];
	out[n] = '\0';
	secret_wipe(random, sizeof(random));
	return 0;
}

/* ---- proofs ---- */

int login_nonce(uint8_t out[LOGIN_NONCE_LEN], struct err *e)
{
	if (RAND_bytes(out, LOGIN_NONCE_LEN) != 1)
		return tls_err(e, PS_SOFTWARE, "random numbers");
	return 0;
}

int login_proof(const struct login *l, bool server,
		uint8_t out[LOGIN_PROOF_LEN], struct err *e)
{
	static const char client_label[] = "ps-toolkit client proof 1";
	static const char server_label[] = "ps-toolkit server proof 1";
	uint8_t text[sizeof(client_label) + 3 * 32 + NAME_SIZE];
	size_t n = sizeof(client_label); /* its NUL too */
	unsigned len = 0;

	memcpy(text, server ? server_label : client_label, n);
	memcpy(text + n, l->client_nonce, 32);
	memcpy(text + n + 32, l->server_nonce, 32);
	memcpy(text + n + 64, l->exporter, 32);
	n += 96;
	memcpy(text + n, l->machine, strlen(l->machine));
	n += strlen(l->machine);
	if (HMAC(EVP_sha256(), l->key, LOGIN_KEY_LEN, text, n, out, &len) ==
		NULL ||
	    len != LOGIN_PROOF_LEN)
		return tls_err(e, PS_SOFTWARE, "HMAC");
	return 0;
}

bool login_proof_ok(const uint8_t a[LOGIN_PROOF_LEN],
		    const uint8_t b[LOGIN_PROOF_LEN])
{
	return CRYPTO_memcmp(a, b, LOGIN_PROOF_LEN) == 0;
}

/* ---- messages ---- */

void login_word_line(const char *word, const uint8_t value[32],
		     char out[LOGIN_LINE_SIZE])
{
	char hex[65];

	hex_encode(value, 32, hex);
	snprintf(out, LOGIN_LINE_SIZE, "%s\t%s\n", word, hex);
}

/* A field of 64 digits and the newline that ends the line. */
static bool parse_hex_line(const char *p, uint8_t value[32])
{
	char hex[65];

	if (strlen(p) != 65 || p[64] != '\n')
		return false;
	memcpy(hex, p, 64);
	hex[64] = '\0';
	return hex_decode(hex, value, 32);
}

bool login_word_parse(const char *line, const char *word, uint8_t value[32])
{
	size_t n = strlen(word);

	return strncmp(line, word, n) == 0 && line[n] == '\t' &&
	       parse_hex_line(line + n + 1, value);
}

void login_hello_line(const struct login *l, char out[LOGIN_LINE_SIZE])
{
	char hex[65];

	hex_encode(l->client_nonce, LOGIN_NONCE_LEN, hex);
	snprintf(out, LOGIN_LINE_SIZE, "hello\t%s\t%s\n", l->machine, hex);
}

bool login_hello_parse(const char *line, struct login *l)
{
	const char *name = line + 6, *tab;

	if (strncmp(line, "hello\t", 6) != 0)
		return false;
	tab = strchr(name, '\t');
	if (tab == NULL || (size_t)(tab - name) >= sizeof(l->machine))
		return false;
	memcpy(l->machine, name, (size_t)(tab - name));
	l->machine[tab - name] = '\0';
	return login_name_ok(l->machine) &&
	       parse_hex_line(tab + 1, l->client_nonce);
}
