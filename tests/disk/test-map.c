/* The map file: header slots, entries, group digests, building one. */
#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/digest.h"
#include "disk/layout.h"
#include "disk/map.h"

#define BS 65536u
#define GROUP_BLOCKS 16384u
#define DISK_SIZE (2 * DISK_GROUP_BYTES + 5 * BS + 1)

static char folder[] = "/tmp/test-map.XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/map", folder);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void entry_of(uint64_t block, uint8_t out[BLOCK_DIGEST_LEN])
{
	memset(out, (int)(block % 200) + 1, BLOCK_DIGEST_LEN);
}

static void map_new(struct map *m)
{
	struct err e = {0};

	assert_int_equal(map_create(path, "m", "d", DISK_SIZE, BS, &e), 0);
	assert_int_equal(map_open(m, path, true, &e), 0);
}

static void a_new_map_knows_nothing(void **state)
{
	uint8_t buf[4 * BLOCK_DIGEST_LEN], zeros[sizeof(buf)] = {0};
	struct map m;

	(void)state;
	map_new(&m);
	assert_int_equal(m.head.seq, 0);
	assert_true(map_counts_as_zero(&m));
	assert_false(m.head.has_point);
	assert_int_equal(map_blocks(&m), 2 * GROUP_BLOCKS + 6);
	assert_int_equal(map_read(&m, 9, 4, buf, NULL), 0);
	assert_memory_equal(buf, zeros, sizeof(buf));
	assert_true(map_next_data(&m, 0) == UINT64_MAX);
	map_close(&m);
	assert_int_equal(map_create(path, "m", "d", DISK_SIZE, BS, NULL),
			 -PS_NO);
}

static void the_header_survives_a_torn_write(void **state)
{
	static const uint8_t junk[MAP_SLOT_LEN] = {1, 2, 3};
	struct map_head h;
	struct map m;
	int i;

	(void)state;
	map_new(&m);
	for (i = 1; i <= 5; i++) {
		h = m.head;
		h.seq = (uint64_t)i;
		assert_int_equal(map_commit(&m, &h, NULL), 0);
	}
	/* The slot that would be written next is torn. */
	assert_int_equal(
	    pwrite(m.fd, junk, sizeof(junk),
		   (off_t)((m.head.generation + 1) % 2) * MAP_PAGE),
	    sizeof(junk));
	map_close(&m);
	assert_int_equal(map_open(&m, path, false, NULL), 0);
	assert_int_equal(m.head.seq, 5);
	map_close(&m);
}

static void a_map_without_a_whole_slot_is_refused(void **state)
{
	struct err e = {0};
	struct map m;
	int fd;

	(void)state;
	assert_int_equal(map_open(&m, path, false, &e), -PS_NOINPUT);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 100000), 0);
	close(fd);
	assert_int_equal(map_open(&m, path, false, &e), -PS_DATA);
}

/* Group digests as one computes them from the entries. */
static void check_groups(struct map *m)
{
	uint64_t g, n = disk_groups(m->head.disk_size);
	uint8_t *stored = calloc(n + 1, SHA256_LEN);
	uint8_t *entries = malloc(GROUP_BLOCKS * BLOCK_DIGEST_LEN);

	assert_int_equal(map_groups_read(m, m->head.disk_size, stored, NULL),
			 0);
	for (g = 0; g < n; g++) {
		uint32_t k = disk_blocks_in_group(m->head.disk_size, BS, g);
		uint8_t want[SHA256_LEN], zero[SHA256_LEN];

		assert_int_equal(
		    map_read(m, g * GROUP_BLOCKS, k, entries, NULL), 0);
		disk_group_digest(entries, k, want);
		disk_group_zero(k, zero);
		if (memcmp(want, zero, SHA256_LEN) == 0)
			memset(want, 0, SHA256_LEN);
		assert_memory_equal(stored + g * SHA256_LEN, want, SHA256_LEN);
	}
	free(stored);
	free(entries);
}

static void group_digests_follow_the_entries(void **state)
{
	uint8_t en[BLOCK_DIGEST_LEN];
	struct map_head h;
	struct map m;

	(void)state;
	map_new(&m);
	entry_of(7, en);
	assert_int_equal(map_write(&m, GROUP_BLOCKS + 7, 1, en, NULL), 0);
	assert_int_equal(map_write(&m, 2 * GROUP_BLOCKS + 5, 1, en, NULL), 0);
	assert_int_equal(map_groups_update(&m, DISK_SIZE, 0, 2, NULL), 0);
	check_groups(&m);
	/* Growth: the group of the old end has more blocks now. */
	assert_int_equal(map_resize(&m, 4 * DISK_GROUP_BYTES, NULL), 0);
	h = m.head;
	h.disk_size = 4 * DISK_GROUP_BYTES;
	assert_int_equal(map_commit(&m, &h, NULL), 0);
	check_groups(&m);
	/* Zero again, by a hole. */
	assert_int_equal(map_write_zero(&m, 0, 4 * GROUP_BLOCKS, NULL), 0);
	assert_int_equal(map_groups_update(&m, h.disk_size, 0, 3, NULL), 0);
	check_groups(&m);
	assert_true(map_next_data(&m, 0) == UINT64_MAX);
	map_close(&m);
}

