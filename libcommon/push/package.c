#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/bytes.h"
#include "base/io.h"
#include "push/host.h"
#include "push/package.h"
#include "push/verify.h"

#define PREFIX "ps-toolkit-agent-"
#define SUFFIX ".tar.gz"
#define LINUX "-linux-"
#define FIRST_FILES 16 /* LIBC is among them: make-tarball sorts by name */

/* "ps-toolkit-agent-VERSION-linux-ARCH.tar.gz" */
static bool read_name(const char *name, struct package *ret)
{
	size_t n = strlen(name), tail = strlen(SUFFIX);
	const char *version = name + strlen(PREFIX), *mid, *arch;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || n < tail ||
	    strcmp(name + n - tail, SUFFIX) != 0)
		return false;
	mid = strstr(version, LINUX);
	if (mid == NULL)
		return false;
	arch = mid + strlen(LINUX);
	n = (size_t)(name + n - tail - arch);
	if (n == 0 || n >= sizeof(ret->arch) || mid == version ||
	    (size_t)(mid - version) >= sizeof(ret->version))
		return false;
	snprintf(ret->version, sizeof(ret->version), "%.*s",
		 (int)(mid - version), version);
	snprintf(ret->arch, sizeof(ret->arch), "%.*s", (int)n, arch);
	return true;
}

static int find_all(struct packages *p, const char *folder, struct err *e)
{
	DIR *d = opendir(folder);
	struct dirent *f;

	if (d == NULL)
		return err_sys(e, 0, "%s", folder);
	while ((f = readdir(d)) != NULL) {
		struct package new = {.fd = -1}, *to = NULL;

		if (!read_name(f->d_name, &new))
			continue;
		for (unsigned i = 0; i < p->n; i++)
			if (strcmp(p->list[i].arch, new.arch) == 0)
				to = &p->list[i];
		if (to == NULL && p->n < PACKAGES_MAX)
			to = &p->list[p->n++];
		else if (to == NULL || strverscmp(to->version, new.version) > 0)
			continue;
		snprintf(new.path, sizeof(new.path), "%.240s/%.255s", folder,
			 f->d_name);
		*to = new;
	}
	closedir(d);
	if (p->n == 0)
		return err_set(e, PS_NOINPUT, "%s: has no " PREFIX "*" SUFFIX,
			       folder);
	return 0;
}

static int find(struct packages *p, const char *path, struct err *e)
{
	const char *name = strrchr(path, '/');
	struct stat st;

	if (stat(path, &st) < 0) {
		int rc = err_sys(e, PS_NOINPUT, "%s", path);

		err_hint(e, "scripts/package --sign-key KEY tarball makes one; "
			    "-p says where it is");
		return rc;
	}
	if (S_ISDIR(st.st_mode))
		return find_all(p, path, e);
	p->n = 1;
	p->list[0].fd = -1;
	snprintf(p->list[0].path, sizeof(p->list[0].path), "%s", path);
	if (!read_name(name != NULL ? name + 1 : path, &p->list[0]))
		return err_set(e, PS_DATA,
			       "%s: its name is not " PREFIX "VERSION" LINUX
			       "ARCH" SUFFIX,
			       path);
	return 0;
}

/* A small file as text, for free(3). */
static int read_text(const char *path, char **ret, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	char *text;
	ssize_t n;

	if (fd < 0)
		return err_sys(e, PS_NOINPUT, "%s", path);
	text = malloc(PACKAGE_TEXT_MAX);
	n = text != NULL ? io_read_full(fd, text, PACKAGE_TEXT_MAX) : -1;
	if (n < 0)
		rc = err_sys(e, 0, "%s", path);
	else if (n == 0 || n == PACKAGE_TEXT_MAX)
		rc = err_set(e, PS_DATA, "%s: %s", path,
			     n == 0 ? "is empty" : "too long");
	close(fd);
	if (rc < 0) {
		free(text);
		return rc;
	}
	text[n] = '\0';
	*ret = text;
	return 0;
}

