#include "config.h"

#include <stdio.h>
#include <string.h>

#include <expat.h>

#include "base/crc64.h"
#include "base/units.h"
#include "vault/azblob.h"

/*
 * List Blobs: EnumerationResults/Blobs/{Blob|BlobPrefix}, each with Name, a
 * Blob with Properties/Content-Length; then NextMarker. Get Block List:
 * BlockList/UncommittedBlocks/Block with Name and Size.
 */
struct parse {
	XML_Parser parser;
	az_name_fn *fn;
	void *ctx;
	struct err *e;
	int rc;
	char *marker; /* NULL: blocks */
	bool in_item, is_dir, skip;
	char name[AZ_NAME_SIZE], size[32], kind[32], etag[128];
	char *to; /* where text of the open element goes */
	size_t room;
};

static int bad(struct parse *p, const char *what)
{
	p->rc = err_set(p->e, PS_PROTOCOL, "the service's list has %s", what);
	XML_StopParser(p->parser, XML_FALSE);
	return p->rc;
}

static void capture(struct parse *p, char *to, size_t room)
{
	p->to = to;
	p->room = room;
	*to = '\0';
}

static bool is_item(const struct parse *p, const char *name)
{
	if (p->marker == NULL)
		return strcmp(name, "Block") == 0;
	return strcmp(name, "Blob") == 0 || strcmp(name, "BlobPrefix") == 0;
}

static void XMLCALL on_start(void *ctx, const XML_Char *name,
			     const XML_Char **attributes)
{
	struct parse *p = ctx;

	(void)attributes;
	p->to = NULL;
	if (strcmp(name, "CommittedBlocks") == 0)
		p->skip = true;
	if (is_item(p, name)) {
		p->in_item = true;
		p->is_dir = strcmp(name, "BlobPrefix") == 0;
		p->name[0] = p->size[0] = p->kind[0] = p->etag[0] = '\0';
	} else if (p->in_item && strcmp(name, "Name") == 0) {
		capture(p, p->name, sizeof(p->name));
	} else if (p->in_item && (strcmp(name, "Content-Length") == 0 ||
				  strcmp(name, "Size") == 0)) {
		capture(p, p->size, sizeof(p->size));
	} else if (p->in_item && strcmp(name, "ResourceType") == 0) {
		capture(p, p->kind, sizeof(p->kind));
	} else if (p->in_item && strcmp(name, "Etag") == 0) {
		capture(p, p->etag, sizeof(p->etag));
	} else if (p->marker != NULL && strcmp(name, "NextMarker") == 0) {
		capture(p, p->marker, AZ_MARKER_SIZE);
	}
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct parse *p = ctx;
	struct store_entry found = {.name = p->name, .is_dir = p->is_dir};

	p->to = NULL;
	if (strcmp(name, "CommittedBlocks") == 0)
		p->skip = false;
	if (!p->in_item || !is_item(p, name))
		return;
	p->in_item = false;
	/* A folder of a hierarchical name space is listed as a blob, too. */
	if (p->skip || strcmp(p->kind, "directory") == 0)
		return;
	if (p->name[0] == '\0' ||
	    (!p->is_dir && !parse_u64(p->size, INT64_MAX, &found.size))) {
		bad(p, "an entry without name or size");
		return;
	}
	if (p->etag[0] != '\0')
		found.tag = crc64(0, p->etag, strlen(p->etag));
	p->rc = p->fn(p->ctx, &found, p->e);
	if (p->rc < 0)
		XML_StopParser(p->parser, XML_FALSE);
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct parse *p = ctx;
	size_t used;

	if (p->to == NULL)
		return;
	used = strlen(p->to);
	if ((size_t)len >= p->room - used) {
		bad(p, "a value that is too long");
		return;
	}
	memcpy(p->to + used, text, (size_t)len);
	p->to[used + (size_t)len] = '\0';
}

static int run(struct parse *p, const struct az_call *c, struct err *e)
{
	const struct web_answer *a = &c->q.answer;
	enum XML_Status ok;

	p->parser = XML_ParserCreate(NULL);
	if (p->parser == NULL)
		return err_set(e, PS_TEMPFAIL, "%s: no memory", c->what);
	p->e = e;
	XML_SetUserData(p->parser, p);
	XML_SetElementHandler(p->parser, on_start, on_end);
	XML_SetCharacterDataHandler(p->parser, on_text);
	ok = XML_Parse(p->parser, a->body != NULL ? a->body : "", (int)a->len,
		       1);
	if (ok != XML_STATUS_OK && p->rc == 0)
		p->rc = err_set(
		    e, PS_PROTOCOL, "%s: the service's answer is not XML: %s",
		    c->what, XML_ErrorString(XML_GetErrorCode(p->parser)));
	XML_ParserFree(p->parser);
	return p->rc;
}

int az_parse_list(const struct az_call *c, az_name_fn *fn, void *ctx,
		  char marker[AZ_MARKER_SIZE], struct err *e)
{
	struct parse p = {.fn = fn, .ctx = ctx, .marker = marker};

	marker[0] = '\0';
	return run(&p, c, e);
}

int az_parse_blocks(const struct az_call *c, az_name_fn *fn, void *ctx,
		    struct err *e)
{
	struct parse p = {.fn = fn, .ctx = ctx};

	return run(&p, c, e);
}
