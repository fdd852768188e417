#include "config.h"

#include <string.h>

#include "vault/store.h"

static const struct store_ops *const kinds[] = {&store_file, &store_azblob,
						&store_s3};

static int find_kind(const struct store_ops **ret, const char *url,
		     struct err *e)
{
	const char *end = strstr(url, "://");
	size_t i, len = end != NULL ? (size_t)(end - url) : 0;

	if (*url == '\0')
		return err_set(e, PS_USAGE, "the vault has an empty name");
	*ret = &store_file;
	if (end == NULL)
		return 0;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		*ret = kinds[i];
		if (strlen(kinds[i]->scheme) == len &&
		    memcmp(kinds[i]->scheme, url, len) == 0)
			return 0;
	}
	err_set(e, PS_USAGE, "%s: no store of the kind '%.*s'", url, (int)len,
		url);
	err_hint(e, "a folder is file:///DIR or a plain path, a container of "
		    "Azure azblob://ACCOUNT/CONTAINER, a bucket s3://BUCKET");
	return -PS_USAGE;
}

int store_check(const char *url, struct err *e)
{
	const struct store_ops *kind;

	return find_kind(&kind, url, e);
}

int store_open(struct store **ret, const char *url, int create, struct err *e)
{
	const struct store_ops *kind;
	int rc = find_kind(&kind, url, e);

	return rc < 0 ? rc : kind->open(ret, url, create, e);
}

void store_close(struct store *s)
{
	if (s != NULL)
		s->ops->close(s);
}

int store_put_text(struct store *s, const char *name, const char *text,
		   struct err *e)
{
	struct store_put *p;
	int rc = s->ops->put_begin(s, name, &p, e);

	if (rc < 0)
		return rc;
	rc = s->ops->put_write(p, text, strlen(text), e);
	if (rc < 0) {
		s->ops->put_abort(p);
		return rc;
	}
	return s->ops->put_commit(p, e);
}
