/*
 * Probe objects: bytes that the self-test of a client puts, reads back and
 * deletes. They live in the memory of the connection's process, bounded
 * (for all connections together too), and go with it.
 */
#ifndef PS_NET_PROBE_H
#define PS_NET_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/name.h"

#define PROBES_MAX 4

struct probe {
	char id[NAME_SIZE]; /* empty: free */
	uint8_t *data;
	size_t len;
};

struct probes {
	struct probe items[PROBES_MAX];
	size_t bytes;
};

/* NULL when there is none of that name. */
struct probe *probe_find(struct probes *p, const char *id);
/* A free place; NULL when there is none. */
struct probe *probe_new(struct probes *p, const char *id);
void probe_delete(struct probes *p, struct probe *it);
void probes_free(struct probes *p);

#endif
