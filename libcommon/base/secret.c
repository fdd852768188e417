#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "base/io.h"
#include "base/secret.h"

void secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

char *secret_from_env(const char *name)
{
	char *value = getenv(name);
	char *copy;

	if (value == NULL || *value == '\0')
		return NULL;
	copy = strdup(value);
	if (copy != NULL) {
		secret_wipe(value, strlen(value));
		unsetenv(name);
	}
	return copy;
}

void secret_trim(char *text)
{
	size_t n = strlen(text);

	while (n > 0 && strchr("\r\n \t", text[n - 1]) != NULL)
		text[--n] = '\0';
}

/* What editors of Windows put before a text. */
static int take_mark(const char *path, char *text, size_t *len, struct err *e)
{
	int rc;

	if (strncmp(text, "\xef\xbb\xbf", 3) == 0) {
		*len -= 3;
		memmove(text, text + 3, *len + 1);
	}
	if (strncmp(text, "\xff\xfe", 2) != 0 &&
	    strncmp(text, "\xfe\xff", 2) != 0)
		return 0;
	rc = err_set(e, PS_DATA, "%s: it is UTF-16, UTF-8 is needed", path);
	err_hint(e,
		 "as PowerShell's '>' or Notepad saved it; "
		 "iconv -f UTF-16 -t UTF-8 %s prints it anew",
		 path);
	return rc;
}

int secret_read(const char *path, char *buf, size_t size, size_t *ret_len,
		struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;
	ssize_t got;
	int rc = 0;

	if (fd < 0)
		return err_sys(e, 0, "%s", path);
	if (fstat(fd, &st) < 0)
		rc = err_sys(e, 0, "%s", path);
	else if (S_ISREG(st.st_mode) && (st.st_mode & 077) != 0) {
		rc = err_set(e, PS_NOPERM,
			     "%s: refused: others than its owner can read it",
			     path);
		err_hint(e, "chmod 600 %s", path);
	}
	if (rc == 0) {
		got = io_read_full(fd, buf, size);
		if (got < 0)
			rc = err_sys(e, 0, "%s", path);
		else if ((size_t)got == size)
			rc = err_set(e, PS_DATA, "%s: too long for a secret",
				     path);
		else {
			buf[got] = '\0';
			*ret_len = (size_t)got;
			rc = take_mark(path, buf, ret_len, e);
		}
		if (rc < 0)
			secret_wipe(buf, size);
	}
	close(fd);
	return rc;
}

void secret_harden_process(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
