/* What a sample says of the server itself: cache, certificate, services. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/name.h"
#include "base/units.h"
#include "cache/counters.h"
#include "cache/follower.h"
#include "cache/report.h"
#include "health/gather.h"
#include "health/processes.h"
#include "health/why.h"

#define SECTOR 512 /* of /proc/diskstats, whatever the device says */
#define CONNECT_MS 1000

/* ---- the cache ---- */

struct looking {
	struct disks *disks;
	struct sample *s;
	int64_t now, oldest; /* seconds since 1970; 0: none */
	int64_t pending, segments, count, held, unseated;
};

/*
 * What can be recovered. Of a cache that an older version has filled it is
 * known when nothing waits.
 */
static void note_stored(const struct cache_disk_view *v, struct disk_now *n)
{
	struct tally_point p;

	if (tally_point_at(&v->tally, v->stored, &p)) {
		n->stored_point = p.time;
		n->stored_consistency = p.consistency;
	} else if (v->tally.npoints == 0 && v->accepted == v->stored &&
		   v->tally.crash_point != 0) {
		n->stored_point = v->tally.crash_point;
		n->stored_consistency =
		    v->tally.app_point == v->tally.crash_point
			? SEG_CONSISTENCY_APP
			: SEG_CONSISTENCY_CRASH;
	}
}

static int look_at(void *ctx, const struct cache_disk_view *v, struct err *e)
{
	struct looking *l = ctx;
	int64_t oldest = v->oldest / NS_PER_S;
	struct disk_now n = {.machine = v->machine,
			     .disk = v->disk,
			     .accepted = v->accepted,
			     .stored = v->stored,
			     .pending = v->bytes,
			     .oldest = oldest,
			     .tallied = v->tallied,
			     .changed = v->tally.changed,
			     .crash_point = v->tally.crash_point,
			     .app_point = v->tally.app_point,
			     .size = v->tally.size,
			     .flags =
				 (uint8_t)((v->held ? DISK_HELD : 0) |
					   (v->seated ? 0 : DISK_UNSEATED) |
					   (v->initial ? DISK_INITIAL : 0))};

	(void)e;
	note_stored(v, &n);
	l->count++;
	l->held += v->held;
	l->unseated += !v->seated;
	l->pending += (int64_t)v->bytes;
	l->segments += (int64_t)v->segments;
	if (oldest != 0 && (l->oldest == 0 || oldest < l->oldest))
		l->oldest = oldest;
	if (l->disks != NULL)
		(void)disks_put(l->disks, &n, l->now);
	return 0;
}

static void room(const struct gather *g, struct sample *ret)
{
	struct statvfs v;

	if (statvfs(g->cache, &v) < 0 || v.f_blocks == 0)
		return;
	ret->values[METRIC_CACHE_BYTES] =
	    (int64_t)((uint64_t)v.f_blocks * v.f_frsize);
	ret->values[METRIC_RAW_FREE] =
	    (int64_t)((uint64_t)v.f_bavail * v.f_frsize);
	ret->values[METRIC_CACHE_FREE] =
	    (int64_t)((uint64_t)v.f_bavail * 100 /
		      (v.f_blocks - v.f_bfree + v.f_bavail));
}

/* The device below the cache: /proc/diskstats, Documentation/admin-guide. */
static void storage(const struct gather *g, struct sample *ret)
{
	unsigned long long rd, rs, rt, wr, ws, wt, busy;
	unsigned major, minor;
	char path[PATH_MAX], *line = NULL;
	size_t size = 0;
	struct stat st;
	FILE *f;

	snprintf(path, sizeof(path), "%s/diskstats", g->proc);
	if (stat(g->cache, &st) < 0 || (f = fopen(path, "re")) == NULL)
		return;
	while (getline(&line, &size, f) > 0) {
		if (sscanf(line,
			   "%u %u %*s %llu %*u %llu %llu %llu %*u %llu %llu "
			   "%*u %llu",
			   &major, &minor, &rd, &rs, &rt, &wr, &ws, &wt,
			   &busy) != 9 ||
		    makedev(major, minor) != st.st_dev)
			continue;
		ret->values[METRIC_RAW_READ] = (int64_t)(rs * SECTOR);
		ret->values[METRIC_RAW_WRITTEN] = (int64_t)(ws * SECTOR);
		ret->values[METRIC_RAW_REQUESTS] = (int64_t)(rd + wr);
		ret->values[METRIC_RAW_REQUEST_MS] = (int64_t)(rt + wt);
		ret->values[METRIC_RAW_BUSY_MS] = (int64_t)busy;
		break;
	}
	free(line);
	fclose(f);
}

/* By what each ps-upload told last. */
static void single_writers(const struct gather *g, int64_t now,
			   struct sample *ret)
{
	struct why w = {.now = now};
	unsigned i;

