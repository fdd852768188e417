/*
 * Several files of one folder that change together. They are written into
 * FOLDER/.setup/new first; stage_commit() gives them their names, one after
 * another, and takes all of them back when one cannot be named. A mark on
 * stable storage is set before the first: who is killed in between leaves a
 * folder that the next stage_begin() completes; before the mark, one that is
 * as it was.
 */
#ifndef PS_SETUP_STAGE_H
#define PS_SETUP_STAGE_H

#include <limits.h>
#include <sys/types.h>

#include "base/err.h"

#define STAGE_DIR ".setup"
#define STAGE_PATH (2 * PATH_MAX)

struct stage {
	char dir[STAGE_PATH]; /* FOLDER/.setup/new */
	int etc, own, fresh;  /* FOLDER, .setup, new; -1: not open */
};

/* Completes or forgets what an earlier one left; the folder has to be there.
 * Others are kept out by a lock: -PS_TEMPFAIL. */
int stage_begin(struct stage *s, const char *folder, struct err *e);
/* A file that is to be there; readable by its owner only, unless mode says
 * more. `owner` -1: who runs this. */
int stage_put(struct stage *s, const char *name, const void *text, size_t n,
	      mode_t mode, uid_t owner, gid_t group, struct err *e);
/* All of them get their names. */
int stage_commit(struct stage *s, struct err *e);
/* Closes it; what was not committed is forgotten. Harmless for {-1, -1, -1}. */
void stage_end(struct stage *s);

#endif
