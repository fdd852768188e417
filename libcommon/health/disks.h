/*
 * What each disk did in the last four hours, minute by minute: a file of
 * slots (two pages each), mapped, found by a hash of the disk's name. A disk
 * that has gone gives its slot to another after a day. At most DISKS_MAX.
 *
 *	0	"pshdisks", version u32, slots u32, CRC-32C u32
 *	4096	slots: CRC-32C of the names u32, 0 u32, machine 64, disk 64,
 *		last sample i64, accepted u64, its time i64, stored u64, its
 *		time i64, changed u64, its time i64, crash point i64, app
 *		point i64, first sample i64, size of the disk u64, stored point
 *		i64, its consistency u64, 0; at 256: 240 minutes of 24 bytes
 *
 * Torn by a power loss it is at worst wrong about a minute: each has a check
 * byte. Little-endian; nothing here is promised to anybody.
 */
#ifndef PS_HEALTH_DISKS_H
#define PS_HEALTH_DISKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/name.h"

#define DISKS_MAX 4096
#define DISK_MINUTES 240
/* A disk that no sample has seen for so many seconds is no longer here. */
#define DISK_GONE_S 3600

enum disk_flag {
	DISK_HELD = 1,
	DISK_UNSEATED = 2,
	DISK_INITIAL = 4,
};

/* One disk at one minute. */
struct disk_minute {
	int64_t minute;	  /* since 1970 */
	uint64_t pending; /* bytes in the cache, not stored; in KiB steps */
	uint32_t lag;	  /* seconds since all that it had accepted was stored,
			     or since it last had something accepted: whichever
			     is longer */
	uint64_t changed; /* bytes of the disk that were accepted since the
			     sample before; in KiB steps */
	uint8_t flags;
};

/* What a sample says of a disk. */
struct disk_now {
	const char *machine, *disk;
	uint64_t accepted, stored; /* sequences */
	uint64_t pending;	   /* bytes */
	int64_t oldest;	  /* seconds since 1970, of what is pending; 0: none */
	bool tallied;	  /* the next four are known */
	uint64_t changed; /* bytes of the disk since it is here (tally.h) */
	int64_t crash_point, app_point; /* seconds since 1970; 0: none */
	uint64_t size;			/* of the disk, bytes; 0: not known */
	/* The newest point that is stored (tally_point_at()), and what it is;
	 * seconds since 1970; 0: none is known. */
	int64_t stored_point;
	uint8_t stored_consistency;
	uint8_t flags;
};

/* What is known of a disk. */
struct disk_record {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	int64_t seen; /* last sample, seconds since 1970 */
	uint64_t accepted, stored;
	int64_t accepted_at; /* when the sequence was first seen to be so */
	int64_t stored_at;
	int64_t first;	  /* sample */
	uint64_t changed; /* as in the newest sample that knew it */
	int64_t crash_point, app_point;
	uint64_t size;	      /* of the disk, bytes; 0: not known */
	int64_t stored_point; /* seconds since 1970; 0: none is known */
	uint8_t stored_consistency;
	const void *slot; /* for disk_minutes() */
};

struct disks {
	uint8_t *map;
};

/* As keep_open() (keep.h). */
int disks_open(struct disks *d, int dirfd, bool write, char *ret_aside,
	       size_t aside_size, struct err *e);
void disks_close(struct disks *d);

/* Enters a sample of `now` seconds; false when there is no slot left. */
bool disks_put(struct disks *d, const struct disk_now *n, int64_t now);

/* Each disk that was seen since, in order of names. */
typedef int disk_record_fn(void *ctx, const struct disk_record *r,
			   struct err *e);
int disks_each(const struct disks *d, int64_t seen_since, disk_record_fn *fn,
	       void *ctx, struct err *e);

/* That minute of a disk; false: there is none. */
bool disk_minute(const struct disk_record *r, int64_t minute,
		 struct disk_minute *ret);

#endif