static int measure(struct package *p, struct err *e)
{
	uint8_t buf[65536], sum[SHA256_LEN];
	struct sha256 s;
	ssize_t n;

	p->fd = open(p->path, O_RDONLY | O_CLOEXEC);
	if (p->fd < 0)
		return err_sys(e, PS_NOINPUT, "%s", p->path);
	sha256_init(&s);
	while ((n = io_pread_full(p->fd, buf, sizeof(buf), p->size)) > 0) {
		sha256_update(&s, buf, (size_t)n);
		p->size += (uint64_t)n;
	}
	sha256_final(&s, sum);
	hex_encode(sum, sizeof(sum), p->sha256);
	if (n < 0)
		return err_sys(e, 0, "%s", p->path);
	if (p->size == 0)
		return err_set(e, PS_DATA, "%s: is empty", p->path);
	return 0;
}

/*
 * What its file LIBC says; a package that has none is tried on the machine. It
 * is only looked at when it is signed by who may sign.
 */
static void take_libc(struct package *p, char *text)
{
	char *second = strchr(text, '\n');

	text[strspn(text, "0123456789.\n")] = '\0';
	snprintf(p->libc, sizeof(p->libc), "%.*s", (int)strcspn(text, "\n"),
		 text);
	second = second != NULL ? second + 1 : text;
	snprintf(p->libc_target, sizeof(p->libc_target), "%.*s",
		 (int)strcspn(second, "\n"), second);
}

static void read_libc(struct package *p)
{
	char text[32] = "";
	struct archive *a = archive_read_new();
	struct archive_entry *it;
	la_ssize_t n = 0;
	unsigned i;

	/* ssh-keygen has read all of it. */
	if (a == NULL || lseek(p->fd, 0, SEEK_SET) < 0 ||
	    archive_read_support_filter_gzip(a) != ARCHIVE_OK ||
	    archive_read_support_format_tar(a) != ARCHIVE_OK ||
	    archive_read_open_fd(a, p->fd, 65536) != ARCHIVE_OK) {
		archive_read_free(a);
		return;
	}
	for (i = 0; i < FIRST_FILES && n == 0 &&
		    archive_read_next_header(a, &it) == ARCHIVE_OK;
	     i++) {
		const char *name = archive_entry_pathname(it);
		const char *slash = name != NULL ? strrchr(name, '/') : NULL;

		if (slash != NULL && strcmp(slash, "/LIBC") == 0)
			n = archive_read_data(a, text, sizeof(text) - 1);
	}
	archive_read_free(a);
	text[n > 0 ? n : 0] = '\0';
	take_libc(p, text);
}

static int open_one(struct package *p, const char *signers, struct err *e)
{
	char path[sizeof(p->path) + 4];
	int rc;

	if (!push_word_ok(p->version) || !push_word_ok(p->arch))
		return err_set(e, PS_DATA, "%s: no name for a package",
			       p->path);
	rc = measure(p, e);
	snprintf(path, sizeof(path), "%s.sig", p->path);
	if (rc == 0)
		rc = read_text(path, &p->signature, e);
	if (rc == -PS_NOINPUT)
		err_hint(e, "a package that nobody has signed is not pushed: "
			    "scripts/package --sign-key, or its publisher");
	/* Each machine does it again, with what arrived there. */
	if (rc == 0)
		rc = package_verify(p->fd, path, signers, p->refused,
				    sizeof(p->refused), e);
	if (rc == 0 && p->refused[0] == '\0')
		read_libc(p);
	return rc;
}

int packages_open(struct packages *p, const char *path, const char *signers,
		  struct err *e)
{
	int rc;

	memset(p, 0, sizeof(*p));
	rc = find(p, path, e);
	if (rc == 0) {
		rc = read_text(signers, &p->signers, e);
		if (rc == -PS_NOINPUT)
			err_hint(e, "one line: " PACKAGE_SIGNER
				    " ssh-ed25519 KEY-OF-WHO-SIGNS");
	}
	for (unsigned i = 0; rc == 0 && i < p->n; i++)
		rc = open_one(&p->list[i], signers, e);
	return rc;
}

void packages_close(struct packages *p)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (p->list[i].fd >= 0)
			close(p->list[i].fd);
		free(p->list[i].signature);
	}
	free(p->signers);
	p->n = 0;
	p->signers = NULL;
}

const struct package *package_for(const struct packages *p, const char *arch)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->list[i].arch, arch) == 0)
			return &p->list[i];
	return NULL;
}
