#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "disk/journal.h"
#include "segment/reader.h"

/*
 *	0	magic
 *	8	version (4), flags (4)
 *	16	generation
 *	24	length of the tail
 *	32	header of the segment, then its tail, then a CRC-32C of it all
 */
static const uint8_t entry_magic[8] = {'P',  'S',  'J',	 'N',
				       '\r', '\n', 0x1a, '\n'};
#define ENTRY_VERSION 1
#define ENTRY_ENDS 1u
#define ENTRY_HEAD 32u
#define ENTRY_LEAST (ENTRY_HEAD + SEG_HEADER_LEN + SEG_TAIL_LEN + 4)
/* Pages, directory and trailer of what ps-scan makes are far below. */
#define ENTRY_MAX (256u << 20)
#define SEQ_DIGITS 20
#define STATE_WAIT_NS (60 * NS_PER_S)

static void entry_name(uint64_t seq, char out[SEQ_DIGITS + 1])
{
	snprintf(out, SEQ_DIGITS + 1, "%020llu", (unsigned long long)seq);
}

/* The new folder's own name on stable storage: else its entries are not. */
static int sync_above(const char *path, struct err *e)
{
	char *copy = strdup(path);
	int fd, rc;

	if (copy == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		rc = err_sys(e, 0, "%s: the folder above it", path);
	else
		rc = durable_sync(fd, path, e);
	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

int journal_open(struct journal *j, const char *map_path, struct err *e)
{
	int rc = 0;

	*j = (struct journal){.dirfd = -1, .lockfd = -1};
	if (asprintf(&j->path, "%s.journal", map_path) < 0) {
		j->path = NULL;
		return err_sys(e, PS_TEMPFAIL, "%s", map_path);
	}
	if (mkdir(j->path, 0700) == 0)
		rc = sync_above(j->path, e);
	else if (errno != EEXIST)
		rc = err_sys(e, 0, "%s: cannot create", j->path);
	if (rc == 0) {
		j->dirfd = open(j->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (j->dirfd < 0)
			rc = err_sys(e, 0, "%s", j->path);
	}
	if (rc == 0) {
		j->lockfd = openat(j->dirfd, "lock",
				   O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (j->lockfd < 0)
			rc = err_sys(e, 0, "%s/lock", j->path);
	}
	if (rc < 0)
		journal_close(j);
	return rc;
}

void journal_close(struct journal *j)
{
	if (j->path == NULL)
		return;
	if (j->dirfd >= 0)
		close(j->dirfd);
	if (j->lockfd >= 0)
		close(j->lockfd);
	free(j->path);
	free(j->seqs);
	*j = (struct journal){.dirfd = -1, .lockfd = -1};
}

/* ---- locks ---- */

static int set_lock(const struct journal *j, enum journal_lock which, int cmd,
		    short type, struct flock *fl)
{
	*fl = (struct flock){.l_type = type,
			     .l_whence = SEEK_SET,
			     .l_start = (off_t)which,
			     .l_len = 1};
	return fcntl(j->lockfd, cmd, fl);
}

int journal_lock(struct journal *j, enum journal_lock which, struct err *e)
{
	static const char *const who[] = {
	    "another scan of this map is running",
	    "another --commit of this map is running",
	    "map header and dirty list stay locked"};
	const struct timespec moment = {.tv_nsec = 5 * 1000 * 1000};
	int64_t end = mono_now_ns() + STATE_WAIT_NS;
	struct flock fl;

	for (;;) {
		if (set_lock(j, which, F_OFD_SETLK, F_WRLCK, &fl) == 0)
			return 0;
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return err_sys(e, 0, "%s/lock", j->path);
		if (which != LOCK_STATE || mono_now_ns() > end)
			return err_set(e, PS_TEMPFAIL, "%s: %s", j->path,
				       who[which]);
		nanosleep(&moment, NULL);
	}
}

void journal_unlock(struct journal *j, enum journal_lock which)
{
	struct flock fl;

	(void)set_lock(j, which, F_OFD_SETLK, F_UNLCK, &fl);
}

bool journal_locked(const struct journal *j, enum journal_lock which)
{
	struct flock fl;

	return set_lock(j, which, F_OFD_GETLK, F_WRLCK, &fl) == 0 &&
	       fl.l_type != F_UNLCK;
}

/* ---- entries ---- */

int journal_put(struct journal *j, uint64_t generation, bool ends,
		const struct seg_header *h, const uint8_t *tail, size_t len,
		struct err *e)
{
	size_t total = ENTRY_HEAD + SEG_HEADER_LEN + len + 4;
	char name[SEQ_DIGITS + 1];
	uint8_t *buf;
	int rc;

	if (len > ENTRY_MAX - ENTRY_LEAST)
		return err_set(e, PS_SOFTWARE, "index of a segment too long");
	buf = calloc(1, total);
	if (buf == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", j->path);
	memcpy(buf, entry_magic, sizeof(entry_magic));
	put_le32(buf + 8, ENTRY_VERSION);
	put_le32(buf + 12, ends ? ENTRY_ENDS : 0);
	put_le64(buf + 16, generation);
	put_le64(buf + 24, len);
	seg_header_pack(h, buf + ENTRY_HEAD);
	memcpy(buf + ENTRY_HEAD + SEG_HEADER_LEN, tail, len);
	put_le32(buf + total - 4, crc32c(0, buf, total - 4));
	entry_name(h->seq, name);
	rc =
	    durable_write(j->dirfd, name, buf, total, 0600, DURABLE_REPLACE, e);
	if (rc < 0)
		err_prefix(e, "%s", j->path);
	free(buf);
	return rc;
}

/* Reads a file whole; *ret is malloc'ed. */
static int read_whole(struct journal *j, const char *name, uint8_t **ret,
		      size_t *ret_len, struct err *e)
{
	int fd = openat(j->dirfd, name, O_RDONLY | O_CLOEXEC);
	uint8_t *buf = NULL;
	struct stat st;
	ssize_t got = -1;

	if (fd < 0)
		return err_sys(e, 0, "%s/%s", j->path, name);
	if (fstat(fd, &st) == 0 && st.st_size <= ENTRY_MAX) {
		buf = malloc((size_t)st.st_size + 1);
		if (buf != NULL)
			got = io_read_full(fd, buf, (size_t)st.st_size);
	} else {
		errno = EFBIG;
	}
	if (got < 0) {
		int rc = err_sys(e, 0, "%s/%s", j->path, name);

		close(fd);
		free(buf);
		return rc;
	}
	close(fd);
	*ret = buf;
	*ret_len = (size_t)got;
	return 0;
}

static int entry_unpack(struct journal_entry *en, size_t len, struct err *e)
{
	const uint8_t *b = en->buf;
	struct seg_tail tail;
	int rc;

	if (len < ENTRY_LEAST ||
	    memcmp(b, entry_magic, sizeof(entry_magic)) != 0 ||
	    get_le32(b + 8) != ENTRY_VERSION ||
	    get_le64(b + 24) != len - ENTRY_HEAD - SEG_HEADER_LEN - 4 ||
	    get_le32(b + len - 4) != crc32c(0, b, len - 4))
		return err_set(e, PS_DATA, "damaged journal entry");
	en->ends = (get_le32(b + 12) & ENTRY_ENDS) != 0;
	en->generation = get_le64(b + 16);
	en->tail = b + ENTRY_HEAD + SEG_HEADER_LEN;
	en->tail_len = (size_t)get_le64(b + 24);
	rc = seg_header_unpack(&en->header, b + ENTRY_HEAD, e);
	if (rc == 0)
		rc = seg_tail_unpack(&tail,
				     en->tail + en->tail_len - SEG_TAIL_LEN, e);
	if (rc < 0)
		return rc;
	if (tail.trailer_len > en->tail_len ||
	    tail.dir_len > en->tail_len - tail.trailer_len)
		return err_set(e, PS_DATA, "damaged journal entry");
	rc = seg_trailer_unpack(&en->trailer,
				en->tail + en->tail_len - tail.trailer_len,
				tail.trailer_len, e);
	/* What stands before directory and trailer are the pages. */
	en->tail_len -= tail.trailer_len + tail.dir_len;
	return rc;
}

int journal_get(struct journal *j, uint64_t seq, struct journal_entry *ret,
		struct err *e)
{
	struct journal_entry en = {0};
	char name[SEQ_DIGITS + 1];
	size_t len = 0;
	int rc;

	entry_name(seq, name);
	rc = read_whole(j, name, &en.buf, &len, e);
	if (rc < 0)
		return rc;
	rc = entry_unpack(&en, len, e);
	if (rc == 0 && en.header.seq != seq)
		rc = err_set(e, PS_DATA, "entry of another sequence");
	if (rc < 0) {
		err_prefix(e, "%s/%s", j->path, name);
		journal_entry_free(&en);
		return rc;
	}
	*ret = en;
	return 0;
}

void journal_entry_free(struct journal_entry *en)
{
	seg_trailer_free(&en->trailer);
	free(en->buf);
	*en = (struct journal_entry){0};
}

/* Calls fn for the records of one page. */
static int walk_page(const struct journal_entry *en, const uint8_t *payload,
		     size_t len, uint64_t *after, journal_record_fn *fn,
		     void *ctx, struct err *e)
{
	const uint8_t *digests;
	struct seg_entry rec;
	size_t pos = 0;
	int rc;

	while ((rc = seg_page_walk(&en->header, payload, len, &pos, &rec,
				   &digests, e)) > 0) {
		rc = seg_extent_check(&en->header, rec.zero, rec.offset,
				      rec.raw_len, *after, e);
		if (rc == 0)
			rc = fn(ctx, &rec, rec.zero ? NULL : digests, e);
		if (rc != 0)
			return rc;
		*after = rec.offset + rec.raw_len;
	}
	return rc;
}

int journal_entry_walk(const struct journal_entry *en, journal_record_fn *fn,
		       void *ctx, struct err *e)
{
	uint64_t after = 0;
	size_t pos = 0;
	int rc = 0;

	while (rc == 0 && pos < en->tail_len) {
		struct seg_page page;

		if (en->tail_len - pos < SEG_PAGE_LEN)
			return err_set(e, PS_DATA, "damaged journal entry");
		rc = seg_page_unpack(&page, en->tail + pos, e);
		pos += SEG_PAGE_LEN;
		if (rc == 0 && page.stored_len > en->tail_len - pos)
			rc = err_set(e, PS_DATA, "damaged journal entry");
		if (rc == 0)
			rc = walk_page(en, en->tail + pos, page.stored_len,
				       &after, fn, ctx, e);
		pos += page.stored_len;
	}
	return rc;
}

/* ---- list ---- */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int keep(struct journal *j, size_t *cap, uint64_t seq, struct err *e)
{
	if (j->n == *cap) {
		size_t more = 2 * *cap + 64;
		uint64_t *p = realloc(j->seqs, more * sizeof(*p));

		if (p == NULL)
			return err_sys(e, PS_TEMPFAIL, "%s", j->path);
		j->seqs = p;
		*cap = more;
	}
	j->seqs[j->n++] = seq;
	return 0;
}

int journal_list(struct journal *j, struct err *e)
{
	int fd = openat(j->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t cap = 0;
	struct dirent *d;
	uint64_t seq;
	int rc = 0;

	if (dir == NULL) {
		rc = err_sys(e, 0, "%s", j->path);
		if (fd >= 0)
			close(fd);
		return rc;
	}
	free(j->seqs);
	j->seqs = NULL;
	j->n = 0;
	while (rc == 0 && (d = readdir(dir)) != NULL)
		if (strlen(d->d_name) == SEQ_DIGITS &&
		    parse_u64(d->d_name, UINT64_MAX, &seq))
			rc = keep(j, &cap, seq, e);
	closedir(dir);
	if (j->n > 0)
		qsort(j->seqs, j->n, sizeof(*j->seqs), by_value);
	return rc;
}

int journal_drop(struct journal *j, uint64_t seq, struct err *e)
{
	char name[SEQ_DIGITS + 1];

	entry_name(seq, name);
	if (unlinkat(j->dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s/%s", j->path, name);
	return 0;
}

int journal_sync(struct journal *j, struct err *e)
{
	return durable_sync(j->dirfd, j->path, e);
}
