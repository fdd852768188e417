/* Who writes to a block device: what lies on it, and what is mounted. */
#ifndef PS_DISK_DEVICES_H
#define PS_DISK_DEVICES_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#define DEVICES_MAX 256u

/* A device, its partitions, and what is stacked on them (LVM, MD, crypt). */
struct devices {
	dev_t ids[DEVICES_MAX];
	unsigned n;
};

/* Finds them below `sysfs` ("/sys"); those that it cannot find are left out. */
void devices_above(struct devices *d, const char *sysfs, dev_t device);

/*
 * Is one of them mounted so that somebody may write to it? `mountinfo` is in
 * the format of /proc/self/mountinfo.
 */
bool devices_mounted(const struct devices *d, FILE *mountinfo);

/* Both, on this system. */
bool device_mounted(dev_t device);

#endif
