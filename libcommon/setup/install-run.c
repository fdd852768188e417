/* Doing what a plan says, with a log of each step; and undoing it. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/io.h"
#include "base/secret.h"
#include "base/units.h"
#include "cache/cache.h"
#include "doctor/command.h"
#include "doctor/steps.h"
#include "net/sandbox.h"
#include "net/tls.h"
#include "segment/keyring.h"
#include "setup/install.h"
#include "setup/room.h"
#include "setup/stage.h"

#define PROGRAM_S 180
#define WATCHED_MAX 65536

struct running {
	struct setup_plan *p;
	struct stage stage;
	int log;
	setup_tell_fn *tell;
	void *ctx;
	bool made[ACTIONS_MAX]; /* folders and caches that were not there */
};

/* ---- the log ---- */

/*
 * Makes the folders of a path; what is there stays as it is. When one cannot be
 * made, those above it that were made go again.
 */
static int make_way(const char *path, mode_t mode, struct err *e)
{
	char part[PLACE_SIZE];
	size_t made = SIZE_MAX; /* where the first of them ends */
	const char *at = path;
	int rc = 0;

	while (rc == 0 && *at != '\0') {
		at += strspn(at, "/");
		at += strcspn(at, "/");
		snprintf(part, sizeof(part), "%.*s", (int)(at - path), path);
		if (mkdirat(AT_FDCWD, part, *at == '\0' ? mode : 0755) == 0)
			made = made == SIZE_MAX ? (size_t)(at - path) : made;
		else if (errno != EEXIST)
			rc = err_sys(e, 0, "%s", part);
	}
	while (rc < 0 && strlen(part) >= made) {
		(void)unlinkat(AT_FDCWD, part, AT_REMOVEDIR);
		*strrchr(part, '/') = '\0';
	}
	return rc;
}

int setup_log_open(const struct choices *c, struct err *e)
{
	char path[PLACE_SIZE];
	int fd, rc;

	snprintf(path, sizeof(path), "%s" LOCALSTATEDIR "/log/ps-toolkit",
		 c->root != NULL ? c->root : "");
	rc = make_way(path, 0750, e);
	if (rc < 0)
		return rc;
	snprintf(path + strlen(path), sizeof(path) - strlen(path),
		 "/setup.log");
	fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		  0640);
	return fd < 0 ? err_sys(e, 0, "%s", path) : fd;
}

const char *action_word(const struct action *a)
{
	if (a->kind == ACT_NOTE)
		return "note";
	if (a->kind == ACT_CHECK || a->test)
		return "passed";
	return a->same ? "same" : "done";
}

void setup_log(int fd, const struct action *a, const struct err *e)
{
	char when[TIME_TEXT], line[PLACE_SIZE + 800];
	int n;

	format_time(time_now_ns() / NS_PER_S * NS_PER_S, when);
	n = snprintf(line, sizeof(line), "%s\t%s\t%s%s%s\n", when,
		     e != NULL ? "failed" : action_word(a), a->words,
		     e != NULL ? ": " : "", e != NULL ? e->msg : "");
	if (n > 0 && (size_t)n < sizeof(line))
		(void)io_write_full(fd, line, (size_t)n);
}

static void tell(struct running *r, const struct action *a, const struct err *e)
{
	setup_log(r->log, a, e);
	r->tell(r->ctx, a, e);
}

/* ---- one action ---- */

/* 1: made; 0: it was there. */
static int make_dir(const struct setup_plan *p, const struct action *a,
		    struct err *e)
{
	/* Some are above the log, which was there before. */
	if (mkdirat(AT_FDCWD, a->path, a->mode) < 0)
		return errno == EEXIST ? 0 : err_sys(e, 0, "%s", a->path);
	/* The folder of the configuration stays root's. */
	if (p->uid != (uid_t)-1 && strcmp(a->path, p->etc) != 0 &&
	    chown(a->path, p->uid, p->gid) < 0)
		return err_sys(e, 0, "%s", a->path);
	return 1;
}

static uid_t give_uid;
static gid_t give_gid;

static int give_away(const char *path, const struct stat *st, int type,
		     struct FTW *f)
{
	(void)st;
	(void)type;
	(void)f;
	return lchown(path, give_uid, give_gid);
}

