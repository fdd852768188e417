#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "health/disks.h"
#include "health/keep.h"
#include "segment/format.h"

#define DISKS_FILE "disks"
#define MAGIC "pshdisks"
#define FILE_VERSION 2
#define PAGE 4096u
#define HEAD_USED 16
#define SLOT_LEN ((size_t)2 * PAGE)
#define FILE_LEN (PAGE + SLOT_LEN * DISKS_MAX)
#define MINUTE_LEN 24
#define AT_CHECK (MINUTE_LEN - 1)
#define FORGET_S (24 * 3600)
/* What came in a longer pause between two samples is of no minute. */
#define GAP_S 600

/* Places in a slot. */
enum {
	AT_CRC = 0,
	AT_MACHINE = 8,
	AT_DISK = 72,
	AT_SEEN = 136,
	AT_ACCEPTED = 144,
	AT_ACCEPTED_AT = 152,
	AT_STORED = 160,
	AT_STORED_AT = 168,
	AT_CHANGED = 176,
	AT_CHANGED_AT = 184,
	AT_CRASH_POINT = 192,
	AT_APP_POINT = 200,
	AT_FIRST = 208,
	AT_SIZE = 216,
	AT_STORED_POINT = 224,
	AT_STORED_CONSISTENCY = 232,
	AT_MINUTES = 256,
};
#define NAMES_LEN (AT_SEEN - AT_MACHINE)

_Static_assert(NAME_SIZE <= 64, "a name fits its field");
_Static_assert(AT_MINUTES + DISK_MINUTES * MINUTE_LEN <= SLOT_LEN,
	       "the minutes fit a slot");

/* ---- the file ---- */

static void make_keep(struct keep *k)
{
	*k = (struct keep){.name = DISKS_FILE,
			   .what = "health of the disks",
			   .head_len = PAGE,
			   .size = FILE_LEN};
	memcpy(k->head, MAGIC, 8);
	put_le32(k->head + 8, FILE_VERSION);
	put_le32(k->head + 12, DISKS_MAX);
	put_le32(k->head + HEAD_USED, crc32c(0, k->head, HEAD_USED));
}

