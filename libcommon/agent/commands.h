/*
 * The programs that do an agent's work, as plans (pipeline/plan.h). All words
 * are borrowed from the agent, its configuration and the disk.
 */
#ifndef PS_AGENT_COMMANDS_H
#define PS_AGENT_COMMANDS_H

#include "pipeline/plan.h"

struct agent;
struct disk;

/* ps-scan --identify: which disk is behind the name? */
void command_identify(const struct disk *d, struct plan *p);
/* cxpsclient --status | ps-scan --commit: what was taken? */
void command_settle(const struct disk *d, struct plan *p);
/* The same with --restart: the next pass begins a new base. */
void command_restart(const struct disk *d, struct plan *p);
/* cxpsclient --map: the digest map at the server's head, into a file. */
void command_fetch_map(const struct disk *d, struct plan *p);
/* ps-scan --adopt: makes the map from that. */
void command_adopt(const struct disk *d, struct plan *p);
/* ps-scan --status --json */
void command_look(const struct disk *d, struct plan *p);
/* cxpsclient --list: the heads of all disks of the machine. */
void command_heads(const struct agent *a, struct plan *p);

/* cxpsclient --where: asks the configuration server for the process server. */
void command_where(const struct agent *a, struct plan *p);

enum pass_kind {
	PASS_SHRINK, /* of the source itself while it is in use: no point */
	PASS_WINDOW, /* of the snapshot: no point yet */
	PASS_POINT,  /* of the snapshot, ends with the point */
};

/* ps-scan | ps-compress | [ps-encrypt |] cxpsclient --put | ps-scan --commit */
void command_pass(const struct disk *d, enum pass_kind kind, struct plan *p);

/* A provider's script with one word. */
void command_provider(const struct disk *d, const char *word, struct plan *p);
/* One that prints a change list, however long: merged, it is bounded. */
void command_list(const struct disk *d, const char *word, struct plan *p);

#endif
