#include "config.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "segment/links.h"

struct link {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
};

static int compare(const void *a, const void *b)
{
	const struct link *x = a, *y = b;
	int c = strcmp(x->machine, y->machine);

	return c != 0 ? c : strcmp(x->disk, y->disk);
}

static int add(struct seg_links *l, const struct link *key, struct err *e)
{
	struct link *copy;

	if (l->n == SEG_LINKS_MAX)
		return err_set(e, PS_DATA, "more than %u disks in a stream",
			       SEG_LINKS_MAX);
	copy = malloc(sizeof(*copy));
	if (copy == NULL)
		return err_sys(e, PS_TEMPFAIL, "stream");
	*copy = *key;
	if (tsearch(copy, &l->tree, compare) == NULL) {
		free(copy);
		return err_sys(e, PS_TEMPFAIL, "stream");
	}
	l->n++;
	return 0;
}

static int check(const struct link *last, const struct seg_header *h,
		 const uint8_t digest[SHA256_LEN], struct err *e)
{
	if (h->seq == last->seq) {
		if (memcmp(digest, last->digest, SHA256_LEN) != 0)
			return err_set(e, PS_DATA,
				       "another segment of this number went "
				       "before it");
		return 0;
	}
	if (h->first_seq != last->seq + 1)
		return err_set(e, PS_DATA,
			       "out of order: the one before it is %llu",
			       (unsigned long long)last->seq);
	if (memcmp(h->prev, last->digest, SHA256_LEN) != 0)
		return err_set(e, PS_DATA,
			       "it does not go on from the one before it");
	return 0;
}

int seg_links_note(struct seg_links *l, const struct seg_header *h,
		   const uint8_t digest[SHA256_LEN], struct err *e)
{
	struct link key = {.seq = h->seq};
	struct link **found;
	int rc;

	memcpy(key.machine, h->machine, NAME_SIZE);
	memcpy(key.disk, h->disk, NAME_SIZE);
	memcpy(key.digest, digest, SHA256_LEN);
	found = tfind(&key, &l->tree, compare);
	if (found == NULL)
		return add(l, &key, e);
	rc = check(*found, h, digest, e);
	**found = key;
	return rc;
}

void seg_links_free(struct seg_links *l)
{
	tdestroy(l->tree, free);
	*l = (struct seg_links){0};
}
