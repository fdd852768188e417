#include "config.h"

#include <string.h>

#include "disk/digestmap.h"
#include "disk/journal.h"

struct adoption {
	const char *path, *machine, *disk;
	struct map_build *build;
};

static int begin(void *ctx, const struct digestmap_head *h, struct err *e)
{
	struct adoption *a = ctx;

	if (strcmp(h->machine, a->machine) != 0 ||
	    strcmp(h->disk, a->disk) != 0)
		return err_set(e, PS_DATA,
			       "the digest map is of %s/%s, not %s/%s",
			       h->machine, h->disk, a->machine, a->disk);
	return map_build_begin(&a->build, a->path, h->machine, h->disk,
			       h->disk_size, h->block_size, e);
}

static int put(void *ctx, uint64_t first, uint64_t nblocks,
	       const uint8_t *digests, struct err *e)
{
	struct adoption *a = ctx;

	return map_build_put(a->build, first, nblocks, digests, e);
}

/*
 * What is there and knows of a segment is worth more than what comes: it has
 * a dirty list and a journal. Anything else has nothing to lose.
 */
static int check_old(const char *path, struct err *e)
{
	struct map m;
	int rc = map_open(&m, path, false, e);
	uint64_t seq;

	if (rc == -PS_NOINPUT || rc == -PS_DATA)
		return 0;
	if (rc < 0)
		return rc;
	seq = m.head.seq;
	map_close(&m);
	if (seq == 0)
		return 0;
	err_set(e, PS_NO, "%s: there is a map already, after segment %llu",
		path, (unsigned long long)seq);
	err_hint(e, "settle it (ps-scan --commit), or put another in its place "
		    "with --replace");
	return -PS_NO;
}

static int adopt_locked(struct io_in *in, struct adoption *a,
			struct digestmap_head *ret, struct err *e)
{
	const struct digestmap_sink sink = {begin, put, a};
	int rc = digestmap_read(in, &sink, ret, e);

	if (rc == 0)
		rc = map_build_commit(a->build, ret->seq, ret->digest,
				      ret->has_point, e);
	if (rc < 0)
		map_build_abort(a->build);
	return rc;
}

/*
 * The journal of a lost map stays: what it holds behind the new map's
 * sequence was sent and may yet turn out to have been taken.
 */
int digestmap_adopt(struct io_in *in, const char *path, const char *machine,
		    const char *disk, bool replace, struct digestmap_head *ret,
		    struct err *e)
{
	struct adoption a = {path, machine, disk, NULL};
	struct journal j;
	int rc = journal_open(&j, path, e);

	if (rc < 0)
		return rc;
	rc = journal_lock(&j, LOCK_SCAN, e);
	if (rc == 0)
		rc = journal_lock(&j, LOCK_COMMIT, e);
	if (rc == 0 && !replace)
		rc = check_old(path, e);
	if (rc == 0)
		rc = adopt_locked(in, &a, ret, e);
	journal_close(&j);
	return rc;
}
