/*
 * The proxy on the way to the store: which one is used, does it answer, and do
 * all places that may name one name the same? Credentials are never shown.
 */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <glob.h>
#include <netdb.h>
#include <poll.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/steps.h"
#include "vault/settings.h"

#define PLACES_MAX 32
#define VALUE_SIZE 200
#define FILE_MAX (256u * 1024)
#define CONNECT_MS 5000

struct place {
	char where[160];
	char value[VALUE_SIZE]; /* "host:port", without credentials */
	bool aside; /* for other programs: told, but no reason to warn */
};

struct places {
	bool http; /* the service is reached by http: */
	struct place items[PLACES_MAX];
	unsigned n;
};

/* "http://user:word@Proxy:3128/" is proxy:3128. */
static void normal(const char *text, char *out, size_t size)
{
	const char *at = strstr(text, "://"), *user;
	char *p;

	at = at != NULL ? at + 3 : text;
	snprintf(out, size, "%.*s", (int)strcspn(at, "/ \t\"';,\n"), at);
	user = strrchr(out, '@');
	if (user != NULL)
		memmove(out, user + 1, strlen(user + 1) + 1);
	for (p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
}

static void add(struct places *ps, const char *where, const char *text,
		bool aside)
{
	struct place *p;

	if (text == NULL || ps->n == PLACES_MAX)
		return;
	p = &ps->items[ps->n];
	normal(text, p->value, sizeof(p->value));
	if (p->value[0] == '\0')
		return;
	snprintf(p->where, sizeof(p->where), "%s", where);
	p->aside = aside;
	ps->n++;
}

static bool ours(const struct places *ps, const char *name, size_t n)
{
	const char *want = ps->http ? "http_proxy" : "https_proxy";

	return n == strlen(want) && strncasecmp(name, want, n) == 0;
}

/* "https_proxy=VALUE" anywhere in a line, behind a space, quote or '='. */
static void take_line(struct places *ps, const char *where, const char *line,
		      bool aside)
{
	const char *at = line;

	line += strspn(line, " \t");
	if (*line == '#')
		return;
	while ((at = strcasestr(at, "http")) != NULL) {
		size_t n = strspn(at, "abcdefghijklmnopqrstuvwxyz_"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if ((at == line || strchr(" \t\"'=", at[-1]) != NULL) &&
		    at[n] == '=' && ours(ps, at, n)) {
			at += n + 1;
			add(ps, where, at + strspn(at, "\"'"), aside);
			return;
		}
		at += 4;
	}
}

/* Acquire::https::Proxy "http://..."; of apt.conf(5). */
static void take_apt(struct places *ps, const char *where, const char *line)
{
	const char *at =
	    strcasestr(line, ps->http ? "http::proxy" : "https::proxy");

	line += strspn(line, " \t");
	if (at == NULL || *line == '#' || strncmp(line, "//", 2) == 0)
		return;
	at = strchr(at, '"');
	if (at != NULL)
		add(ps, where, at + 1, true);
}

static void take_file(struct places *ps, const char *path, bool aside)
{
	char *text = doctor_read(path, FILE_MAX, NULL), *rest = text, *line;
	bool apt = strstr(path, "/apt/") != NULL;

	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (apt)
			take_apt(ps, path, line);
		else
			take_line(ps, path, line, aside);
	free(text);
}

static void take_files(struct places *ps, const char *pattern, bool aside)
{
	glob_t g;
	size_t i;

	if (glob(pattern, 0, NULL, &g) != 0)
		return;
	for (i = 0; i < g.gl_pathc; i++)
		take_file(ps, g.gl_pathv[i], aside);
	globfree(&g);
}

/* ---- the program that runs ---- */

static void take_environ(struct places *ps, const char *pid)
{
	char path[300], where[64], *text, *at;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	text = doctor_read(path, 64, NULL);
	if (text == NULL || strcmp(text, "ps-upload\n") != 0) {
		free(text);
		return;
	}
	free(text);
	snprintf(path, sizeof(path), "/proc/%s/environ", pid);
	snprintf(where, sizeof(where), "running ps-upload, pid %.16s", pid);
	text = doctor_read(path, FILE_MAX, &n);
	for (at = text; at != NULL && at < text + n; at += strlen(at) + 1)
		take_line(ps, where, at, false);
	free(text);
}

static void take_processes(struct places *ps)
{
	struct dirent *it;
	DIR *dir = opendir("/proc");

	while (dir != NULL && (it = readdir(dir)) != NULL)
		if (isdigit((unsigned char)it->d_name[0]))
			take_environ(ps, it->d_name);
	if (dir != NULL)
		closedir(dir);
}

/* Where the proxy of our own settings stands. */
static const char *place_of(const struct doctor *d)
{
	bool own = d->vaults.n > 0 && d->vaults.list[d->at].proxy != NULL;

	if (d->proxy_place != NULL)
		return d->proxy_place;
	return own || conf_get(d->conf, "proxy") != NULL ? conf_path(d->conf)
							 : "--proxy";
}

static void take_all(const struct doctor *d, struct places *ps)
{
	const char *const names[] = {ps->http ? "http_proxy" : "https_proxy",
				     ps->http ? NULL : "HTTPS_PROXY",
				     "all_proxy", "ALL_PROXY"};
	char where[64];
	unsigned i;

	add(ps, place_of(d), store_settings.proxy, false);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i] == NULL)
			continue;
		snprintf(where, sizeof(where), "environment%s, %s",
			 d->service_env ? " of ps-pipeline" : "", names[i]);
		add(ps, where, getenv(names[i]), false);
	}
	take_processes(ps);
	take_files(ps, "/etc/systemd/system/ps-*.service", false);
	take_files(ps, "/etc/systemd/system/ps-*.service.d/*.conf", false);
	take_files(ps, "/etc/systemd/system.conf", false);
	take_files(ps, "/etc/systemd/system.conf.d/*.conf", false);
	take_files(ps, "/etc/default/ps-*", false);
	take_files(ps, "/etc/environment", false);
	take_files(ps, "/etc/profile.d/*.sh", false);
	take_files(ps, "/etc/apt/apt.conf", true);
	take_files(ps, "/etc/apt/apt.conf.d/*", true);
}

