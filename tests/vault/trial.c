#include "config.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trial.h"

struct world world;
char trial_path[64];
char trial_words[512];
static char folder[32];

int trial_begin(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/restore-trial.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(trial_path, sizeof(trial_path), "%s/out", folder);
	return 0;
}

int trial_end(void **state)
{
	(void)state;
	world_free(&world);
	unlink(trial_path);
	/* Fails when a restore left anything else behind. */
	return rmdir(folder);
}

int trial_run(const char *to, uint64_t seq, uint32_t limit,
	      struct restore_result *res, struct err *e)
{
	struct restore r = {
	    .vault = &world.vault,
	    .machine = "web01",
	    .disk = "root",
	    .seq = seq,
	    .threads = 3,
	    .plan_limit = limit,
	};
	int rc = target_open(&r.target, to, false, e);

	if (rc == 0)
		rc = restore_run(&r, res, e);
	target_close(r.target);
	return rc;
}

void trial_check(uint64_t seq, uint32_t limit)
{
	struct restore_result res;
	struct err e = {0};
	int fd;

	if (trial_run(trial_path, seq, limit, &res, &e) != 0)
		fail_msg("%s", e.msg);
	fd = open(trial_path, O_RDONLY);
	assert_true(fd >= 0);
	world_compare(&world, seq, fd);
	close(fd);
	unlink(trial_path);
}

void trial_must_fail(uint64_t seq, int code)
{
	struct restore_result res;
	struct err e = {0};

	assert_int_equal(trial_run(trial_path, seq, 0, &res, &e), -code);
	assert_int_equal(e.code, code);
	snprintf(trial_words, sizeof(trial_words), "%s", e.msg);
	assert_true(access(trial_path, F_OK) < 0);
}

uint64_t trial_number(uint64_t n)
{
	return (uint64_t)random() % n;
}

void trial_segment(uint64_t size, enum seg_kind kind, unsigned runs,
		   uint64_t longest)
{
	uint64_t blocks = seg_blocks(size, world.block_size);

	world_begin(&world, size);
	while (blocks > 0 && runs-- > 0) {
		uint64_t first = trial_number(blocks),
			 n = 1 + trial_number(longest);

		if (n > blocks - first)
			n = blocks - first;
		world_write(&world, first, n,
			    trial_number(4) == 0
				? 0
				: (uint8_t)(1 + trial_number(255)));
	}
	world_end(&world, kind, true);
}

void trial_five(void)
{
	unsigned i;

	world_new(&world, 4096, 4 * MIB);
	for (i = 0; i < 5; i++)
		trial_segment(4 * MIB - 3, i == 0 ? SEG_BASE : SEG_DELTA, 12,
			      200);
}
