#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "run.h"
#include "segment/codec.h"
#include "segment/verify.h"

int run_transform(enum transform_kind kind, const struct keyring *keys,
		  const struct sample *in, struct sample *out)
{
	struct transform t = {.kind = kind,
			      .codec = SEG_DEFLATE,
			      .level = 1,
			      .keys = keys,
			      .threads = 1};
	struct sample_in src = {in->p, in->n, 0};
	struct io_in source;
	struct io_out sink;
	struct err e = {0};
	int rc;

	out->n = 0;
	assert_int_equal(io_in_open(&source, sample_read, &src, "in", NULL), 0);
	assert_int_equal(io_out_open(&sink, sample_write, out, "out", NULL), 0);
	rc = transform_run(&t, &source, &sink, NULL, &e);
	if (rc < 0) {
		assert_int_equal(e.code, -rc);
		assert_true(strlen(e.msg) > 10);
		/* what was in the buffer counts as written, too */
		assert_int_equal(io_out_flush(&sink, NULL), 0);
	}
	io_in_close(&source);
	io_out_close(&sink);
	return rc;
}

static void ignore(void *ctx, const struct seg_verdict *v)
{
	unsigned *wrong = ctx;

	if (v->wrong != NULL)
		++*wrong;
}

int run_verify(const struct sample *in, const struct keyring *keys)
{
	struct sample_in src = {in->p, in->n, 0};
	struct io_in source;
	unsigned wrong = 0;
	struct err e = {0};
	int rc;

	assert_int_equal(io_in_open(&source, sample_read, &src, "in", NULL), 0);
	rc = seg_verify_run(&source, keys, 1, ignore, &wrong, &e);
	assert_true(rc == 0 ? wrong == 0 : e.code == -rc);
	io_in_close(&source);
	return rc;
}
