/* The signature of a package, as the ssh-keygen of this machine judges it. */
#ifndef PS_PUSH_VERIFY_H
#define PS_PUSH_VERIFY_H

#include <stddef.h>

#include "base/err.h"

/*
 * Is the file `fd` signed, as `signature` says, by one of `signers` (two
 * files)? `words` becomes empty when it is, else ssh-keygen's reason.
 * -PS_UNAVAILABLE: there is no ssh-keygen here.
 */
int package_verify(int fd, const char *signature, const char *signers,
		   char *words, size_t size, struct err *e);

#endif
