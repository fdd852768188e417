/*
 * Keys from keys: HKDF with SHA-256 (RFC 5869, extract and expand), by
 * OpenSSL.
 */
#ifndef PS_BASE_HKDF_H
#define PS_BASE_HKDF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/*
 * Derives out_len bytes (at most 8160) from a key. salt may be NULL with
 * salt_len 0. May be called by many threads.
 */
int hkdf_sha256(const void *key, size_t key_len, const void *salt,
		size_t salt_len, const void *info, size_t info_len, void *out,
		size_t out_len, struct err *e);

#endif
