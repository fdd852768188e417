#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "base/units.h"
#include "disk/scrub.h"

#define SCRUB_NAME "scrub"
#define SUSPECTS_NAME "suspects"
#define SUSPECTS_HEAD "ps-suspects 1\n"
#define SUSPECTS_LINE 44 /* two numbers */
#define SLICES_MAX 1000000u

bool scrub_parse(const char *text, uint64_t *ret_k, uint64_t *ret_n)
{
	const char *slash = strchr(text, '/');
	char k[24];

	if (slash == NULL || (size_t)(slash - text) >= sizeof(k))
		return false;
	memcpy(k, text, (size_t)(slash - text));
	k[slash - text] = '\0';
	return parse_u64(k, SLICES_MAX, ret_k) &&
	       parse_u64(slash + 1, SLICES_MAX, ret_n) && *ret_k >= 1 &&
	       *ret_k <= *ret_n;
}

void scrub_load(const struct journal *j, struct scrub_state *ret)
{
	int fd = openat(j->dirfd, SCRUB_NAME, O_RDONLY | O_CLOEXEC);
	struct scrub_state s = {0};
	char text[128], *word, *save = NULL;
	uint64_t *to[] = {&s.position, &s.rounds, &s.found};
	ssize_t n = fd < 0 ? -1 : io_read_full(fd, text, sizeof(text) - 1);
	size_t i = 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	*ret = (struct scrub_state){0};
	if (strncmp(text, "ps-scrub 1 ", 11) != 0)
		return;
	for (word = strtok_r(text + 11, " \n", &save); word != NULL && i < 3;
	     word = strtok_r(NULL, " \n", &save))
		if (!parse_u64(word, UINT64_MAX, to[i++]))
			return;
	if (i == 3)
		*ret = s;
}

int scrub_save(struct journal *j, const struct scrub_state *s, struct err *e)
{
	char text[128];
	int n = snprintf(text, sizeof(text),
			 "ps-scrub 1 %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
			 s->position, s->rounds, s->found);
	int rc = durable_write(j->dirfd, SCRUB_NAME, text, (size_t)n, 0600,
			       DURABLE_REPLACE, e);

	if (rc < 0)
		err_prefix(e, "%s", j->path);
	return rc;
}

struct range scrub_slice(const struct scrub_state *s, uint64_t disk_size,
			 uint32_t block_size, uint64_t k, uint64_t n)
{
	uint64_t blocks = seg_blocks(disk_size, block_size);
	uint64_t from = s->position / block_size;
	uint64_t len = DIV_ROUND_UP(blocks, n) * k;
	struct range r = {0};

	if (from >= blocks)
		from = 0;
	if (len > blocks - from)
		len = blocks - from;
	r.start = from * block_size;
	r.end = (from + len) * block_size;
	if (r.end > disk_size)
		r.end = disk_size;
	return r;
}

void scrub_advance(struct scrub_state *s, const struct range *slice,
		   uint64_t disk_size)
{
	s->position = slice->end;
	if (slice->end < disk_size)
		return;
	s->position = 0;
	s->rounds++;
}

static void missed(struct scrub_found *f, uint32_t block_size, uint64_t from,
		   uint64_t to)
{
	struct range *last = NULL;

	f->blocks += seg_blocks(to - from, block_size);
	/* Fewer are told then; without memory too. */
	if (f->suspects != NULL && f->suspects->n < SCRUB_SUSPECTS)
		(void)ranges_add(f->suspects, from, to, NULL);
	if (f->ranges > 0 && f->ranges <= SCRUB_SHOWN)
		last = &f->at[f->ranges - 1];
	if (last != NULL && last->end == from) {
		last->end = to;
		return;
	}
	if (f->ranges < SCRUB_SHOWN)
		f->at[f->ranges] = (struct range){from, to};
	f->ranges++;
}

void scrub_note(struct scrub_found *f, const struct ranges *dirty, size_t *hint,
		uint32_t block_size, uint64_t from, uint64_t to)
{
	while (from < to) {
		const struct range *r =
		    *hint < dirty->n ? &dirty->items[*hint] : NULL;
		uint64_t start, end;

		if (r == NULL) {
			missed(f, block_size, from, to);
			return;
		}
		start = r->start - r->start % block_size;
		end = r->end;
		if (end % block_size != 0)
			end += block_size - end % block_size;
		if (end <= from) {
			(*hint)++;
			continue;
		}
		if (start > from)
			missed(f, block_size, from, start < to ? start : to);
		from = end < to ? end : to;
	}
}

/* ---- suspects ---- */

static int parse_suspects(char *text, struct ranges *ret, struct err *e)
{
	uint64_t start, len;
	char *line, *end, *save = NULL;
	int rc = 0;

	if (strncmp(text, SUSPECTS_HEAD, strlen(SUSPECTS_HEAD)) != 0)
		return 0;
	text += strlen(SUSPECTS_HEAD);
	for (line = strtok_r(text, "\n", &save); rc == 0 && line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		end = strchr(line, ' ');
		if (end == NULL)
			return 0;
		*end = '\0';
		if (!parse_u64(line, INT64_MAX, &start) ||
		    !parse_u64(end + 1, INT64_MAX, &len))
			return 0;
		rc = ranges_add(ret, start, start + len, e);
	}
	return rc;
}

int suspects_load(const struct journal *j, struct ranges *ret, struct err *e)
{
	const size_t most =
	    sizeof(SUSPECTS_HEAD) + (size_t)SCRUB_SUSPECTS * SUSPECTS_LINE;
	int fd = openat(j->dirfd, SUSPECTS_NAME, O_RDONLY | O_CLOEXEC), rc = 0;
	char *text;
	ssize_t n;

	if (fd < 0)
		return 0;
	text = malloc(most + 1);
	if (text == NULL) {
		close(fd);
		return err_sys(e, PS_TEMPFAIL, "%s/" SUSPECTS_NAME, j->path);
	}
	n = io_read_full(fd, text, most);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	rc = parse_suspects(text, ret, e);
	free(text);
	return rc;
}

int suspects_save(struct journal *j, const struct ranges *r, struct err *e)
{
	size_t size, at, i;
	char *text;
	int rc;

	if (r->n == 0) {
		if (unlinkat(j->dirfd, SUSPECTS_NAME, 0) < 0 && errno != ENOENT)
			return err_sys(e, 0, "%s/" SUSPECTS_NAME, j->path);
		return 0;
	}
	size = sizeof(SUSPECTS_HEAD) + r->n * SUSPECTS_LINE;
	text = malloc(size);
	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s/" SUSPECTS_NAME, j->path);
	at = (size_t)snprintf(text, size, SUSPECTS_HEAD);
	for (i = 0; i < r->n; i++)
		at += (size_t)snprintf(
		    text + at, size - at, "%" PRIu64 " %" PRIu64 "\n",
		    r->items[i].start, r->items[i].end - r->items[i].start);
	rc = durable_write(j->dirfd, SUSPECTS_NAME, text, at, 0600,
			   DURABLE_REPLACE, e);
	if (rc < 0)
		err_prefix(e, "%s", j->path);
	free(text);
	return rc;
}