static int make_cache(const struct setup_plan *p, const struct action *a,
		      struct err *e)
{
	int rc = cache_init(a->path, NULL, e);

	if (rc < 0 || p->uid == (uid_t)-1)
		return rc;
	give_uid = p->uid;
	give_gid = p->gid;
	return nftw(a->path, give_away, 8, FTW_PHYS) != 0
		   ? err_sys(e, 0, "%s", a->path)
		   : 0;
}

static int make_key(struct running *r, const struct action *a, struct err *e)
{
	char *text = malloc(KEYRING_TEXT_MAX);
	struct keyring *k = NULL;
	int rc = text == NULL ? err_sys(e, PS_TEMPFAIL, "%s", a->path)
			      : keyring_new(&k, e);

	if (rc == 0)
		rc = keyring_add(k, e);
	if (rc == 0)
		rc =
		    stage_put(&r->stage, a->path, text, keyring_format(k, text),
			      0600, r->p->uid, r->p->gid, e);
	keyring_free(k);
	if (text != NULL)
		secret_wipe(text, KEYRING_TEXT_MAX);
	free(text);
	return rc;
}

static int make_cert(struct running *r, struct err *e)
{
	char cert[STAGE_PATH + 16], key[STAGE_PATH + 16];
	int rc;

	snprintf(cert, sizeof(cert), "%s/server.pem", r->stage.dir);
	snprintf(key, sizeof(key), "%s/server.key", r->stage.dir);
	rc = tls_new_cert(cert, key, e);
	if (rc == 0 && r->p->uid != (uid_t)-1 &&
	    (chown(key, r->p->uid, r->p->gid) < 0 ||
	     chown(cert, r->p->uid, r->p->gid) < 0))
		rc = err_sys(e, 0, "%s", key);
	return rc;
}

