/*
 * What a disk, and the machine that it is in, are known by: names such as
 * /dev/sdb, and links to them, may mean another disk tomorrow.
 */
#ifndef PS_DISK_IDENTITY_H
#define PS_DISK_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#define IDENTITY_SIZE 384

/*
 * What the kernel says that a block device is, by its folder in `sysfs`
 * ("/sys"): the identity or serial number of the hardware, that of a volume of
 * the device mapper or of md, the file of a loop device; of a partition also
 * where it begins. Empty: the kernel knows nothing of the kind (a virtio disk
 * without a serial number). Printable ASCII.
 */
void identity_of_device(const char *sysfs, dev_t device,
			char ret[IDENTITY_SIZE]);

/*
 * Of what is behind a path below /dev: false when nothing is. Other paths are
 * not touched (false): they may lie on a file system that does not answer.
 */
bool identity_of_disk(const char *path, char ret[IDENTITY_SIZE]);

/*
 * Of the machine: "ID UUID", /etc/machine-id and the UUID that its firmware
 * (or its hypervisor) gives it; "-" for what is not known. A copy of its disks
 * that runs somewhere else has another UUID.
 */
void identity_of_host(char ret[IDENTITY_SIZE]);
/* Do two of these say different things? What is not known is no difference. */
bool identity_hosts_differ(const char *a, const char *b);

#endif