/* ---- the one that is used ---- */

/* no_proxy: names, or ends of names, or '*'. */
static bool excepted(const char *host)
{
	const char *list = getenv("no_proxy");
	size_t len = strlen(host);

	if (list == NULL)
		list = getenv("NO_PROXY");
	while (list != NULL && *list != '\0') {
		size_t n = strcspn(list, ", ");

		if (n > 0 && *list == '.') {
			list++;
			n--;
		}
		if ((n == 1 && *list == '*') ||
		    (n > 0 && n <= len &&
		     strncasecmp(host + len - n, list, n) == 0 &&
		     (n == len || host[len - n - 1] == '.')))
			return true;
		list += n;
		list += strspn(list, ", ");
	}
	return false;
}

static bool connects(const struct addrinfo *a)
{
	int fd =
	    socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);
	bool ok = false;

	if (fd < 0)
		return false;
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		ok = true;
	else if (errno == EINPROGRESS)
		ok = poll(&p, 1, CONNECT_MS) == 1 &&
		     getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
		     error == 0;
	close(fd);
	return ok;
}

/* NULL when it answers, else what does not. */
static const char *trouble(const char *value)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	const char *colon = strrchr(value, ':');
	char host[VALUE_SIZE];
	bool ok = false;

	/* curl's port for a proxy that names none is 1080. */
	snprintf(host, sizeof(host), "%.*s",
		 colon != NULL ? (int)(colon - value) : (int)strlen(value),
		 value);
	if (getaddrinfo(host, colon != NULL ? colon + 1 : "1080", &hints,
			&list) != 0)
		return "its name is not known to this machine's resolver";
	for (a = list; a != NULL && !ok; a = a->ai_next)
		ok = connects(a);
	freeaddrinfo(list);
	return ok ? NULL : "nobody takes a connection there";
}

