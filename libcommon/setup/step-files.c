/* Files of the configuration that change together, and go back together. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "doctor/steps.h"
#include "setup/stage.h"
#include "setup/steps.h"

#define FILE_SIZE (1u << 20)
#define FILES                                                                  \
	(sizeof(((struct steps *)0)->files) /                                  \
	 sizeof(((struct steps *)0)->files[0]))

static void drop(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

int steps_file(struct steps *s, const char *name, char *text, mode_t mode,
	       struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX], *former;
	struct stat st;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", name);
	snprintf(path, sizeof(path), "%s/%s", s->p.etc, name);
	former = doctor_read(path, FILE_SIZE, NULL);
	if (former != NULL && strcmp(former, text) == 0) {
		drop(former);
		drop(text);
		return 0;
	}
	if (s->nfiles == FILES) {
		drop(former);
		drop(text);
		return steps_full(e);
	}
	if (former != NULL && stat(path, &st) == 0)
		mode = st.st_mode & 0777;
	s->files[s->nfiles].name = name;
	s->files[s->nfiles].text = text;
	s->files[s->nfiles].former = former;
	s->files[s->nfiles++].mode = mode;
	/* A ps.yaml that is replaced is kept. */
	if (former == NULL || strcmp(name, "ps.yaml") != 0)
		return 0;
	return steps_file(s, "ps.yaml.old", strdup(former), 0644, e);
}

static int run_files(struct steps *s, struct err *e)
{
	struct stage g;
	int rc = stage_begin(&g, s->p.etc, e);
	unsigned i;

	for (i = 0; rc == 0 && i < s->nfiles; i++)
		rc = stage_put(&g, s->files[i].name, s->files[i].text,
			       strlen(s->files[i].text), s->files[i].mode,
			       s->p.uid, s->p.gid, e);
	if (rc == 0)
		rc = stage_commit(&g, e);
	stage_end(&g);
	s->changed |= rc == 0;
	return rc;
}

static int back_files(struct steps *s, struct err *e)
{
	char path[PLACE_SIZE + NAME_MAX];
	struct stage g;
	int rc = stage_begin(&g, s->p.etc, e);
	unsigned i;

	for (i = 0; rc == 0 && i < s->nfiles; i++) {
		const char *former = s->files[i].former;

		snprintf(path, sizeof(path), "%s/%s", s->p.etc,
			 s->files[i].name);
		if (former == NULL)
			(void)unlink(path);
		else
			rc = stage_put(&g, s->files[i].name, former,
				       strlen(former), s->files[i].mode,
				       s->p.uid, s->p.gid, e);
	}
	if (rc == 0)
		rc = stage_commit(&g, e);
	stage_end(&g);
	return rc;
}

int steps_want_files(struct steps *s, const char *words, struct err *e)
{
	if (s->nfiles == 0)
		return 0;
	return steps_add(s, run_files, back_files, "%s", words) == NULL
		   ? steps_full(e)
		   : 0;
}

/* ---- the identity, which ps-config register writes ---- */

static int keep_one(struct steps *s, const char *name, struct err *e)
{
	struct kept_file *k = &s->kept[s->nkept];
	char path[PLACE_SIZE + NAME_MAX + 1];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", s->identity, name);
	if (lstat(path, &st) < 0)
		return err_sys(e, 0, "%s", path);
	if (!S_ISREG(st.st_mode) || strlen(name) >= sizeof(k->name))
		return 0;
	if (s->nkept == sizeof(s->kept) / sizeof(s->kept[0]))
		return steps_full(e);
	k->text = doctor_read(path, FILE_SIZE, &k->n);
	if (k->text == NULL)
		return err_sys(e, 0, "%s", path);
	snprintf(k->name, sizeof(k->name), "%.*s", (int)sizeof(k->name) - 1,
		 name);
	k->mode = st.st_mode & 0777;
	s->nkept++;
	return 0;
}

int steps_keep_identity(struct steps *s, struct err *e)
{
	char own[PLACE_SIZE + 16];
	struct dirent *it;
	struct stage g;
	DIR *d;
	int rc = 0;

	/* Who put it back was killed. */
	snprintf(own, sizeof(own), "%s/" STAGE_DIR, s->identity);
	if (access(own, F_OK) == 0) {
		rc = stage_begin(&g, s->identity, e);
		stage_end(&g);
	}
	if (rc < 0)
		return rc;
	d = opendir(s->identity);
	if (d == NULL)
		return errno == ENOENT ? 0 : err_sys(e, 0, "%s", s->identity);
	while (rc == 0 && (it = readdir(d)) != NULL)
		if (it->d_name[0] != '.')
			rc = keep_one(s, it->d_name, e);
	closedir(d);
	return rc;
}

int steps_put_identity(struct steps *s, struct err *e)
{
	struct stage g;
	unsigned i;
	int rc;

	if (s->nkept == 0)
		return 0;
	rc = stage_begin(&g, s->identity, e);
	for (i = 0; rc == 0 && i < s->nkept; i++)
		rc = stage_put(&g, s->kept[i].name, s->kept[i].text,
			       s->kept[i].n, s->kept[i].mode, s->p.uid,
			       s->p.gid, e);
	if (rc == 0)
		rc = stage_commit(&g, e);
	stage_end(&g);
	return rc;
}
