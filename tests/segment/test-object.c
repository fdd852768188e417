/* Random access to a stored segment gives checked bytes or an error. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"
#include "segment/object.h"
#include "segment/reader.h"

static int fetch_memory(void *ctx, uint64_t pos, void *buf, size_t n,
			struct err *e)
{
	const struct sample *s = ctx;

	if (pos > s->n || n > s->n - pos)
		return err_set(e, PS_DATA, "outside the object");
	memcpy(buf, s->p + pos, n);
	return 0;
}

struct loader {
	const struct seg_object *o;
	struct codec_state *codec;
	unsigned data, zero;
};

static int load(void *ctx, const struct seg_ref *ref, struct err *e)
{
	static uint8_t scratch[SEG_RECORD_MAX], out[SEG_RECORD_RAW_MAX];
	uint8_t digest[BLOCK_DIGEST_LEN];
	struct loader *l = ctx;
	uint32_t bs = l->o->header.block_size, i;
	int rc;

	if (ref->entry.zero) {
		l->zero++;
		return 0;
	}
	l->data++;
	rc = seg_object_load(l->o, ref, l->codec, scratch, out, e);
	for (i = 0; rc == 0 && i < ref->nblocks; i++) {
		uint64_t left = ref->entry.raw_len - (uint64_t)i * bs;

		block_digest(out + (size_t)i * bs, left < bs ? left : bs, bs,
			     digest);
		if (memcmp(digest, ref->digests + i * BLOCK_DIGEST_LEN,
			   BLOCK_DIGEST_LEN) != 0)
			rc = err_set(e, PS_DATA, "a block differs");
	}
	return rc;
}

/* Everything that a restore would read. */
static int use_all(struct sample *s, struct loader *l)
{
	struct seg_object o;
	int rc = seg_object_open(&o, fetch_memory, s, s->n, NULL, NULL);

	if (rc < 0)
		return rc;
	l->o = &o;
	l->data = l->zero = 0;
	rc = seg_object_check_digest(&o, NULL);
	if (rc == 0)
		rc = seg_object_walk(&o, load, l, NULL);
	seg_object_close(&o);
	return rc;
}

static void finds_every_record(void **state)
{
	struct loader l = {0};
	struct sample s;

	(void)state;
	sample_make(&s, 1);
	assert_int_equal(codec_new(&l.codec, NULL), 0);
	assert_int_equal(use_all(&s, &l), 0);
	assert_int_equal(l.data, 3);
	assert_int_equal(l.zero, 1);
	codec_free(l.codec);
	sample_free(&s);
}

static void every_flipped_bit_is_seen(void **state)
{
	struct loader l = {0};
	struct sample s;
	const uint8_t *zero;
	size_t i;

	(void)state;
	sample_make(&s, 1);
	assert_int_equal(codec_new(&l.codec, NULL), 0);
	/* The header of a ZERO record: bytes that no restore ever reads. */
	zero = memmem(s.p, s.n, "ZERO", 4);
	assert_non_null(zero);
	for (i = 0; i < s.n; i++) {
		if (s.p + i >= zero && s.p + i < zero + SEG_RECORD_LEN)
			continue;
		s.p[i] ^= (uint8_t)(1 << (i % 8));
		if (use_all(&s, &l) == 0)
			fail_msg("a bit flipped at %zu went unseen", i);
		s.p[i] ^= (uint8_t)(1 << (i % 8));
	}
	codec_free(l.codec);
	sample_free(&s);
}

static void a_cut_object_does_not_open(void **state)
{
	struct seg_object o;
	struct sample s;
	size_t whole, n;

	(void)state;
	sample_make(&s, 1);
	whole = s.n;
	for (n = 0; n < whole; n++) {
		s.n = n;
		assert_true(
		    seg_object_open(&o, fetch_memory, &s, n, NULL, NULL) < 0);
	}
	sample_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finds_every_record),
	    cmocka_unit_test(every_flipped_bit_is_seen),
	    cmocka_unit_test(a_cut_object_does_not_open),
	};

	return cmocka_run_group_tests_name("segment object", tests, NULL, NULL);
}
