#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "disk/pass.h"

static int segment_begin(struct pass *p, struct err *e)
{
	int rc;

	if (p->open)
		return 0;
	rc = seg_writer_begin(p->writer, &p->header, e);
	p->open = rc == 0;
	return rc;
}

/* Closes the open segment and prepares the header of the one behind it. */
static int segment_end(struct pass *p, bool ends, const uint8_t *disk_digest,
		       struct err *e)
{
	struct seg_trailer t = {.last_part = disk_digest != NULL,
				.change_time = p->header.bookmark_time};
	const uint8_t *tail;
	size_t len;
	int rc;

	if (t.last_part) {
		t.members = p->members;
		t.nmembers = p->nmembers;
	}
	rc = seg_writer_tail(p->writer, &t, disk_digest, &tail, &len, e);
	if (rc == 0 && p->leaving != NULL)
		rc = p->leaving(p->leaving_ctx, e);
	if (rc == 0)
		rc = journal_put(p->journal, p->generation, ends, &p->header,
				 tail, len, e);
	if (rc == 0)
		rc = seg_writer_end(p->writer, e);
	if (rc < 0)
		return rc;
	p->open = false;
	p->header.kind = SEG_DELTA;
	p->header.part++;
	p->header.seq++;
	p->header.first_seq = p->header.seq;
	memcpy(p->header.prev, t.digest, SHA256_LEN);
	return 0;
}

/* Makes room for a record with `len` bytes of data. */
static int make_room(struct pass *p, uint64_t len, struct err *e)
{
	if (p->open &&
	    (seg_writer_records(p->writer) >= SEG_SCAN_RECORDS_MAX ||
	     (seg_writer_data_bytes(p->writer) > 0 &&
	      seg_writer_data_bytes(p->writer) + len > p->segment_size))) {
		int rc = segment_end(p, false, NULL, e);

		if (rc < 0)
			return rc;
	}
	return segment_begin(p, e);
}

static int zero_flush(struct pass *p, struct err *e)
{
	uint64_t len = p->zero_len;
	int rc;

	if (len == 0)
		return 0;
	p->zero_len = 0;
	rc = make_room(p, 0, e);
	if (rc == 0)
		rc = seg_writer_zero(p->writer, p->zero_at, len, e);
	p->zero_bytes += len;
	return rc;
}

int pass_zero(void *ctx, uint64_t offset, uint64_t len, struct err *e)
{
	struct pass *p = ctx;
	int rc;

	if (p->zero_len > 0 && p->zero_at + p->zero_len == offset) {
		p->zero_len += len;
		return 0;
	}
	rc = zero_flush(p, e);
	p->zero_at = offset;
	p->zero_len = len;
	return rc;
}

int pass_data(void *ctx, uint64_t offset, uint32_t len, const void *bytes,
	      const uint8_t *digests, struct err *e)
{
	struct pass *p = ctx;
	int rc = zero_flush(p, e);

	if (rc == 0)
		rc = make_room(p, len, e);
	if (rc == 0)
		rc = seg_writer_data(p->writer, offset, len, SEG_STORE, bytes,
				     len, digests, e);
	p->data_bytes += len;
	return rc;
}

int pass_end(struct pass *p, const uint8_t disk_digest[SHA256_LEN],
	     struct err *e)
{
	int rc = zero_flush(p, e);

	if (rc == 0 && p->no_point && !p->open && p->header.kind != SEG_BASE)
		return 0;
	if (rc == 0)
		rc = segment_begin(p, e);
	if (rc == 0)
		rc = segment_end(p, true, p->no_point ? NULL : disk_digest, e);
	return rc;
}

/* ---- members ---- */

static int member_parse(struct seg_member *m, const char *text, size_t len,
			struct err *e)
{
	const char *slash = memchr(text, '/', len);
	size_t left = slash == NULL ? 0 : (size_t)(slash - text);

	if (slash == NULL || !name_ok_n(text, left) ||
	    !name_ok_n(slash + 1, len - left - 1))
		return err_set(e, PS_USAGE,
			       "members: '%.*s' is not MACHINE/DISK", (int)len,
			       text);
	*m = (struct seg_member){0};
	memcpy(m->machine, text, left);
	memcpy(m->disk, slash + 1, len - left - 1);
	return 0;
}

static bool same_member(const struct seg_member *a, const struct seg_member *b)
{
	return strcmp(a->machine, b->machine) == 0 &&
	       strcmp(a->disk, b->disk) == 0;
}

static int members_check(const struct seg_member *m, uint32_t n,
			 const struct seg_member *self, struct err *e)
{
	bool found = false;
	uint32_t i, k;

	for (i = 0; i < n; i++) {
		found = found || same_member(&m[i], self);
		for (k = 0; k < i; k++)
			if (same_member(&m[i], &m[k]))
				return err_set(e, PS_USAGE,
					       "members: %s/%s twice",
					       m[i].machine, m[i].disk);
	}
	if (!found)
		return err_set(e, PS_USAGE, "members: %s/%s is not among them",
			       self->machine, self->disk);
	return 0;
}

int members_parse(const char *text, const char *machine, const char *disk,
		  struct seg_member **ret, uint32_t *ret_n, struct err *e)
{
	struct seg_member self = {0}, *m;
	uint32_t n = 0, most = 1;
	const char *p;
	int rc = 0;

	memcpy(self.machine, machine, strlen(machine));
	memcpy(self.disk, disk, strlen(disk));
	for (p = text; p != NULL && *p != '\0'; p++)
		most += *p == ',';
	if (most > SEG_MEMBERS_MAX)
		return err_set(e, PS_USAGE, "members: more than %u",
			       SEG_MEMBERS_MAX);
	m = calloc(most, sizeof(*m));
	if (m == NULL)
		return err_sys(e, PS_TEMPFAIL, "members");
	if (text == NULL)
		m[n++] = self;
	for (p = text; rc == 0 && p != NULL; n++) {
		size_t len = strcspn(p, ",");

		rc = member_parse(&m[n], p, len, e);
		p = p[len] == ',' ? p + len + 1 : NULL;
	}
	if (rc == 0)
		rc = members_check(m, n, &self, e);
	if (rc < 0) {
		free(m);
		return rc;
	}
	*ret = m;
	*ret_n = n;
	return 0;
}