/* What a program says of its failure: its line that begins with its name. */
void setup_words(const char *text, const char *program, char *out, size_t size)
{
	const char *line = text;
	size_t n = strlen(program);

	while (line != NULL && *line != '\0' &&
	       (strncmp(line, program, n) != 0 || line[n] != ':')) {
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	snprintf(out, size, "%.*s", line != NULL ? (int)strcspn(line, "\n") : 0,
		 line != NULL ? line : "");
}

/* Of one that only passes on what systemctl says: that, first. Others may print
 * secrets. */
void setup_words_of_others(const char *text, const char *program, char *out,
			   size_t size)
{
	int n =
	    strcmp(program, "ps-service") == 0 ? (int)strcspn(text, "\n") : 0;

	snprintf(out, size, "%.60s%s%.*s", program, n > 0 ? ": " : "",
		 n < 200 ? n : 200, text);
}

/* Of one that says "FAILED step words" for each step: that line. */
static void find_failed_step(const char *text, const char *program, char *out,
			     size_t size)
{
	static const char mark[] = "FAILED ";
	size_t n = 0, len;

	while (*text != '\0' && strncmp(text, mark, sizeof(mark) - 1) != 0) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	if (*text == '\0')
		return;
	text += sizeof(mark) - 1;
	n = (size_t)snprintf(out, size, "%s:", program);
	while (*text != '\n' && *text != '\0' && n < size) {
		text += strspn(text, " ");
		len = strcspn(text, " \n");
		n += (size_t)snprintf(out + n, size - n, " %.*s", (int)len,
				      text);
		text += len;
	}
}

int setup_command(const struct setup_plan *p, const char *const *words,
		  char **ret, int *ret_status, struct err *e)
{
	char uid[16], gid[16];
	/* By numbers: a group with the name of the user need not be there. */
	const char *const as_user[] = {
	    "setpriv", "--reuid", uid, "--regid", gid, "--init-groups", "--"};
	const char *argv[2 * ACTION_WORDS];
	struct command c = {
	    .argv = argv, .seconds = PROGRAM_S, .max = 1u << 16};
	unsigned n = 0, i;

	snprintf(uid, sizeof(uid), "%u", (unsigned)p->uid);
	snprintf(gid, sizeof(gid), "%u", (unsigned)p->gid);
	if (p->uid != (uid_t)-1 && strcmp(words[0], "ps-service") != 0)
		for (; n < sizeof(as_user) / sizeof(as_user[0]); n++)
			argv[n] = as_user[n];
	for (i = 0; words[i] != NULL; i++)
		argv[n++] = words[i];
	argv[n] = NULL;
	return command_run(&c, ret, ret_status, e);
}

static int run_program(const struct setup_plan *p, const struct action *a,
		       struct err *e)
{
	char *text, words[300];
	int status, rc = setup_command(p, (const char *const *)a->argv, &text,
				       &status, e);

	if (rc < 0)
		return rc;
	setup_words(text, a->path, words, sizeof(words));
	if (words[0] == '\0')
		find_failed_step(text, a->path, words, sizeof(words));
	if (words[0] == '\0')
		setup_words_of_others(text, a->path, words, sizeof(words));
	secret_wipe(text, strlen(text));
	free(text);
	if (status == 0)
		return 0;
	if (status > 0 && status < 128)
		return err_set(e, status, "%s (exit code %d)", words, status);
	return err_set(e, PS_SOFTWARE, "%s: ended by signal %d", words,
		       status - 128);
}

static int do_action(struct running *r, const struct action *a, struct err *e)
{
	switch (a->kind) {
	case ACT_DIR:
		return make_dir(r->p, a, e);
	case ACT_CACHE:
		return make_cache(r->p, a, e);
	case ACT_FILE:
		return stage_put(&r->stage, a->path, a->text, strlen(a->text),
				 a->mode, r->p->uid, r->p->gid, e);
	case ACT_KEY:
		return make_key(r, a, e);
	case ACT_CERT:
		return make_cert(r, e);
	case ACT_RUN:
		return run_program(r->p, a, e);
	case ACT_CHECK:
	case ACT_CALL:
		return a->check(r->p, e);
	case ACT_UNLINK:
		return unlinkat(AT_FDCWD, a->path, 0) < 0 && errno != ENOENT
			   ? err_sys(e, 0, "%s", a->path)
			   : 0;
	case ACT_TREE:
		return setup_remove_tree(a->path) < 0 && errno != ENOENT
			   ? err_sys(e, 0, "%s", a->path)
			   : 0;
	case ACT_EMPTY:
		(void)unlinkat(AT_FDCWD, a->path, AT_REMOVEDIR);
		break;
	case ACT_NOTE:
		break;
	}
	return 0;
}

/* ---- undoing ---- */

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *f)
{
	(void)st;
	(void)f;
	return unlinkat(AT_FDCWD, path, type == FTW_DP ? AT_REMOVEDIR : 0);
}

int setup_remove_tree(const char *path)
{
	return nftw(path, remove_one, 8, FTW_PHYS | FTW_DEPTH);
}

static void undo(struct running *r)
{
	unsigned i = r->p->n;

	while (i-- > 0) {
		if (!r->made[i])
			continue;
		if (r->p->list[i].kind == ACT_CACHE)
			(void)setup_remove_tree(r->p->list[i].path);
		else
			(void)unlinkat(AT_FDCWD, r->p->list[i].path,
				       AT_REMOVEDIR);
	}
}

/* ---- all ---- */

static bool is_staged(const struct action *a)
{
	return a->kind == ACT_FILE || a->kind == ACT_KEY || a->kind == ACT_CERT;
}

static bool is_folder(const struct action *a)
{
	return a->kind == ACT_DIR || a->kind == ACT_CACHE;
}

/* Those of a kind, in their order. */
static int do_those(struct running *r, bool (*which)(const struct action *a),
		    struct err *e)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < r->p->n; i++) {
		const struct action *a = &r->p->list[i];

		if (!which(a))
			continue;
		/* A cache that is half made goes, too. */
		r->made[i] = a->kind == ACT_CACHE;
		rc = do_action(r, a, e);
		if (rc > 0) {
			r->made[i] = true;
			rc = 0;
		}
		/* Staged files are told when they have their names. */
		if (rc < 0 || is_folder(a))
			tell(r, a, rc < 0 ? e : NULL);
	}
	return rc;
}

static bool any(const struct setup_plan *p,
		bool (*which)(const struct action *a))
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		if (which(&p->list[i]))
			return true;
	return false;
}

