/*
 * A durable file has its name when all of it is on stable storage, or never.
 * The linker puts the calls below between the library and libc (--wrap), so
 * that each can be made to fail in turn.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/durable.h"
#include "base/io.h"

/* ---- faults ---- */

static int countdown; /* the n-th call from now fails; 0: none */
static int fault;     /* with this errno */
static unsigned syncs;
static bool no_links;

static bool failing(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	errno = fault;
	return true;
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	syncs++;
	return failing() ? -1 : __real_fsync(fd);
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
	int rc = __real_close(fd);

	return failing() ? -1 : rc;
}

int __real_renameat(int a, const char *b, int c, const char *d);
int __wrap_renameat(int a, const char *b, int c, const char *d);
int __wrap_renameat(int a, const char *b, int c, const char *d)
{
	return failing() ? -1 : __real_renameat(a, b, c, d);
}

int __real_linkat(int a, const char *b, int c, const char *d, int e);
int __wrap_linkat(int a, const char *b, int c, const char *d, int e);
int __wrap_linkat(int a, const char *b, int c, const char *d, int e)
{
	if (no_links) {
		errno = EPERM;
		return -1;
	}
	return failing() ? -1 : __real_linkat(a, b, c, d, e);
}

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	return failing() ? -1 : __real_write(fd, p, n);
}

/* ---- a folder of our own ---- */

static char dir[] = "/tmp/test-durable.XXXXXX";
static int dirfd_;

static int begin(void **state)
{
	(void)state;
	memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
	if (mkdtemp(dir) == NULL)
		return -1;
	dirfd_ = open(dir, O_RDONLY | O_DIRECTORY);
	countdown = 0;
	no_links = false;
	return dirfd_ < 0 ? -1 : 0;
}

static unsigned entries(bool remove_them)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	unsigned n = 0;

	while ((ent = readdir(d)) != NULL) {
		if (strcmp(ent->d_name, ".") == 0 ||
		    strcmp(ent->d_name, "..") == 0)
			continue;
		n++;
		if (remove_them)
			unlinkat(dirfd_, ent->d_name, 0);
	}
	closedir(d);
	return n;
}

static int end(void **state)
{
	(void)state;
	countdown = 0;
	entries(true);
	close(dirfd_);
	return rmdir(dir);
}