/* ---- judge ---- */

static const struct place *used(const struct places *ps)
{
	unsigned i;

	for (i = 0; i < ps->n; i++)
		if (!ps->items[i].aside)
			return &ps->items[i];
	return NULL;
}

/* A file where the same stands is what has to be mended. */
static const char *stands_in(const struct places *ps, const struct place *u)
{
	unsigned i;

	for (i = 0; u->where[0] != '/' && i < ps->n; i++)
		if (ps->items[i].where[0] == '/' && !ps->items[i].aside &&
		    strcmp(ps->items[i].value, u->value) == 0)
			return ps->items[i].where;
	return u->where;
}

static unsigned differing(const struct places *ps, const struct place *u)
{
	unsigned i, n = 0;

	for (i = 0; u != NULL && i < ps->n; i++)
		n += !ps->items[i].aside &&
		     strcmp(ps->items[i].value, u->value) != 0;
	return n;
}

static void tell(const struct doctor *d, const struct places *ps,
		 struct finding *f)
{
	bool down = vault_failed(d, "store");
	const struct place *u = used(ps);
	const char *why = u != NULL ? trouble(u->value) : NULL;
	unsigned differ = differing(ps, u);

	if (why != NULL && down) {
		find_failed(f, DOCTOR_CAUSE, "the proxy %s: %s", u->value, why);
		find_next(f,
			  "it stands in %s: mend it there, or take it away "
			  "when the way is direct",
			  stands_in(ps, u));
	} else if (differ > 0 && down) {
		find_failed(f, DOCTOR_LIKELY,
			    "the places name different proxies; used is %s",
			    u->value);
		find_next(f, "make all name the same, then restart "
			     "ps-pipeline");
	} else if (why != NULL || differ > 0) {
		find_warned(f, "%s",
			    differ > 0 ? "the places name different proxies"
				       : "the proxy does not answer");
		find_next(f, "make all name the same, then restart "
			     "ps-pipeline");
	} else if (u != NULL) {
		find_passed(f, "%s in all places, and it answers", u->value);
	} else {
		find_passed(f, "none: the way is direct");
	}
}

/* Somebody is about to set one: all that can be tried is a connection. */
static void tell_untried(struct places *ps, const char *where,
			 struct finding *f)
{
	const char *why;

	add(ps, where, store_settings.proxy, false);
	if (ps->n == 0)
		return;
	why = trouble(ps->items[0].value);
	find_warned(f, "the proxy %s: %s", ps->items[0].value,
		    why != NULL ? why
				: "it takes connections, more was not tried");
	find_next(f,
		  "the vault is a folder, nothing goes through a proxy: "
		  "whether this one (%s) lets a store pass is to be tried when "
		  "there is one",
		  where);
}

static void look_at(const struct doctor *d, struct finding *f)
{
	struct doctor_peer store;
	struct places ps = {0};
	char url[1024];
	unsigned i;

	if (!doctor_endpoint(d, url, sizeof(url)) ||
	    !doctor_endpoint_place(d, &store)) {
		find_skipped(f, "the vault is a folder: nothing goes through a "
				"proxy");
		if (d->proxy_place != NULL && store_settings.proxy != NULL)
			tell_untried(&ps, d->proxy_place, f);
		return;
	}
	ps.http = strncmp(url, "http://", 7) == 0;
	take_all(d, &ps);
	for (i = 0; i < ps.n; i++)
		find_shows(f, "%s: %s", ps.items[i].where, ps.items[i].value);
	if (store_settings.proxy == NULL && excepted(store.host)) {
		find_passed(f, "none for %s (no_proxy)", store.host);
		return;
	}
	tell(d, &ps, f);
}

void step_proxy(const struct doctor *d, struct finding *f)
{
	vault_each(d, f, look_at);
}
