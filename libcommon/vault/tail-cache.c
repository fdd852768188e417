#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/durable.h"
#include "base/io.h"
#include "vault/settings.h"
#include "vault/tail-cache.h"

/*
 * The file: MAGIC, SHA-256 of vault and disk, then entries by sequence: first,
 * sequence, size, tag (64 bits each, little-endian), length of the end (32
 * bits), the header, the end, CRC-32C of all that (32 bits).
 */
#define MAGIC "ps-lists 1\n"
#define MAGIC_LEN (sizeof(MAGIC) - 1)
#define START (MAGIC_LEN + SHA256_LEN)
#define FIXED (4 * 8 + 4 + SEG_HEADER_LEN)
#define ENTRY(end) (FIXED + (end) + 4)
/* An end that is longer is not kept: a merged object of many. */
#define END_MAX (64u * 1024)
/* Of one file; and of all, beyond which the longest unused ones go. */
#define FILE_MAX (64u << 20)
#define FOLDER_MAX (256u << 20)
#define FILE_NAME 33

struct entry {
	struct vault_cover cover;
	const uint8_t *head, *end;
	size_t end_len;
};

struct tail_cache {
	int dir;
	char name[FILE_NAME];
	uint8_t id[SHA256_LEN];
	uint8_t *file; /* as it was */
	struct entry *known;
	size_t nknown;
	uint8_t *out; /* as it is to be */
	size_t len, room, nput;
	bool changed;
};

/* ---- memos ---- */

/*
 * A reader asks for more than the end has, to have it in one read; of what was
 * kept the rest is not looked at, and given as zeros.
 */
bool tail_memo_read(const struct tail_memo *m, uint64_t size, uint64_t pos,
		    void *buf, size_t n)
{
	size_t kept = n < m->end_len ? n : m->end_len;

	if (pos == 0 && n == SEG_HEADER_LEN && m->has_head) {
		memcpy(buf, m->head, n);
		return true;
	}
	if (pos + n != size || kept == 0 || (kept < n && !m->kept))
		return false;
	memset(buf, 0, n - kept);
	memcpy((uint8_t *)buf + n - kept, m->end + m->end_len - kept, kept);
	return true;
}

void tail_memo_note(struct tail_memo *m, uint64_t size, uint64_t pos,
		    const void *buf, size_t n)
{
	uint8_t *end;

	if (pos == 0 && n == SEG_HEADER_LEN) {
		memcpy(m->head, buf, n);
		m->has_head = true;
	}
	if (pos + n != size || n <= m->end_len || n > END_MAX)
		return;
	end = malloc(n);
	if (end == NULL)
		return;
	memcpy(end, buf, n);
	free(m->end);
	m->end = end;
	m->end_len = n;
}

void tail_memo_trim(struct tail_memo *m, size_t len)
{
	if (len >= m->end_len)
		return;
	memmove(m->end, m->end + m->end_len - len, len);
	m->end_len = len;
}

void tail_memo_drop(struct tail_memo *m)
{
	free(m->end);
	*m = (struct tail_memo){0};
}

/* ---- the folder ---- */

