/*
 * Codecs of record payloads: raw deflate (RFC 1951; written by ISA-L or
 * zlib, readable by either) and zstd. A codec_state belongs to one thread.
 */
#ifndef PS_SEGMENT_CODEC_H
#define PS_SEGMENT_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "segment/format.h"

struct codec_state;

/* True when this build can write (and read) the codec. */
bool codec_available(uint8_t codec);

/* Memory that one state takes to compress at this level, about. */
size_t codec_memory(uint8_t codec, int level);

int codec_new(struct codec_state **ret, struct err *e);
void codec_free(struct codec_state *c);

/*
 * Compresses n bytes into `out` (room for n bytes). Returns the coded length,
 * always less than n, or 0 when the data should be stored as it is.
 * level: 1 (fastest) .. 9.
 */
size_t codec_compress(struct codec_state *c, uint8_t codec, int level,
		      const void *in, size_t n, void *out);

/*
 * Expands into exactly raw_len bytes: less, more, or damaged is -PS_DATA; a
 * codec that this build lacks is -PS_CONFIG.
 */
int codec_expand(struct codec_state *c, uint8_t codec, const void *in, size_t n,
		 void *out, size_t raw_len, struct err *e);

#endif
