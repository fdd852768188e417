#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent-check.h"
#include "agent/disk.h"
#include "agent/mark.h"
#include "base/secret.h"
#include "disk/identity.h"
#include "net/login.h"
#include "segment/seal.h"

struct check {
	agent_told *told;
	int code; /* the gravest so far */
};

static int rank(int code)
{
	return code == PS_CONFIG ? 3 : code == PS_NOPERM ? 2 : code != 0;
}

static void tell(struct check *k, struct err *e, const char *key)
{
	if (key != NULL)
		(void)err_prefix(e, "%s", key);
	k->told(e);
	if (rank(e->code) > rank(k->code))
		k->code = e->code;
}

/* ---- files ---- */

static void check_login(struct check *k, const char *key, const char *path,
			const char *machine)
{
	uint8_t derived[LOGIN_KEY_LEN];
	struct login_secret s;
	struct err e = {0};
	int rc;

	if (path == NULL)
		return;
	rc = login_secret_read(&s, path, &e);
	if (rc == 0 && machine != NULL)
		rc = login_key(&s, machine, derived, &e);
	secret_wipe(&s, sizeof(s));
	secret_wipe(derived, sizeof(derived));
	if (rc < 0)
		tell(k, &e, key);
}

static void check_seal_key(struct check *k, const char *path)
{
	struct keyring *ring = NULL;
	struct err e = {0};

	if (path == NULL)
		return;
	if (keyring_load(&ring, path, &e) < 0)
		tell(k, &e, "key");
	keyring_free(ring);
}

static void check_file(struct check *k, const char *key, const char *path)
{
	struct err e = {0};
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0) {
		close(fd);
		return;
	}
	(void)err_sys(&e, 0, "%s", path);
	tell(k, &e, key);
}

/* It is made when it is missing, and only it. */
static void check_state(struct check *k, const char *path)
{
	char above[PATH_MAX];
	struct stat st = {0};
	struct err e = {0};

	snprintf(above, sizeof(above), "%s", path);
	if (stat(path, &st) < 0 && errno == ENOENT) {
		path = dirname(above);
		(void)stat(path, &st);
	}
	if (access(path, W_OK | X_OK) < 0)
		(void)err_sys(&e, 0, "%s", path);
	else if (!S_ISDIR(st.st_mode))
		(void)err_set(&e, PS_CONFIG, "%s: not a folder", path);
	if (e.code != 0)
		tell(k, &e, "state");
}

/* ---- programs ---- */

int agent_program_ok(const char *path, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_sys(e, PS_CONFIG, "%s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, PS_CONFIG, "%s: not a program", path);
	if (access(path, X_OK) < 0)
		return err_sys(e, PS_CONFIG, "%s", path);
	if ((st.st_mode & S_IWOTH) == 0)
		return 0;
	(void)err_set(e, PS_NOPERM, "%s: refused: everybody can write it",
		      path);
	err_hint(e, "chmod o-w %s", path);
	return -PS_NOPERM;
}

static void check_hook(struct check *k, const char *key, const char *name)
{
	char path[PATH_MAX];
	struct err e = {0};

	if (name == NULL)
		return;
	mark_hook_path(name, path, sizeof(path));
	if (agent_program_ok(path, &e) < 0)
		tell(k, &e, key);
}

/* ---- disks ---- */

static void check_provider(struct check *k, const struct agent_disk_conf *d,
			   const char *key)
{
	char *path = disk_provider_path(d);
	struct err e = {0};

	if (path != NULL && agent_program_ok(path, &e) < 0) {
		(void)err_prefix(&e, "provider");
		tell(k, &e, key);
	}
	free(path);
}

/* Of a provider's source only the provider knows what it is. */
static void check_source(struct check *k, const struct agent_disk_conf *d,
			 const char *key, struct identity *id)
{
	bool plain = strcmp(d->provider, "none") == 0;
	struct err e = {0};

	if (identity_find(d->source, id, &e) < 0) {
		id->key[0] = '\0';
		if (plain || *d->source == '/')
			tell(k, &e, key);
		return;
	}
	if (plain && id->key[0] == '\0') {
		(void)err_set(&e, PS_CONFIG,
			      "%s: neither a regular file nor a block device",
			      d->source);
		tell(k, &e, key);
	}
}

static void check_disks(struct check *k, const struct agent_conf *c)
{
	struct identity *ids = calloc(AGENT_DISKS, sizeof(*ids));
	unsigned i, other;

	for (i = 0; ids != NULL && i < c->ndisks; i++) {
		const struct agent_disk_conf *d = &c->disks[i];
		char key[NAME_SIZE + 8];

		if (d->name == NULL || d->source == NULL)
			continue; /* that was told */
		snprintf(key, sizeof(key), "disk %s", d->name);
		if (strcmp(d->provider, "none") != 0)
			check_provider(k, d, key);
		check_source(k, d, key, &ids[i]);
		for (other = 0; other < i; other++) {
			struct err e = {0};

			if (ids[i].key[0] == '\0' ||
			    strcmp(ids[i].key, ids[other].key) != 0)
				continue;
			(void)err_set(&e, PS_CONFIG,
				      "%s and %s, of disk %s, are the same",
				      d->source, c->disks[other].source,
				      c->disks[other].name);
			tell(k, &e, key);
			break;
		}
	}
	free(ids);
}

int agent_check(const char *path, agent_told *told)
{
	struct check k = {.told = told};
	struct agent_conf *c = NULL;
	struct err e = {0};

	if (agent_conf_read_all(&c, path, told, &e) < 0)
		k.code = e.code;
	if (c == NULL)
		return k.code;
	check_login(&k, "server.key", c->key_file, c->machine);
	check_login(&k, "config-server.key", c->config_key, c->machine);
	check_file(&k, "server.ca", c->ca);
	check_file(&k, "config-server.ca", c->config_ca);
	check_seal_key(&k, c->seal_key);
	check_state(&k, c->state);
	check_hook(&k, "hooks.pre", c->pre);
	check_hook(&k, "hooks.post", c->post);
	check_disks(&k, c);
	agent_conf_free(c);
	return k.code;
}
