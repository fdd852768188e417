#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>

#include "agent/status.h"
#include "base/durable.h"
#include "base/units.h"
#include "cache/report.h"
#include "doctor/bundle.h"
#include "doctor/command.h"
#include "doctor/redact.h"
#include "doctor/steps.h"

/* Of a file that is no log. */
#define FILE_MAX (4u << 20)

struct bundle {
	const struct doctor *d;
	const struct bundle_to *to;
	struct archive *a;
	struct redact redact;
	char top[96]; /* folder of all */
	int64_t now;  /* seconds */
	uint64_t log_left;
	FILE *list; /* what is in it, and what is not */
	struct err e;
	int rc;
};

/* ---- members ---- */

static void failed(struct bundle *b)
{
	if (b->rc == 0)
		b->rc = err_set(&b->e, PS_IOERR, "%s: %s", b->to->path,
				archive_error_string(b->a));
}

/* Bytes as they are: a file without secrets. */
static void put_raw(struct bundle *b, const char *name, const void *data,
		    size_t n)
{
	struct archive_entry *it = archive_entry_new();
	char path[512];

	if (it == NULL || b->rc < 0) {
		archive_entry_free(it);
		return;
	}
	snprintf(path, sizeof(path), "%s/%s", b->top, name);
	archive_entry_set_pathname(it, path);
	archive_entry_set_size(it, (la_int64_t)n);
	archive_entry_set_filetype(it, AE_IFREG);
	archive_entry_set_perm(it, 0600);
	archive_entry_set_mtime(it, (time_t)b->now, 0);
	if (archive_write_header(b->a, it) != ARCHIVE_OK ||
	    archive_write_data(b->a, data, n) != (la_ssize_t)n)
		failed(b);
	archive_entry_free(it);
}

static void put_text(struct bundle *b, const char *name, const char *text,
		     size_t n)
{
	size_t len;
	char *clean = redact_text(&b->redact, text, n, &len);

	if (clean == NULL) {
		if (b->rc == 0)
			b->rc = err_sys(&b->e, PS_TEMPFAIL, "bundle");
		return;
	}
	put_raw(b, name, clean, len);
	fprintf(b->list, "%-32s %zu bytes\n", name, len);
	free(clean);
}

/* A file, or its end when it is longer than `max`. */
static size_t put_file(struct bundle *b, const char *name, const char *path,
		       size_t max)
{
	size_t n = 0;
	char *text = doctor_read(path, max, &n);

	if (text == NULL) {
		if (errno != ENOENT)
			fprintf(b->list, "%-32s left out: %s: %s\n", name, path,
				strerror(errno));
		return 0;
	}
	put_text(b, name, text, n);
	free(text);
	return n;
}

/* Files of a folder by a pattern, under their own names. */
static void put_files(struct bundle *b, const char *folder, const char *dir,
		      const char *pattern, bool logs)
{
	char path[PATH_MAX], name[300];
	glob_t g;
	size_t i;

	snprintf(path, sizeof(path), "%s/%s", dir, pattern);
	if (glob(path, 0, NULL, &g) != 0)
		return;
	for (i = 0; i < g.gl_pathc; i++) {
		const char *base = strrchr(g.gl_pathv[i], '/') + 1;
		size_t max = logs ? (size_t)b->log_left : FILE_MAX, n;

		if (max == 0)
			break;
		/* A hidden file would be overlooked. */
		snprintf(name, sizeof(name), "%s/%s", folder,
			 base + (*base == '.'));
		n = put_file(b, name, g.gl_pathv[i], max);
		if (logs)
			b->log_left -= n;
	}
	globfree(&g);
}

static void put_command(struct bundle *b, const char *name,
			const char *const *argv)
{
	struct command c = {.argv = argv, .seconds = 15, .max = FILE_MAX};
	char *text;
	int status;

	if (command_run(&c, &text, &status, NULL) < 0)
		return;
	put_text(b, name, text, strlen(text));
	free(text);
}

/* ---- what goes in ---- */

