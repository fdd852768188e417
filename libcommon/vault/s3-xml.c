#include "config.h"

#include <stdio.h>
#include <string.h>

#include <expat.h>

#include "vault/s3.h"

/* How often a success without a usable answer is asked for again. */
#define TRIES 3

struct parse {
	XML_Parser xml;
	const struct s3_request *r;
	const char *root;
	s3_text_fn *fn;
	void *ctx;
	struct err *e;
	char path[256], text[S3_TEXT_MAX + 1];
	size_t used;
	unsigned depth;
	int rc;
};

static void stop(struct parse *p, int rc)
{
	if (p->rc == 0)
		p->rc = rc;
	XML_StopParser(p->xml, XML_FALSE);
}

static void XMLCALL on_start(void *ctx, const XML_Char *name,
			     const XML_Char **attributes)
{
	struct parse *p = ctx;
	size_t n = strlen(p->path);

	(void)attributes;
	p->used = 0;
	p->text[0] = '\0';
	if (p->depth++ == 0) {
		if (strcmp(name, p->root) != 0)
			stop(p, err_set(p->e, PS_PROTOCOL,
					"%s: the service answers %.40s instead "
					"of %s",
					p->r->q.what, name, p->root));
		return;
	}
	if (n + strlen(name) + 2 > sizeof(p->path))
		stop(p, err_set(p->e, PS_PROTOCOL,
				"%s: the service's answer is nested too deeply",
				p->r->q.what));
	else
		snprintf(p->path + n, sizeof(p->path) - n, "%s%s",
			 n > 0 ? "/" : "", name);
}

static void XMLCALL on_end(void *ctx, const XML_Char *name)
{
	struct parse *p = ctx;
	char *slash;
	int rc;

	(void)name;
	if (p->rc < 0 || --p->depth == 0)
		return;
	rc = p->fn(p->ctx, p->path, p->text, p->e);
	if (rc < 0)
		stop(p, rc);
	slash = strrchr(p->path, '/');
	*(slash != NULL ? slash : p->path) = '\0';
	p->used = 0;
	p->text[0] = '\0';
}

static void XMLCALL on_text(void *ctx, const XML_Char *text, int len)
{
	struct parse *p = ctx;
	size_t n = (size_t)len;

	if (p->used + n > S3_TEXT_MAX) {
		stop(p, err_set(p->e, PS_PROTOCOL,
				"%s: the service's answer has too long a text",
				p->r->q.what));
		return;
	}
	memcpy(p->text + p->used, text, n);
	p->used += n;
	p->text[p->used] = '\0';
}

int s3_parse(const struct s3_request *r, const char *root, s3_text_fn *fn,
	     void *ctx, struct err *e)
{
	struct parse p = {.r = r, .root = root, .fn = fn, .ctx = ctx, .e = e};
	const struct web_answer *a = &r->q.answer;

	p.xml = XML_ParserCreate(NULL);
	if (p.xml == NULL)
		return err_set(e, PS_TEMPFAIL, "%s: no memory", r->q.what);
	XML_SetUserData(p.xml, &p);
	XML_SetElementHandler(p.xml, on_start, on_end);
	XML_SetCharacterDataHandler(p.xml, on_text);
	if (XML_Parse(p.xml, a->body != NULL ? a->body : "", (int)a->len, 1) !=
		XML_STATUS_OK &&
	    p.rc == 0)
		p.rc = err_set(
		    e, PS_PROTOCOL, "%s: the service's answer is not XML: %s",
		    r->q.what, XML_ErrorString(XML_GetErrorCode(p.xml)));
	XML_ParserFree(p.xml);
	return p.rc;
}

int s3_ask(struct s3_request *r, const char *root, s3_text_fn *fn, void *ctx,
	   struct err *e)
{
	int i, rc = 0;

	for (i = 0; i < TRIES; i++) {
		rc = s3_do(r, e);
		if (rc == 0 && r->q.answer.status != 200)
			return s3_refused(r, e);
		if (rc == 0)
			rc = s3_parse(r, root, fn, ctx, e);
		if (rc != -PS_PROTOCOL)
			break;
	}
	return rc;
}
