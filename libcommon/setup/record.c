#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/durable.h"
#include "base/version.h"
#include "setup/install.h"
#include "setup/record.h"

static void take(const struct conf *c, const char *key, char *out, size_t size)
{
	const char *value = conf_get(c, key);

	snprintf(out, size, "%s", value != NULL ? value : "");
}

/* An installation that is older than such files. */
static int without_record(const struct choices *c, struct record *ret,
			  struct err *e)
{
	char path[PLACE_SIZE + 32], etc[PLACE_SIZE];
	struct conf *conf = NULL;
	int rc;

	place_etc(c, etc);
	snprintf(path, sizeof(path), "%s/ps.yaml", etc);
	rc = conf_read(&conf, path, e);
	if (rc == -PS_NOINPUT) {
		rc = err_set(e, PS_NOINPUT, "%s: nothing is installed", path);
		err_hint(e, "--root DIR when it was installed below a folder");
	}
	if (rc < 0)
		return rc;
	*ret = (struct record){.version = RECORD_FIRST};
	snprintf(ret->role, sizeof(ret->role), "%s",
		 conf_get(conf, "config.dir") != NULL ? "cs" : "ps");
	take(conf, "service.names", ret->services, sizeof(ret->services));
	conf_free(conf);
	return 0;
}

int record_read(const struct choices *c, struct record *ret, struct err *e)
{
	char path[PLACE_SIZE + 32], etc[PLACE_SIZE];
	struct conf *conf = NULL;
	struct version v;
	int rc;

	place_etc(c, etc);
	snprintf(path, sizeof(path), "%s/" RECORD_FILE, etc);
	rc = conf_read(&conf, path, e);
	if (rc == -PS_NOINPUT || (rc == 0 && !place_installed(c))) {
		conf_free(conf);
		return without_record(c, ret, e);
	}
	if (rc < 0)
		return rc;
	take(conf, "version", ret->version, sizeof(ret->version));
	take(conf, "former", ret->former, sizeof(ret->former));
	take(conf, "role", ret->role, sizeof(ret->role));
	take(conf, "services", ret->services, sizeof(ret->services));
	conf_free(conf);
	/* They become part of paths. */
	if (!version_parse(ret->version, &v) ||
	    (ret->former[0] != '\0' && !version_parse(ret->former, &v)) ||
	    strpbrk(ret->version, "/\"\\") != NULL ||
	    strpbrk(ret->former, "/\"\\") != NULL)
		return err_set(e, PS_DATA, "%s: '%s' is no version", path,
			       ret->version);
	return 0;
}

char *record_text(const struct record *r)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	fputs("# What unifiedsetup(8) has installed. It asks this file when it "
	      "is run again.\n",
	      f);
	yaml_line(f, "version", r->version, "");
	if (r->former[0] != '\0')
		yaml_line(f, "former", r->former, "");
	yaml_line(f, "role", r->role, "");
	yaml_line(f, "services", r->services, "");
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* ---- what was begun ---- */

static void doing_path(const struct choices *c, char out[PLACE_SIZE])
{
	place_keep(c, "doing.yaml", out);
}

int doing_read(const struct choices *c, struct doing *ret, struct err *e)
{
	struct conf *conf = NULL;
	char path[PLACE_SIZE];
	int rc;

	*ret = (struct doing){.what = ""};
	doing_path(c, path);
	rc = conf_read(&conf, path, e);
	if (rc == -PS_NOINPUT) {
		*e = (struct err){.code = 0};
		return 0;
	}
	if (rc < 0)
		return rc;
	take(conf, "what", ret->what, sizeof(ret->what));
	take(conf, "from", ret->from, sizeof(ret->from));
	take(conf, "to", ret->to, sizeof(ret->to));
	conf_free(conf);
	return 0;
}

int doing_write(const struct choices *c, const struct doing *d, struct err *e)
{
	char path[PLACE_SIZE], text[256];
	int n;

	place_keep(c, "", path);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", path);
	doing_path(c, path);
	n = snprintf(text, sizeof(text),
		     "what: \"%s\"\nfrom: \"%s\"\nto: \"%s\"\n", d->what,
		     d->from, d->to);
	return durable_write_path(path, text, (size_t)n, 0600, DURABLE_REPLACE,
				  e);
}

int doing_end(const struct choices *c, struct err *e)
{
	char path[PLACE_SIZE];

	doing_path(c, path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s", path);
	place_keep(c, "", path);
	(void)rmdir(path); /* if nothing else is in it */
	return 0;
}
