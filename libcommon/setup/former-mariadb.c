#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/durable.h"
#include "base/ini.h"
#include "base/secret.h"
#include "config/registry.h"
#include "doctor/command.h"
#include "setup/former-mariadb.h"

#define OPTIONS "mariadb.cnf"
#define DEFAULTS "--defaults-file="
#define PASSWORD_SIZE 256
#define MAY_TAKE_S 600
#define COMPLETE "-- Dump completed"
#define TAIL 256

bool mariadb_is_ours(const struct steps *s)
{
	struct conf *conf = NULL;
	struct err e = {0};
	bool is = conf_read(&conf, s->yaml, &e) == 0 &&
		  conf_get(conf, "config.credentials") != NULL;

	conf_free(conf);
	return is;
}

/* Its words are the error. */
static int run(const char *const *argv, struct err *e)
{
	struct command c = {.argv = argv, .seconds = MAY_TAKE_S, .max = 4096};
	char *text;
	int status, rc = command_run(&c, &text, &status, e);

	if (rc < 0)
		return rc;
	if (status != 0)
		rc = err_set(e, PS_UNAVAILABLE, "%s: %.*s", argv[0],
			     (int)strcspn(text, "\n"), text);
	free(text);
	return rc;
}

bool mariadb_can(void)
{
	const char *const dump[] = {"mariadb-dump", "--version", NULL};
	const char *const client[] = {"mariadb", "--version", NULL};
	struct err e = {0};

	return run(dump, &e) == 0 && run(client, &e) == 0;
}

/* ---- how it is reached ---- */

/* As files of its options have values: between quotes. */
static void put(FILE *f, const char *key, const char *value)
{
	fprintf(f, "%s=\"", key);
	for (; *value != '\0'; value++) {
		if (*value == '"' || *value == '\\')
			fputc('\\', f);
		fputc(*value, f);
	}
	fputs("\"\n", f);
}

/* "HOST", "HOST:PORT", "[V6]:PORT", "/SOCKET"; another host: only by TLS. */
static void put_host(FILE *f, const char *host, const char *ca)
{
	const char *colon = strrchr(host, ':');
	bool port =
	    colon != NULL && (host[0] == '[' || strchr(host, ':') == colon);
	char name[256];

	if (host[0] == '/') {
		put(f, "socket", host);
		return;
	}
	snprintf(name, sizeof(name), "%.*s",
		 port ? (int)(colon - host) : (int)strlen(host), host);
	if (name[0] == '[') {
		name[strcspn(name, "]")] = '\0';
		memmove(name, name + 1, strlen(name));
	}
	put(f, "host", name);
	if (port) {
		put(f, "port", colon + 1);
		fputs("protocol=tcp\n", f);
	}
	if (strcmp(name, "localhost") == 0)
		return;
	fputs("ssl\n", f);
	if (ca != NULL) {
		put(f, "ssl-ca", ca);
		fputs("ssl-verify-server-cert\n", f);
	}
}

static int read_password(const char *path, char out[PASSWORD_SIZE],
			 struct err *e)
{
	char text[8192];
	size_t n;
	int rc = secret_read(path, text, sizeof(text), &n, e);

	if (rc == 0)
		rc = ini_get(text, "MySQLCredentials", "MySQLUserPassword", out,
			     PASSWORD_SIZE, e);
	secret_wipe(text, sizeof(text));
	if (rc == 0)
		rc = err_set(e, PS_CONFIG, "%s: no MySQLUserPassword", path);
	return rc < 0 ? rc : 0;
}

struct way {
	char database[64];
	char options[PLACE_SIZE + 64]; /* DEFAULTS and the path */
};

static const char *path_of(const struct way *w)
{
	return w->options + sizeof(DEFAULTS) - 1;
}

static int write_options(const struct way *w, const struct conf *conf,
			 const char *password, struct err *e)
{
	const char *host = conf_get(conf, "config.database-host");
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, OPTIONS);
	fputs("[client]\ndefault-character-set=utf8mb4\n", f);
	put(f, "user", w->database);
	put(f, "password", password);
	if (host != NULL)
		put_host(f, host, conf_get(conf, "config.database-ca"));
	rc = fclose(f) != 0 ? err_sys(e, PS_TEMPFAIL, OPTIONS)
			    : durable_write_path(path_of(w), text, size, 0600,
						 DURABLE_REPLACE, e);
	if (text != NULL)
		secret_wipe(text, size);
	free(text);
	return rc;
}