/* Ours alone: what others may write into proves too little even for a list. */
static int open_folder(void)
{
	const char *base = store_settings.list_cache;
	const char *home = getenv("HOME"), *xdg = getenv("XDG_CACHE_HOME");
	char path[PATH_MAX];
	struct stat st;
	char *at;
	int fd, n;

	if (base != NULL && *base != '\0')
		n = snprintf(path, sizeof(path), "%s/", base);
	else if (xdg != NULL && *xdg == '/')
		n = snprintf(path, sizeof(path), "%s/ps-toolkit/lists/", xdg);
	else if (home != NULL && *home == '/')
		n = snprintf(path, sizeof(path), "%s/.cache/ps-toolkit/lists/",
			     home);
	else
		return -1;
	if (n < 0 || (size_t)n >= sizeof(path))
		return -1;
	for (at = path + 1; (at = strchr(at, '/')) != NULL; at++) {
		*at = '\0';
		(void)mkdir(path, 0700);
		*at = '/';
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_uid != geteuid() ||
			(st.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

struct file {
	char name[FILE_NAME];
	struct timespec used;
	off_t size;
};

/* The one that was not used for longest; *ret_total: bytes of all. */
static bool oldest(int dirfd, struct file *ret, uint64_t *ret_total)
{
	int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *en;
	struct stat st;

	*ret_total = 0;
	ret->name[0] = '\0';
	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while ((en = readdir(d)) != NULL) {
		if (strlen(en->d_name) != FILE_NAME - 1 ||
		    fstatat(dirfd, en->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		*ret_total += (uint64_t)st.st_size;
		if (ret->name[0] != '\0' &&
		    (st.st_mtim.tv_sec > ret->used.tv_sec ||
		     (st.st_mtim.tv_sec == ret->used.tv_sec &&
		      st.st_mtim.tv_nsec >= ret->used.tv_nsec)))
			continue;
		snprintf(ret->name, sizeof(ret->name), "%.32s", en->d_name);
		ret->used = st.st_mtim;
	}
	closedir(d);
	return ret->name[0] != '\0';
}

static void shrink_folder(int dirfd)
{
	struct file f;
	uint64_t total;

	while (oldest(dirfd, &f, &total) && total > FOLDER_MAX)
		if (unlinkat(dirfd, f.name, 0) < 0)
			return;
}

/* ---- reading ---- */

static uint8_t *read_file(const struct tail_cache *c, size_t *ret_len)
{
	int fd = openat(c->dir, c->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	uint8_t *p = NULL;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size >= (off_t)START && st.st_size <= (off_t)FILE_MAX)
		p = malloc((size_t)st.st_size);
	if (p != NULL && io_pread_full(fd, p, (size_t)st.st_size, 0) !=
			     (ssize_t)st.st_size) {
		free(p);
		p = NULL;
	}
	if (p != NULL) {
		(void)futimens(fd, NULL);
		*ret_len = (size_t)st.st_size;
	}
	close(fd);
	return p;
}

/* Entries up to the first that is damaged or out of order. */
static void parse(struct tail_cache *c, size_t len)
{
	size_t at = START, cap = 0;

	if (memcmp(c->file, MAGIC, MAGIC_LEN) != 0 ||
	    memcmp(c->file + MAGIC_LEN, c->id, SHA256_LEN) != 0)
		return;
	while (len - at >= ENTRY(0)) {
		const uint8_t *p = c->file + at;
		size_t end = get_le32(p + 32);
		struct entry en = {{.first = get_le64(p),
				    .seq = get_le64(p + 8),
				    .size = get_le64(p + 16),
				    .tag = get_le64(p + 24)},
				   p + 36,
				   p + FIXED,
				   end};

		if (end > END_MAX || len - at < ENTRY(end) ||
		    get_le32(p + FIXED + end) != crc32c(0, p, FIXED + end))
			return;
		if (c->nknown == cap) {
			struct entry *grown =
			    reallocarray(c->known, 2 * cap + 64, sizeof(en));

			if (grown == NULL)
				return;
			c->known = grown;
			cap = 2 * cap + 64;
		}
		c->known[c->nknown++] = en;
		at += ENTRY(end);
	}
}

/* Which vault, made when and where, and which disk of it. */
static void name_file(struct tail_cache *c, const struct vault *v,
		      const char *machine, const char *disk)
{
	char text[2 * NAME_SIZE + 2];
	struct sha256 s;
	int n = snprintf(text, sizeof(text), "%s/%s", machine, disk);

	sha256_init(&s);
	sha256_update(&s, v->id, sizeof(v->id));
	sha256_update(&s, text, (size_t)n);
	sha256_final(&s, c->id);
	hex_encode(c->id, (FILE_NAME - 1) / 2, c->name);
}

struct tail_cache *tail_cache_open(const struct vault *v, const char *machine,
				   const char *disk, size_t n)
{
	struct tail_cache *c;
	size_t len;

	if (!v->cached || !v->store->ops->far || n == 0)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->dir = open_folder();
	if (c->dir < 0) {
		free(c);
		return NULL;
	}
	name_file(c, v, machine, disk);
	c->file = read_file(c, &len);
	if (c->file != NULL)
		parse(c, len);
	return c;
}

static int by_cover(const void *key, const void *entry)
{
	const struct vault_cover *x = key;
	const struct vault_cover *y = &((const struct entry *)entry)->cover;

	if (x->seq != y->seq)
		return x->seq < y->seq ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first;
}

void tail_cache_get(const struct tail_cache *c, const struct vault_cover *cover,
		    struct tail_memo *m)
{
	const struct entry *en;

	if (c == NULL || cover->tag == 0 || c->nknown == 0)
		return;
	en = bsearch(cover, c->known, c->nknown, sizeof(*en), by_cover);
	if (en == NULL || en->cover.size != cover->size ||
	    en->cover.tag != cover->tag)
		return;
	m->end = malloc(en->end_len);
	if (m->end == NULL)
		return;
	memcpy(m->end, en->end, en->end_len);
	m->end_len = en->end_len;
	memcpy(m->head, en->head, SEG_HEADER_LEN);
	m->has_head = m->kept = true;
}

/* ---- writing ---- */

static uint8_t *grow(struct tail_cache *c, size_t n)
{
	uint8_t *grown;
	size_t room = 2 * c->room + n + 65536;

	if (c->len + n > FILE_MAX)
		return NULL;
	if (c->len + n > c->room) {
		grown = realloc(c->out, room);
		if (grown == NULL)
			return NULL;
		c->out = grown;
		c->room = room;
	}
	c->len += n;
	return c->out + c->len - n;
}

void tail_cache_put(struct tail_cache *c, const struct vault_cover *cover,
		    struct tail_memo *m)
{
	uint8_t *p;

	if (c != NULL && cover->tag != 0 && m->has_head && m->end_len > 0) {
		if (c->len == 0 && (p = grow(c, START)) != NULL) {
			memcpy(p, MAGIC, MAGIC_LEN);
			memcpy(p + MAGIC_LEN, c->id, SHA256_LEN);
		}
		p = c->len > 0 ? grow(c, ENTRY(m->end_len)) : NULL;
		if (p != NULL) {
			put_le64(p, cover->first);
			put_le64(p + 8, cover->seq);
			put_le64(p + 16, cover->size);
			put_le64(p + 24, cover->tag);
			put_le32(p + 32, (uint32_t)m->end_len);
			memcpy(p + 36, m->head, SEG_HEADER_LEN);
			memcpy(p + FIXED, m->end, m->end_len);
			put_le32(p + FIXED + m->end_len,
				 crc32c(0, p, FIXED + m->end_len));
			c->nput++;
			c->changed = c->changed || !m->kept;
		}
	}
	tail_memo_drop(m);
}

void tail_cache_close(struct tail_cache *c)
{
	if (c == NULL)
		return;
	if (c->len > 0 && (c->changed || c->nput != c->nknown)) {
		durable_sweep_dead(c->dir);
		(void)durable_write(c->dir, c->name, c->out, c->len, 0600,
				    DURABLE_REPLACE, NULL);
		shrink_folder(c->dir);
	}
	close(c->dir);
	free(c->file);
	free(c->known);
	free(c->out);
	free(c);
}
