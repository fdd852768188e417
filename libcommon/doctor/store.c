/* The vault: which service is behind it, and does it do what an upload needs.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor/steps.h"
#include "vault/probe.h"
#include "vault/settings.h"

#define PROBE_BYTES (1u << 20)
#define RETRY_S 8

static void take_step(void *ctx, const char *step, bool ok, const char *words)
{
	struct finding *f = ctx;
	double mbit;

	find_shows(f, "%-11s %s%s", step, ok ? "" : "no: ", words);
	if (ok && strcmp(step, "write") == 0 &&
	    sscanf(words, "%lf Mbit/s", &mbit) == 1)
		f->rate = mbit * 1e6 / 8;
}

/* Who answers to the service's name. */
static void show_service(const struct doctor *d, struct finding *f)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *a;
	char plain[200], url[1024], host[64], text[160] = "";
	struct doctor_peer peer;
	size_t n = 0;

	if (!doctor_endpoint(d, url, sizeof(url)) ||
	    !doctor_endpoint_place(d, &peer)) {
		find_shows(f, "a folder: %s", d->vault);
		return;
	}
	doctor_plain_url(url, plain, sizeof(plain));
	if (getaddrinfo(peer.host, peer.port, &hints, &list) != 0) {
		find_shows(f,
			   "%s: the name is not known to this machine's "
			   "resolver",
			   plain);
		return;
	}
	for (a = list; a != NULL && n + 64 < sizeof(text); a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof(host),
				NULL, 0, NI_NUMERICHOST) == 0)
			n += (size_t)snprintf(text + n, sizeof(text) - n, " %s",
					      host);
	freeaddrinfo(list);
	find_shows(f, "%s: %s at%s",
		   strncmp(d->vault, "s3:", 3) == 0 ? "S3" : "Azure Blob",
		   plain, text);
}

/*
 * What root may do says nothing of the services, whose user owns the cache.
 * The step has a process of its own, which is that user from here on. An
 * installation that is to come (it has steps of its own) has no such user yet.
 */
static char service_user[64];

static void be_service(const struct doctor *d, struct finding *f)
{
	const struct passwd *p;
	struct stat st;

	if (d->steps != NULL || geteuid() != 0 || d->cache == NULL ||
	    stat(d->cache, &st) < 0 || st.st_uid == 0)
		return;
	p = getpwuid(st.st_uid);
	if (p == NULL)
		return;
	snprintf(service_user, sizeof(service_user), "%s", p->pw_name);
	if (initgroups(p->pw_name, p->pw_gid) < 0 || setgid(p->pw_gid) < 0 ||
	    setuid(p->pw_uid) < 0)
		find_shows(f, "tried as root, not as %s: %s", service_user,
			   strerror(errno));
	else
		find_shows(f, "tried as %s, who the services are",
			   service_user);
}

static void judge(const struct doctor *d, struct finding *f,
		  const struct err *e)
{
	char url[8];

	/* Not even a connection: firewall and proxy are looked at behind. */
	if (e->code == PS_UNAVAILABLE && doctor_endpoint(d, url, sizeof(url)))
		find_error(f, DOCTOR_LIKELY, e);
	else
		find_error(f, DOCTOR_CAUSE, e);
	if (d->vault[0] == '/' && e->code == PS_NOPERM && *service_user != '\0')
		find_next(f,
			  "it has to belong to the user of the services: "
			  "chown -R %s: %s",
			  service_user, d->vault);
	if (f->next[0] == '\0' && e->code == PS_TEMPFAIL)
		find_next(f, "the service answers and does not do it: see its "
			     "status page and its limits; uploads are tried "
			     "again by themselves");
	else if (f->next[0] == '\0')
		find_next(f, "ps-upload --probe VAULT shows the same, step by "
			     "step");
}

static void look_at(const struct doctor *d, struct finding *f)
{
	struct err e = {0};
	char plain[200];

	show_service(d, f);
	if (store_settings.retry_for == 0 || store_settings.retry_for > RETRY_S)
		store_settings.retry_for = RETRY_S;
	if (probe_run(d->vault, PROBE_BYTES, take_step, f, &e) < 0) {
		judge(d, f, &e);
		return;
	}
	doctor_plain_url(d->vault, plain, sizeof(plain));
	find_passed(f, "%s: written, read, %.0f Mbit/s", plain,
		    f->rate * 8 / 1e6);
}

void step_store(const struct doctor *d, struct finding *f)
{
	if (d->vault == NULL)
		find_skipped(f, "no vault in ps.yaml");
	else {
		be_service(d, f);
		vault_each(d, f, look_at);
	}
}
