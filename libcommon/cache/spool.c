#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "cache/spool.h"
#include "segment/reader.h"

#define DIGITS (SPOOL_NAME_SIZE - 1)

void spool_name(uint64_t seq, char out[SPOOL_NAME_SIZE])
{
	snprintf(out, SPOOL_NAME_SIZE, "%020llu", (unsigned long long)seq);
}

bool spool_seq(const char *name, uint64_t *ret)
{
	return strlen(name) == DIGITS && strspn(name, "0123456789") == DIGITS &&
	       parse_u64(name, UINT64_MAX, ret) && *ret > 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int append(struct spool_list *l, size_t *cap, uint64_t seq)
{
	if (l->n == *cap) {
		size_t more = *cap == 0 ? 64 : 2 * *cap;
		uint64_t *grown = realloc(l->seqs, more * sizeof(*grown));

		if (grown == NULL)
			return -1;
		l->seqs = grown;
		*cap = more;
	}
	l->seqs[l->n++] = seq;
	return 0;
}

int spool_list(int dirfd, uint64_t after, struct spool_list *ret, struct err *e)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct spool_list l = {0};
	struct dirent *ent;
	size_t cap = 0;
	uint64_t seq;
	int rc = 0;

	if (dir == NULL) {
		rc = err_sys(e, 0, "segments");
		if (fd >= 0)
			close(fd);
		return rc;
	}
	while (rc == 0 && (errno = 0, ent = readdir(dir)) != NULL)
		if (spool_seq(ent->d_name, &seq) && seq > after &&
		    append(&l, &cap, seq) < 0)
			rc = err_sys(e, 0, "segments");
	if (rc == 0 && errno != 0)
		rc = err_sys(e, 0, "segments");
	closedir(dir);
	if (rc < 0) {
		free(l.seqs);
		return rc;
	}
	if (l.n > 1)
		qsort(l.seqs, l.n, sizeof(*l.seqs), by_number);
	*ret = l;
	return 0;
}

void spool_list_free(struct spool_list *l)
{
	free(l->seqs);
	*l = (struct spool_list){0};
}

int spool_open(int dirfd, uint64_t seq, struct err *e)
{
	char name[SPOOL_NAME_SIZE];
	int fd;

	spool_name(seq, name);
	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd >= 0 ? fd : err_sys(e, 0, "segment %s", name);
}

static int read_at(int fd, void *buf, size_t n, uint64_t pos, struct err *e)
{
	ssize_t got = io_pread_full(fd, buf, n, pos);

	if (got < 0)
		return err_sys(e, 0, "segment");
	if ((size_t)got != n)
		return err_set(e, PS_DATA, "damaged segment: cut short");
	return 0;
}

/* The file must be what its name says. */
static int same_name(const struct seg_header *h, uint64_t seq,
		     const char *machine, const char *disk, struct err *e)
{
	if (h->seq == seq && strcmp(h->machine, machine) == 0 &&
	    strcmp(h->disk, disk) == 0)
		return 0;
	return err_set(e, PS_DATA, "file holds segment %llu of %s/%s",
		       (unsigned long long)h->seq, h->machine, h->disk);
}

static int read_trailer(int fd, uint64_t size, struct seg_trailer *t,
			struct err *e)
{
	uint8_t raw[SEG_TAIL_LEN], *buf;
	struct seg_tail tail;
	int rc = read_at(fd, raw, sizeof(raw), size - sizeof(raw), e);

	if (rc == 0)
		rc = seg_tail_unpack(&tail, raw, e);
	if (rc < 0)
		return rc;
	if (tail.seg_len != size)
		return err_set(e, PS_DATA,
			       "damaged segment: file of %llu "
			       "bytes, trailer says %llu",
			       (unsigned long long)size,
			       (unsigned long long)tail.seg_len);
	buf = malloc(tail.trailer_len);
	if (buf == NULL)
		return err_sys(e, 0, "trailer");
	rc = read_at(fd, buf, tail.trailer_len, size - tail.trailer_len, e);
	if (rc == 0)
		rc = seg_trailer_unpack(t, buf, tail.trailer_len, e);
	free(buf);
	return rc;
}

