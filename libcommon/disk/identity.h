/*
 * What a disk, and the machine that it is in, are known by: names such as
 * /dev/sdb, and links to them, may mean another disk tomorrow.
 */
#ifndef PS_DISK_IDENTITY_H
#define PS_DISK_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

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
 * What the disk says that it is: the id of its partition table, else that of
 * the file system (LUKS, LVM, ...) on it, by libblkid. Empty: nothing known is
 * there, or two things. False: it cannot be read, or there is no libblkid.
 */
bool identity_of_contents(int fd, char ret[IDENTITY_SIZE]);

#define IDENTITY_KEY 48
struct identity {
	/*
	 * The same for every name of one disk or image file at this moment:
	 * "b8:16", "f2049:77" (device and number of the file). Empty: it is
	 * neither, a socket for example.
	 */
	char key[IDENTITY_KEY];
	/* Of the device, or else of the contents. */
	char text[IDENTITY_SIZE];
	bool known; /* false: `text` could not be found out */
};

/*
 * Opens what is behind any path, which may take as long as a file system needs
 * that does not answer. -PS_NOINPUT: there is nothing.
 */
int identity_find(const char *path, struct identity *ret, struct err *e);

/*
 * Of the machine: "ID UUID", /etc/machine-id and the UUID that its firmware
 * (or its hypervisor) gives it; "-" for what is not known. A copy of its disks
 * that runs somewhere else has another UUID.
 */
void identity_of_host(char ret[IDENTITY_SIZE]);
/* Do two of these say different things? What is not known is no difference. */
bool identity_hosts_differ(const char *a, const char *b);

#endif
