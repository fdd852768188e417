/* ps-health report */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "health/page.h"
#include "ps-health.h"

static int write_page(const struct looking *l, const struct why *w,
		      const char *path, struct err *e)
{
	struct ring ring = {.fd = -1};
	struct disks disks = {0};
	char *text = NULL;
	size_t n = 0;
	FILE *f;
	int rc = ring_open(&ring, l->dirfd, false, NULL, 0, e);

	if (rc < 0)
		return rc;
	rc = disks_open(&disks, l->dirfd, false, NULL, 0, e);
	f = rc == 0 ? open_memstream(&text, &n) : NULL;
	if (rc == 0 && f == NULL)
		rc = err_sys(e, PS_TEMPFAIL, "%s", path);
	if (rc == 0)
		rc = page_write(&ring, &disks, &l->rules, w, f, e);
	if (f != NULL)
		fclose(f);
	if (rc == 0)
		rc = replace_file(path, text, n, e);
	free(text);
	disks_close(&disks);
	ring_close(&ring);
	return rc;
}

int cmd_report(const struct looking *l, const char *path, struct err *e)
{
	struct why w;
	int rc = look_now(l, NULL, NULL, &w, e);

	if (rc < 0)
		return rc;
	rc = write_page(l, &w, path, e);
	why_free(&w);
	return rc;
}
