#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "disk/digest.h"
#include "disk/layout.h"

struct map_build {
	struct durable file;
	int dirfd;
	struct map map; /* over file.fd; head is what will be written */
	bool anonymous; /* map.fd is a file of its own, without a name */
};

static int open_dir(const char *path, int *ret, char name[256], struct err *e)
{
	char *a = strdup(path), *b = strdup(path);
	int rc = 0;

	if (a == NULL || b == NULL) {
		rc = err_sys(e, 0, "%s", path);
	} else if (strlen(basename(b)) > 200) {
		rc = err_set(e, PS_USAGE, "%s: name too long", path);
	} else {
		memcpy(name, basename(b), strlen(basename(b)) + 1);
		*ret = open(dirname(a), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (*ret < 0)
			rc = err_sys(e, 0, "%s: folder", path);
	}
	free(a);
	free(b);
	return rc;
}

static int head_fill(struct map_head *h, const char *machine, const char *disk,
		     uint64_t disk_size, uint32_t block_size, struct err *e)
{
	int rc = name_check("machine", machine, PS_DATA, e);

	if (rc == 0)
		rc = name_check("disk", disk, PS_DATA, e);
	if (rc == 0)
		rc = seg_geometry_check(disk_size, block_size, PS_DATA, e);
	if (rc < 0)
		return rc;
	*h = (struct map_head){
	    .disk_size = disk_size, .block_size = block_size, .generation = 1};
	memcpy(h->machine, machine, strlen(machine) + 1);
	memcpy(h->disk, disk, strlen(disk) + 1);
	if (getrandom(h->id, sizeof(h->id), 0) != (ssize_t)sizeof(h->id))
		return err_sys(e, PS_IOERR, "getrandom");
	return 0;
}

int map_build_begin(struct map_build **ret, const char *path,
		    const char *machine, const char *disk, uint64_t disk_size,
		    uint32_t block_size, struct err *e)
{
	struct map_build *b = calloc(1, sizeof(*b));
	char name[256];
	int rc;

	if (b == NULL)
		return err_sys(e, 0, "%s", path);
	b->dirfd = b->file.fd = b->map.fd = -1;
	b->map.path = strdup(path);
	if (b->map.path == NULL)
		rc = err_sys(e, 0, "%s", path);
	else
		rc = head_fill(&b->map.head, machine, disk, disk_size,
			       block_size, e);
	if (rc == 0)
		rc = open_dir(path, &b->dirfd, name, e);
	if (rc == 0)
		rc = durable_begin(&b->file, b->dirfd, name, 0600, e);
	if (rc == 0) {
		b->map.fd = b->file.fd;
		rc = map_reset(&b->map, disk_size, e);
	}
	if (rc < 0)
		map_build_abort(b);
	else
		*ret = b;
	return rc;
}

/*
 * A file without a name: it goes with its descriptor, however we end. Not
 * under /tmp, which may be memory: a dense disk of 16 TiB has 4 GiB of it.
 */
static int open_anonymous(struct map_build *b, struct err *e)
{
	const char *dir = getenv("TMPDIR");
	char *path;

	if (asprintf(&path, "%s/ps-map.XXXXXX",
		     dir != NULL && *dir != '\0' ? dir : "/var/tmp") < 0)
		return err_sys(e, PS_TEMPFAIL, "temporary map");
	b->map.path = path;
	b->map.fd = mkostemp(path, O_CLOEXEC);
	if (b->map.fd < 0)
		return err_sys(e, 0, "%s", path);
	(void)unlink(path);
	b->anonymous = true;
	return 0;
}

int map_build_anonymous(struct map_build **ret, const char *machine,
			const char *disk, uint64_t disk_size,
			uint32_t block_size, struct err *e)
{
	struct map_build *b = calloc(1, sizeof(*b));
	int rc;

	if (b == NULL)
		return err_sys(e, PS_TEMPFAIL, "temporary map");
	b->dirfd = b->file.fd = b->map.fd = -1;
	rc = head_fill(&b->map.head, machine, disk, disk_size, block_size, e);
	if (rc == 0)
		rc = open_anonymous(b, e);
	if (rc == 0)
		rc = map_reset(&b->map, disk_size, e);
	if (rc < 0)
		map_build_abort(b);
	else
		*ret = b;
	return rc;
}

void map_build_hand_over(struct map_build *b, uint64_t seq,
			 const uint8_t digest[SHA256_LEN], int has_point,
			 struct map *ret)
{
	b->map.head.seq = seq;
	b->map.head.has_point = has_point != 0;
	memcpy(b->map.head.digest, digest, SHA256_LEN);
	*ret = b->map;
	free(b);
}

int map_build_put(struct map_build *b, uint64_t first, uint64_t nblocks,
		  const uint8_t *digests, struct err *e)
{
	uint64_t end;

	if (add_overflows(first, nblocks, &end) || end > map_blocks(&b->map))
		return err_set(e, PS_DATA, "%s: blocks outside the disk",
			       b->map.path);
	while (nblocks > 0) {
		uint64_t n =
		    nblocks < MAP_CHUNK_ENTRIES ? nblocks : MAP_CHUNK_ENTRIES;
		size_t len = (size_t)n * BLOCK_DIGEST_LEN;
		int rc;

		if (bytes_all_zero(digests, len))
			rc = map_write_zero(&b->map, first, n, e);
		else
			rc = map_write(&b->map, first, n, digests, e);
		if (rc < 0)
			return rc;
		first += n;
		digests += len;
		nblocks -= n;
	}
	return 0;
}

/* Brings groups up to date and writes the header, once for all. */
static int seal_file(struct map_build *b, struct err *e)
{
	struct map_head *h = &b->map.head;
	uint64_t groups = disk_groups(h->disk_size);
	uint8_t raw[MAP_SLOT_LEN];
	int rc = 0;

	if (groups > 0)
		rc = map_groups_update(&b->map, h->disk_size, 0, groups - 1, e);
	if (rc < 0)
		return rc;
	map_head_pack(h, raw);
	if (io_pwrite_full(b->map.fd, raw, sizeof(raw),
			   (h->generation % 2) * MAP_PAGE) < 0)
		return err_sys(e, 0, "%s", b->map.path);
	return 0;
}

static int commit_as(struct map_build *b, enum durable_mode how, struct err *e)
{
	int rc = seal_file(b, e);

	if (rc == 0)
		rc = durable_commit(&b->file, how, e);
	if (rc == 0)
		map_build_abort(b);
	return rc;
}

int map_build_commit(struct map_build *b, uint64_t seq,
		     const uint8_t digest[SHA256_LEN], int has_point,
		     struct err *e)
{
	b->map.head.seq = seq;
	b->map.head.has_point = has_point != 0;
	memcpy(b->map.head.digest, digest, SHA256_LEN);
	return commit_as(b, DURABLE_REPLACE, e);
}

void map_build_abort(struct map_build *b)
{
	if (b == NULL)
		return;
	durable_abort(&b->file);
	if (b->anonymous)
		close(b->map.fd);
	if (b->dirfd >= 0)
		close(b->dirfd);
	free(b->map.path);
	free(b);
}

int map_create(const char *path, const char *machine, const char *disk,
	       uint64_t disk_size, uint32_t block_size, struct err *e)
{
	struct map_build *b;
	int rc =
	    map_build_begin(&b, path, machine, disk, disk_size, block_size, e);

	if (rc < 0)
		return rc;
	rc = commit_as(b, DURABLE_CREATE, e);
	if (rc < 0)
		map_build_abort(b);
	return rc;
}