	why_read_followers(g->cache, &w);
	ret->values[METRIC_SINGLE_WRITER] = 0;
	for (i = 0; i < w.nfollowers; i++)
		ret->values[METRIC_SINGLE_WRITER] +=
		    w.followers[i].single_writer;
}

/* Of the stores that have answered lately, the one that differs most. */
static int64_t clock_offset(const struct why *w)
{
	int64_t most = METRIC_UNKNOWN, diff;
	unsigned i;

	for (i = 0; i < w->nfollowers; i++) {
		if (!w->followers[i].clock_told)
			continue;
		diff = llabs(w->followers[i].ahead);
		if (most == METRIC_UNKNOWN || diff > most)
			most = diff;
	}
	return most;
}

/* Behind the first stage; the last one is another ps-cache. */
static void queue(const struct why_stage *s, struct sample *ret)
{
	enum metric m =
	    strcmp(s->name, "ps-compress") == 0	 ? METRIC_QUEUE_COMPRESS
	    : strcmp(s->name, "ps-encrypt") == 0 ? METRIC_QUEUE_ENCRYPT
	    : strcmp(s->name, "ps-upload") == 0	 ? METRIC_QUEUE_UPLOAD
						 : METRIC_QUEUE_ACK;
	int64_t fill;

	if (s->queue_size == 0)
		return;
	fill = (int64_t)(s->queue * 100 / s->queue_size);
	/* Not known is less than any. */
	if (fill > ret->values[m])
		ret->values[m] = fill;
}

static void chains(const struct gather *g, int64_t now, struct sample *ret)
{
	struct why w = {.now = now};
	unsigned i, k;

	why_read_followers(g->cache, &w);
	ret->values[METRIC_CLOCK_OFFSET] = clock_offset(&w);
	for (i = 0; i < w.nfollowers; i++)
		for (k = 1; k < w.followers[i].n; k++)
			queue(&w.followers[i].stages[k], ret);
}

int gather_cache(const struct gather *g, struct disks *disks, int64_t now,
		 struct sample *ret, struct err *e)
{
	struct looking l = {.disks = disks, .s = ret, .now = now};
	struct cache *c;
	int64_t age;
	int rc = cache_look(&c, g->cache, e);

	if (rc < 0)
		return rc;
	room(g, ret);
	storage(g, ret);
	chains(g, now, ret);
	ret->values[METRIC_CACHE_FAILED] = c->failed;
	single_writers(g, now, ret);
	ret->values[METRIC_RAW_ACCEPTED] =
	    (int64_t)counter_get(c, COUNTER_ACCEPTED_BYTES);
	ret->values[METRIC_RAW_STORED] =
	    (int64_t)counter_get(c, COUNTER_STORED_BYTES);
	rc = cache_views(c, look_at, &l, e);
	cache_close(c);
	if (rc < 0)
		return rc;
	age = l.oldest == 0 ? 0 : now - l.oldest;
	ret->values[METRIC_DISKS] = l.count;
	ret->values[METRIC_HELD] = l.held;
	ret->values[METRIC_UNSEATED] = l.unseated;
	ret->values[METRIC_PENDING_BYTES] = l.pending;
	ret->values[METRIC_PENDING_SEGMENTS] = l.segments;
	ret->values[METRIC_PENDING_AGE] = age < 0 ? 0 : age;
	return 0;
}

/* ---- services ---- */

/* Takes a place that is being listened on: 1, 0, -1. */
static int connects(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0, ok = -1;
	socklen_t len = sizeof(error);

	if (fd < 0)
		return -1;
	if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		ok = 1;
	else if (errno == EINPROGRESS)
		ok = poll(&p, 1, CONNECT_MS) == 1 &&
		     getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 &&
		     error == 0;
	else if (errno == ECONNREFUSED)
		ok = 0;
	close(fd);
	return ok;
}

/* "[ADDR:]PORT": without an address, or with any, ourselves. */
static int receive_runs(const char *listen)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	char host[256] = "", *end;
	const char *port = strrchr(listen, ':');
	int ok;

	if (port != NULL && port > listen)
		snprintf(host, sizeof(host), "%.*s", (int)(port - listen),
			 listen);
	port = port != NULL ? port + 1 : listen;
	if (strcmp(port, "0") == 0) /* any: nobody can know which */
		return -1;
	if (host[0] == '[' && (end = strchr(host, ']')) != NULL) {
		*end = '\0';
		memmove(host, host + 1, strlen(host));
	}
	if (host[0] == '\0' || strcmp(host, "0.0.0.0") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (strcmp(host, "::") == 0)
		snprintf(host, sizeof(host), "::1");
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	ok = connects(list);
	freeaddrinfo(list);
	return ok;
}

/* Does a process follow under this name: is the lock of its file taken? */
static bool is_followed(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool taken;

	if (fd < 0)
		return false;
	taken = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
	close(fd);
	return taken;
}