static int map_file(struct disks *d, int fd, bool write, struct err *e)
{
	void *p =
	    mmap(NULL, FILE_LEN, write ? PROT_READ | PROT_WRITE : PROT_READ,
		 MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return err_sys(e, 0, "health of the disks");
	d->map = p;
	return 0;
}

int disks_open(struct disks *d, int dirfd, bool write, char *ret_aside,
	       size_t aside_size, struct err *e)
{
	struct keep k;
	int fd, rc;

	*d = (struct disks){0};
	make_keep(&k);
	fd = keep_open(&k, dirfd, write, ret_aside, aside_size, e);
	if (fd < 0)
		return fd;
	rc = map_file(d, fd, write, e);
	close(fd);
	return rc;
}

void disks_close(struct disks *d)
{
	if (d->map != NULL)
		munmap(d->map, FILE_LEN);
	d->map = NULL;
}

/* ---- slots ---- */

static uint8_t *slot_at(const struct disks *d, uint32_t i)
{
	return d->map + PAGE + SLOT_LEN * (i % DISKS_MAX);
}

static void make_names(const char *machine, const char *disk,
		       uint8_t out[NAMES_LEN])
{
	memset(out, 0, NAMES_LEN);
	memcpy(out, machine, strnlen(machine, NAME_SIZE - 1));
	memcpy(out + AT_DISK - AT_MACHINE, disk, strnlen(disk, NAME_SIZE - 1));
}

static bool in_use(const uint8_t *slot)
{
	return get_le64(slot + AT_SEEN) != 0 &&
	       get_le32(slot + AT_CRC) ==
		   crc32c(0, slot + AT_MACHINE, NAMES_LEN);
}

/* The slot of a disk, or one that it may have; NULL: all are taken. */
static uint8_t *find_slot(struct disks *d, const uint8_t names[NAMES_LEN],
			  int64_t now)
{
	uint32_t hash = crc32c(0, names, NAMES_LEN), i;
	uint8_t *spare = NULL;

	for (i = 0; i < DISKS_MAX; i++) {
		uint8_t *s = slot_at(d, hash + i);

		if (!in_use(s))
			return spare != NULL ? spare : s;
		if (memcmp(s + AT_MACHINE, names, NAMES_LEN) == 0)
			return s;
		if (spare == NULL &&
		    (int64_t)get_le64(s + AT_SEEN) < now - FORGET_S)
			spare = s;
	}
	return spare;
}

static void take_slot(uint8_t *s, const uint8_t names[NAMES_LEN], int64_t now)
{
	memset(s, 0, SLOT_LEN);
	put_le64(s + AT_FIRST, (uint64_t)now);
	memcpy(s + AT_MACHINE, names, NAMES_LEN);
	put_le32(s + AT_CRC, crc32c(0, names, NAMES_LEN));
}

/* Remembers when a sequence was first seen. */
static void note_seq(uint8_t *s, int at, int at_time, uint64_t seq, int64_t now)
{
	if (get_le64(s + at) == seq && get_le64(s + at_time) != 0)
		return;
	put_le64(s + at, seq);
	put_le64(s + at_time, (uint64_t)now);
}

static uint8_t check_byte(const uint8_t *m)
{
	return (uint8_t)crc32c(0, m, AT_CHECK);
}

static uint32_t lag_of(const uint8_t *s, const struct disk_now *n, int64_t now)
{
	int64_t since = (int64_t)get_le64(s + AT_ACCEPTED_AT), lag;

	if (n->oldest != 0 && n->oldest < since)
		since = n->oldest;
	lag = now - since;
	return lag < 0 ? 0 : lag > UINT32_MAX ? UINT32_MAX : (uint32_t)lag;
}

/*
 * What is stored stays so: while more waits than is remembered (tally.h), and
 * when no more crash-consistent ones come, the point of before counts on.
 * Unless the vault has less than before.
 */
static void note_point(uint8_t *s, const struct disk_now *n, bool back)
{
	bool worse = n->stored_consistency < SEG_CONSISTENCY_CRASH &&
		     s[AT_STORED_CONSISTENCY] >= SEG_CONSISTENCY_CRASH;

	if (!back && (n->stored_point == 0 || worse))
		return;
	put_le64(s + AT_STORED_POINT, (uint64_t)n->stored_point);
	put_le64(s + AT_STORED_CONSISTENCY, n->stored_consistency);
}

/* Bytes since the sample before; 0 when that is not known. */
static uint64_t note_tally(uint8_t *s, const struct disk_now *n, int64_t now)
{
	int64_t at = (int64_t)get_le64(s + AT_CHANGED_AT);
	uint64_t before = get_le64(s + AT_CHANGED);

	if (!n->tallied)
		return 0;
	put_le64(s + AT_CHANGED, n->changed);
	put_le64(s + AT_CHANGED_AT, (uint64_t)now);
	put_le64(s + AT_CRASH_POINT, (uint64_t)n->crash_point);
	put_le64(s + AT_APP_POINT, (uint64_t)n->app_point);
	put_le64(s + AT_SIZE, n->size);
	if (at == 0 || now - at > GAP_S || n->changed < before)
		return 0;
	return n->changed - before;
}

static uint32_t in_kib(uint64_t bytes)
{
	uint64_t kib = DIV_ROUND_UP(bytes, 1024);

	return kib > UINT32_MAX ? UINT32_MAX : (uint32_t)kib;
}

static bool is_minute(const uint8_t *m, int64_t minute)
{
	return get_le32(m) == (uint32_t)minute && m[AT_CHECK] == check_byte(m);
}

bool disks_put(struct disks *d, const struct disk_now *n, int64_t now)
{
	uint8_t names[NAMES_LEN], *s, *m;
	uint64_t changed;

	make_names(n->machine, n->disk, names);
	s = find_slot(d, names, now);
	if (s == NULL)
		return false;
	if (!in_use(s) || memcmp(s + AT_MACHINE, names, NAMES_LEN) != 0)
		take_slot(s, names, now);
	put_le64(s + AT_SEEN, (uint64_t)now);
	if (n->tallied)
		note_point(s, n, n->stored < get_le64(s + AT_STORED));
	note_seq(s, AT_ACCEPTED, AT_ACCEPTED_AT, n->accepted, now);
	note_seq(s, AT_STORED, AT_STORED_AT, n->stored, now);
	m = s + AT_MINUTES + now / 60 % DISK_MINUTES * MINUTE_LEN;
	changed = note_tally(s, n, now);
	if (is_minute(m, now / 60)) /* a second sample of this minute */
		changed += (uint64_t)get_le32(m + 12) * 1024;
	memset(m, 0, MINUTE_LEN);
	put_le32(m, (uint32_t)(now / 60));
	put_le32(m + 4, in_kib(n->pending));
	put_le32(m + 8, lag_of(s, n, now));
	put_le32(m + 12, in_kib(changed));
	m[16] = n->flags;
	m[AT_CHECK] = check_byte(m);
	return true;
}

/* ---- looking ---- */

static int by_names(const void *a, const void *b)
{
	const uint8_t *x, *y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return memcmp(x + AT_MACHINE, y + AT_MACHINE, NAMES_LEN);
}

static void read_slot(const uint8_t *s, struct disk_record *r)
{
	memcpy(r->machine, s + AT_MACHINE, sizeof(r->machine));
	memcpy(r->disk, s + AT_DISK, sizeof(r->disk));
	r->machine[sizeof(r->machine) - 1] = '\0';
	r->disk[sizeof(r->disk) - 1] = '\0';
	r->seen = (int64_t)get_le64(s + AT_SEEN);
	r->accepted = get_le64(s + AT_ACCEPTED);
	r->accepted_at = (int64_t)get_le64(s + AT_ACCEPTED_AT);
	r->stored = get_le64(s + AT_STORED);
	r->stored_at = (int64_t)get_le64(s + AT_STORED_AT);
	r->first = (int64_t)get_le64(s + AT_FIRST);
	r->changed = get_le64(s + AT_CHANGED);
	r->crash_point = (int64_t)get_le64(s + AT_CRASH_POINT);
	r->app_point = (int64_t)get_le64(s + AT_APP_POINT);
	r->size = get_le64(s + AT_SIZE);
	r->stored_point = (int64_t)get_le64(s + AT_STORED_POINT);
	r->stored_consistency = s[AT_STORED_CONSISTENCY];
	r->slot = s;
}

int disks_each(const struct disks *d, int64_t seen_since, disk_record_fn *fn,
	       void *ctx, struct err *e)
{
	const uint8_t **list = calloc(DISKS_MAX, sizeof(*list));
	struct disk_record r;
	size_t n = 0, i;
	int rc = 0;

	if (list == NULL)
		return err_sys(e, PS_TEMPFAIL, "health of the disks");
	for (i = 0; i < DISKS_MAX; i++) {
		const uint8_t *s = slot_at(d, (uint32_t)i);

		if ((int64_t)get_le64(s + AT_SEEN) >= seen_since && in_use(s))
			list[n++] = s;
	}
	qsort(list, n, sizeof(*list), by_names);
	for (i = 0; i < n && rc == 0; i++) {
		read_slot(list[i], &r);
		rc = fn(ctx, &r, e);
	}
	free(list);
	return rc;
}

bool disk_minute(const struct disk_record *r, int64_t minute,
		 struct disk_minute *ret)
{
	const uint8_t *m = (const uint8_t *)r->slot + AT_MINUTES +
			   minute % DISK_MINUTES * MINUTE_LEN;

	if (!is_minute(m, minute))
		return false;
	*ret =
	    (struct disk_minute){.minute = minute,
				 .pending = (uint64_t)get_le32(m + 4) * 1024,
				 .lag = get_le32(m + 8),
				 .changed = (uint64_t)get_le32(m + 12) * 1024,
				 .flags = m[16]};
	return true;
}
