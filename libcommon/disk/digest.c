#include "config.h"

#include <pthread.h>
#include <string.h>

#include "base/bytes.h"
#include "disk/digest.h"

uint32_t disk_blocks_in_group(uint64_t disk_size, uint32_t block_size,
			      uint64_t group)
{
	uint64_t left = disk_size - group * DISK_GROUP_BYTES;

	if (left > DISK_GROUP_BYTES)
		left = DISK_GROUP_BYTES;
	return (uint32_t)seg_blocks(left, block_size);
}

void disk_group_digest(const uint8_t *entries, uint32_t nblocks,
		       uint8_t out[SHA256_LEN])
{
	sha256_of(entries, (size_t)nblocks * BLOCK_DIGEST_LEN, out);
}

void disk_group_zero(uint32_t nblocks, uint8_t out[SHA256_LEN])
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static uint32_t known;
	static uint8_t digest[SHA256_LEN];
	static const uint8_t zeros[64 * BLOCK_DIGEST_LEN];

	pthread_mutex_lock(&lock);
	if (known != nblocks) {
		struct sha256 s;
		uint32_t left = nblocks;

		sha256_init(&s);
		for (; left > 0; left -= left < 64 ? left : 64)
			sha256_update(&s, zeros,
				      (left < 64 ? left : 64) *
					  BLOCK_DIGEST_LEN);
		sha256_final(&s, digest);
		known = nblocks;
	}
	memcpy(out, digest, SHA256_LEN);
	pthread_mutex_unlock(&lock);
}

void disk_digest_of(uint64_t disk_size, uint32_t block_size,
		    const uint8_t *groups, uint8_t out[SHA256_LEN])
{
	uint8_t head[20];
	struct sha256 s;

	memcpy(head, "psdisk1\n", 8);
	put_le64(head + 8, disk_size);
	put_le32(head + 16, block_size);
	sha256_init(&s);
	sha256_update(&s, head, sizeof(head));
	sha256_update(&s, groups, (size_t)disk_groups(disk_size) * SHA256_LEN);
	sha256_final(&s, out);
}
