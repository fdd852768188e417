/*
 * Digests and checksums: SHA-256 (FIPS 180-4, by OpenSSL) for what must not
 * be forged, CRC-32C (Castagnoli, RFC 3720 appendix B.4) for what a wire or a
 * disk may spoil.
 */
#ifndef PS_BASE_DIGEST_H
#define PS_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_LEN 32
#define SHA256_HEX (2 * SHA256_LEN + 1)

/* A running SHA-256. Out of memory inside OpenSSL ends the program. */
struct sha256 {
	void *ctx; /* EVP_MD_CTX */
};

void sha256_init(struct sha256 *s);
void sha256_update(struct sha256 *s, const void *p, size_t n);
/* Gives the digest and frees the state. */
void sha256_final(struct sha256 *s, uint8_t out[SHA256_LEN]);
/* Frees the state without a digest; harmless after sha256_final. */
void sha256_drop(struct sha256 *s);

void sha256_of(const void *p, size_t n, uint8_t out[SHA256_LEN]);

/* CRC-32C of `n` bytes, going on from `crc` (0 to begin). */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
