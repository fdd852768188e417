/*
 * What a process of the server gives up before it hears a stranger:
 *
 *	user		root becomes a service user, for good
 *	Landlock	files but those of its folder, TCP, signals to others
 *	seccomp		all system calls but those that its work needs
 *	limits		core files, processes, memory, descriptors
 *
 * Each layer alone keeps something out; sandbox_enter() applies all that a
 * role needs. Landlock is as strong as the kernel knows it (ABI 1: Linux
 * 5.13, files; 4: Linux 6.7, TCP; 6: Linux 6.12, signals); without it the
 * others remain, and sandbox_words() says so once at the start. A build with
 * sanitizers goes without seccomp and limits, which those cannot live with.
 */
#ifndef PS_NET_SANDBOX_H
#define PS_NET_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum sandbox_role {
	SANDBOX_KEEPER,	  /* holds the keys: no files, no network */
	SANDBOX_GATE,	  /* TLS and login: no files */
	SANDBOX_WORKER,	  /* one machine: its folder, to write */
	SANDBOX_OPERATOR, /* the cache, to read */
	/* Of the configuration server, who has the registry: */
	SANDBOX_DESK,	  /* in SQLite: its folder, to write */
	SANDBOX_DESK_FAR, /* in MariaDB: that, and connections to it */
};

/* Who to become; `is_root` false: we are nobody special, and stay. */
struct sandbox_user {
	bool is_root;	/* we were started as root */
	bool stay_root; /* and nobody else was to be had */
	uid_t uid;
	gid_t gid;
	char name[64];
};

#define SANDBOX_USER "ps-toolkit"

/*
 * Decides: `name`, or NULL for SANDBOX_USER when there is such a user.
 * -PS_CONFIG: no such user; -PS_NOPERM: not root, and not this user.
 */
int sandbox_user(struct sandbox_user *ret, const char *name, struct err *e);

/*
 * In a child that serves its parent: its name, and that it ends with its parent
 * and not before. What asks for an end (a terminal, systemd) asks all processes
 * at once, and the parent still needs this one for those it finishes with. To
 * be called again behind a change of user, which takes it away.
 */
void sandbox_serve_parent(const char *name);

/* Becomes that user; a root that stays root loses its capabilities. */
int sandbox_drop(const struct sandbox_user *u, struct err *e);

/*
 * The same, but programs that it runs may use ports below 1024: as systemd's
 * AmbientCapabilities=CAP_NET_BIND_SERVICE (capabilities(7)).
 */
int sandbox_drop_but_ports(const struct sandbox_user *u, struct err *e);

/*
 * The listener's own layer: files but those of `dirs` (n of them) and, to
 * read, of `readable` (-1: none), and TCP connections. It has to fork, to
 * accept and to end processes.
 */
int sandbox_listener(const int *dirs, size_t n, int readable, struct err *e);

/* What a database elsewhere needs besides. */
struct sandbox_far {
	const int *files; /* to read: files or folders; -1: none */
	size_t n;
	unsigned port; /* of TCP, beside that of DNS; 0: no TCP at all */
};

/*
 * For good: the desk of the configuration server, with its folder. `far`
 * NULL: the database is in there.
 */
int sandbox_desk(int dirfd, const struct sandbox_far *far, struct err *e);

/* For good. `dirfd`: the folder of a worker or operator, else -1. */
int sandbox_enter(enum sandbox_role role, int dirfd, struct err *e);

/* The layers of it, in this order. */
void sandbox_limits(enum sandbox_role role);
int sandbox_landlock(enum sandbox_role role, int dirfd, struct err *e);
int sandbox_seccomp(enum sandbox_role role, struct err *e);

/* "Landlock ABI 7, seccomp", or what there is of it. */
void sandbox_words(char *out, size_t size);

/*
 * Closes all descriptors but 0 to 2 and these, which become 3, 4 ... in this
 * order; 0 to 2 become `null`.
 */
int sandbox_descriptors(int *fds, size_t n, int null, struct err *e);

#endif
