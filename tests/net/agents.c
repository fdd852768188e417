/*
 * Many agents at once against one ps-receive: real segments (of
 * make-segment), the real protocol, each machine with its own derived key,
 * each disk with its own connection, which it keeps.
 *
 *	agents PORT PASSFILE PID SPREAD STREAM...
 *
 * Each STREAM holds the passes of one machine's disks. All connections are
 * made and logged in at once; then, pass after pass, each disk sends its
 * segment at its own time within SPREAD seconds (0: all at the same moment)
 * and waits for the acknowledgement. PID is the receiver: the memory of its
 * process and of those of its connections is summed (PSS) while this goes on.
 * Prints one JSON object. Exit code 1 when an acknowledgement was missing.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "net/client.h"
#include "segment/ack.h"
#include "segment/reader.h"

#define DISKS_MAX 4096
#define STACK (512 * 1024)
#define WAIT_NS (60 * NS_PER_S)
#define LOGIN_S 20
#define IN_LINE 16

struct piece {
	uint64_t seq;
	uint8_t digest[SHA256_LEN];
	uint8_t *bytes;
	size_t len;
	int64_t took_ns; /* until it was acknowledged; 0: it was not */
};

struct disk {
	char machine[NAME_SIZE], disk[NAME_SIZE];
	uint8_t key[LOGIN_KEY_LEN];
	struct piece *pieces;
	unsigned n, number;
	pthread_t thread;
	struct err e;
};

static struct disk *disks[DISKS_MAX];
static unsigned ndisks;
static uint64_t bytes;
static struct client_to to = {"127.0.0.1", NULL, WAIT_NS, NULL};
static int64_t spread_ns, login_ns;
static sem_t queue; /* of those that log in */
static pthread_barrier_t all;
static atomic_bool over;

static void ok(int rc, const struct err *e)
{
	if (rc < 0)
		tool_die(e);
}

static void *need(void *p)
{
	if (p == NULL)
		tool_die_errno(PS_TEMPFAIL, "memory");
	return p;
}

/* ---- what is sent ---- */

static struct disk *disk_of(const struct seg_header *h,
			    const struct login_secret *secret)
{
	struct err e = {0};
	struct disk *d;
	unsigned i;

	for (i = ndisks; i > 0; i--)
		if (strcmp(disks[i - 1]->disk, h->disk) == 0 &&
		    strcmp(disks[i - 1]->machine, h->machine) == 0)
			return disks[i - 1];
	if (ndisks == DISKS_MAX)
		exit(PS_USAGE);
	d = need(calloc(1, sizeof(*d)));
	memcpy(d->machine, h->machine, NAME_SIZE);
	memcpy(d->disk, h->disk, NAME_SIZE);
	ok(login_key(secret, d->machine, d->key, &e), &e);
	d->number = ndisks;
	return disks[ndisks++] = d;
}

static void add_piece(const struct seg_reader *r, uint8_t *raw, size_t len,
		      const struct login_secret *secret)
{
	struct disk *d = disk_of(&r->header, secret);
	struct piece *p;

	d->pieces = need(realloc(d->pieces, (d->n + 1) * sizeof(*p)));
	p = &d->pieces[d->n++];
	*p = (struct piece){.seq = r->header.seq, .bytes = raw, .len = len};
	memcpy(p->digest, r->trailer.digest, SHA256_LEN);
	bytes += len;
}

static void load(const char *path, const struct login_secret *secret)
{
	struct seg_reader r = {0};
	struct seg_item item;
	struct io_in in = {0};
	struct err e = {0};
	uint8_t *raw = NULL;
	size_t len = 0;
	int rc, fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		tool_die_errno(0, "%s", path);
	ok(io_in_open_fd(&in, fd, path, &e), &e);
	ok(seg_reader_open(&r, &in, &e), &e);
	while ((rc = seg_reader_next(&r, &item, &e)) > 0) {
		raw = need(realloc(raw, len + item.raw_len));
		memcpy(raw + len, item.raw, item.raw_len);
		len += item.raw_len;
		if (item.part == SEG_PART_TRAILER) {
			add_piece(&r, raw, len, secret);
			raw = NULL;
			len = 0;
		}
	}
	ok(rc, &e);
	seg_reader_close(&r);
	io_in_close(&in);
	close(fd);
}

/* ---- one disk ---- */

static int send_piece(struct client *c, struct disk *d, struct piece *p)
{
	int64_t begin = mono_now_ns();
	struct client_answer a;
	struct ack ack;
	char path[256];
	int rc;

	snprintf(path, sizeof(path), "/v1/machines/%s/disks/%s/segments/%llu",
		 d->machine, d->disk, (unsigned long long)p->seq);
	rc = client_ask(c, "PUT", path, p->bytes, p->len, &a, &d->e);
	if (rc < 0)
		return rc;
	rc = client_judge(c, &a, &d->e);
	if (rc == 0)
		rc = ack_parse(&ack, a.body, &d->e);
	client_answer_free(&a);
	if (rc == 0 && (ack.level != ACK_DURABLE || ack.seq != p->seq ||
			memcmp(ack.digest, p->digest, SHA256_LEN) != 0))
		rc = err_set(&d->e, PS_PROTOCOL, "another acknowledgement");
	if (rc == 0)
		p->took_ns = mono_now_ns() - begin;
	return rc;
}

