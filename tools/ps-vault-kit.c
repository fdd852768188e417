/* ps-vault kit: the page that brings everything back. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "health/gather.h"
#include "ps-vault.h"
#include "vault/kit.h"
#include "vault/settings.h"

/* A path that means the same vault from everywhere. */
static int whole_url(const char *url, char out[PATH_MAX], struct err *e)
{
	static const char scheme[] = "file://";
	const char *path = strncmp(url, scheme, sizeof(scheme) - 1) == 0
			       ? url + sizeof(scheme) - 1
			       : url;

	if (strstr(path, "://") == NULL) {
		if (realpath(path, out) == NULL)
			return err_sys(e, 0, "%s", path);
		return 0;
	}
	snprintf(out, PATH_MAX, "%s", url);
	return 0;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && strcmp(text + n - m, end) == 0;
}

/* Page and stdio's part of it in one piece of memory, to be wiped. */
static int format_kit(const struct kit *k, bool html, char *room, size_t size,
		      size_t *ret_n, struct err *e)
{
	FILE *f = fmemopen(room, size - BUFSIZ, "w");
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "kit");
	setvbuf(f, room + size - BUFSIZ, _IOFBF, BUFSIZ);
	rc = kit_write(k, html, f, e);
	*ret_n = (size_t)ftell(f);
	fclose(f);
	return rc;
}

static int put_page(const char *path, const char *page, size_t n, struct err *e)
{
	int rc;

	if (strcmp(path, "-") == 0)
		return io_write_full(STDOUT_FILENO, page, n) < 0
			   ? err_sys(e, 0, "standard output")
			   : 0;
	rc = durable_write_path(path, page, n, 0600, DURABLE_CREATE, e);
	if (rc == -PS_NO) {
		rc = err_set(e, PS_CANTCREAT,
			     "%s: exists, and nothing is overwritten here",
			     path);
		err_hint(e, "another name, or: shred -u %s", path);
	}
	return rc;
}

/* So that ps-health knows of which key there is a kit. */
static void stamp(const struct request *r)
{
	const struct key *key = &r->keys->keys[r->keys->n - 1];
	char id[2 * SEG_KEY_ID_LEN + 1];
	int fd = open(r->health, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc;
	struct err e = {0};

	if (fd < 0 && errno == ENOENT) {
		tool_note("%s: ps-health is not used on this machine",
			  r->health);
		return;
	}
	if (fd < 0) {
		rc = err_sys(&e, 0, "%s", r->health);
	} else {
		hex_encode(key->id, SEG_KEY_ID_LEN, id);
		rc = gather_stamp_kit(fd, id, &e);
		close(fd);
	}
	if (rc < 0)
		tool_warn("the kit is made, but ps-health does not know: %s",
			  e.msg);
}

static int write_page(const struct request *r, const struct kit *k,
		      struct err *e)
{
	size_t size = KIT_ROOM(k) + BUFSIZ, n = 0;
	char *room = malloc(size);
	int rc;

	if (room == NULL)
		return err_sys(e, PS_TEMPFAIL, "kit");
	rc = format_kit(k, ends_with(r->output, ".html"), room, size, &n, e);
	if (rc == 0)
		rc = put_page(r->output, room, n, e);
	secret_wipe(room, size);
	free(room);
	return rc;
}

/* A page that does not open everything has to say so, and is not stamped. */
static int judge(const struct request *r, const struct kit *k)
{
	if (k->closed == 0) {
		stamp(r);
		return 0;
	}
	for (size_t i = 0; i < k->ndisks; i++)
		if (!k->disks[i].opens)
			tool_warn("%s/%s: not opened by the keys of this kit",
				  k->disks[i].machine, k->disks[i].disk);
	return -PS_NO;
}

int cmd_kit(const struct request *r, struct err *e)
{
	struct vault v = r->vault;
	char url[PATH_MAX];
	struct kit k;
	int rc;

	if (r->keys == NULL)
		opt_misuse("kit needs the vault's key file: -k KEYFILE");
	if (r->output == NULL ||
	    (strcmp(r->output, "-") != 0 && !ends_with(r->output, ".txt") &&
	     !ends_with(r->output, ".html")))
		opt_misuse("kit writes a page: -o FILE.txt, -o FILE.html or "
			   "-o -");
	if (strcmp(r->output, "-") == 0)
		tool_no_terminal(STDOUT_FILENO, "a key");
	rc = whole_url(r->url, url, e);
	if (rc == 0)
		rc = kit_look(&k, &v, r->keys, e);
	if (rc < 0)
		return rc;
	k.url = url;
	k.endpoint = store_settings.endpoint;
	rc = write_page(r, &k, e);
	if (rc == 0)
		rc = judge(r, &k);
	kit_free(&k);
	return rc;
}
