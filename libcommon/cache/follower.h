/*
 * Followers: readers of the cache by name ("default", "site2"). One is
 * registered by its file CACHE/followers/NAME from its first use on; a
 * segment is removed when all that are registered have acknowledged it.
 * Where each is stands in the heads.
 */
#ifndef PS_CACHE_FOLLOWER_H
#define PS_CACHE_FOLLOWER_H

#include "cache/folder.h"

#define FOLLOWER_DEFAULT "default"

struct follower_list {
	char names[HEAD_FOLLOWERS_MAX][NAME_SIZE];
	unsigned n;
};

/* In order of names. */
int follower_list(struct cache *c, struct follower_list *ret, struct err *e);

/* Registers a name; it may be registered already. */
int follower_register(struct cache *c, const char *name, struct err *e);

/*
 * Registers a name and claims it for this process: a descriptor that holds
 * the claim, or -PS_TEMPFAIL when another process follows under this name.
 */
int follower_claim(struct cache *c, const char *name, struct err *e);

/*
 * Forgets a follower, and removes the segments that only it still needed.
 * -PS_NOINPUT when there is none; -PS_TEMPFAIL when it is running.
 */
int follower_drop(struct cache *c, const char *name, struct err *e);

/*
 * Ends a change of a head: takes over what the folder knows of the last
 * segment, writes the head, then removes segments that all of `all` have.
 * The caller holds the lock exclusively and has changed s->head.
 */
int follower_retire(struct folder *f, struct folder_state *s,
		    const struct follower_list *all, struct err *e);

#endif