static void put_versions(struct bundle *b)
{
	struct utsname u;
	char text[1024];

	if (uname(&u) < 0)
		return;
	snprintf(text, sizeof(text),
		 "ps-toolkit %s\n%s %s %s %s\nhost %s\nlibarchive: %s\n",
		 PACKAGE_VERSION, u.sysname, u.release, u.version, u.machine,
		 u.nodename, archive_version_details());
	put_text(b, "versions.txt", text, strlen(text));
}

static void put_system(struct bundle *b)
{
	static const char *const addresses[] = {"ip", "address", NULL};
	static const char *const routes[] = {"ip", "route", NULL};
	static const char *const space[] = {"df", "-hT", NULL};
	static const char *const nft[] = {"nft", "list", "ruleset", NULL};
	static const char *const iptables[] = {"iptables-save", NULL};

	put_versions(b);
	put_file(b, "system/os-release", "/etc/os-release", FILE_MAX);
	put_file(b, "system/hosts", "/etc/hosts", FILE_MAX);
	put_file(b, "system/resolv.conf", "/etc/resolv.conf", FILE_MAX);
	put_file(b, "system/meminfo", "/proc/meminfo", FILE_MAX);
	put_file(b, "system/loadavg", "/proc/loadavg", FILE_MAX);
	put_file(b, "system/mounts", "/proc/mounts", FILE_MAX);
	put_files(b, "system", "/proc/pressure", "*", false);
	put_command(b, "system/address.txt", addresses);
	put_command(b, "system/route.txt", routes);
	put_command(b, "system/df.txt", space);
	put_command(b, "system/nft.txt", nft);
	put_command(b, "system/iptables.txt", iptables);
}

static int stat_cache(const struct doctor *d, FILE *f)
{
	struct cache_health ignored;
	struct cache *c;
	int rc = cache_look(&c, d->cache, NULL);

	if (rc < 0)
		return rc;
	rc = cache_report_stat(c, true, f, &ignored, NULL);
	cache_close(c);
	return rc;
}

/* What a part of the library prints: of the cache, or of the agent. */
static void put_state(struct bundle *b, const char *name)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	int rc;

	if (f == NULL)
		return;
	rc = b->d->source ? status_print(b->d->agent, true, f, NULL)
			  : stat_cache(b->d, f);
	if (fclose(f) == 0 && rc == 0)
		put_text(b, name, text, n);
	free(text);
}

static void put_server(struct bundle *b)
{
	const struct doctor *d = b->d;
	size_t n = 0;
	char path[PATH_MAX], *data;

	if (d->cache != NULL) {
		put_state(b, "cache/stat.json");
		put_files(b, "cache", d->cache, ".upload*", false);
		put_files(b, "cache", d->cache, ".stages*", false);
		put_files(b, "cache", d->cache, "cache.json", false);
		put_files(b, "cache", d->cache, "failed", false);
	}
	put_files(b, "health", d->health, "alerts.json", false);
	/* Numbers only: nothing in it can be a secret. */
	snprintf(path, sizeof(path), "%s/samples", d->health);
	data = doctor_read(path, FILE_MAX, &n);
	if (data != NULL)
		put_raw(b, "health/samples", data, n);
	free(data);
}

static void put_source(struct bundle *b)
{
	const struct agent_conf *c = b->d->agent;

	put_file(b, "config/agent.yaml", b->d->agent_path, FILE_MAX);
	put_state(b, "agent/status.json");
	put_files(b, "agent", c->state, "state.json", false);
	put_files(b, "agent", c->state, ".stages*", false);
	put_files(b, "agent", c->state, "disks/*/report.json", false);
}

static void put_journal(struct bundle *b)
{
	static const char *const argv[] = {"journalctl", "-q",	  "--no-pager",
					   "-n",	 "20000", "-u",
					   "ps-*",	 NULL};
	static const char *const units[] = {
	    "systemctl", "status", "--no-pager", "-l", "-n0", "ps-*", NULL};

	if (access("/run/systemd/system", F_OK) < 0)
		return;
	put_command(b, "system/units.txt", units);
	put_command(b, "logs/journal.txt", argv);
}

