#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "disk/digest.h"
#include "disk/layout.h"

static const uint8_t map_magic[8] = {'P', 'S', 'M', 'A', 'P', '\r', '\n', 0x1a};

#define FLAG_POINT 1u
#define FLAG_RESTART 2u
#define H_MACHINE 128
#define H_DISK 192
#define H_RESERVED 256
#define H_CRC (MAP_SLOT_LEN - 4)

/* ---- header ---- */

void map_head_pack(const struct map_head *h, uint8_t out[MAP_SLOT_LEN])
{
	memset(out, 0, MAP_SLOT_LEN);
	memcpy(out, map_magic, sizeof(map_magic));
	put_le32(out + 8, MAP_VERSION);
	put_le32(out + 12, (h->has_point ? FLAG_POINT : 0) |
			       (h->restart ? FLAG_RESTART : 0));
	put_le64(out + 16, h->generation);
	put_le64(out + 24, h->disk_size);
	put_le32(out + 32, h->block_size);
	put_le64(out + 40, h->seq);
	memcpy(out + 48, h->id, MAP_ID_LEN);
	memcpy(out + 64, h->digest, SHA256_LEN);
	memcpy(out + H_MACHINE, h->machine, strlen(h->machine));
	memcpy(out + H_DISK, h->disk, strlen(h->disk));
	put_le32(out + H_CRC, crc32c(0, out, H_CRC));
}

/* 0; -PS_DATA without words when the slot is not whole. */
static int head_unpack(struct map_head *h, const uint8_t in[MAP_SLOT_LEN],
		       struct err *e)
{
	uint32_t flags = get_le32(in + 12);

	if (memcmp(in, map_magic, sizeof(map_magic)) != 0 ||
	    get_le32(in + H_CRC) != crc32c(0, in, H_CRC))
		return -PS_DATA;
	if (get_le32(in + 8) != MAP_VERSION ||
	    (flags & ~(FLAG_POINT | FLAG_RESTART)) != 0)
		return err_set(e, PS_PROTOCOL, "map of version %u",
			       get_le32(in + 8));
	h->has_point = (flags & FLAG_POINT) != 0;
	h->restart = (flags & FLAG_RESTART) != 0;
	h->generation = get_le64(in + 16);
	h->disk_size = get_le64(in + 24);
	h->block_size = get_le32(in + 32);
	h->seq = get_le64(in + 40);
	memcpy(h->id, in + 48, MAP_ID_LEN);
	memcpy(h->digest, in + 64, SHA256_LEN);
	memcpy(h->machine, in + H_MACHINE, NAME_MAX_LEN);
	memcpy(h->disk, in + H_DISK, NAME_MAX_LEN);
	h->machine[NAME_MAX_LEN] = h->disk[NAME_MAX_LEN] = '\0';
	if (!name_ok(h->machine) || !name_ok(h->disk) ||
	    !bytes_all_zero(in + H_RESERVED, H_CRC - H_RESERVED) ||
	    seg_geometry_check(h->disk_size, h->block_size, PS_DATA, NULL) < 0)
		return -PS_DATA;
	return 0;
}

/* The newer one of the slots that are whole. */
static int head_read(struct map *m, struct err *e)
{
	bool found = false;
	unsigned slot;

	for (slot = 0; slot < 2; slot++) {
		uint8_t raw[MAP_SLOT_LEN] = {0};
		struct map_head h = {0};
		int rc;

		if (io_pread_full(m->fd, raw, sizeof(raw),
				  (uint64_t)slot * MAP_PAGE) < 0)
			return err_sys(e, 0, "%s", m->path);
		rc = head_unpack(&h, raw, e);
		if (rc == -PS_PROTOCOL) {
			err_prefix(e, "%s", m->path);
			err_hint(e, "use a newer ps-toolkit");
			return rc;
		}
		if (rc == 0 && (!found || h.generation > m->head.generation)) {
			m->head = h;
			found = true;
		}
	}
	if (found)
		return 0;
	err_set(e, PS_DATA, "%s: not a disk map, or damaged", m->path);
	err_hint(e, "fetch the digest map from the server, or move the map "
		    "away and start a new base");
	return -PS_DATA;
}

