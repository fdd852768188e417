/* The tarballs of the agent that can be pushed, one for each processor. */
#ifndef PS_PUSH_PACKAGE_H
#define PS_PUSH_PACKAGE_H

#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"

/* Of signatures by ssh-keygen -Y (OpenSSH, PROTOCOL.sshsig). */
#define PACKAGE_NAMESPACE "ps-toolkit-package"
#define PACKAGE_SIGNER "ps-toolkit-packages"
#define PACKAGE_TEXT_MAX 16384u /* of signers and signatures */
#define PACKAGES_MAX 16u

struct package {
	char path[512];
	char version[32], arch[32];
	int fd; /* open while it may be sent */
	uint64_t size;
	char sha256[SHA256_HEX];
	char *signature;   /* text of PATH.sig */
	char refused[256]; /* "": it is signed by who may sign */
	/* The GNU C library that each role needs, and a master target; "": not
	 * known. */
	char libc[16], libc_target[16];
};

struct packages {
	struct package list[PACKAGES_MAX];
	unsigned n;
	char *signers; /* the file of allowed signers */
};

/*
 * Opens a tarball, or the newest for each processor in a folder, with its
 * signature and the signers, and verifies it. -PS_NOINPUT: there is none, or
 * no signature. packages_close() in every case.
 */
int packages_open(struct packages *p, const char *path, const char *signers,
		  struct err *e);
void packages_close(struct packages *p);

/* For a processor as uname -m names it; NULL: none. */
const struct package *package_for(const struct packages *p, const char *arch);

#endif