static void put_logs(struct bundle *b)
{
	const struct doctor *d = b->d;
	char name[300];
	unsigned i;

	put_journal(b);
	for (i = 0; i < d->logs.n && b->log_left > 0; i++) {
		const char *base = strrchr(d->logs.items[i], '/');

		snprintf(name, sizeof(name), "logs/%u-%s", i,
			 base != NULL ? base + 1 : d->logs.items[i]);
		b->log_left -=
		    put_file(b, name, d->logs.items[i], (size_t)b->log_left);
	}
	if (d->log_dir == NULL)
		return;
	put_files(b, "logs", d->log_dir, "cxps.err*", true);
	put_files(b, "logs", d->log_dir, "cxps.xfer*", true);
}

/* ---- the file ---- */

static const char about[] =
    "This is what 'ps-doctor --bundle' packed on a machine, for somebody who "
    "helps.\nPassphrases, keys, credentials, passwords of proxies and "
    "signatures were removed\n('" REDACTED "'). Names of machines, disks and "
    "hosts, and addresses are in it.\n\n";

static void put_all(struct bundle *b)
{
	char *list = NULL;
	size_t n = 0;

	b->list = open_memstream(&list, &n);
	if (b->list == NULL) {
		b->rc = err_sys(&b->e, PS_TEMPFAIL, "bundle");
		return;
	}
	fputs(about, b->list);
	put_text(b, "doctor.json", b->to->answer, strlen(b->to->answer));
	if (b->d->config != NULL)
		put_file(b, "config/ps.yaml", b->d->config, FILE_MAX);
	put_system(b);
	if (b->d->source)
		put_source(b);
	else
		put_server(b);
	put_logs(b);
	if (fclose(b->list) == 0)
		put_raw(b, "README.txt", list, n);
	free(list);
}

static int write_archive(struct bundle *b, int fd)
{
	struct utsname u = {.nodename = "host"};

	b->a = archive_write_new();
	if (b->a == NULL)
		return err_sys(&b->e, PS_TEMPFAIL, "bundle");
	(void)uname(&u);
	snprintf(b->top, sizeof(b->top), "ps-doctor-%.50s-%lld", u.nodename,
		 (long long)b->now);
	if (archive_write_add_filter_gzip(b->a) != ARCHIVE_OK ||
	    archive_write_set_format_pax_restricted(b->a) != ARCHIVE_OK ||
	    archive_write_open_fd(b->a, fd) != ARCHIVE_OK)
		failed(b);
	else
		put_all(b);
	if (archive_write_close(b->a) != ARCHIVE_OK)
		failed(b);
	archive_write_free(b->a);
	return b->rc;
}

static int write_durably(struct bundle *b, int dirfd, const char *name)
{
	struct durable file;
	int rc = durable_begin(&file, dirfd, name, 0600, &b->e);

	if (rc == 0)
		rc = write_archive(b, file.fd);
	if (rc == 0)
		return durable_commit(&file, DURABLE_REPLACE, &b->e);
	durable_abort(&file);
	return rc;
}

int bundle_write(const struct doctor *d, const struct bundle_to *to,
		 struct err *e)
{
	struct bundle b = {.d = d,
			   .to = to,
			   .now = time_now_ns() / NS_PER_S,
			   .log_left = to->log_bytes};
	const char *slash = strrchr(to->path, '/');
	char *dir = slash == NULL
			? strdup(".")
			: strndup(to->path, (size_t)(slash - to->path) +
						(slash == to->path));
	int fd =
	    dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = fd < 0 ? err_sys(&b.e, 0, "%s", to->path)
			: redact_add_all(&b.redact, d, &b.e);

	if (rc == 0)
		rc =
		    write_durably(&b, fd, slash != NULL ? slash + 1 : to->path);
	if (rc < 0 && e != NULL)
		*e = b.e;
	redact_free(&b.redact);
	if (fd >= 0)
		close(fd);
	free(dir);
	return rc;
}