int map_open(struct map *m, const char *path, bool writable, struct err *e)
{
	int rc;

	*m = (struct map){.fd = -1};
	m->path = strdup(path);
	if (m->path == NULL)
		return err_sys(e, 0, "%s", path);
	m->fd = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (m->fd < 0)
		rc = err_sys(e, 0, "%s", path);
	else
		rc = head_read(m, e);
	if (rc < 0)
		map_close(m);
	return rc;
}

void map_close(struct map *m)
{
	if (m->path == NULL)
		return;
	if (m->fd >= 0)
		close(m->fd);
	free(m->path);
	*m = (struct map){.fd = -1};
}

int map_commit(struct map *m, const struct map_head *h, struct err *e)
{
	struct map_head next = *h;
	uint8_t raw[MAP_SLOT_LEN];
	int rc;

	memcpy(next.id, m->head.id, MAP_ID_LEN);
	next.generation = m->head.generation + 1;
	map_head_pack(&next, raw);
	rc = durable_sync(m->fd, m->path, e);
	if (rc < 0)
		return rc;
	if (io_pwrite_full(m->fd, raw, sizeof(raw),
			   (next.generation % 2) * MAP_PAGE) < 0)
		return err_sys(e, 0, "%s", m->path);
	rc = durable_sync(m->fd, m->path, e);
	if (rc == 0)
		m->head = next;
	return rc;
}

/* ---- entries ---- */

bool map_entry_unknown(const uint8_t entry[BLOCK_DIGEST_LEN])
{
	return get_le64(entry) == UINT64_MAX &&
	       get_le64(entry + 8) == UINT64_MAX;
}

static uint64_t entry_at(const struct map *m, uint64_t block)
{
	return map_entry_at(m->head.block_size, block);
}

int map_read(const struct map *m, uint64_t first, uint64_t n, uint8_t *out,
	     struct err *e)
{
	size_t want = (size_t)n * BLOCK_DIGEST_LEN;
	ssize_t got = io_pread_full(m->fd, out, want, entry_at(m, first));

	if (got < 0)
		return err_sys(e, 0, "%s", m->path);
	memset(out + got, 0, want - (size_t)got);
	return 0;
}

int map_write(struct map *m, uint64_t first, uint64_t n, const uint8_t *entries,
	      struct err *e)
{
	if (io_pwrite_full(m->fd, entries, (size_t)n * BLOCK_DIGEST_LEN,
			   entry_at(m, first)) < 0)
		return err_sys(e, 0, "%s", m->path);
	return 0;
}

/* Writes n entries of one byte value. */
static int fill(struct map *m, uint64_t first, uint64_t n, int value,
		struct err *e)
{
	uint8_t *buf = malloc(MAP_CHUNK_ENTRIES * BLOCK_DIGEST_LEN);
	int rc = 0;

	if (buf == NULL)
		return err_sys(e, 0, "%s", m->path);
	memset(buf, value, MAP_CHUNK_ENTRIES * BLOCK_DIGEST_LEN);
	while (rc == 0 && n > 0) {
		uint64_t part = n < MAP_CHUNK_ENTRIES ? n : MAP_CHUNK_ENTRIES;

		rc = map_write(m, first, part, buf, e);
		first += part;
		n -= part;
	}
	free(buf);
	return rc;
}

int map_write_zero(struct map *m, uint64_t first, uint64_t n, struct err *e)
{
	if (n > MAP_PAGE / BLOCK_DIGEST_LEN &&
	    fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)entry_at(m, first),
		      (off_t)(n * BLOCK_DIGEST_LEN)) == 0)
		return 0;
	return fill(m, first, n, 0, e); /* few, or no holes there */
}

int map_write_unknown(struct map *m, uint64_t first, uint64_t n, struct err *e)
{
	return fill(m, first, n, 0xff, e);
}

uint64_t map_next_data(const struct map *m, uint64_t block)
{
	uint64_t at = entry_at(m, block);
	off_t data = lseek(m->fd, (off_t)at, SEEK_DATA);

	if (data < 0 && errno == ENXIO)
		return UINT64_MAX;
	if (data < 0)
		return block; /* no SEEK_DATA there: anything may be data */
	return block + ((uint64_t)data - at) / BLOCK_DIGEST_LEN;
}

