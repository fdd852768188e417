/*
 * A put: small objects are one Put Blob, others blocks that are sent while
 * the next ones come, and a Put Block List.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/bytes.h"
#include "base/crc64.h"
#include "base/digest.h"
#include "vault/azblob.h"

#define BLOCKS_MAX 50000u
/* Blocks of one size, before they double: 50,000 of them hold 620 GiB. */
#define SAME_SIZE 10000u
/*
 * A block's name: number, 12 bytes of the SHA-256 of the object's beginning,
 * CRC-64 of the block. A segment's header, with its salt, is in the beginning:
 * blocks of two encryptions never have one name, and a block that a process
 * left behind is the same if its name is.
 */
#define ID_RAW 24u
#define ID_TEXT 33u
#define HEAD_BYTES 4096u
#define HEAD_DIGEST 12u
/* Who created a blob: 128 random bits in its metadata. */
#define MARK "x-ms-meta-psput"
#define MARK_TEXT 33u
/*
 * Blocks that a dead process left are those of its last few objects, which
 * come first in the next one.
 */
#define ASK_FOR 16u

struct store_put {
	struct azblob *az;
	char name[AZ_NAME_SIZE];
	char mark[MARK_TEXT];
	struct part_set set;
	uint8_t head[HEAD_DIGEST];
	char (*ids)[ID_TEXT];
	char (*there)[ID_TEXT]; /* sorted: uncommitted blocks of before */
	size_t nthere, there_cap;
};

/* ---- blocks ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int note_block(void *ctx, const struct store_entry *found, struct err *e)
{
	struct store_put *p = ctx;
	const char *name = found->name;

	if (strlen(name) != ID_TEXT - 1 || p->nthere == 2 * BLOCKS_MAX)
		return 0;
	if (p->nthere == p->there_cap) {
		size_t cap = 2 * p->there_cap + 64;
		char(*grown)[ID_TEXT] = realloc(p->there, cap * ID_TEXT);

		if (grown == NULL)
			return err_sys(e, PS_TEMPFAIL, "%s", p->name);
		p->there = grown;
		p->there_cap = cap;
	}
	memcpy(p->there[p->nthere++], name, ID_TEXT);
	return 0;
}

/* Which blocks did a process before us leave? None is no failure. */
static int ask_blocks(struct store_put *p, struct err *e)
{
	static const struct az_param params[] = {
	    {"blocklisttype", "uncommitted"}, {"comp", "blocklist"}, {0}};
	struct az_call c;
	int rc;

	if (atomic_fetch_add(&p->az->asked, 1) >= ASK_FOR)
		return 0;
	rc = az_begin(p->az, &c, "GET", p->name, params, e);
	if (rc == 0)
		rc = az_do(&c, e);
	/* Who may not read cannot go on, but can begin anew. */
	if (rc == 0 && c.q.answer.status == 200)
		rc = az_parse_blocks(&c, note_block, p, e);
	az_end(&c);
	if (rc == 0 && p->nthere > 0)
		qsort(p->there, p->nthere, ID_TEXT, by_id);
	return rc;
}

static bool is_there(const struct store_put *p, const char *id)
{
	return p->nthere > 0 &&
	       bsearch(id, p->there, p->nthere, ID_TEXT, by_id) != NULL;
}

static int send_block(void *ctx, const struct part *part, struct err *e)
{
	struct store_put *p = ctx;
	const char *id = p->ids[part->index];
	const struct az_param params[] = {
	    {"blockid", id}, {"comp", "block"}, {0}};
	uint64_t crc = crc64(0, part->data, part->len);
	struct az_call c;
	int rc = az_begin(p->az, &c, "PUT", p->name, params, e);

	c.q.body = part->data;
	c.q.body_len = part->len;
	if (rc == 0)
		rc = az_send_crc(&c, crc, e);
	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status != 201) {
		rc = az_refused(&c, e);
	} else if (rc == 0) {
		rc = az_check_crc(&c, crc, e);
	}
	az_end(&c);
	return rc;
}