static void check_content(const char *name, const char *want)
{
	char buf[64] = "";
	int fd = openat(dirfd_, name, O_RDONLY);

	assert_true(fd >= 0);
	assert_true(io_read_full(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	assert_string_equal(buf, want);
}

static int put(const char *name, const char *text, enum durable_mode how,
	       struct err *e)
{
	return durable_write(dirfd_, name, text, strlen(text), 0640, how, e);
}

/* ---- what is promised ---- */

static void the_name_appears_at_commit(void **state)
{
	struct durable d;
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(durable_begin(&d, dirfd_, "f", 0600, &e), 0);
	assert_int_equal(io_write_full(d.fd, "abc", 3), 0);
	assert_int_equal(fstatat(dirfd_, "f", &st, 0), -1);
	assert_int_equal(durable_commit(&d, DURABLE_REPLACE, &e), 0);
	assert_int_equal(fstatat(dirfd_, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(entries(false), 1);
	durable_abort(&d); /* harmless */
	check_content("f", "abc");
}

static void file_and_folder_are_both_synced(void **state)
{
	struct err e = {0};

	(void)state;
	syncs = 0;
	assert_int_equal(put("f", "x", DURABLE_REPLACE, &e), 0);
	assert_int_equal(syncs, 2);
	assert_int_equal(put("g", "x", DURABLE_CREATE, &e), 0);
	assert_int_equal(syncs, 4);
}

static void a_pipe_does_not_give_way(void **state)
{
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(mkfifoat(dirfd_, "f", 0600), 0);
	assert_int_equal(put("f", "new", DURABLE_REPLACE, &e), -PS_CANTCREAT);
	assert_int_equal(fstatat(dirfd_, "f", &st, 0), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_int_equal(entries(true), 1);
}

static void replace_replaces(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(put("f", "old", DURABLE_REPLACE, &e), 0);
	assert_int_equal(put("f", "new", DURABLE_REPLACE, &e), 0);
	check_content("f", "new");
	assert_int_equal(entries(false), 1);
}

static void create_never_replaces(void **state)
{
	struct err e = {0};

	(void)state;
	assert_int_equal(put("f", "old", DURABLE_CREATE, &e), 0);
	assert_int_equal(put("f", "new", DURABLE_CREATE, &e), -PS_NO);
	assert_int_equal(e.code, 0); /* no words: the caller knows more */
	check_content("f", "old");
	assert_int_equal(entries(false), 1);
	assert_int_equal(symlinkat("nowhere", dirfd_, "g"), 0);
	assert_int_equal(put("g", "new", DURABLE_CREATE, &e), -PS_NO);
}

static void create_needs_no_hard_links(void **state)
{
	struct err e = {0};

	(void)state;
	no_links = true;
	assert_int_equal(put("f", "old", DURABLE_CREATE, &e), 0);
	assert_int_equal(put("f", "new", DURABLE_CREATE, &e), -PS_NO);
	check_content("f", "old");
	assert_int_equal(entries(false), 1);
}

static void abort_leaves_nothing(void **state)
{
	struct durable d;
	struct err e = {0};

	(void)state;
	assert_int_equal(durable_begin(&d, dirfd_, "f", 0600, &e), 0);
	assert_int_equal(entries(false), 1);
	durable_abort(&d);
	assert_int_equal(entries(false), 0);
	durable_abort(&d);
}

/*
 * Makes the first, second, third ... call fail until one run goes through:
 * before, nothing has the name (or what had it still has it), no temporary
 * file is left, and no failure is taken for success.
 */
static void each_call(enum durable_mode how, int errnum)
{
	struct err e = {0};
	unsigned failures = 0;
	int n, rc;

	for (n = 1;; n++) {
		if (how == DURABLE_REPLACE)
			assert_int_equal(put("f", "old", how, &e), 0);
		countdown = n;
		fault = errnum;
		rc = put("f", "new", how, &e);
		if (rc == 0) {
			countdown = 0;
			break;
		}
		assert_int_equal(countdown, 0);
		failures++;
		assert_int_equal(rc, -e.code);
		assert_int_not_equal(rc, -PS_NO);
		assert_int_equal(e.sys, errnum);
		if (entries(false) == 1 && how == DURABLE_CREATE) {
			/* Only the sync of the folder comes after the name. */
			assert_int_equal(rc, -PS_STORAGE);
			check_content("f", "new");
		} else {
			assert_true(entries(false) <= 1);
		}
		entries(true);
	}
	assert_true(failures >= 5); /* write, fsync, close, name, fsync */
	check_content("f", "new");
}

static void a_call_that_fails_is_never_success(void **state)
{
	(void)state;
	each_call(DURABLE_REPLACE, EIO);
	entries(true);
	each_call(DURABLE_CREATE, EIO);
	entries(true);
	each_call(DURABLE_CREATE, ENOSPC);
}

static void a_failed_fsync_is_final_and_has_its_own_code(void **state)
{
	struct err e = {0};

	(void)state;
	countdown = 2; /* after the write */
	fault = ENOSPC;
	assert_int_equal(put("f", "x", DURABLE_CREATE, &e), -PS_STORAGE);
	assert_int_equal(entries(false), 0);
	assert_non_null(strstr(e.msg, "f: fsync: "));
}

static void sweep_removes_leftovers_only(void **state)
{
	struct durable d;
	struct err e = {0};

	(void)state;
	assert_int_equal(put("f", "x", DURABLE_CREATE, &e), 0);
	assert_int_equal(durable_begin(&d, dirfd_, "g", 0600, &e), 0);
	close(d.fd); /* as a crash leaves it */
	assert_int_equal(entries(false), 2);
	durable_sweep(dirfd_);
	assert_int_equal(entries(false), 1);
	check_content("f", "x");
}

static void the_dead_are_swept_and_the_living_are_not(void **state)
{
	struct durable d;
	struct err e = {0};

	(void)state;
	assert_int_equal(durable_begin(&d, dirfd_, "g", 0600, &e), 0);
	durable_sweep_dead(dirfd_);
	assert_int_equal(entries(false), 1);
	assert_int_equal(durable_commit(&d, DURABLE_CREATE, &e), 0);
	assert_int_equal(durable_begin(&d, dirfd_, "h", 0600, &e), 0);
	close(d.fd); /* as a crash leaves it */
	durable_sweep_dead(dirfd_);
	assert_int_equal(entries(false), 1);
	check_content("g", "");
}

static void a_name_that_is_too_long_is_refused(void **state)
{
	char name[400];
	struct durable d;
	struct err e = {0};

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(durable_begin(&d, dirfd_, name, 0600, &e), -PS_USAGE);
	assert_int_equal(entries(false), 0);
	durable_abort(&d);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(the_name_appears_at_commit, begin,
					    end),
	    cmocka_unit_test_setup_teardown(file_and_folder_are_both_synced,
					    begin, end),
	    cmocka_unit_test_setup_teardown(replace_replaces, begin, end),
	    cmocka_unit_test_setup_teardown(a_pipe_does_not_give_way, begin,
					    end),
	    cmocka_unit_test_setup_teardown(create_never_replaces, begin, end),
	    cmocka_unit_test_setup_teardown(create_needs_no_hard_links, begin,
					    end),
	    cmocka_unit_test_setup_teardown(abort_leaves_nothing, begin, end),
	    cmocka_unit_test_setup_teardown(a_call_that_fails_is_never_success,
					    begin, end),
	    cmocka_unit_test_setup_teardown(
		the_dead_are_swept_and_the_living_are_not, begin, end),
	    cmocka_unit_test_setup_teardown(
		a_failed_fsync_is_final_and_has_its_own_code, begin, end),
	    cmocka_unit_test_setup_teardown(sweep_removes_leftovers_only, begin,
					    end),
	    cmocka_unit_test_setup_teardown(a_name_that_is_too_long_is_refused,
					    begin, end),
	};

	return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
