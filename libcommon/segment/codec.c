#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>
#ifdef HAVE_ISAL
#include <isa-l/igzip_lib.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#include "segment/codec.h"

/* ISA-L has three levels of its own; above them zlib's are denser. */
#define ISAL_LEVEL_MAX 3

/* Each state is made when it is first needed, then kept for every record. */
struct codec_state {
	z_stream deflate, inflate;
	int deflate_level; /* 0: not begun */
	bool inflate_begun;
#ifdef HAVE_ISAL
	struct isal_zstream fast;
	struct inflate_state expand;
	uint8_t *fast_buf;
	int fast_level;
#endif
#ifdef HAVE_ZSTD
	ZSTD_CCtx *zc;
	ZSTD_DCtx *zd;
#endif
};

bool codec_available(uint8_t codec)
{
#ifdef HAVE_ZSTD
	if (codec == SEG_ZSTD)
		return true;
#endif
	return codec == SEG_STORE || codec == SEG_DEFLATE;
}

size_t codec_memory(uint8_t codec, int level)
{
	/* As measured with records of 1 MiB, rounded up. */
	if (codec == SEG_ZSTD)
		return (level <= 2 ? 3 : 14) * 1024 * 1024u;
	return codec == SEG_DEFLATE ? 768 * 1024 : 0;
}

int codec_new(struct codec_state **ret, struct err *e)
{
	struct codec_state *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "codec");
	*ret = c;
	return 0;
}

void codec_free(struct codec_state *c)
{
	if (c == NULL)
		return;
	if (c->deflate_level != 0)
		deflateEnd(&c->deflate);
	if (c->inflate_begun)
		inflateEnd(&c->inflate);
#ifdef HAVE_ISAL
	free(c->fast_buf);
#endif
#ifdef HAVE_ZSTD
	ZSTD_freeCCtx(c->zc);
	ZSTD_freeDCtx(c->zd);
#endif
	free(c);
}

/* ---- is it worth it? ---- */

#define CHUNK (64 * 1024u) /* judged on its own */
#define SAMPLES 4	   /* in each chunk */
#define SAMPLE 512u	   /* bytes in a sample */
#define PROBE_MIN (4 * 1024u)
/*
 * Bytes that are evenly distributed give a chi-square of 255 with a standard
 * deviation of 23; what deflate can shrink by a few percent gives thousands.
 */
#define CHI_SQUARE_RANDOM 400u

/* True when the sampled bytes of a chunk are distributed as random ones. */
static bool chunk_random(const uint8_t *p)
{
	/* Two tables: a run of equal bytes does not wait for itself. */
	uint16_t seen[2][256] = {{0}};
	uint64_t squares = 0;
	unsigned i, s;

	for (s = 0; s < SAMPLES; s++) {
		const uint8_t *q = p + s * (CHUNK / SAMPLES);

		for (i = 0; i < SAMPLE; i += 2) {
			seen[0][q[i]]++;
			seen[1][q[i + 1]]++;
		}
	}
	for (i = 0; i < 256; i++) {
		uint64_t n = (uint64_t)seen[0][i] + seen[1][i];

		squares += n * n;
	}
	return squares * 256 / (SAMPLES * SAMPLE) - SAMPLES * SAMPLE <
	       CHI_SQUARE_RANDOM;
}

/* True when every chunk looks random; short data always get their chance. */
static bool all_random(const uint8_t *p, size_t n)
{
	size_t at;

	if (n < CHUNK)
		return false;
	for (at = 0; n - at >= CHUNK; at += CHUNK)
		if (!chunk_random(p + at))
			return false;
	return n == at || chunk_random(p + n - CHUNK);
}

/* ---- compressing ---- */

#ifdef HAVE_ISAL
static bool isal_ready(struct codec_state *c, int level)
{
	static const uint32_t sizes[] = {0, ISAL_DEF_LVL1_DEFAULT,
					 ISAL_DEF_LVL2_DEFAULT,
					 ISAL_DEF_LVL3_DEFAULT};

	if (c->fast_level == level)
		return true;
	free(c->fast_buf);
	c->fast_level = 0;
	c->fast_buf = malloc(sizes[level]);
	if (c->fast_buf == NULL)
		return false;
	isal_deflate_init(&c->fast);
	c->fast.level = (uint32_t)level;
	c->fast.level_buf = c->fast_buf;
	c->fast.level_buf_size = sizes[level];
	c->fast_level = level;
	return true;
}

static size_t isal_write(struct codec_state *c, int level, const uint8_t *in,
			 size_t n, uint8_t *out)
{
	struct isal_zstream *s = &c->fast;

	if (!isal_ready(c, level))
		return 0;
	isal_deflate_reset(s);
	s->next_in = (uint8_t *)(uintptr_t)in;
	s->avail_in = (uint32_t)n;
	s->next_out = out;
	s->avail_out = (uint32_t)n - 1;
	s->end_of_stream = 1;
	s->flush = NO_FLUSH;
	if (isal_deflate(s) != COMP_OK || s->internal_state.state != ZSTATE_END)
		return 0;
	return s->total_out;
}
#endif

