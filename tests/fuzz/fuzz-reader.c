/*
 * libFuzzer target for the stream reader. Random bytes would stop at the
 * first CRC, so all CRCs of the input are made right first: what is tried is
 * the logic behind them. Built by hand:
 *
 *	clang -g -fsanitize=fuzzer,address,undefined -std=gnu11 -D_GNU_SOURCE \
 *	  -I. -I../libcommon ../tests/fuzz/fuzz-reader.c \
 *	  ../libcommon/segment/{reader,format,trailer}.c \
 *	  ../libcommon/base/{io,bytes,crc32c,digest,err,name}.c -lcrypto
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "segment/reader.h"

struct source {
	const uint8_t *p;
	size_t n;
};

static ssize_t take(void *ctx, void *buf, size_t n, struct err *e)
{
	struct source *s = ctx;

	(void)e;
	if (n > s->n)
		n = s->n;
	memcpy(buf, s->p, n);
	s->p += n;
	s->n -= n;
	return (ssize_t)n;
}

/* A part with a payload: its length field, and where its two CRCs stand. */
static size_t fix_part(uint8_t *p, size_t n, size_t head, size_t len_at,
		       size_t payload_crc, size_t own_crc)
{
	size_t len;

	if (n < head)
		return n;
	len = get_le32(p + len_at);
	if (len > n - head) {
		len = n - head;
		put_le32(p + len_at, (uint32_t)len);
	}
	put_le32(p + payload_crc, crc32c(0, p + head, len));
	put_le32(p + own_crc, crc32c(0, p, own_crc));
	return head + len;
}

static size_t fix_next(uint8_t *p, size_t n)
{
	switch (seg_part_of(p)) {
	case SEG_PART_HEADER:
		if (n < SEG_HEADER_LEN)
			return n;
		put_le32(p + 508, crc32c(0, p, 508));
		return SEG_HEADER_LEN;
	case SEG_PART_RECORD:
		return fix_part(p, n, SEG_RECORD_LEN, 24, 28, 32);
	case SEG_PART_PAGE:
		return fix_part(p, n, SEG_PAGE_LEN, 12, 24, 28);
	case SEG_PART_DIR:
		return fix_part(p, n, SEG_DIR_LEN, 12, 16, 20);
	case SEG_PART_TRAILER:
		if (n >= SEG_TRAILER_FIXED)
			put_le32(p + n - 8, crc32c(0, p, n - 8));
		return n;
	default:
		return n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct seg_reader r;
	struct seg_item item;
	struct source src;
	struct io_in in;
	struct err e = {0};
	uint8_t *copy = malloc(n + 1);
	size_t pos = 0;

	memcpy(copy, data, n);
	while (n - pos >= 4)
		pos += fix_next(copy + pos, n - pos);
	src = (struct source){copy, n};
	if (io_in_open(&in, take, &src, "fuzz", &e) < 0)
		abort();
	if (seg_reader_open(&r, &in, &e) < 0)
		abort();
	while (seg_reader_next(&r, &item, &e) > 0)
		;
	seg_reader_close(&r);
	io_in_close(&in);
	free(copy);
	return 0;
}