static int do_files(struct running *r, struct err *e)
{
	const struct action commit = {.kind = ACT_FILE,
				      .words = "all files get their names"};
	unsigned i;
	int rc = stage_begin(&r->stage, r->p->etc, e);
	bool told = false;

	if (rc == 0) {
		rc = do_those(r, is_staged, e);
		told = rc < 0;
	}
	if (rc == 0)
		rc = stage_commit(&r->stage, e);
	if (rc < 0 && !told)
		tell(r, &commit, e);
	for (i = 0; rc == 0 && i < r->p->n; i++)
		if (is_staged(&r->p->list[i]))
			tell(r, &r->p->list[i], NULL);
	return rc;
}

/* Names and contents of a folder's files; one that is not there is empty. */
void setup_digest(const char *dir, uint8_t out[SHA256_LEN])
{
	struct dirent **list;
	struct sha256 h;
	int n = scandir(dir, &list, NULL, alphasort), i;

	sha256_init(&h);
	for (i = 0; i < n; i++) {
		char path[PLACE_SIZE + NAME_MAX + 1], *text;
		size_t size = 0;

		snprintf(path, sizeof(path), "%s/%s", dir, list[i]->d_name);
		text = doctor_read(path, WATCHED_MAX, &size);
		sha256_update(&h, path, strlen(path) + 1);
		sha256_update(&h, &size, sizeof(size));
		if (text != NULL) {
			sha256_update(&h, text, size);
			secret_wipe(text, size);
		}
		free(text);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	sha256_final(&h, out);
}

/* One that may be done again and again: has it changed anything? */
static int do_watched(struct running *r, struct action *a, struct err *e)
{
	uint8_t before[SHA256_LEN], after[SHA256_LEN];
	int rc;

	if (a->watch[0] == '\0')
		return do_action(r, a, e);
	setup_digest(a->watch, before);
	rc = do_action(r, a, e);
	setup_digest(a->watch, after);
	a->same = rc == 0 && memcmp(before, after, SHA256_LEN) == 0;
	return rc;
}

static int do_programs(struct running *r, struct err *e)
{
	unsigned i;
	int rc = 0;

	for (i = 0; rc == 0 && i < r->p->n; i++) {
		struct action *a = &r->p->list[i];

		if (is_folder(a) || is_staged(a))
			continue;
		rc = do_watched(r, a, e);
		if (rc == -PS_NO && a->warns) {
			a->kind = ACT_NOTE;
			snprintf(a->words, sizeof(a->words), "%s", e->msg);
			*e = (struct err){0};
			rc = 0;
		}
		if (rc < 0 && (a->kind == ACT_RUN || a->kind == ACT_CHECK ||
			       a->kind == ACT_CALL))
			err_hint(e, "what is installed stays; the same command "
				    "goes on here");
		if (rc < 0)
			room_hint(e, "goes on here");
		tell(r, a, rc < 0 ? e : NULL);
	}
	return rc;
}

int setup_run(struct setup_plan *p, setup_tell_fn *fn, void *ctx, struct err *e)
{
	struct running r = {.p = p,
			    .tell = fn,
			    .ctx = ctx,
			    .stage = {.etc = -1, .own = -1, .fresh = -1}};
	mode_t mask = umask(022);
	int rc;

	p->begun_ns = time_now_ns();
	r.log = setup_log_open(p->c, e);
	rc = r.log < 0 ? r.log : do_those(&r, is_folder, e);
	if (rc == 0 && any(p, is_staged))
		rc = do_files(&r, e);
	stage_end(&r.stage);
	if (rc < 0) {
		room_hint(e, "begins again");
		undo(&r);
	}
	if (rc == 0)
		rc = do_programs(&r, e);
	if (r.log >= 0)
		close(r.log);
	umask(mask);
	return rc;
}

int setup_recover(const struct choices *c, struct err *e)
{
	struct stage s = {.etc = -1, .own = -1, .fresh = -1};
	char etc[PLACE_SIZE], own[PLACE_SIZE + 16];
	int rc;

	place_etc(c, etc);
	snprintf(own, sizeof(own), "%s/" STAGE_DIR, etc);
	if (access(own, F_OK) < 0)
		return 0;
	rc = stage_begin(&s, etc, e);
	stage_end(&s);
	return rc;
}