static size_t zlib_write(struct codec_state *c, int level, const uint8_t *in,
			 size_t n, uint8_t *out)
{
	z_stream *s = &c->deflate;

	if (c->deflate_level != 0 && c->deflate_level != level) {
		deflateEnd(s);
		c->deflate_level = 0;
	}
	if (c->deflate_level == 0) {
		*s = (z_stream){0};
		if (deflateInit2(s, level, Z_DEFLATED, -MAX_WBITS, 9,
				 Z_DEFAULT_STRATEGY) != Z_OK)
			return 0;
		c->deflate_level = level;
	} else if (deflateReset(s) != Z_OK) {
		return 0;
	}
	s->next_in = (Bytef *)(uintptr_t)in;
	s->avail_in = (uInt)n;
	s->next_out = out;
	s->avail_out = (uInt)n - 1;
	return deflate(s, Z_FINISH) == Z_STREAM_END ? s->total_out : 0;
}

static size_t deflate_write(struct codec_state *c, int level, const uint8_t *in,
			    size_t n, uint8_t *out)
{
#ifdef HAVE_ISAL
	if (level <= ISAL_LEVEL_MAX)
		return isal_write(c, level, in, n, out);
#endif
	return zlib_write(c, level, in, n, out);
}

#ifdef HAVE_ZSTD
static size_t zstd_write(struct codec_state *c, int level, const uint8_t *in,
			 size_t n, uint8_t *out)
{
	size_t got;

	if (c->zc == NULL)
		c->zc = ZSTD_createCCtx();
	if (c->zc == NULL)
		return 0;
	got = ZSTD_compressCCtx(c->zc, out, n - 1, in, n, level);
	return ZSTD_isError(got) ? 0 : got;
}
#endif

/*
 * Random-looking bytes may still repeat at a short distance: a small piece
 * from the middle is tried before the whole is given up.
 */
static bool hopeless(struct codec_state *c, const uint8_t *in, size_t n,
		     uint8_t *out)
{
	size_t probe = n / 64 < PROBE_MIN ? PROBE_MIN : n / 64;

	if (!all_random(in, n))
		return false;
	return deflate_write(c, 1, in + n / 2, probe, out) == 0;
}

size_t codec_compress(struct codec_state *c, uint8_t codec, int level,
		      const void *in, size_t n, void *out)
{
	if (n < 2 || hopeless(c, in, n, out))
		return 0;
	if (codec == SEG_DEFLATE)
		return deflate_write(c, level, in, n, out);
#ifdef HAVE_ZSTD
	if (codec == SEG_ZSTD)
		return zstd_write(c, level, in, n, out);
#endif
	return 0;
}

/* ---- expanding ---- */

/* Each gives true when exactly raw_len bytes came out of exactly n. */

#ifdef HAVE_ISAL
static bool deflate_read(struct codec_state *c, const uint8_t *in, size_t n,
			 uint8_t *out, size_t raw_len)
{
	struct inflate_state *s = &c->expand;

	isal_inflate_init(s);
	s->next_in = (uint8_t *)(uintptr_t)in;
	s->avail_in = (uint32_t)n;
	s->next_out = out;
	s->avail_out = (uint32_t)raw_len;
	return isal_inflate_stateless(s) == ISAL_DECOMP_OK &&
	       s->block_state == ISAL_BLOCK_FINISH && s->avail_in == 0 &&
	       s->read_in_length < 8 && s->total_out == raw_len;
}
#else
static bool deflate_read(struct codec_state *c, const uint8_t *in, size_t n,
			 uint8_t *out, size_t raw_len)
{
	z_stream *s = &c->inflate;

	if (!c->inflate_begun) {
		if (inflateInit2(s, -MAX_WBITS) != Z_OK)
			return false;
		c->inflate_begun = true;
	} else if (inflateReset(s) != Z_OK) {
		return false;
	}
	s->next_in = (Bytef *)(uintptr_t)in;
	s->avail_in = (uInt)n;
	s->next_out = out;
	s->avail_out = (uInt)raw_len;
	return inflate(s, Z_FINISH) == Z_STREAM_END && s->avail_in == 0 &&
	       s->total_out == raw_len;
}
#endif

#ifdef HAVE_ZSTD
static bool zstd_read(struct codec_state *c, const uint8_t *in, size_t n,
		      uint8_t *out, size_t raw_len)
{
	if (c->zd == NULL)
		c->zd = ZSTD_createDCtx();
	return c->zd != NULL &&
	       ZSTD_decompressDCtx(c->zd, out, raw_len, in, n) == raw_len;
}
#endif

int codec_expand(struct codec_state *c, uint8_t codec, const void *in, size_t n,
		 void *out, size_t raw_len, struct err *e)
{
	bool ok = false;

	if (!codec_available(codec)) {
		err_set(e, PS_CONFIG, "record coded by %s: not in this build",
			seg_codec_name(codec));
		err_hint(e, "build with libzstd");
		return -PS_CONFIG;
	}
	if (codec == SEG_STORE && n == raw_len) {
		memcpy(out, in, n);
		ok = true;
	} else if (codec == SEG_DEFLATE) {
		ok = deflate_read(c, in, n, out, raw_len);
	}
#ifdef HAVE_ZSTD
	if (codec == SEG_ZSTD)
		ok = zstd_read(c, in, n, out, raw_len);
#endif
	if (!ok)
		return err_set(e, PS_DATA,
			       "damaged segment: a record does not expand");
	return 0;
}
