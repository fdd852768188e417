#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sample.h"

#define BLOCK 4096u
#define DISK (64 * BLOCK + 100)

int sample_write(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct sample *s = ctx;

	(void)e;
	if (s->n + n > s->cap) {
		s->cap = 2 * (s->n + n);
		s->p = realloc(s->p, s->cap);
		assert_non_null(s->p);
	}
	memcpy(s->p + s->n, buf, n);
	s->n += n;
	return 0;
}

ssize_t sample_read(void *ctx, void *buf, size_t n, struct err *e)
{
	struct sample_in *in = ctx;
	size_t left = in->n - in->pos;

	(void)e;
	if (n > left)
		n = left;
	memcpy(buf, in->p + in->pos, n);
	in->pos += n;
	return (ssize_t)n;
}

static void put_data(struct seg_writer *w, uint64_t offset, size_t len,
		     unsigned seed)
{
	uint8_t data[3 * BLOCK], digests[3 * BLOCK_DIGEST_LEN];
	size_t i, done;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i / 7 + seed + 1);
	for (i = 0, done = 0; done < len; i++, done += BLOCK)
		block_digest(data + done,
			     len - done < BLOCK ? len - done : BLOCK, BLOCK,
			     digests + i * BLOCK_DIGEST_LEN);
	assert_int_equal(seg_writer_data(w, offset, len, SEG_STORE, data,
					 (uint32_t)len, digests, NULL),
			 0);
}

void sample_make(struct sample *s, unsigned segments)
{
	struct seg_header h = {.kind = SEG_BASE,
			       .consistency = SEG_CONSISTENCY_CRASH,
			       .initial = true,
			       .block_size = BLOCK,
			       .disk_size = DISK,
			       .machine = "web01",
			       .disk = "root",
			       .bookmark = "b1"};
	struct seg_member member = {"web01", "root"};
	uint8_t disk_digest[SHA256_LEN] = {1, 2, 3};
	struct seg_writer *w;
	struct io_out out;
	unsigned i;

	*s = (struct sample){0};
	assert_int_equal(io_out_open(&out, sample_write, s, "sample", NULL), 0);
	assert_int_equal(seg_writer_new(&w, &out, NULL), 0);
	for (i = 1; i <= segments; i++) {
		struct seg_trailer t = {.last_part = i == segments,
					.change_time = 5};
		const uint8_t *tail;
		size_t len;

		h.part = i;
		h.first_seq = h.seq = i;
		h.kind = i == 1 ? SEG_BASE : SEG_DELTA;
		if (t.last_part) {
			t.members = &member;
			t.nmembers = 1;
		}
		assert_int_equal(seg_writer_begin(w, &h, NULL), 0);
		put_data(w, 0, BLOCK, i);
		put_data(w, 4 * BLOCK, 3 * BLOCK, i + 50);
		assert_int_equal(
		    seg_writer_zero(w, 10 * BLOCK, 40 * BLOCK, NULL), 0);
		put_data(w, 64 * BLOCK, 100, i + 90);
		assert_int_equal(
		    seg_writer_tail(w, &t, t.last_part ? disk_digest : NULL,
				    &tail, &len, NULL),
		    0);
		assert_int_equal(seg_writer_end(w, NULL), 0);
		memcpy(h.prev, t.digest, SHA256_LEN);
	}
	seg_writer_free(w);
	io_out_close(&out);
}

void sample_free(struct sample *s)
{
	free(s->p);
}