static void name_block(struct store_put *p, const struct part *part)
{
	uint64_t crc = crc64(0, part->data, part->len);
	uint8_t raw[ID_RAW];

	raw[0] = (uint8_t)(part->index >> 24);
	raw[1] = (uint8_t)(part->index >> 16);
	raw[2] = (uint8_t)(part->index >> 8);
	raw[3] = (uint8_t)part->index;
	memcpy(raw + 4, p->head, HEAD_DIGEST);
	put_le64(raw + 4 + HEAD_DIGEST, crc);
	az_base64(raw, sizeof(raw), p->ids[part->index]);
}

/* A single block is no more work to send again than to ask for. */
static int first_block(struct store_put *p, bool only, struct err *e)
{
	const struct part *part = p->set.part;
	uint8_t digest[SHA256_LEN];
	size_t n = part->len < HEAD_BYTES ? part->len : HEAD_BYTES;

	/*
	 * Room for the ids of all blocks is there before the first is sent:
	 * threads read them. It is touched as it is used.
	 */
	p->ids = malloc((only ? 1 : (size_t)BLOCKS_MAX) * ID_TEXT);
	if (p->ids == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", p->name);
	sha256_of(part->data, n, digest);
	memcpy(p->head, digest, HEAD_DIGEST);
	return only ? 0 : ask_blocks(p, e);
}

/* Hands the part on. */
static int push_block(struct store_put *p, bool last, struct err *e)
{
	struct part *part = p->set.part;
	int rc = 0;

	if (p->set.count == BLOCKS_MAX)
		return err_set(e, PS_DATA, "%s: too large for one blob",
			       p->name);
	if (p->set.count == 0)
		rc = first_block(p, last, e);
	if (rc < 0)
		return rc;
	part->index = p->set.count++;
	name_block(p, part);
	p->set.part = NULL;
	if (is_there(p, p->ids[part->index])) {
		part_drop(p->az->parts, part);
		return 0;
	}
	return part_send(p->az->parts, part, e);
}

static int full_block(void *ctx, struct err *e)
{
	return push_block(ctx, false, e);
}

static size_t block_size(uint32_t index)
{
	return (size_t)PART_SIZE << index / SAME_SIZE;
}

/* ---- writing ---- */

int az_put_begin(struct store *s, const char *name, struct store_put **ret,
		 struct err *e)
{
	struct store_put *p = calloc(1, sizeof(*p));
	uint8_t mark[16];

	if (p == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	if (getrandom(mark, sizeof(mark), 0) != (ssize_t)sizeof(mark)) {
		free(p);
		return err_sys(e, PS_IOERR, "getrandom");
	}
	hex_encode(mark, sizeof(mark), p->mark);
	p->az = azblob_of(s);
	p->set.send = send_block;
	p->set.full = full_block;
	p->set.size = block_size;
	p->set.ctx = p;
	snprintf(p->name, sizeof(p->name), "%s", name);
	*ret = p;
	return 0;
}

int az_put_write(struct store_put *p, const void *buf, size_t n, struct err *e)
{
	return part_write(p->az->parts, &p->set, buf, n, e);
}

int az_put_end(struct store_put *p, bool later, struct err *e)
{
	const struct part *part = p->set.part;

	if (part == NULL)
		return 0;
	if (p->set.count > 0 || (later && part->len >= STORE_STAGE_LEAST))
		return push_block(p, true, e);
	part_trim(p->az->parts, &p->set);
	return 0;
}

static void put_free(struct store_put *p)
{
	part_drop(p->az->parts, p->set.part);
	free(p->ids);
	free(p->there);
	free(p);
}

void az_put_abort(struct store_put *p)
{
	/* Blocks that were sent expire by themselves, after a week. */
	(void)part_wait(p->az->parts, &p->set, true, NULL);
	put_free(p);
}

/* ---- the name ---- */

/*
 * The name is taken, perhaps by ourselves: an answer that was lost. The blob
 * says who made it. -PS_NO: somebody else.
 */
static int whose(struct store_put *p, struct err *e)
{
	struct az_call c;
	char mark[MARK_TEXT + 1];
	int rc = az_begin(p->az, &c, "HEAD", p->name, NULL, e);

	if (rc == 0)
		rc = az_do(&c, e);
	if (rc == 0 && c.q.answer.status == 404)
		rc = err_set(e, PS_TEMPFAIL,
			     "%s: the blocks are gone, and nobody committed",
			     p->name);
	else if (rc == 0 && c.q.answer.status != 200)
		rc = az_refused(&c, e);
	else if (rc == 0 && (!web_field(&c.q, MARK, mark, sizeof(mark)) ||
			     strcmp(mark, p->mark) != 0))
		rc = -PS_NO;
	az_end(&c);
	return rc;
}

/* Answers that say: there is such a blob, or (blocks) there was a commit. */
static bool is_taken(const struct az_call *c)
{
	static const char *const codes[] = {
	    "BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite",
	    "InvalidBlockList"};
	char code[64];
	size_t i;

	web_error_code(&c->q, code, sizeof(code));
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (strcmp(code, codes[i]) == 0)
			return true;
	return false;
}

/* Create-only, by us; then what came of it. */
static int create(struct store_put *p, struct az_call *c, uint64_t crc,
		  struct err *e)
{
	int rc = web_header(&c->q, e, "If-None-Match", "*");

	if (rc == 0)
		rc = web_header(&c->q, e, MARK, "%s", p->mark);
	if (rc == 0)
		rc = az_send_crc(c, crc, e);
	if (rc == 0)
		rc = az_do(c, e);
	if (rc < 0)
		return rc;
	if (c->q.answer.status == 201)
		return az_check_crc(c, crc, e);
	return is_taken(c) ? whose(p, e) : az_refused(c, e);
}

static int put_blob(struct store_put *p, struct err *e)
{
	struct az_call c;
	int rc = az_begin(p->az, &c, "PUT", p->name, NULL, e);

	if (p->set.part != NULL) {
		c.q.body = p->set.part->data;
		c.q.body_len = p->set.part->len;
	}
	if (rc == 0)
		rc = web_header(&c.q, e, "x-ms-blob-type", "BlockBlob");
	if (rc == 0)
		rc = web_header(&c.q, e, "Content-Type",
				"application/octet-stream");
	if (rc == 0)
		rc = create(p, &c, crc64(0, c.q.body, (size_t)c.q.body_len), e);
	az_end(&c);
	return rc;
}

/* <BlockList><Uncommitted>ID</Uncommitted>...</BlockList>; to be freed. */
static char *block_list(const struct store_put *p, size_t *ret_len)
{
	static const char head[] =
	    "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>";
	const size_t each = ID_TEXT + sizeof("<Uncommitted></Uncommitted>");
	char *text = malloc(sizeof(head) + p->set.count * each + 16);
	char *at = text;
	uint32_t i;

	if (text == NULL)
		return NULL;
	memcpy(at, head, sizeof(head) - 1);
	at += sizeof(head) - 1;
	for (i = 0; i < p->set.count; i++)
		at += snprintf(at, each + 1, "<Uncommitted>%s</Uncommitted>",
			       p->ids[i]);
	at += snprintf(at, 16, "</BlockList>");
	*ret_len = (size_t)(at - text);
	return text;
}

static int put_list(struct store_put *p, struct err *e)
{
	static const struct az_param params[] = {{"comp", "blocklist"}, {0}};
	struct az_call c;
	size_t n = 0;
	char *text = block_list(p, &n);
	int rc;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", p->name);
	rc = az_begin(p->az, &c, "PUT", p->name, params, e);
	c.q.body = text;
	c.q.body_len = n;
	if (rc == 0)
		rc = web_header(&c.q, e, "Content-Type", "application/xml");
	if (rc == 0)
		rc = create(p, &c, crc64(0, text, n), e);
	az_end(&c);
	free(text);
	return rc;
}

int az_put_commit(struct store_put *p, struct err *e)
{
	int rc = 0;

	if (p->set.count == 0) {
		part_sends(p->az->parts, &p->set, true);
		rc = put_blob(p, e);
		part_sends(p->az->parts, &p->set, false);
		put_free(p);
		return rc;
	}
	if (p->set.part != NULL)
		rc = push_block(p, true, e);
	if (rc < 0) {
		az_put_abort(p);
		return rc;
	}
	rc = part_wait(p->az->parts, &p->set, false, e);
	if (rc == 0)
		rc = put_list(p, e);
	put_free(p);
	return rc;
}
