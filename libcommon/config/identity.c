#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/digest.h"
#include "base/durable.h"
#include "base/secret.h"
#include "config/identity.h"

#define FILE_NAME "identity.json"
#define MACHINE_ID "/etc/machine-id"
#define ID_LEN 16 /* bytes, as there */

void identity_path(const char *dir, const char *name, char out[IDENTITY_PATH])
{
	snprintf(out, IDENTITY_PATH, "%s/%s", dir, name);
}

static void take(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
}

int identity_load(const char *dir, struct identity *ret, struct err *e)
{
	char path[IDENTITY_PATH];
	json_error_t why;
	json_t *o;
	int rc;

	identity_path(dir, FILE_NAME, path);
	if (access(path, R_OK) < 0) {
		rc = err_sys(e, 0, "%s", path);
		if (rc == -PS_NOINPUT)
			err_hint(e, "this server is not registered: "
				    "ps-config register");
		return rc;
	}
	o = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	*ret = (struct identity){.name = ""};
	take(o, "name", ret->name, sizeof(ret->name));
	take(o, "role", ret->role, sizeof(ret->role));
	take(o, "address", ret->address, sizeof(ret->address));
	take(o, "alt", ret->alt, sizeof(ret->alt));
	take(o, "machine_id", ret->machine_id, sizeof(ret->machine_id));
	take(o, "cs_host", ret->cs_host, sizeof(ret->cs_host));
	take(o, "cs_port", ret->cs_port, sizeof(ret->cs_port));
	take(o, "pin", ret->pin, sizeof(ret->pin));
	ret->port = json_integer_value(json_object_get(o, "port"));
	ret->generation = json_integer_value(json_object_get(o, "generation"));
	json_decref(o);
	if (ret->name[0] != '\0' && ret->cs_host[0] != '\0' &&
	    ret->cs_port[0] != '\0')
		return 0;
	rc = err_set(e, PS_DATA, "%s: damaged", path);
	err_hint(e, "ps-config register makes it anew");
	return rc;
}

int identity_save(const char *dir, const struct identity *id, struct err *e)
{
	json_t *o = json_pack(
	    "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:I}", "name",
	    id->name, "role", id->role, "address", id->address, "port",
	    (json_int_t)id->port, "alt", id->alt, "machine_id", id->machine_id,
	    "cs_host", id->cs_host, "cs_port", id->cs_port, "pin", id->pin,
	    "generation", (json_int_t)id->generation);
	char *text = o != NULL ? json_dumps(o, JSON_INDENT(2)) : NULL;
	char path[IDENTITY_PATH];
	int rc;

	identity_path(dir, FILE_NAME, path);
	if (text == NULL)
		rc = err_set(e, PS_TEMPFAIL, "%s: no memory", path);
	else
		rc = durable_write_path(path, text, strlen(text), 0644,
					DURABLE_REPLACE, e);
	json_decref(o);
	free(text);
	return rc;
}

int identity_give(const char *dir, struct err *e)
{
	static const char *const names[] = {FILE_NAME, IDENTITY_KEY,
					    IDENTITY_LOGIN, IDENTITY_CERT,
					    IDENTITY_AUTHORITY};
	int fd, rc = 0;
	struct stat st;

	if (geteuid() != 0)
		return 0;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		rc = err_sys(e, 0, "%s", dir);
	for (size_t i = 0; rc == 0 && i < sizeof(names) / sizeof(names[0]); i++)
		if (fchownat(fd, names[i], st.st_uid, st.st_gid,
			     AT_SYMLINK_NOFOLLOW) < 0 &&
		    errno != ENOENT)
			rc = err_sys(e, 0, "%s/%s", dir, names[i]);
	if (fd >= 0)
		close(fd);
	return rc;
}

int identity_forget(const char *dir, struct err *e)
{
	static const char *const names[] = {FILE_NAME, IDENTITY_LOGIN,
					    IDENTITY_CERT, IDENTITY_AUTHORITY};
	char path[IDENTITY_PATH];
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		identity_path(dir, names[i], path);
		if (unlink(path) < 0 && errno != ENOENT)
			return err_sys(e, 0, "%s", path);
	}
	return 0;
}

/* As machine-id(5) wants ids of programs made: nobody finds the other by it. */
static void id_of(const char *instance, char id[REG_TEXT_SIZE])
{
	uint8_t digest[SHA256_LEN];
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, id, strlen(id) + 1);
	sha256_update(&h, instance, strlen(instance));
	sha256_final(&h, digest);
	hex_encode(digest, ID_LEN, id);
}

void identity_machine_id(const char *instance, char out[REG_TEXT_SIZE])
{
	FILE *f = fopen(MACHINE_ID, "re");

	out[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(out, REG_TEXT_SIZE, f) == NULL)
		out[0] = '\0';
	secret_trim(out);
	(void)fclose(f);
	if (instance != NULL && out[0] != '\0')
		id_of(instance, out);
}
