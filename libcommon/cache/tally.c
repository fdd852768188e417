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
 */
#define TALLY_FILE ".tally"
#define MAGIC "pstally1"
#define TALLY_LEN 44
#define SIZE_LEN 12

enum {
	AT_CHANGED = 8,
	AT_PASS = 16,
	AT_CRASH = 24,
	AT_APP = 32,
	AT_CRC = 40,
	AT_SIZE = TALLY_LEN,
	AT_SIZE_CRC = 52,
};

/* False: not all of it is there, or it is damaged. */
static bool read_file(int fd, struct tally *ret)
{
	uint8_t b[TALLY_LEN + SIZE_LEN];
	ssize_t n = io_pread_full(fd, b, sizeof(b), 0);

	if (n < TALLY_LEN || memcmp(b, MAGIC, AT_CHANGED) != 0 ||
	    get_le32(b + AT_CRC) != crc32c(0, b, AT_CRC))
		return false;
	*ret = (struct tally){.changed = get_le64(b + AT_CHANGED),
			      .pass = get_le64(b + AT_PASS),
			      .crash_point = (int64_t)get_le64(b + AT_CRASH),
			      .app_point = (int64_t)get_le64(b + AT_APP)};
	if (n == (ssize_t)sizeof(b) &&
	    get_le32(b + AT_SIZE_CRC) == crc32c(0, b + AT_SIZE, 8))
		ret->size = get_le64(b + AT_SIZE);
	return true;
}

static void write_file(int fd, const struct tally *t)
{
	uint8_t b[TALLY_LEN + SIZE_LEN];

	memcpy(b, MAGIC, AT_CHANGED);
	put_le64(b + AT_CHANGED, t->changed);
	put_le64(b + AT_PASS, t->pass);
	put_le64(b + AT_CRASH, (uint64_t)t->crash_point);
	put_le64(b + AT_APP, (uint64_t)t->app_point);
	put_le32(b + AT_CRC, crc32c(0, b, AT_CRC));
	put_le64(b + AT_SIZE, t->size);
	put_le32(b + AT_SIZE_CRC, crc32c(0, b + AT_SIZE, 8));
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
	if (t->last_part && h->consistency >= SEG_CONSISTENCY_CRASH)
		later(&sum.crash_point, point / NS_PER_S);
	if (t->last_part && h->consistency == SEG_CONSISTENCY_APP)
		later(&sum.app_point, point / NS_PER_S);
	write_file(fd, &sum);
	close(fd);
}
