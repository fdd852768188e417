/* ps-config passphrase: new, show, rotate, status. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/passphrase.h"
#include "config/rotation.h"
#include "config/servers.h"
#include "ps-config.h"

#define PATH_SIZE 4096

/* Where it lies when it is kept; as ps-receive -P and cxpsclient -P take it. */
static void kept_path(char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%s/connection.passphrase", ask.dir);
}

static int print(const char *passphrase, struct err *e)
{
	if (ask.json)
		return print_json(json_pack("{s:s}", "passphrase", passphrase),
				  e);
	puts(passphrase);
	return 0;
}

/* Who owns the folder reads it: the services, also when root has rotated. */
static int keep_in(int dir, const char *name, const char *text, struct err *e)
{
	struct durable d;
	struct stat st;
	int rc = durable_begin(&d, dir, name, 0600, e);

	if (rc < 0)
		return rc;
	if (io_write_full(d.fd, text, strlen(text)) < 0 ||
	    (geteuid() == 0 &&
	     (fstat(dir, &st) < 0 || fchown(d.fd, st.st_uid, st.st_gid) < 0)))
		rc = err_sys(e, 0, "%s/%s", ask.dir, name);
	if (rc == 0)
		return durable_commit(&d, DURABLE_REPLACE, e);
	durable_abort(&d);
	return rc;
}

static int keep(const char *passphrase, struct err *e)
{
	char text[LOGIN_PASSPHRASE_SIZE + 1], path[PATH_SIZE];
	const char *name;
	int dir, rc;

	kept_path(path);
	snprintf(text, sizeof(text), "%s\n", passphrase);
	dir = durable_folder(path, &name, e);
	rc = dir < 0 ? dir : keep_in(dir, name, text, e);
	if (dir >= 0)
		close(dir);
	secret_wipe(text, sizeof(text));
	if (rc < 0)
		tool_warn("the passphrase below is in force, but is not kept");
	return rc;
}

/* A kept one that was rotated elsewhere would mislead: it is renewed, too. */
static int make(struct reg *r, bool rotate, struct err *e)
{
	char passphrase[LOGIN_PASSPHRASE_SIZE], path[PATH_SIZE];
	int rc = passphrase_make(r, rotate, ask.overlap, passphrase, e);

	if (rc < 0)
		return rc;
	kept_path(path);
	if (ask.keep || access(path, F_OK) == 0)
		rc = keep(passphrase, e);
	if (rc == 0)
		rc = print(passphrase, e);
	else
		puts(passphrase); /* it is in force all the same */
	secret_wipe(passphrase, sizeof(passphrase));
	return rc;
}

static int cmd_new(struct reg *r, char **operands, struct err *e)
{
	(void)operands;
	return make(r, false, e);
}

/* ---- who has not followed ---- */

struct followers {
	int64_t current, behind, now;
	json_t *array; /* NULL: for people */
};

static int find_current(void *ctx, const struct reg_passphrase *p,
			struct err *e)
{
	struct followers *f = ctx;

	(void)e;
	if (p->until == 0)
		f->current = p->generation;
	return 0;
}

static int give_behind(void *ctx, const struct reg_server *s, struct err *e)
{
	struct followers *f = ctx;
	char when[40];

	if (s->generation == f->current)
		return 0;
	if (f->array != NULL)
		return json_array_append_new(
			   f->array,
			   json_pack("{s:s, s:s, s:o, s:o}", "name", s->name,
				     "role", s->role, "generation",
				     s->generation != 0
					 ? json_integer(s->generation)
					 : json_null(),
				     "contact", json_when(s->contact))) < 0
			   ? err_set(e, PS_TEMPFAIL, "no memory")
			   : 0;
	if (f->behind++ == 0)
		puts("Not with the current passphrase yet:");
	when_text(s->contact, when);
	printf("  %s %s, last heard %s\n", s->role, s->name, when);
	return 0;
}

static int followers(struct reg *r, struct followers *f, struct err *e)
{
	int rc = passphrase_each(r, find_current, f, e);

	return rc < 0 ? rc : server_each(r, give_behind, f, e);
}

static int cmd_rotate(struct reg *r, char **operands, struct err *e)
{
	int rc = make(r, true, e);

	(void)operands;
	if (rc == 0)
		rc = rotation_look(r, e);
	if (rc == 0)
		tool_note("the old one is accepted for %llu s more; see "
			  "ps-config passphrase status",
			  (unsigned long long)ask.overlap);
	return rc;
}

/* ---- show and status ---- */

static int not_kept(struct err *e)
{
	int rc = err_set(e, PS_NO,
			 "the passphrase is not kept: the registry "
			 "has only what is derived from it");

	err_hint(e, "when nobody knows it any more: ps-config passphrase "
		    "rotate");
	return rc;
}

static int cmd_show(struct reg *r, char **operands, struct err *e)
{
	struct login_secret s;
	struct followers f = {0};
	char path[PATH_SIZE], text[LOGIN_PASSPHRASE_SIZE + 2];
	int64_t rc;
	size_t n;

	(void)operands;
	kept_path(path);
	if (access(path, F_OK) < 0)
		return not_kept(e);
	rc = login_secret_read(&s, path, e);
	if (rc == 0)
		rc = passphrase_check(r, &s, e);
	secret_wipe(&s, sizeof(s));
	if (rc == -PS_NOPERM)
		return err_set(e, PS_NO, "%s: is not in force any more", path);
	if (rc < 0)
		return (int)rc;
	f.current = rc;
	if (passphrase_each(r, find_current, &f, e) == 0 && f.current != rc)
		tool_warn("this is the one before the current");
	rc = secret_read(path, text, sizeof(text), &n, e);
	if (rc == 0) {
		secret_trim(text);
		rc = print(text, e);
	}
	secret_wipe(text, sizeof(text));
	return (int)rc;
}

static int give_one(void *ctx, const struct reg_passphrase *p, struct err *e)
{
	struct listing *l = ctx;
	const char *state = p->until == 0 ? "current"
			    : p->accepted ? "accepted"
					  : "over";
	char made[40], until[40];

	if (listing_line(l, "GENERATION  STATE     MADE                  "
			    "ACCEPTED UNTIL")) {
		when_text(p->made, made);
		when_text(p->until, until);
		printf("%10lld  %-8s  %-20s  %s\n", (long long)p->generation,
		       state, made, until);
		return 0;
	}
	return listing_add(l,
			   json_pack("{s:I, s:s, s:o, s:o}", "generation",
				     (json_int_t)p->generation, "state", state,
				     "made", json_when(p->made), "until",
				     json_when(p->until)),
			   e);
}

static int cmd_status(struct reg *r, char **operands, struct err *e)
{
	struct followers f = {.array = ask.json ? json_array() : NULL};
	struct listing l;
	int rc;

	(void)operands;
	listing_begin(&l);
	rc = rotation_look(r, e);
	if (rc == 0)
		rc = passphrase_each(r, give_one, &l, e);
	if (rc == 0)
		rc = followers(r, &f, e);
	if (rc == 0 && ask.json)
		return print_json(json_pack("{s:o, s:o}", "passphrases",
					    l.array, "behind", f.array),
				  e);
	json_decref(l.array);
	json_decref(f.array);
	return rc;
}

const struct action passphrase_actions[] = {
    {"new", 0, "", cmd_new},
    {"show", 0, "", cmd_show},
    {"rotate", 0, "", cmd_rotate},
    {"status", 0, "", cmd_status},
    {0},
};
