/*
 * Push installation: looks at a machine over SSH, brings the agent's tarball
 * there, has its signature verified there, installs and registers.
 */
#ifndef PS_PUSH_PUSH_H
#define PS_PUSH_PUSH_H

#include "push/host.h"
#include "push/look.h"
#include "push/package.h"
#include "push/session.h"

/* What all machines of a run have in common. Text is borrowed. */
struct push {
	struct session_way way;
	const struct packages *packages;
	const char *dir;	  /* -d of the installer; NULL: its default */
	const char *role;	  /* MS, MT */
	const char *platform;	  /* VmWare, Physical */
	const char *cs, *cs_port; /* cs NULL: installed only */
	const char *passphrase;	  /* one line */
	bool check;		  /* look only */
	bool again;		  /* although the same version is there */
	/* Tells what is done now; from many threads. May be NULL. */
	void (*say)(const struct push_host *h, const char *words);
};

/* The whole of it, with one machine; never fails but by *ret. */
void push_run(const struct push *p, const struct push_host *h,
	      struct push_result *ret);

#endif
