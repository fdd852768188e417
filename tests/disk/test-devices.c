/* What lies on a device, and which mounts mean that somebody writes to it. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "disk/devices.h"
#include "disk/identity.h"

static bool mounted(dev_t id, const char *mountinfo)
{
	struct devices d = {.ids = {id}, .n = 1};
	FILE *f = fmemopen((void *)mountinfo, strlen(mountinfo), "r");
	bool found;

	assert_non_null(f);
	found = devices_mounted(&d, f);
	fclose(f);
	return found;
}

static void a_writable_file_system_counts(void **state)
{
	const char *info =
	    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
	    "31 1 254:1 / / rw,relatime shared:1 - ext4 /dev/none rw,errors=x\n"
	    "32 1 254:2 / /mnt ro,relatime - ext4 /dev/none2 ro\n";

	(void)state;
	assert_true(mounted(makedev(254, 1), info));
	assert_false(mounted(makedev(254, 2), info));
	assert_false(mounted(makedev(254, 3), info));
}

static void a_read_only_bind_of_a_writable_file_system_counts(void **state)
{
	(void)state;
	assert_true(mounted(makedev(254, 2),
			    "32 1 254:2 / /mnt ro,noatime - ext4 /dev/x rw\n"));
}

static void strange_lines_do_not_matter(void **state)
{
	(void)state;
	assert_false(mounted(makedev(254, 2), "\n"));
	assert_false(mounted(makedev(254, 2), "32 1 254:2 / /mnt rw\n"));
	assert_false(mounted(makedev(254, 2), "32 1 254:2 / /mnt rw - ext4\n"));
	assert_false(
	    mounted(makedev(254, 2), "a b c:d / /mnt rw - ext4 /dev/x rw\n"));
}

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[512], *slash;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	for (slash = path + strlen(folder) + 1;
	     (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void partitions_and_what_is_stacked_on_them_belong_to_a_disk(void **s)
{
	char folder[] = "/tmp/test-devices.XXXXXX", command[64];
	struct devices d;

	(void)s;
	assert_non_null(mkdtemp(folder));
	put_file(folder, "dev/block/8:0/dev", "8:0\n");
	put_file(folder, "dev/block/8:0/sda1/dev", "8:1\n");
	put_file(folder, "dev/block/8:0/queue/depth", "1\n");
	put_file(folder, "dev/block/8:1/holders/dm-0/dev", "253:0\n");
	put_file(folder, "dev/block/253:0/holders/dm-1/dev", "253:1\n");
	put_file(folder, "dev/block/8:16/dev", "8:16\n");
	devices_above(&d, folder, makedev(8, 0));
	assert_int_equal(d.n, 4);
	assert_int_equal(d.ids[0], makedev(8, 0));
	assert_int_equal(d.ids[1], makedev(8, 1));
	assert_int_equal(d.ids[2], makedev(253, 0));
	assert_int_equal(d.ids[3], makedev(253, 1));
	devices_above(&d, folder, makedev(9, 9));
	assert_int_equal(d.n, 1);
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	assert_int_equal(system(command), 0);
}

static bool is(const char *sysfs, unsigned maj, unsigned min, const char *want)
{
	char got[IDENTITY_SIZE];

	identity_of_device(sysfs, makedev(maj, min), got);
	return strcmp(got, want) == 0;
}

static void a_device_is_known_by_what_its_hardware_says(void **s)
{
	char folder[] = "/tmp/test-devices.XXXXXX", command[64], got[512];
	char long_name[1200];

	(void)s;
	assert_non_null(mkdtemp(folder));
	put_file(folder, "dev/block/8:0/device/wwid", "naa.5000c500a1b2c3d4\n");
	put_file(folder, "dev/block/8:0/serial", "second to that\n");
	/* As the kernel does it: the partition lies in the disk's folder. */
	put_file(folder, "dev/block/8:0/sda1/partition", "1\n");
	put_file(folder, "dev/block/8:0/sda1/start", "2048\n");
	snprintf(got, sizeof(got), "%s/dev/block/8:1", folder);
	assert_int_equal(symlink("8:0/sda1", got), 0);
	put_file(folder, "dev/block/259:0/wwid", "eui.0025388b\n");
	put_file(folder, "dev/block/254:0/serial", "  a b\xff  \n");
	put_file(folder, "dev/block/253:0/dm/uuid", "LVM-abc\n");
	put_file(folder, "dev/block/253:1/dm/uuid", "\n");
	assert_true(is(folder, 8, 0, "wwid:naa.5000c500a1b2c3d4"));
	assert_true(
	    is(folder, 8, 1, "wwid:naa.5000c500a1b2c3d4 from sector 2048"));
	assert_true(is(folder, 259, 0, "wwid:eui.0025388b"));
	assert_true(is(folder, 254, 0, "serial:a b?"));
	assert_true(is(folder, 253, 0, "dm:LVM-abc"));
	assert_true(is(folder, 253, 1, ""));
	assert_true(is(folder, 9, 9, ""));
	/* Long names that differ at their end only. */
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	long_name[sizeof(long_name) - 2] = 'a';
	put_file(folder, "dev/block/7:0/loop/backing_file", long_name);
	identity_of_device(folder, makedev(7, 0), got);
	assert_false(is(folder, 7, 0, ""));
	long_name[sizeof(long_name) - 2] = 'b';
	put_file(folder, "dev/block/7:1/loop/backing_file", long_name);
	assert_false(is(folder, 7, 1, got));
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	assert_int_equal(system(command), 0);
}

static void machines_differ_in_what_both_know(void **s)
{
	(void)s;
	assert_false(identity_hosts_differ("a u", "a u"));
	assert_true(identity_hosts_differ("a u", "b u"));
	assert_true(identity_hosts_differ("a u", "a v"));
	assert_false(identity_hosts_differ("a u", "a -"));
	assert_false(identity_hosts_differ("- u", "b u"));
	assert_true(identity_hosts_differ("- u", "b v"));
	assert_false(identity_hosts_differ("- -", "b v"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_writable_file_system_counts),
	    cmocka_unit_test(a_read_only_bind_of_a_writable_file_system_counts),
	    cmocka_unit_test(strange_lines_do_not_matter),
	    cmocka_unit_test(
		partitions_and_what_is_stacked_on_them_belong_to_a_disk),
	    cmocka_unit_test(a_device_is_known_by_what_its_hardware_says),
	    cmocka_unit_test(machines_differ_in_what_both_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