/* The password stands in a file of root's own, until close_way(). */
static int open_way(struct way *w, const struct steps *s, const char *dir,
		    struct err *e)
{
	char password[PASSWORD_SIZE] = "";
	struct conf *conf = NULL;
	const char *name;
	int rc = conf_read(&conf, s->yaml, e);

	if (rc < 0)
		return rc;
	name = conf_get(conf, "config.database-name");
	snprintf(w->database, sizeof(w->database), "%s",
		 name != NULL ? name : REG_DATABASE);
	snprintf(w->options, sizeof(w->options), DEFAULTS "%s/" OPTIONS, dir);
	/* It stands in statements. */
	if (w->database[strspn(w->database, "abcdefghijklmnopqrstuvwxyz"
					    "0123456789_")] != '\0')
		rc = err_set(e, PS_CONFIG, "'%s' is no name of a database",
			     w->database);
	if (rc == 0)
		rc = read_password(conf_get(conf, "config.credentials"),
				   password, e);
	if (rc == 0)
		rc = write_options(w, conf, password, e);
	secret_wipe(password, sizeof(password));
	conf_free(conf);
	return rc;
}

static void close_way(const struct way *w)
{
	(void)unlink(path_of(w));
}

/* ---- there and back ---- */

/* It says so itself at the end. */
static int check_end(int fd, const char *path, struct err *e)
{
	char tail[TAIL + 1];
	off_t size = lseek(fd, 0, SEEK_END);
	ssize_t n = size < 0
			? -1
			: pread(fd, tail, TAIL, size > TAIL ? size - TAIL : 0);

	if (n < 0)
		return err_sys(e, 0, "%s", path);
	tail[n] = '\0';
	return strstr(tail, COMPLETE) != NULL
		   ? 0
		   : err_set(e, PS_IOERR, "%s: has no end", path);
}

static int dump_to(const struct steps *s, const char *dir,
		   const struct durable *d, struct err *e)
{
	char result[PLACE_SIZE + 128];
	struct way w;
	/* One view of it; locks are not ours to take. */
	const char *const argv[] = {"mariadb-dump",
				    w.options,
				    "--single-transaction",
				    "--skip-lock-tables",
				    "--skip-add-locks",
				    "--skip-triggers",
				    "--no-tablespaces",
				    "--skip-dump-date",
				    "--hex-blob",
				    result,
				    w.database,
				    NULL};
	int rc = open_way(&w, s, dir, e);

	if (rc < 0)
		return rc;
	snprintf(result, sizeof(result), "--result-file=%s/%s", dir, d->tmp);
	rc = run(argv, e);
	close_way(&w);
	return rc < 0 ? rc : check_end(d->fd, result, e);
}

int mariadb_save(const struct steps *s, const char *dir, const char *name,
		 struct err *e)
{
	char path[PLACE_SIZE + 64];
	struct durable d;
	const char *last;
	int folder, rc;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	folder = durable_folder(path, &last, e);
	if (folder < 0)
		return folder;
	rc = durable_begin(&d, folder, last, 0600, e);
	if (rc == 0)
		rc = dump_to(s, dir, &d, e);
	if (rc == 0)
		rc = durable_commit(&d, DURABLE_REPLACE, e);
	else
		durable_abort(&d);
	close(folder);
	return rc;
}

int mariadb_load(const struct steps *s, const char *dir, const char *name,
		 struct err *e)
{
	char text[PLACE_SIZE + 256];
	struct way w;
	const char *const argv[] = {"mariadb", w.options, "-e", text, NULL};
	int rc = open_way(&w, s, dir, e);

	if (rc < 0)
		return rc;
	/* Tables that the other version has made are in nobody's way then. */
	snprintf(text, sizeof(text),
		 "DROP DATABASE IF EXISTS %s;\n"
		 "CREATE DATABASE %s CHARACTER SET utf8mb4;\n"
		 "USE %s;\nsource %s/%s\n",
		 w.database, w.database, w.database, dir, name);
	rc = run(argv, e);
	close_way(&w);
	return rc;
}