/* Somebody follows the cache, for whichever vault; -1: it cannot be seen. */
static int pipeline_runs(const char *cache)
{
	char path[PATH_MAX];
	struct dirent *d;
	int runs = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/" FOLLOWERS_DIR, cache);
	dir = opendir(path);
	if (dir == NULL)
		return errno == ENOENT ? 0 : -1;
	while (runs == 0 && (d = readdir(dir)) != NULL)
		runs = name_ok(d->d_name) && is_followed(dirfd(dir), d->d_name);
	closedir(dir);
	return runs;
}

int gather_followed(const struct gather *g)
{
	return g->cache != NULL ? pipeline_runs(g->cache) : -1;
}

/* How the process of a service is known. */
static struct process_ask process_of(const struct gather *g, enum service s)
{
	switch (s) {
	case SERVICE_PIPELINE:
		return (struct process_ask){
		    "ps-pipeline", NULL, {g->config, g->cache}};
	case SERVICE_CONFIG:
		return (struct process_ask){"ps-config", "serve", {g->config}};
	case SERVICE_HEARTBEAT:
		return (struct process_ask){
		    "ps-config", "heartbeat", {g->config}};
	default:
		return (struct process_ask){"ps-agent", "run", {g->agent}};
	}
}

/* What can be said without looking at processes. */
static bool known_at_once(const struct gather *g, enum service s, int *ret)
{
	*ret = -1;
	if (s == SERVICE_RECEIVE)
		*ret = g->listen != NULL ? receive_runs(g->listen) : -1;
	else if (s == SERVICE_PIPELINE)
		*ret = gather_followed(g);
	/* Between two tries nobody follows, and yet the service runs. */
	return s == SERVICE_RECEIVE || (s == SERVICE_PIPELINE && *ret != 0);
}

/* The services of `set` that do not run. */
static unsigned missing(const struct gather *g, unsigned set)
{
	struct process_ask asks[SERVICES];
	unsigned s, n = 0, down = 0, up, whose[SERVICES];
	int runs;

	for (s = 0; s < SERVICES; s++) {
		if ((set & (1u << s)) == 0)
			continue;
		if (known_at_once(g, (enum service)s, &runs)) {
			down |= runs == 0 ? 1u << s : 0;
			continue;
		}
		asks[n] = process_of(g, (enum service)s);
		whose[n++] = s;
	}
	if (n == 0 || !process_scan(g->proc, asks, n, &up))
		return down;
	while (n-- > 0)
		if ((up & (1u << n)) == 0)
			down |= 1u << whose[n];
	return down;
}

int gather_service(const struct gather *g, enum service s)
{
	struct process_ask q;
	unsigned found;
	int runs;

	if (known_at_once(g, s, &runs))
		return runs;
	q = process_of(g, s);
	return process_scan(g->proc, &q, 1, &found) ? found != 0 : -1;
}

/* A unit that starts at boot is wanted by some target: systemd.unit(5). */
static bool at_boot(const char *units, const char *unit)
{
	char pattern[PATH_MAX];
	glob_t found;
	int rc;

	snprintf(pattern, sizeof(pattern), "%s/*.wants/%s.service", units,
		 unit);
	rc = glob(pattern, 0, NULL, &found);
	if (rc == 0)
		globfree(&found);
	return rc != GLOB_NOMATCH;
}

/* Days until notAfter, down; METRIC_UNKNOWN. */
static int64_t cert_days(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	int days = 0, seconds = 0, ok = 0;

	if (f != NULL)
		fclose(f);
	if (x != NULL)
		ok = ASN1_TIME_diff(&days, &seconds, NULL,
				    X509_get0_notAfter(x));
	X509_free(x);
	if (ok != 1)
		return METRIC_UNKNOWN;
	return seconds < 0 ? days - 1 : days;
}

void gather_services(const struct gather *g, int64_t now, struct sample *ret)
{
	unsigned s, down = missing(g, g->services);
	int64_t unboot = 0;

	for (s = 0; s < SERVICES; s++)
		unboot += (g->services & (1u << s)) != 0 && g->units != NULL &&
			  !at_boot(g->units, service_unit((enum service)s));
	if (g->services != 0) {
		ret->values[METRIC_SERVICES_DOWN] = __builtin_popcount(down);
		ret->values[METRIC_RAW_DOWN] = down;
	}
	if (g->services != 0 && g->units != NULL)
		ret->values[METRIC_SERVICES_UNBOOT] = unboot;
	if (g->cert != NULL)
		ret->values[METRIC_CERT_DAYS] = cert_days(g->cert);
	if (g->server != NULL)
		ret->values[METRIC_HEARTBEAT_AGE] =
		    gather_heartbeat_age(g->state, now);
}