static int set_len(struct map *m, uint64_t len, struct err *e)
{
	if (ftruncate(m->fd, (off_t)len) < 0)
		return err_sys(e, 0, "%s", m->path);
	return 0;
}

int map_reset(struct map *m, uint64_t disk_size, struct err *e)
{
	uint64_t len = map_file_len(disk_size, m->head.block_size);
	int rc = set_len(m, MAP_GROUPS_AT, e);

	return rc < 0 ? rc : set_len(m, len, e);
}

int map_resize(struct map *m, uint64_t disk_size, struct err *e)
{
	uint64_t old = m->head.disk_size;
	uint64_t least = disk_size < old ? disk_size : old;
	uint64_t groups = disk_groups(disk_size);
	int rc = set_len(m, map_file_len(least, m->head.block_size), e);

	/* First cut: a crash may have left entries behind the old end. */
	if (rc == 0)
		rc = set_len(m, map_file_len(disk_size, m->head.block_size), e);
	if (rc == 0 && groups > 0 && least / DISK_GROUP_BYTES < groups)
		rc = map_groups_update(m, disk_size, least / DISK_GROUP_BYTES,
				       groups - 1, e);
	return rc;
}

/* ---- groups ---- */

int map_groups_read(const struct map *m, uint64_t disk_size, uint8_t *out,
		    struct err *e)
{
	size_t want = (size_t)disk_groups(disk_size) * SHA256_LEN;

	if (io_pread_full(m->fd, out, want, MAP_GROUPS_AT) != (ssize_t)want)
		return err_sys(e, PS_IOERR, "%s: group digests", m->path);
	return 0;
}

static int group_write(struct map *m, uint64_t group,
		       const uint8_t digest[SHA256_LEN], struct err *e)
{
	if (io_pwrite_full(m->fd, digest, SHA256_LEN,
			   MAP_GROUPS_AT + group * SHA256_LEN) < 0)
		return err_sys(e, 0, "%s", m->path);
	return 0;
}

/* One group whose entries may not be zero. `buf` has room for them. */
static int group_update(struct map *m, uint64_t disk_size, uint64_t group,
			uint8_t *buf, struct err *e)
{
	uint32_t bs = m->head.block_size;
	uint32_t n = disk_blocks_in_group(disk_size, bs, group);
	uint8_t digest[SHA256_LEN] = {0};
	int rc = map_read(m, group * disk_group_blocks(bs), n, buf, e);

	if (rc < 0)
		return rc;
	if (!bytes_all_zero(buf, (size_t)n * BLOCK_DIGEST_LEN))
		disk_group_digest(buf, n, digest);
	return group_write(m, group, digest, e);
}

/* Groups from..to hold nothing but zeros. */
static int groups_zero(struct map *m, uint64_t from, uint64_t to, struct err *e)
{
	static const uint8_t zeros[SHA256_LEN];
	uint8_t old[SHA256_LEN];
	int rc;

	for (; from < to; from++) {
		if (io_pread_full(m->fd, old, sizeof(old),
				  MAP_GROUPS_AT + from * SHA256_LEN) < 0)
			return err_sys(e, 0, "%s", m->path);
		if (bytes_all_zero(old, sizeof(old)))
			continue; /* leave holes as they are */
		rc = group_write(m, from, zeros, e);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int map_groups_update(struct map *m, uint64_t disk_size, uint64_t from,
		      uint64_t to, struct err *e)
{
	uint32_t per = disk_group_blocks(m->head.block_size);
	uint8_t *buf = malloc((size_t)per * BLOCK_DIGEST_LEN);
	int rc = 0;

	if (buf == NULL)
		return err_sys(e, 0, "%s", m->path);
	while (rc == 0 && from <= to) {
		uint64_t data = map_next_data(m, from * per);
		uint64_t next = data == UINT64_MAX ? to + 1 : data / per;

		if (next > to)
			next = to + 1;
		rc = groups_zero(m, from, next, e);
		from = next;
		if (rc == 0 && from <= to)
			rc = group_update(m, disk_size, from++, buf, e);
	}
	free(buf);
	return rc;
}
