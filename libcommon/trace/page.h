/*
 * What the kernel's ring buffer hands out: pages of events, as
 * trace_pipe_raw gives them. Nothing of their layout is taken for granted: it
 * is read from events/header_page and from the event's own `format` file
 * (Linux, Documentation/trace/events.rst, trace/ring-buffer-map.rst;
 * kernel/trace/ring_buffer.c for the headers of events).
 */
#ifndef PS_TRACE_PAGE_H
#define PS_TRACE_PAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define TASK_COMM_SIZE 16 /* TASK_COMM_LEN of the kernel, with the 0 */

struct page_format {
	unsigned commit_at, commit_size; /* length of the data, and flags */
	unsigned data_at, size;		 /* of the whole page, in bytes */
};

/* Where in an event of block_bio_queue things stand. */
struct event_format {
	unsigned id;
	unsigned type_at, sector_at, sectors_at, comm_at;
	unsigned size; /* bytes that an event has at least */
};

/* One event: a bio was handed to the disk. */
struct page_event {
	uint64_t sector;  /* of the whole disk, 512 bytes each */
	uint32_t sectors; /* how many */
	const char *comm; /* who; TASK_COMM_SIZE bytes */
};

/* -PS_UNAVAILABLE: not the layout that we know. */
int page_format_parse(struct page_format *ret, const char *text, struct err *e);
int event_format_parse(struct event_format *ret, const char *text,
		       struct err *e);

typedef void page_event_fn(void *ctx, const struct page_event *ev);

/*
 * Gives each event of a page of `n` bytes to `fn`. Returns 1 when the kernel
 * says that events before it were lost; -PS_DATA: not understood (`fn` may
 * have been called).
 */
int page_parse(const struct page_format *pf, const struct event_format *ef,
	       const uint8_t *page, size_t n, page_event_fn *fn, void *ctx,
	       struct err *e);

#endif
