#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "disk/dirty.h"

/*
 *	0	magic
 *	8	version (4), flags (4)
 *	16	id of the map
 *	32	number of the open generation
 *	40	ranges frozen (4), ranges open (4)
 *	48	the ranges, frozen ones first: start, end (8 bytes each)
 *	...	CRC-32C
 */
static const uint8_t dirty_magic[8] = {'P',  'S',  'D',	 'L',
				       '\r', '\n', 0x1a, '\n'};
#define DIRTY_NAME "dirty"
#define DIRTY_VERSION 1
#define DIRTY_NOTHING_SENT 1u
#define DIRTY_HEAD 48u
#define DIRTY_RANGE 16u
#define DIRTY_MAX (DIRTY_HEAD + 2 * RANGES_MAX * DIRTY_RANGE + 4)

void dirty_free(struct dirty *d)
{
	ranges_free(&d->frozen);
	ranges_free(&d->open);
}

static int unpack_ranges(struct ranges *r, const uint8_t *p, uint32_t n,
			 struct err *e)
{
	for (; n > 0; n--, p += DIRTY_RANGE)
		if (ranges_add(r, get_le64(p), get_le64(p + 8), e) < 0)
			return -PS_TEMPFAIL;
	return 0;
}

/* 1, 0 when it does not fit, -CODE. */
static int unpack(struct dirty *d, const uint8_t *b, size_t len,
		  const uint8_t id[MAP_ID_LEN], struct err *e)
{
	uint32_t frozen, open;
	int rc;

	if (len < DIRTY_HEAD + 4 ||
	    memcmp(b, dirty_magic, sizeof(dirty_magic)) != 0 ||
	    get_le32(b + 8) != DIRTY_VERSION ||
	    memcmp(b + 16, id, MAP_ID_LEN) != 0 ||
	    get_le32(b + len - 4) != crc32c(0, b, len - 4))
		return 0;
	frozen = get_le32(b + 40);
	open = get_le32(b + 44);
	if (frozen > RANGES_MAX || open > RANGES_MAX ||
	    len != DIRTY_HEAD + ((size_t)frozen + open) * DIRTY_RANGE + 4)
		return 0;
	d->nothing_sent = (get_le32(b + 12) & DIRTY_NOTHING_SENT) != 0;
	d->open_no = get_le64(b + 32);
	rc = unpack_ranges(&d->frozen, b + DIRTY_HEAD, frozen, e);
	if (rc == 0)
		rc = unpack_ranges(
		    &d->open, b + DIRTY_HEAD + (size_t)frozen * DIRTY_RANGE,
		    open, e);
	return rc < 0 ? rc : 1;
}

int dirty_load(struct dirty *d, const struct journal *j,
	       const uint8_t id[MAP_ID_LEN], struct err *e)
{
	int fd = openat(j->dirfd, DIRTY_NAME, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = NULL;
	ssize_t got = 0;
	int rc;

	*d = (struct dirty){.open_no = 1};
	memcpy(d->id, id, MAP_ID_LEN);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd >= 0)
		buf = malloc(DIRTY_MAX);
	if (buf != NULL)
		got = io_read_full(fd, buf, DIRTY_MAX);
	if (buf == NULL || got < 0)
		rc = err_sys(e, 0, "%s/" DIRTY_NAME, j->path);
	else
		rc = unpack(d, buf, (size_t)got, id, e);
	if (fd >= 0)
		close(fd);
	free(buf);
	if (rc < 0)
		dirty_free(d);
	return rc;
}

static uint8_t *pack_ranges(const struct ranges *r, uint8_t *p)
{
	size_t i;

	for (i = 0; i < r->n; i++, p += DIRTY_RANGE) {
		put_le64(p, r->items[i].start);
		put_le64(p + 8, r->items[i].end);
	}
	return p;
}

int dirty_save(struct dirty *d, struct journal *j, struct err *e)
{
	uint8_t *buf, *p;
	size_t len;
	int rc;

	ranges_tidy(&d->frozen);
	ranges_tidy(&d->open);
	len = DIRTY_HEAD + (d->frozen.n + d->open.n) * DIRTY_RANGE + 4;
	buf = calloc(1, len);
	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s/" DIRTY_NAME, j->path);
	memcpy(buf, dirty_magic, sizeof(dirty_magic));
	put_le32(buf + 8, DIRTY_VERSION);
	put_le32(buf + 12, d->nothing_sent ? DIRTY_NOTHING_SENT : 0);
	memcpy(buf + 16, d->id, MAP_ID_LEN);
	put_le64(buf + 32, d->open_no);
	put_le32(buf + 40, (uint32_t)d->frozen.n);
	put_le32(buf + 44, (uint32_t)d->open.n);
	p = pack_ranges(&d->frozen, buf + DIRTY_HEAD);
	p = pack_ranges(&d->open, p);
	put_le32(p, crc32c(0, buf, len - 4));
	rc = durable_write(j->dirfd, DIRTY_NAME, buf, len, 0600,
			   DURABLE_REPLACE, e);
	if (rc < 0)
		err_prefix(e, "%s", j->path);
	free(buf);
	return rc;
}

int dirty_freeze(struct dirty *d, uint64_t *ret_generation, struct err *e)
{
	int rc = ranges_add_all(&d->frozen, &d->open, e);

	if (rc < 0)
		return rc;
	ranges_tidy(&d->frozen);
	ranges_clear(&d->open);
	d->nothing_sent = false;
	*ret_generation = d->open_no++;
	return 0;
}

void dirty_forget(struct dirty *d, uint64_t generation)
{
	/* A number from the life of another list says nothing about this. */
	if (generation + 1 == d->open_no)
		ranges_clear(&d->frozen);
}
