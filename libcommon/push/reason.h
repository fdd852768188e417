/*
 * Why a machine cannot be pushed to: a word for scripts, the number that the
 * original documents for it where there is one (Microsoft Learn,
 * "Troubleshoot Mobility service push installation"), and what to do.
 */
#ifndef PS_PUSH_REASON_H
#define PS_PUSH_REASON_H

enum push_reason {
	REASON_NONE,
	/* the way there */
	REASON_UNREACHABLE,
	REASON_NETWORK,
	REASON_NO_SSH,
	REASON_HOST_KEY,
	REASON_LOGIN,
	REASON_DISABLED,
	REASON_TOO_MANY,
	REASON_NO_COMMAND,
	REASON_RIGHTS,
	/* what is needed there */
	REASON_UNSUPPORTED,
	REASON_LIBC,
	REASON_TOOLS,
	REASON_SPACE,
	REASON_NOEXEC,
	REASON_PACKAGE,
	REASON_NEWER,
	REASON_ELSEWHERE,
	REASON_CS_UNREACHABLE,
	/* the work */
	REASON_BUSY,
	REASON_COPY,
	REASON_DAMAGED,
	REASON_SIGNATURE,
	REASON_UNPACK,
	REASON_INSTALL,
	REASON_PASSPHRASE,
	REASON_REGISTER,
	REASON_TIMEOUT,
	REASON_CANCELLED,
	REASON_LOCAL,
	/* warnings */
	REASON_GRUB_DEVICE,
	REASON_BOOT_DISK,
	REASON_NO_BOOT_DISK,
	REASON_ROOT_DISKS,
	REASON_CLOCK,
	REASON_UNKNOWN_MACHINE,
	REASON_COUNT,
};

struct push_reason_text {
	const char *word;
	unsigned code; /* 0: the original has none */
	const char *means;
	const char *hint;
};

extern const struct push_reason_text push_reasons[REASON_COUNT];

/* By its word, as the machine's side says it; REASON_NONE: no such word. */
enum push_reason push_reason_of(const char *word);

#endif
