/*
 * A bookmark on its way: disks whose snapshots are taken together, between
 * the hooks, and that are then sent one by one. A disk in initial replication
 * has bookmarks of its own, so nobody waits for it.
 */
#ifndef PS_AGENT_MARK_H
#define PS_AGENT_MARK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/task.h"
#include "base/name.h"

struct agent;

enum mark_phase {
	MARK_GATHER, /* disks settle */
	MARK_PRE,    /* the hook before */
	MARK_CREATE, /* snapshots */
	MARK_POST,   /* the hook behind */
	MARK_SEND,
};

struct mark {
	struct mark *next;
	struct agent *agent;
	char id[NAME_SIZE];
	char *members; /* "M/D,M/D"; NULL: one disk alone */
	int64_t time_ns;
	enum mark_phase phase;
	bool group; /* of all disks that are complete */
	bool retry; /* not due: only if a disk that had failed is ready */
	bool app;   /* hooks are run */
	bool app_failed;
	bool let_go;	 /* post was run before the snapshots were there */
	int64_t thaw_at; /* mono_now_ns: not held any longer */
	struct task hook;
	char env_machine[96], env_bookmark[96], env_limit[48];
	char *env[4];
	char program[512];
};

/* Adds a bookmark without disks; NULL without memory. */
struct mark *mark_new(struct agent *a, bool group);
/* When it has to be looked at again, whatever happens (mono_now_ns). */
int64_t mark_due(const struct mark *m);
/* Moves it on as far as it goes; true when it is over. */
bool mark_step(struct mark *m);
void mark_free(struct mark *m);

/* Where a hook of the configuration is. */
void mark_hook_path(const char *name, char *out, size_t size);

/* The post hook alone, after a crash between the two. */
void mark_thaw(struct agent *a);

#endif
