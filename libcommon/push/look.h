/* What target.sh found on a machine, and whether it is enough. */
#ifndef PS_PUSH_LOOK_H
#define PS_PUSH_LOOK_H

#include "push/host.h"
#include "push/package.h"

struct push_look {
	char os[32], arch[32], libc[64];
	char name[NAME_SIZE]; /* of the host, without its domain */
	bool root;	      /* the account is, or PS_ROOT is set there */
	char sudo[16];	      /* none, yes, password, tty: only on a terminal */
	uint64_t time_s, room_kib, stage_kib;
	char missing[256]; /* programs */
	char version[32], dir[256], role[8];
	char noexec[256]; /* where it is installed no program may run */
	bool package;	  /* Debian's is installed */
	char known_as[NAME_SIZE], known_cs[HOST_SIZE], known_port[8];
	bool cs_asked, cs_answers;
	bool grub_device;
	char disks_root[128], disks_boot[128];
};

/* Takes one line; what it does not know it leaves alone. */
void look_line(struct push_look *l, const char *line);

/* Once each, and no more than there is room for. */
void push_warn(struct push_result *r, enum push_reason reason);

/* What is wanted of a machine. Text is borrowed. */
struct push_wish {
	const char *dir;  /* NULL: where it is, else the installer's default */
	const char *role; /* MS, MT */
	const char *cs, *cs_port; /* cs NULL: not registered */
	const char *name;	  /* of the machine; "": of the host */
	bool again;		  /* although the same version is there */
};

struct push_plan {
	const struct package *package; /* that fits its processor */
	bool install, enrol;
};

/*
 * Judges, the worst first: REASON_NONE: it can be done, and *ret says what is
 * to be done. `words` tells figures and names. Warnings go into `r`.
 */
enum push_reason look_judge(const struct push_look *l,
			    const struct push_wish *w, const struct packages *p,
			    uint64_t now_s, struct push_plan *ret,
			    struct push_result *r, char *words, size_t size);

#endif
