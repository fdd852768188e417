#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "trace/page.h"

#define PAGE_SIZE_MAX (1u << 20)
/* Flags in the upper bits of `commit`: RB_MISSED_EVENTS, RB_MISSED_STORED. */
#define MISSED_EVENTS (1u << 31)
#define MISSED_STORED (1u << 30)
#define HEADER 4u

/* Kinds of entries: events/header_event. */
enum { TYPE_LONG = 0, TYPE_PADDING = 29, TYPE_EXTEND = 30, TYPE_STAMP = 31 };

/* ---- layouts ---- */

struct field {
	unsigned at, size;
};

/* "field:sector_t sector;	offset:16;	size:8;	signed:0;" */
static bool find_field(const char *text, const char *name, struct field *ret)
{
	const char *line, *semicolon;
	size_t n = strlen(name);

	for (line = strstr(text, "field:"); line != NULL;
	     line = strstr(line + 1, "field:")) {
		semicolon = strchr(line, ';');
		if (semicolon == NULL)
			return false;
		/* The name is the last word; an array has "[10]" behind it. */
		if (semicolon[-1] == ']')
			while (semicolon > line && *semicolon != '[')
				semicolon--;
		if ((size_t)(semicolon - line) <= n ||
		    strncmp(semicolon - n, name, n) != 0 ||
		    strchr(" \t*", semicolon[-(ptrdiff_t)n - 1]) == NULL)
			continue;
		return sscanf(strchr(semicolon, ';'), "; offset:%u; size:%u;",
			      &ret->at, &ret->size) == 2 &&
		       ret->at < PAGE_SIZE_MAX && ret->size < PAGE_SIZE_MAX;
	}
	return false;
}

int page_format_parse(struct page_format *ret, const char *text, struct err *e)
{
	struct field commit, data;

	if (!find_field(text, "commit", &commit) ||
	    !find_field(text, "data", &data) ||
	    (commit.size != 4 && commit.size != 8) ||
	    commit.at + commit.size > data.at || data.size == 0)
		return err_set(e, PS_UNAVAILABLE,
			       "header_page: not the form that is known");
	*ret = (struct page_format){.commit_at = commit.at,
				    .commit_size = commit.size,
				    .data_at = data.at,
				    .size = data.at + data.size};
	return 0;
}

static void grow(unsigned *size, const struct field *f)
{
	if (f->at + f->size > *size)
		*size = f->at + f->size;
}

int event_format_parse(struct event_format *ret, const char *text,
		       struct err *e)
{
	struct field type, sector, sectors, comm;
	const char *id = strstr(text, "ID:");
	unsigned number;

	if (id == NULL || sscanf(id, "ID: %u", &number) != 1 ||
	    !find_field(text, "common_type", &type) || type.size != 2 ||
	    !find_field(text, "sector", &sector) || sector.size != 8 ||
	    !find_field(text, "nr_sector", &sectors) || sectors.size != 4 ||
	    !find_field(text, "comm", &comm) || comm.size != TASK_COMM_SIZE)
		return err_set(e, PS_UNAVAILABLE,
			       "block_bio_queue/format: not the form that is "
			       "known");
	*ret = (struct event_format){.id = number,
				     .type_at = type.at,
				     .sector_at = sector.at,
				     .sectors_at = sectors.at,
				     .comm_at = comm.at};
	grow(&ret->size, &type);
	grow(&ret->size, &sector);
	grow(&ret->size, &sectors);
	grow(&ret->size, &comm);
	return 0;
}

/* ---- pages ---- */

/* The kernel's own bit-field: its order is that of this machine. */
struct entry {
	unsigned type_len : 5, time_delta : 27;
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static int take(const struct event_format *ef, const uint8_t *data, size_t n,
		page_event_fn *fn, void *ctx, struct err *e)
{
	struct page_event ev;
	uint16_t type;

	if (n < ef->type_at + sizeof(type))
		return err_set(e, PS_DATA, "an event of %zu bytes", n);
	memcpy(&type, data + ef->type_at, sizeof(type));
	if (type != ef->id)
		return err_set(e, PS_DATA, "an event of kind %u", type);
	if (n < ef->size)
		return err_set(e, PS_DATA, "an event of %zu bytes", n);
	memcpy(&ev.sector, data + ef->sector_at, sizeof(ev.sector));
	ev.sectors = get32(data + ef->sectors_at);
	ev.comm = (const char *)data + ef->comm_at;
	fn(ctx, &ev);
	return 0;
}

/* Goes through the entries of one page. */
static int walk(const struct event_format *ef, const uint8_t *p, size_t n,
		page_event_fn *fn, void *ctx, struct err *e)
{
	struct entry head;
	size_t at = 0, skip, len;
	int rc = 0;

	while (rc == 0 && n - at >= HEADER) {
		memcpy(&head, p + at, sizeof(head));
		if (head.type_len == TYPE_PADDING && head.time_delta == 0)
			return 0; /* the rest of the page is empty */
		skip = HEADER;
		len = head.type_len * 4;
		if (head.type_len == TYPE_LONG ||
		    head.type_len == TYPE_PADDING) {
			if (n - at < HEADER + 4)
				break;
			/* The length counts itself in the first kind. */
			len = get32(p + at + HEADER);
			if (head.type_len == TYPE_LONG) {
				if (len < 4)
					break;
				skip += 4;
				len -= 4;
			}
		} else if (head.type_len >= TYPE_EXTEND) {
			len = 4;
		}
		if (len > n - at - skip)
			break;
		if (head.type_len < TYPE_PADDING)
			rc = take(ef, p + at + skip, len, fn, ctx, e);
		at += skip + len;
	}
	if (rc == 0 && at != n)
		rc = err_set(e, PS_DATA, "trace page: cut at byte %zu of %zu",
			     at, n);
	return rc;
}

int page_parse(const struct page_format *pf, const struct event_format *ef,
	       const uint8_t *page, size_t n, page_event_fn *fn, void *ctx,
	       struct err *e)
{
	uint64_t commit = 0;
	uint32_t word;
	size_t len;
	int rc;

	if (n < pf->data_at)
		return err_set(e, PS_DATA, "trace page of %zu bytes", n);
	if (pf->commit_size == 8) {
		memcpy(&commit, page + pf->commit_at, 8);
		word = (uint32_t)commit;
	} else {
		word = get32(page + pf->commit_at);
	}
	len = word & ~(MISSED_EVENTS | MISSED_STORED);
	if (len > n - pf->data_at || commit >> 32 != 0)
		return err_set(e, PS_DATA,
			       "trace page: %zu bytes of data in %zu", len, n);
	rc = walk(ef, page + pf->data_at, len, fn, ctx, e);
	if (rc < 0)
		return rc;
	return (word & MISSED_EVENTS) != 0;
}
