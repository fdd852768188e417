#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/io.h"
#include "health/keep.h"
#include "health/ring.h"

#define RING_FILE "samples"
#define MAGIC "pshealth"
#define FILE_VERSION 1
#define HEAD_LEN 64
#define HEAD_USED 20 /* bytes before the CRC */
#define RECORD_LEN (8 + 8 * METRICS + 8)

static void make_keep(struct keep *k)
{
	*k = (struct keep){.name = RING_FILE,
			   .what = "samples of health",
			   .head_len = HEAD_LEN};
	memcpy(k->head, MAGIC, 8);
	put_le32(k->head + 8, FILE_VERSION);
	put_le32(k->head + 12, METRICS);
	put_le32(k->head + 16, RING_MINUTES);
	put_le32(k->head + HEAD_USED, crc32c(0, k->head, HEAD_USED));
}

int ring_open(struct ring *r, int dirfd, bool write, char *ret_aside,
	      size_t aside_size, struct err *e)
{
	struct keep k;

	make_keep(&k);
	r->fd = keep_open(&k, dirfd, write, ret_aside, aside_size, e);
	return r->fd < 0 ? r->fd : 0;
}

void ring_close(struct ring *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

static uint64_t place(int64_t minute)
{
	return HEAD_LEN + (uint64_t)(minute % RING_MINUTES) * RECORD_LEN;
}

int ring_put(struct ring *r, const struct sample *s, struct err *e)
{
	uint8_t rec[RECORD_LEN] = {0};
	int i;

	put_le64(rec, (uint64_t)s->time);
	for (i = 0; i < METRICS; i++)
		put_le64(rec + 8 + 8 * i, (uint64_t)s->values[i]);
	put_le32(rec + RECORD_LEN - 8, crc32c(0, rec, RECORD_LEN - 8));
	if (io_pwrite_full(r->fd, rec, sizeof(rec), place(s->time / 60)) < 0)
		return err_sys(e, 0, "samples of health");
	return 0;
}

/* False: nothing, another minute's, or torn. */
static bool take(const uint8_t *rec, int64_t minute, struct sample *ret)
{
	int i;

	ret->time = (int64_t)get_le64(rec);
	if (ret->time / 60 != minute ||
	    get_le32(rec + RECORD_LEN - 8) != crc32c(0, rec, RECORD_LEN - 8))
		return false;
	for (i = 0; i < METRICS; i++)
		ret->values[i] = (int64_t)get_le64(rec + 8 + 8 * i);
	return true;
}

int ring_get(struct ring *r, int64_t minute, struct sample *ret, struct err *e)
{
	return ring_window(r, minute, minute, ret, e);
}

int ring_window(struct ring *r, int64_t first, int64_t last, struct sample *ret,
		struct err *e)
{
	size_t n = (size_t)(last - first + 1), run, i;
	uint8_t *buf = calloc(n, RECORD_LEN);
	int found = 0;
	int64_t m;

	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "samples of health");
	/* One read, or two where the ring turns over. */
	run = (size_t)(RING_MINUTES - first % RING_MINUTES);
	run = run < n ? run : n;
	if (io_pread_full(r->fd, buf, run * RECORD_LEN, place(first)) < 0 ||
	    (run < n && io_pread_full(r->fd, buf + run * RECORD_LEN,
				      (n - run) * RECORD_LEN, HEAD_LEN) < 0)) {
		free(buf);
		return err_sys(e, 0, "samples of health");
	}
	for (i = 0, m = first; i < n; i++, m++)
		if (take(buf + i * RECORD_LEN, m, &ret[found]))
			found++;
	free(buf);
	return found;
}