static void resize_cuts_off_what_stood_behind_the_end(void **state)
{
	uint8_t en[BLOCK_DIGEST_LEN], zeros[BLOCK_DIGEST_LEN] = {0};
	uint64_t behind;
	struct map m;

	(void)state;
	map_new(&m);
	behind = map_blocks(&m) + 3;
	entry_of(1, en);
	assert_int_equal(map_write(&m, behind, 1, en, NULL), 0);
	assert_int_equal(map_resize(&m, DISK_SIZE, NULL), 0);
	assert_int_equal(map_resize(&m, DISK_SIZE + 100 * BS, NULL), 0);
	assert_int_equal(map_read(&m, behind, 1, en, NULL), 0);
	assert_memory_equal(en, zeros, sizeof(en));
	map_close(&m);
}

static void unknown_is_equal_to_nothing(void **state)
{
	uint8_t en[2 * BLOCK_DIGEST_LEN];
	struct map m;

	(void)state;
	map_new(&m);
	assert_int_equal(map_write_unknown(&m, 5, 1, NULL), 0);
	assert_int_equal(map_read(&m, 5, 2, en, NULL), 0);
	assert_true(map_entry_unknown(en));
	assert_false(map_entry_unknown(en + BLOCK_DIGEST_LEN));
	map_close(&m);
}

static void a_built_map_holds_what_was_put(void **state)
{
	uint8_t digest[SHA256_LEN] = {42}, en[3 * BLOCK_DIGEST_LEN];
	uint8_t got[sizeof(en)], first_id[MAP_ID_LEN];
	struct map_build *b;
	struct map m;
	int i;

	(void)state;
	map_new(&m);
	memcpy(first_id, m.head.id, MAP_ID_LEN);
	map_close(&m);
	for (i = 0; i < 3; i++)
		entry_of((uint64_t)i, en + i * BLOCK_DIGEST_LEN);
	assert_int_equal(
	    map_build_begin(&b, path, "w", "r", DISK_SIZE, BS, NULL), 0);
	assert_int_equal(map_build_put(b, GROUP_BLOCKS - 1, 3, en, NULL), 0);
	assert_int_equal(map_build_put(b, 2 * GROUP_BLOCKS + 4, 3, en, NULL),
			 -PS_DATA);
	assert_int_equal(map_build_commit(b, 17, digest, 1, NULL), 0);
	assert_int_equal(map_open(&m, path, true, NULL), 0);
	assert_string_equal(m.head.machine, "w");
	assert_string_equal(m.head.disk, "r");
	assert_int_equal(m.head.seq, 17);
	assert_true(m.head.has_point);
	assert_memory_equal(m.head.digest, digest, SHA256_LEN);
	/* Another map: the dirty list of the old one does not fit. */
	assert_memory_not_equal(m.head.id, first_id, MAP_ID_LEN);
	assert_int_equal(map_read(&m, GROUP_BLOCKS - 1, 3, got, NULL), 0);
	assert_memory_equal(got, en, sizeof(en));
	check_groups(&m);
	map_close(&m);
}

static void an_aborted_build_leaves_nothing(void **state)
{
	struct map_build *b;

	(void)state;
	assert_int_equal(
	    map_build_begin(&b, path, "w", "r", DISK_SIZE, BS, NULL), 0);
	map_build_abort(b);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(
	    map_build_begin(&b, path, "w", "r", DISK_SIZE, 5000, NULL),
	    -PS_DATA);
	assert_int_equal(
	    map_build_begin(&b, path, "w", "../r", DISK_SIZE, BS, NULL),
	    -PS_DATA);
	/* drop_folder() fails when a temporary file is left. */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_new_map_knows_nothing),
	    TEST(the_header_survives_a_torn_write),
	    TEST(a_map_without_a_whole_slot_is_refused),
	    TEST(group_digests_follow_the_entries),
	    TEST(resize_cuts_off_what_stood_behind_the_end),
	    TEST(unknown_is_equal_to_nothing),
	    TEST(a_built_map_holds_what_was_put),
	    TEST(an_aborted_build_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