/* Size and time of arrival. */
static int read_stat(int fd, struct spool_info *r, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(e, 0, "segment");
	r->bytes = (uint64_t)st.st_size;
	r->time = (int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
	return 0;
}

static void fill(struct spool_info *r, const struct seg_trailer *t)
{
	r->last_part = t->last_part;
	r->at.seq = r->header.seq;
	memcpy(r->at.digest, t->digest, SHA256_LEN);
}

int spool_peek_fd(int fd, uint64_t seq, const char *machine, const char *disk,
		  struct spool_info *ret, struct err *e)
{
	uint8_t raw[SEG_HEADER_LEN];
	struct seg_trailer t = {0};
	struct spool_info r = {0};
	int rc = read_stat(fd, &r, e);

	if (rc == 0 && r.bytes < SEG_HEADER_LEN + SEG_TAIL_LEN)
		rc = err_set(e, PS_DATA, "damaged segment: cut short");
	if (rc == 0)
		rc = read_at(fd, raw, sizeof(raw), 0, e);
	if (rc == 0)
		rc = seg_header_unpack(&r.header, raw, e);
	if (rc == 0)
		rc = same_name(&r.header, seq, machine, disk, e);
	if (rc == 0)
		rc = read_trailer(fd, r.bytes, &t, e);
	if (rc == 0) {
		fill(&r, &t);
		*ret = r;
	}
	seg_trailer_free(&t);
	return rc;
}

bool spool_is_damage(int rc)
{
	return rc == -PS_DATA || rc == -PS_PROTOCOL;
}

/* Names the segment in a message about it. */
static int named(int rc, uint64_t seq, struct err *e)
{
	if (rc < 0 && rc != -PS_NOINPUT)
		err_prefix(e, "segment %llu", (unsigned long long)seq);
	return rc;
}

int spool_peek(int dirfd, uint64_t seq, const char *machine, const char *disk,
	       struct spool_info *ret, struct err *e)
{
	int fd = spool_open(dirfd, seq, e), rc;

	if (fd < 0)
		return fd;
	rc = spool_peek_fd(fd, seq, machine, disk, ret, e);
	close(fd);
	return named(rc, seq, e);
}

/* Reads exactly one segment to its end. */
static int read_one(struct seg_reader *r, struct spool_info *ret, struct err *e)
{
	struct seg_item item;
	int rc;

	while ((rc = seg_reader_next(r, &item, e)) > 0) {
		ret->header = r->header;
		if (item.part == SEG_PART_TRAILER) {
			fill(ret, &r->trailer);
			break;
		}
	}
	if (rc == 0)
		return err_set(e, PS_DATA, "damaged segment: empty");
	if (rc < 0)
		return rc;
	rc = seg_reader_next(r, &item, e);
	return rc == 0
		   ? 0
		   : err_set(e, PS_DATA, "damaged segment: bytes behind it");
}

int spool_check(int fd, uint64_t seq, const char *machine, const char *disk,
		struct spool_info *ret, struct err *e)
{
	struct spool_info info = {0};
	struct seg_reader r = {0};
	struct io_in in = {0};
	int rc = read_stat(fd, &info, e);

	if (rc == 0 && lseek(fd, 0, SEEK_SET) < 0)
		rc = err_sys(e, 0, "segment");
	if (rc == 0)
		rc = io_in_open_fd(&in, fd, "segment", e);
	if (rc == 0)
		rc = seg_reader_open(&r, &in, e);
	if (rc == 0) {
		rc = read_one(&r, &info, e);
		seg_reader_close(&r);
	}
	io_in_close(&in);
	if (rc == 0)
		rc = same_name(&info.header, seq, machine, disk, e);
	if (rc == 0)
		*ret = info;
	return named(rc, seq, e);
}

int spool_remove(int dirfd, uint64_t seq, struct err *e)
{
	char name[SPOOL_NAME_SIZE];

	spool_name(seq, name);
	if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "segment %s: cannot remove", name);
	return 0;
}