static void sleep_until(int64_t ns)
{
	struct timespec ts = {ns / NS_PER_S, ns % NS_PER_S};

	(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int log_in(struct client *c, struct disk *d)
{
	int rc = client_open(c, &to, &d->e);

	if (rc == 0)
		rc = client_login(c, d->machine, d->key, &d->e);
	if (rc < 0) {
		client_close(c);
		*c = (struct client){.fd = -1};
	}
	return rc;
}

/*
 * All come from one address, of which a server takes only so many that are
 * not logged in yet, and until the first of them is, it is a stranger's: they
 * stand in line, and who is turned away comes again, as an agent does.
 */
static int log_in_patiently(struct client *c, struct disk *d)
{
	int64_t until = mono_now_ns() + LOGIN_S * NS_PER_S;
	int rc;

	sem_wait(&queue);
	while ((rc = log_in(c, d)) < 0 && mono_now_ns() < until)
		sleep_until(mono_now_ns() + NS_PER_S / 4);
	sem_post(&queue);
	return rc;
}

static void *run_disk(void *arg)
{
	struct disk *d = arg;
	struct client c = {.fd = -1};
	int rc = log_in_patiently(&c, d);
	int64_t share;
	unsigned i;

	pthread_barrier_wait(&all); /* all are in */
	pthread_barrier_wait(&all); /* and their memory was summed */
	/* Neighbours in time are not neighbours in name. */
	share = spread_ns * (d->number * 7919 % ndisks) / ndisks;
	for (i = 0; i < d->n; i++) {
		int64_t begin = mono_now_ns();

		sleep_until(begin + share);
		if (rc == 0)
			rc = send_piece(&c, d, &d->pieces[i]);
		sleep_until(begin + spread_ns);
		pthread_barrier_wait(&all);
	}
	client_close(&c);
	return NULL;
}

/* ---- memory of the receiver ---- */

static uint64_t pss_kib(const char *pid)
{
	unsigned long long kib = 0;
	char path[64], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/smaps_rollup", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "Pss: %llu", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

static uint64_t sum_pss(const char *pid)
{
	uint64_t sum = pss_kib(pid);
	char path[64], child[16];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.16s/task/%.16s/children", pid,
		 pid);
	f = fopen(path, "re");
	while (f != NULL && fscanf(f, "%15s", child) == 1)
		sum += pss_kib(child);
	if (f != NULL)
		fclose(f);
	return sum;
}

struct watch {
	const char *pid;
	uint64_t peak;
};

static void *run_watch(void *arg)
{
	const struct timespec pause = {0, 200000000};
	struct watch *w = arg;

	while (!over) {
		uint64_t now = sum_pss(w->pid);

		if (now > w->peak)
			w->peak = now;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

/* ---- figures ---- */

static int by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int report(double wall, uint64_t idle, uint64_t peak)
{
	size_t n = 0, lost = 0;
	int64_t *times = NULL;
	unsigned i, k;

	for (i = 0; i < ndisks; i++) {
		times = need(
		    realloc(times, (n + disks[i]->n + 1) * sizeof(*times)));
		for (k = 0; k < disks[i]->n; k++)
			if (disks[i]->pieces[k].took_ns > 0)
				times[n++] = disks[i]->pieces[k].took_ns;
			else
				lost++;
		if (disks[i]->e.code != 0)
			tool_warn("%s/%s: %s", disks[i]->machine,
				  disks[i]->disk, disks[i]->e.msg);
	}
	qsort(times, n, sizeof(*times), by_time);
	printf("{\"connections\": %u, \"acks\": %zu, \"lost\": %zu, "
	       "\"mib\": %.1f, \"login_s\": %.2f, \"passes_s\": %.2f, ",
	       ndisks, n, lost, (double)bytes / 1048576, (double)login_ns / 1e9,
	       wall);
	if (n > 0)
		printf("\"ack_p50_ms\": %.1f, \"ack_p99_ms\": %.1f, "
		       "\"ack_max_ms\": %.1f, ",
		       (double)times[n / 2] / 1e6,
		       (double)times[n * 99 / 100] / 1e6,
		       (double)times[n - 1] / 1e6);
	printf("\"idle_kib\": %llu, \"peak_kib\": %llu, "
	       "\"peak_kib_each\": %llu}\n",
	       (unsigned long long)idle, (unsigned long long)peak,
	       (unsigned long long)peak / ndisks);
	free(times);
	return lost > 0 ? PS_NO : PS_OK;
}

int main(int argc, char **argv)
{
	struct login_secret secret;
	struct err e = {0};
	pthread_attr_t attr;
	pthread_t watcher;
	struct watch w;
	uint64_t spread, idle;
	int64_t begin;
	unsigned i;

	tool_init("agents");
	if (argc < 6 || !parse_u64(argv[4], 3600, &spread))
		return PS_USAGE;
	to.port = argv[1];
	spread_ns = (int64_t)spread * NS_PER_S;
	ok(login_secret_read(&secret, argv[2], &e), &e);
	for (i = 5; i < (unsigned)argc; i++)
		load(argv[i], &secret);
	sem_init(&queue, 0, IN_LINE);
	pthread_barrier_init(&all, NULL, ndisks + 1);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	begin = mono_now_ns();
	for (i = 0; i < ndisks; i++)
		if (pthread_create(&disks[i]->thread, &attr, run_disk,
				   disks[i]) != 0)
			tool_die_errno(PS_TEMPFAIL, "thread");
	pthread_barrier_wait(&all);
	login_ns = mono_now_ns() - begin;
	idle = sum_pss(argv[3]);
	w = (struct watch){argv[3], idle};
	pthread_create(&watcher, NULL, run_watch, &w);
	begin = mono_now_ns();
	pthread_barrier_wait(&all);
	for (i = 0; i < disks[0]->n; i++)
		pthread_barrier_wait(&all);
	begin = mono_now_ns() - begin;
	over = true;
	pthread_join(watcher, NULL);
	for (i = 0; i < ndisks; i++)
		pthread_join(disks[i]->thread, NULL);
	return report((double)begin / 1e9, idle, w.peak);
}
