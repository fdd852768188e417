#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/evp.h>

#include "base/bytes.h"
#include "base/hkdf.h"
#include "base/secret.h"
#include "segment/keyring.h"
#include "segment/seal.h"

#define NONCE_LEN 12
/* Contexts kept for the next call; more threads than this make their own. */
#define IDLE_MAX 64

/*
 * Cipher contexts with the key already in them. A thread takes one, sets
 * nonce and data, and gives it back.
 */
struct idle {
	pthread_mutex_t lock;
	EVP_CIPHER_CTX *ctx[2][IDLE_MAX]; /* [0] opens, [1] seals */
	unsigned n[2];
};

struct seal {
	uint8_t key[KEY_LEN];
	struct idle *idle;
};

static EVP_CIPHER *aes_gcm(void)
{
	static EVP_CIPHER *cipher;
	EVP_CIPHER *got = __atomic_load_n(&cipher, __ATOMIC_ACQUIRE);
	EVP_CIPHER *none = NULL, *mine;

	if (got != NULL)
		return got;
	mine = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (mine == NULL)
		return NULL;
	if (__atomic_compare_exchange_n(&cipher, &none, mine, 0,
					__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return mine;
	EVP_CIPHER_free(mine);
	return none;
}

/* ---- keys ---- */

/* segment key = HKDF(machine key, salt, SHA-256(header)) */
static int segment_key(struct seal *s, const struct key *key,
		       const struct seg_header *h,
		       const uint8_t header_raw[SEG_HEADER_LEN], struct err *e)
{
	uint8_t machine_key[KEY_LEN], sum[SHA256_LEN];
	int rc = key_for_machine(key, h->machine, machine_key, e);

	if (rc == 0) {
		sha256_of(header_raw, SEG_HEADER_LEN, sum);
		rc = hkdf_sha256(machine_key, KEY_LEN, h->salt, SEG_SALT_LEN,
				 sum, sizeof(sum), s->key, KEY_LEN, e);
	}
	secret_wipe(machine_key, sizeof(machine_key));
	return rc;
}

static int new_seal(struct seal **ret, const struct key *key,
		    const struct seg_header *h,
		    const uint8_t header_raw[SEG_HEADER_LEN], struct err *e)
{
	struct seal *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_sys(e, PS_TEMPFAIL, "seal");
	s->idle = calloc(1, sizeof(*s->idle));
	if (s->idle == NULL) {
		free(s);
		return err_sys(e, PS_TEMPFAIL, "seal");
	}
	pthread_mutex_init(&s->idle->lock, NULL);
	rc = segment_key(s, key, h, header_raw, e);
	if (rc < 0)
		seal_free(s);
	else
		*ret = s;
	return rc;
}

int seal_new(struct seal **ret, const struct keyring *k, struct seg_header *h,
	     struct err *e)
{
	const struct key *key = &k->keys[k->n - 1];
	struct seg_header sealed = *h;
	uint8_t raw[SEG_HEADER_LEN];
	int rc;

	sealed.encoding |= SEG_SEALED;
	memcpy(sealed.key_id, key->id, SEG_KEY_ID_LEN);
	if (getrandom(sealed.salt, SEG_SALT_LEN, 0) != SEG_SALT_LEN)
		return err_sys(e, PS_IOERR, "getrandom");
	seg_header_pack(&sealed, raw);
	rc = new_seal(ret, key, &sealed, raw, e);
	if (rc == 0)
		*h = sealed;
	return rc;
}

int seal_for(struct seal **ret, const struct keyring *k,
	     const struct seg_header *h,
	     const uint8_t header_raw[SEG_HEADER_LEN], struct err *e)
{
	const struct key *key = keyring_find(k, h->key_id);
	char id[2 * SEG_KEY_ID_LEN + 1];

	if (key == NULL) {
		hex_encode(h->key_id, SEG_KEY_ID_LEN, id);
		return err_set(e, PS_NOPERM,
			       "sealed with key %s, which is not in the key "
			       "file",
			       id);
	}
	return new_seal(ret, key, h, header_raw, e);
}

void seal_free(struct seal *s)
{
	unsigned way;

	if (s == NULL)
		return;
	for (way = 0; way < 2; way++)
		while (s->idle->n[way] > 0)
			EVP_CIPHER_CTX_free(
			    s->idle->ctx[way][--s->idle->n[way]]);
	pthread_mutex_destroy(&s->idle->lock);
	free(s->idle);
	secret_wipe(s, sizeof(*s));
	free(s);
}

/* ---- contexts ---- */

static EVP_CIPHER_CTX *take(const struct seal *s, int way)
{
	struct idle *idle = s->idle;
	EVP_CIPHER_CTX *ctx = NULL;

	pthread_mutex_lock(&idle->lock);
	if (idle->n[way] > 0)
		ctx = idle->ctx[way][--idle->n[way]];
	pthread_mutex_unlock(&idle->lock);
	if (ctx != NULL)
		return ctx;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, aes_gcm(), s->key, NULL, way, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static void give_back(const struct seal *s, int way, EVP_CIPHER_CTX *ctx)
{
	struct idle *idle = s->idle;

	pthread_mutex_lock(&idle->lock);
	if (idle->n[way] < IDLE_MAX) {
		idle->ctx[way][idle->n[way]++] = ctx;
		ctx = NULL;
	}
	pthread_mutex_unlock(&idle->lock);
	EVP_CIPHER_CTX_free(ctx);
}

/* ---- bytes ---- */

static void make_nonce(uint64_t counter, bool last, uint8_t nonce[NONCE_LEN])
{
	memset(nonce, 0, 3);
	put_le64(nonce + 3, counter);
	nonce[11] = last ? 1 : 0;
}

/* Everything but the tag: nonce, associated data, n bytes. */
static bool run(EVP_CIPHER_CTX *ctx, int way, uint64_t counter, bool last,
		const void *aad, size_t aad_len, const void *in, size_t n,
		uint8_t *out)
{
	uint8_t nonce[NONCE_LEN];
	int got;

	make_nonce(counter, last, nonce);
	return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, way, NULL) == 1 &&
	       EVP_CipherUpdate(ctx, NULL, &got, aad, (int)aad_len) == 1 &&
	       (n == 0 || EVP_CipherUpdate(ctx, out, &got, in, (int)n) == 1);
}

int seal_bytes(const struct seal *s, uint64_t counter, bool last,
	       const void *aad, size_t aad_len, const void *in, size_t n,
	       uint8_t *out, struct err *e)
{
	EVP_CIPHER_CTX *ctx = take(s, 1);
	int got;
	bool ok = ctx != NULL &&
		  run(ctx, 1, counter, last, aad, aad_len, in, n, out) &&
		  EVP_CipherFinal_ex(ctx, out + n, &got) == 1 &&
		  EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEG_TAG_LEN,
				      out + n) == 1;

	if (!ok) {
		EVP_CIPHER_CTX_free(ctx);
		return err_set(e, PS_SOFTWARE, "AES-256-GCM failed");
	}
	give_back(s, 1, ctx);
	return 0;
}

int open_bytes(const struct seal *s, uint64_t counter, bool last,
	       const void *aad, size_t aad_len, const void *in, size_t n,
	       uint8_t *out, struct err *e)
{
	uint8_t tag[SEG_TAG_LEN], none[1];
	EVP_CIPHER_CTX *ctx;
	int got;
	bool ok;

	if (n < SEG_TAG_LEN)
		return err_set(e, PS_DATA, "damaged segment: no seal");
	ctx = take(s, 0);
	if (ctx == NULL)
		return err_set(e, PS_SOFTWARE, "AES-256-GCM failed");
	n -= SEG_TAG_LEN;
	memcpy(tag, (const uint8_t *)in + n, SEG_TAG_LEN);
	ok = run(ctx, 0, counter, last, aad, aad_len, in, n, out) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEG_TAG_LEN,
				 tag) == 1 &&
	     EVP_CipherFinal_ex(ctx, none, &got) == 1;
	give_back(s, 0, ctx);
	if (ok)
		return 0;
	if (n > 0)
		memset(out, 0, n);
	return err_set(e, PS_DATA, "damaged segment: a part is not authentic");
}
