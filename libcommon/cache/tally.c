#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/io.h"
#include "base/units.h"
#include "cache/tally.h"

/*
 *	0	"pstally1", changed u64, pass u64, crash point i64, app
 *		point i64, CRC-32C u32
 *	44	size of the disk u64, CRC-32C of it u32; not there in a file
 *		of before it was noted
 *	56	points, the oldest first, 0 behind the last: segment u64,
 *		time u56, consistency u8; CRC-32C of them u32; not there in a
 *		file of before they were noted
 */
#define TALLY_FILE ".tally"
#define MAGIC "pstally1"
#define TALLY_LEN 44
#define SIZE_LEN 12
#define POINT_LEN 16
#define POINTS_LEN (POINT_LEN * TALLY_POINTS)
#define FILE_LEN (TALLY_LEN + SIZE_LEN + POINTS_LEN + 4)
#define TIME_BITS 56

enum {
	AT_CHANGED = 8,
	AT_PASS = 16,
	AT_CRASH = 24,
	AT_APP = 32,
	AT_CRC = 40,
	AT_SIZE = TALLY_LEN,
	AT_SIZE_CRC = 52,
	AT_POINTS = TALLY_LEN + SIZE_LEN,
	AT_POINTS_CRC = AT_POINTS + POINTS_LEN,
};

static void read_points(const uint8_t *b, struct tally *ret)
{
	unsigned i;

	if (get_le32(b + POINTS_LEN) != crc32c(0, b, POINTS_LEN))
		return;
	for (i = 0; i < TALLY_POINTS && get_le64(b) != 0; i++, b += POINT_LEN)
		ret->points[i] = (struct tally_point){
		    .seq = get_le64(b),
		    .time = (int64_t)(get_le64(b + 8) &
				      (((uint64_t)1 << TIME_BITS) - 1)),
		    .consistency = b[15]};
	ret->npoints = i;
}

static void write_points(uint8_t *b, const struct tally *t)
{
	unsigned i;

	memset(b, 0, POINTS_LEN);
	for (i = 0; i < t->npoints; i++) {
		put_le64(b + i * POINT_LEN, t->points[i].seq);
		put_le64(b + i * POINT_LEN + 8, (uint64_t)t->points[i].time);
		b[i * POINT_LEN + 15] = t->points[i].consistency;
	}
	put_le32(b + POINTS_LEN, crc32c(0, b, POINTS_LEN));
}

/* False: not all of it is there, or it is damaged. */
static bool read_file(int fd, struct tally *ret)
{
	uint8_t b[FILE_LEN];
	ssize_t n = io_pread_full(fd, b, sizeof(b), 0);

	if (n < TALLY_LEN || memcmp(b, MAGIC, AT_CHANGED) != 0 ||
	    get_le32(b + AT_CRC) != crc32c(0, b, AT_CRC))
		return false;
	*ret = (struct tally){.changed = get_le64(b + AT_CHANGED),
			      .pass = get_le64(b + AT_PASS),
			      .crash_point = (int64_t)get_le64(b + AT_CRASH),
			      .app_point = (int64_t)get_le64(b + AT_APP)};
	if (n >= AT_POINTS &&
	    get_le32(b + AT_SIZE_CRC) == crc32c(0, b + AT_SIZE, 8))
		ret->size = get_le64(b + AT_SIZE);
	if (n == FILE_LEN)
		read_points(b + AT_POINTS, ret);
	return true;
}

static void write_file(int fd, const struct tally *t)
{
	uint8_t b[FILE_LEN];

	memcpy(b, MAGIC, AT_CHANGED);
	put_le64(b + AT_CHANGED, t->changed);
	put_le64(b + AT_PASS, t->pass);
	put_le64(b + AT_CRASH, (uint64_t)t->crash_point);
	put_le64(b + AT_APP, (uint64_t)t->app_point);
	put_le32(b + AT_CRC, crc32c(0, b, AT_CRC));
	put_le64(b + AT_SIZE, t->size);
	put_le32(b + AT_SIZE_CRC, crc32c(0, b + AT_SIZE, 8));
	write_points(b + AT_POINTS, t);
	(void)io_pwrite_full(fd, b, sizeof(b), 0);
}

bool tally_read(int dirfd, struct tally *ret)
{
	int fd = openat(dirfd, TALLY_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ok;

	*ret = (struct tally){0};
	if (fd < 0)
		return errno == ENOENT;
	ok = read_file(fd, ret);
	close(fd);
	return ok;
}

static void later(int64_t *at, int64_t time)
{
	if (time > *at)
		*at = time;
}

static void add_point(struct tally *t, const struct tally_point *p)
{
	if (t->npoints == TALLY_POINTS)
		memmove(&t->points[0], &t->points[1],
			--t->npoints * sizeof(t->points[0]));
	t->points[t->npoints++] = *p;
}

bool tally_point_at(const struct tally *t, uint64_t seq,
		    struct tally_point *ret)
{
	unsigned i = t->npoints;
	bool found = false;

	while (i-- > 0) {
		const struct tally_point *p = &t->points[i];
		bool crash = p->consistency >= SEG_CONSISTENCY_CRASH;

		if (p->seq > seq || (found && !crash))
			continue;
		*ret = *p;
		found = true;
		if (crash)
			break;
	}
	return found;
}

void tally_add(int dirfd, const struct seg_header *h,
	       const struct seg_trailer *t)
{
	int fd = openat(dirfd, TALLY_FILE,
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	/* The time is the source's: a clock that is ahead does not count. */
	int64_t now = time_now_ns(), point = h->bookmark_time;
	struct tally sum = {0};

	if (fd < 0)
		return;
	(void)read_file(fd, &sum);
	if (point > now)
		point = now;
	sum.size = h->disk_size;
	sum.pass = h->initial ? 0 : sum.pass + t->data_bytes;
	if (t->last_part) {
		sum.changed += sum.pass;
		sum.pass = 0;
	}
	/* After a new seat the numbers behind it come again. */
	while (sum.npoints > 0 &&
	       sum.points[sum.npoints - 1].seq >= h->first_seq)
		sum.npoints--;
	if (t->last_part && point > 0)
		add_point(&sum,
			  &(struct tally_point){.seq = h->seq,
						.time = point / NS_PER_S,
						.consistency = h->consistency});
	if (t->last_part && h->consistency >= SEG_CONSISTENCY_CRASH)
		later(&sum.crash_point, point / NS_PER_S);
	if (t->last_part && h->consistency == SEG_CONSISTENCY_APP)
		later(&sum.app_point, point / NS_PER_S);
	write_file(fd, &sum);
	close(fd);
}

void tally_forget(int dirfd, uint64_t first_seq, uint64_t last_seq)
{
	int fd = openat(dirfd, TALLY_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct tally sum = {0};
	unsigned i, n = 0;

	if (fd < 0)
		return;
	if (read_file(fd, &sum)) {
		for (i = 0; i < sum.npoints; i++)
			if (sum.points[i].seq < first_seq ||
			    sum.points[i].seq > last_seq)
				sum.points[n++] = sum.points[i];
		sum.npoints = n;
		write_file(fd, &sum);
	}
	close(fd);
}
