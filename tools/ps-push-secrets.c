/* Passwords and the passphrase: in memory of this process, and in pipes. */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "ps-push.h"

struct wanted {
	const char *name;
	struct secrets *s;
	bool found;
};

static int take_login(void *ctx, const struct reg_account *a, struct err *e)
{
	struct wanted *w = ctx;

	(void)e;
	if (strcmp(a->name, w->name) != 0)
		return 0;
	w->found = true;
	snprintf(w->s->login, sizeof(w->s->login), "%s", a->login);
	return 0;
}

static int from_registry(struct secrets *s, struct reg *r, const char *account,
			 struct err *e)
{
	struct wanted w = {account, s, false};
	int rc = account_each(r, take_login, &w, e);

	if (rc == 0 && !w.found)
		rc = err_set(e, PS_NOINPUT, "account '%s': there is none",
			     account);
	if (rc < 0) {
		err_hint(e, "ps-config account list");
		return rc;
	}
	if (!push_word_ok(s->login))
		return err_set(e, PS_CONFIG,
			       "account '%s': '%s' is no user of a Unix system",
			       account, s->login);
	return account_secret(r, account, s->password, e);
}

#define FOLDER "ps-push."

/*
 * Folders of runs that were killed: nobody holds them. Their pipes are empty,
 * since what is in a pipe goes with those who have it open.
 */
static void sweep(const char *run)
{
	DIR *all = opendir(run), *one;
	struct dirent *d, *f;
	struct stat st, pipe;
	int fd;

	while (all != NULL && (d = readdir(all)) != NULL) {
		if (strncmp(d->d_name, FOLDER, strlen(FOLDER)) != 0 ||
		    strlen(d->d_name) != strlen(FOLDER) + 6)
			continue;
		fd = openat(dirfd(all), d->d_name,
			    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		one = fd >= 0 ? fdopendir(fd) : NULL;
		if (one == NULL) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0) {
			while ((f = readdir(one)) != NULL)
				if (fstatat(fd, f->d_name, &pipe,
					    AT_SYMLINK_NOFOLLOW) == 0 &&
				    S_ISFIFO(pipe.st_mode))
					unlinkat(fd, f->d_name, 0);
			unlinkat(dirfd(all), d->d_name, AT_REMOVEDIR);
		}
		closedir(one);
	}
	if (all != NULL)
		closedir(all);
}

/* Until the end; false: it was swept away before it was locked. */
static bool hold_folder(struct secrets *s)
{
	struct stat st;

	s->lock = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock >= 0 && flock(s->lock, LOCK_EX) == 0 &&
	    fstat(s->lock, &st) == 0 && st.st_nlink > 0)
		return true;
	if (s->lock >= 0)
		close(s->lock);
	s->lock = -1;
	return false;
}

/* A folder that only this user can look into. */
static int make_folder(struct secrets *s, struct err *e)
{
	const char *run = getenv("XDG_RUNTIME_DIR");
	struct stat st;
	ssize_t n = readlink("/proc/self/exe", s->self, sizeof(s->self) - 1);

	if (n < 0)
		return err_sys(e, 0, "/proc/self/exe");
	s->self[n] = '\0';
	if (run == NULL || *run != '/' || strlen(run) > 32 ||
	    stat(run, &st) < 0 || st.st_uid != geteuid())
		run = "/tmp"; /* where nobody can rename it either */
	sweep(run);
	for (int i = 0; i < 8; i++) {
		snprintf(s->folder, sizeof(s->folder), "%s/" FOLDER "XXXXXX",
			 run);
		if (mkdtemp(s->folder) == NULL)
			break;
		if (hold_folder(s))
			return 0;
	}
	s->folder[0] = '\0';
	return err_sys(e, 0, "%s", run);
}

int secrets_account(struct secrets *s, const struct reg_where *w,
		    const char *account, struct err *e)
{
	struct reg *r = NULL;
	int rc = reg_open(&r, w, "ps-push", e);

	if (rc == 0)
		rc = from_registry(s, r, account, e);
	reg_close(r);
	return rc == 0 ? make_folder(s, e) : rc;
}

int secrets_passphrase(struct secrets *s, const char *path, struct err *e)
{
	size_t n;
	int rc = secret_read(path, s->passphrase, sizeof(s->passphrase), &n, e);

	if (rc < 0)
		return rc;
	secret_trim(s->passphrase);
	if (s->passphrase[0] == '\0' || strlen(s->passphrase) + 1 < n - 1 ||
	    strpbrk(s->passphrase, "\r\n") != NULL)
		return err_set(e, PS_DATA,
			       "%s: is not one line with a "
			       "passphrase",
			       path);
	return 0;
}

void secrets_end(struct secrets *s)
{
	if (s->folder[0] != '\0')
		rmdir(s->folder);
	if (s->lock >= 0)
		close(s->lock);
	secret_wipe(s, sizeof(*s));
}
