#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/durable.h"
#include "base/io.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "filter.h"
#include "segment/keyring.h"
#include "segment/typed.h"

#define LOCK_WAIT_S 10
#define TYPED_MAX (4u << 20) /* a whole kit as text */

static bool open_it, add_key, list_keys;
static const char *key_file, *new_key, *derive, *from_kit, *output;
static uint64_t jobs;

static const struct opt opts[] = {
    {'k', "key", OPT_FILE, "KEYFILE", &key_file, "key file", "PS_KEY_FILE",
     "key", 0, 0, 0},
    {'d', "decrypt", OPT_FLAG, NULL, &open_it, "open what was sealed", 0, 0, 0,
     0, 0},
    {'j', "jobs", OPT_NUMBER, "N", &jobs,
     "threads (default: one for each processor, at most 8)", 0, "encrypt.jobs",
     0, 1, 64},
    {0, "new-key", OPT_FILE, "FILE", &new_key,
     "make a key file; an existing one is never replaced", 0, 0, 0, 0, 0},
    {0, "add-key", OPT_FLAG, NULL, &add_key,
     "add a new key to the key file, which seals from now on", 0, 0, 0, 0, 0},
    {0, "derive", OPT_TEXT, "MACHINE", &derive,
     "make a key file that works for this machine alone", 0, 0, 0, 0, 0},
    {0, "from-kit", OPT_FILE, "FILE", &from_kit,
     "make a key file from the words or the QR codes of a kit", 0, 0, 0, 0, 0},
    {'o', "output", OPT_FILE, "FILE", &output,
     "where --derive (default: standard output) and --from-kit write", 0, 0, 0,
     0, 0},
    {0, "list-keys", OPT_FLAG, NULL, &list_keys,
     "print ids and times of the keys in the key file", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-encrypt",
    .about = "Seal a stream of segments, or open it with -d.",
    .synopsis = "-k KEYFILE [-d] [-j N] [FILE|-]\n"
		"--new-key FILE\n"
		"--add-key -k KEYFILE\n"
		"--derive MACHINE [-o FILE] -k KEYFILE\n"
		"--from-kit FILE|- -o FILE\n"
		"--list-keys -k KEYFILE",
    .opts = opts,
    .operands = "file",
};

/* ---- key files ---- */

static int write_key_file(const struct keyring *k, const char *path,
			  enum durable_mode how, struct err *e)
{
	char *text = malloc(KEYRING_TEXT_MAX);
	const char *name;
	int fd, rc;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	fd = durable_folder(path, &name, e);
	if (fd < 0) {
		free(text);
		return fd;
	}
	rc = durable_write(fd, name, text, keyring_format(k, text), 0600, how,
			   e);
	secret_wipe(text, KEYRING_TEXT_MAX);
	free(text);
	close(fd);
	if (rc == -PS_NO) {
		rc = err_set(e, PS_CANTCREAT,
			     "%s: exists, and a key is never "
			     "overwritten",
			     path);
		err_hint(e, "to add a key to it: ps-encrypt --add-key -k %s",
			 path);
	}
	return rc;
}

static int make_new(struct err *e)
{
	struct keyring *k = NULL;
	int rc = keyring_new(&k, e);

	if (rc == 0)
		rc = keyring_add(k, e);
	if (rc == 0)
		rc = write_key_file(k, new_key, DURABLE_CREATE, e);
	keyring_free(k);
	return rc;
}

/*
 * Locks the folder of the key file. Two that add a key at a time would each
 * write what it has read, and a key that may have sealed already be lost.
 */
static int lock_folder(struct err *e)
{
	int64_t end = mono_now_ns() + LOCK_WAIT_S * NS_PER_S;
	struct timespec pause = {0, 10000000};
	const char *name;
	int fd = durable_folder(key_file, &name, e);

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK && mono_now_ns() < end) {
			nanosleep(&pause, NULL);
			continue;
		}
		err_sys(e, PS_TEMPFAIL, "%s: lock", key_file);
		close(fd);
		return -PS_TEMPFAIL;
	}
	return fd;
}

static int add_to(struct err *e)
{
	struct keyring *k = NULL;
	int fd = lock_folder(e), rc;

	if (fd < 0)
		return fd;
	rc = keyring_load(&k, key_file, e);
	if (rc == 0)
		rc = keyring_add(k, e);
	if (rc == 0)
		rc = write_key_file(k, key_file, DURABLE_REPLACE, e);
	keyring_free(k);
	close(fd);
	return rc;
}

static int print_derived(const struct keyring *k, struct err *e)
{
	char *text = malloc(KEYRING_TEXT_MAX);
	size_t n;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "key file");
	n = keyring_format(k, text);
	/* Unbuffered: stdio would leave a copy behind. */
	setvbuf(stdout, NULL, _IONBF, 0);
	fwrite(text, 1, n, stdout);
	secret_wipe(text, KEYRING_TEXT_MAX);
	free(text);
	return 0;
}

static int derive_from(const struct keyring *k, struct err *e)
{
	struct keyring *r = NULL;
	int rc;

	if (output == NULL || strcmp(output, "-") == 0) {
		tool_no_terminal(STDOUT_FILENO, "a key");
		output = NULL;
	}
	rc = keyring_derive(&r, k, derive, e);
	if (rc == 0)
		rc = output == NULL
			 ? print_derived(r, e)
			 : write_key_file(r, output, DURABLE_CREATE, e);
	keyring_free(r);
	return rc;
}

static int list(const struct keyring *k)
{
	char id[2 * SEG_KEY_ID_LEN + 1], created[TIME_TEXT];
	unsigned i;

	for (i = 0; i < k->n; i++) {
		const struct key *key = &k->keys[i];

		hex_encode(key->id, SEG_KEY_ID_LEN, id);
		format_time(key->created_ns, created);
		printf("%s\t%s\t%s%s\t%s\n", id, created,
		       key->machine[0] != '\0' ? "machine=" : "vault",
		       key->machine, i + 1 == k->n ? "seals" : "opens");
	}
	return 0;
}

static int read_input(char *text, size_t size, struct err *e)
{
	ssize_t n = io_read_full(STDIN_FILENO, text, size);

	if (n < 0)
		return err_sys(e, 0, "standard input");
	if ((size_t)n == size)
		return err_set(e, PS_DATA, "standard input: too long");
	text[n] = '\0';
	return 0;
}

/* Keys that were typed from paper, or read from a picture of it. */
static int restore_keys(struct err *e)
{
	bool in = strcmp(from_kit, "-") == 0;
	const char *name = in ? "standard input" : from_kit;
	char *text = malloc(TYPED_MAX);
	struct keyring *k = NULL;
	size_t n;
	int rc;

	if (text == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", from_kit);
	rc = in ? read_input(text, TYPED_MAX, e)
		: secret_read(from_kit, text, TYPED_MAX, &n, e);
	if (rc == 0)
		rc = typed_read(text, name, &k, e);
	if (rc == 0)
		rc = write_key_file(k, output, DURABLE_CREATE, e);
	if (rc == 0)
		rc = list(k);
	secret_wipe(text, TYPED_MAX);
	free(text);
	keyring_free(k);
	return rc;
}

/* ---- what was asked for ---- */

/* Everything that works with the keys of -k. */
static int with_keys(int argc, char **argv)
{
	struct transform t = {
	    .kind = open_it ? TRANSFORM_OPEN : TRANSFORM_SEAL,
	    .threads = (unsigned)jobs,
	};
	struct keyring *k = NULL;
	struct err e = {0};
	int rc, code = PS_OK;

	if (key_file == NULL)
		opt_misuse("no key file: give -k KEYFILE");
	if (add_key)
		return add_to(&e) < 0 ? tool_fail(&e) : PS_OK;
	rc = keyring_load(&k, key_file, &e);
	if (rc == 0 && derive != NULL)
		rc = derive_from(k, &e);
	else if (rc == 0 && list_keys)
		rc = list(k);
	else if (rc == 0) {
		t.keys = k;
		code = filter_run(&t, argc, argv);
	}
	keyring_free(k);
	return rc < 0 ? tool_fail(&e) : code;
}

/* What needs no keys of -k. */
static int without_keys(void)
{
	struct err e = {0};

	if (from_kit != NULL && output == NULL)
		opt_misuse("--from-kit needs -o FILE");
	return (new_key != NULL ? make_new(&e) : restore_keys(&e)) < 0
		   ? tool_fail(&e)
		   : PS_OK;
}

int main(int argc, char **argv)
{
	int first, asked;

	tool_init("ps-encrypt");
	secret_harden_process();
	first = opt_parse(&tool, argc, argv);
	asked = (new_key != NULL) + add_key + (derive != NULL) + list_keys +
		(from_kit != NULL) + open_it;
	if (asked > 1)
		opt_misuse("-d, --new-key, --add-key, --derive, --from-kit and "
			   "--list-keys exclude each other");
	if (asked == 1 && !open_it && first < argc)
		opt_misuse("'%s' is too many", argv[first]);
	if (output != NULL && derive == NULL && from_kit == NULL)
		opt_misuse("-o goes with --derive and --from-kit");
	return tool_finish(new_key != NULL || from_kit != NULL
			       ? without_keys()
			       : with_keys(argc - first, argv + first));
}
