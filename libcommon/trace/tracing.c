#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/crc64.h"
#include "base/io.h"
#include "base/notify.h"
#include "base/units.h"
#include "trace/tracing.h"
#include "trace/tracer.h"

#define SOCKET "socket"
#define REQUEST_MAX 512
#define ANSWER_MAX (8u << 20) /* 65536 ranges of at most 50 bytes, and more */
#define PEER_S 5	      /* a peer that does not read or write */
#define LOCK_TRIES 50	      /* one that was told to stop is waited for */
#define LOCK_WAIT_NS (NS_PER_S / 10)
/* Between two looks at the buffers: each wakes us when 25 % are full. */
#define GAP_MS 20

struct tracing {
	const struct tracing_options *o;
	struct tracer tracer;
	int dir, lock, listener, signals;
	int64_t since_ns, cut_ns; /* mono: of the last cut */
	uint64_t cuts;
	bool over;
	int farewell; /* who told us to stop; answered at the very end */
};

/* ---- folder and socket ---- */

/* Of any length: the path goes by the folder's descriptor. */
static void address(int dir, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/" SOCKET,
		 dir);
}

static int take_lock(struct tracing *s, struct err *e)
{
	struct timespec pause = {.tv_nsec = LOCK_WAIT_NS};
	int i;

	s->lock = openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock < 0)
		return err_sys(e, 0, "%s/lock", s->o->state);
	for (i = 0; flock(s->lock, LOCK_EX | LOCK_NB) < 0; i++) {
		if (errno != EWOULDBLOCK || i >= LOCK_TRIES)
			return err_set(e, PS_TEMPFAIL,
				       "%s: another one traces already",
				       s->o->state);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int open_socket(struct tracing *s, struct err *e)
{
	struct sockaddr_un a;

	if (unlinkat(s->dir, SOCKET, 0) < 0 && errno != ENOENT)
		return err_sys(e, 0, "%s/" SOCKET, s->o->state);
	address(s->dir, &a);
	s->listener =
	    socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->listener < 0 ||
	    bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(s->listener, 8) < 0)
		return err_sys(e, 0, "%s/" SOCKET, s->o->state);
	return 0;
}

static int open_signals(struct tracing *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_sys(e, 0, "signalfd") : 0;
}

/* The same for each run in this folder, so that leftovers are found. */
static void instance_name(const char *state, char out[INSTANCE_NAME])
{
	char path[PATH_MAX];

	if (realpath(state, path) == NULL)
		snprintf(path, sizeof(path), "%s", state);
	snprintf(out, INSTANCE_NAME, "ps-trace-%016" PRIx64,
		 crc64(0, path, strlen(path)));
}

static int open_all(struct tracing *s, struct err *e)
{
	char name[INSTANCE_NAME];
	int rc;

	if (mkdir(s->o->state, 0700) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", s->o->state);
	s->dir = open(s->o->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return err_sys(e, 0, "%s", s->o->state);
	rc = take_lock(s, e);
	if (rc == 0)
		rc = open_signals(s, e);
	if (rc < 0)
		return rc;
	instance_name(s->o->state, name);
	rc = tracer_open(&s->tracer, s->o->device, name, s->o->buffer, e);
	if (rc == 0)
		rc = open_socket(s, e);
	return rc;
}

static void close_all(struct tracing *s)
{
	tracer_close(&s->tracer);
	if (s->listener >= 0) {
		(void)unlinkat(s->dir, SOCKET, 0);
		close(s->listener);
	}
	if (s->signals >= 0)
		close(s->signals);
	if (s->lock >= 0)
		close(s->lock);
	if (s->dir >= 0)
		close(s->dir);
}

/* ---- requests ---- */

static void answer_error(FILE *f, const struct err *e)
{
	fprintf(f, "error %d %s\n", e->code, e->msg);
}

static void answer_ranges(FILE *f, const struct ranges *r, uint64_t size)
{
	size_t i;

	fputs("ok\n", f);
	for (i = 0; i < r->n; i++) {
		/* Made coarser, the last one may reach over the end. */
		uint64_t end = r->items[i].end < size ? r->items[i].end : size;

		fprintf(f, "%" PRIu64 " %" PRIu64 " dirty\n", r->items[i].start,
			end - r->items[i].start);
	}
	if (r->n == 0)
		fprintf(f, "0 %" PRIu64 " clean\n", size);
}

static void on_cut(struct tracing *s, FILE *f, char *words)
{
	char *device = strsep(&words, " "), *to = strsep(&words, " ");
	char *base = strsep(&words, " ");
	struct ranges r = {0};
	struct err e = {0};
	const char *why;
	char own[32];
	int rc;

	snprintf(own, sizeof(own), "%u:%u", major(s->tracer.target.dev),
		 minor(s->tracer.target.dev));
	if (base == NULL || words != NULL) {
		(void)err_set(&e, PS_PROTOCOL, "a cut needs three words");
		rc = -e.code;
	} else if (strcmp(device, own) != 0) {
		rc = err_set(&e, PS_UNAVAILABLE, "%s is traced, not %s", own,
			     device);
	} else {
		rc = tracer_cut(&s->tracer, to,
				strcmp(base, "-") == 0 ? "" : base, &r, &why,
				&e);
		s->cut_ns = mono_now_ns();
		s->cuts++;
	}
	if (rc == 0)
		answer_ranges(f, &r, s->tracer.book.size);
	else if (rc == 1)
		fprintf(f, "unknown %s\n", why);
	else
		answer_error(f, &e);
	/* What it keeps book of is not what is asked for. */
	if (rc == -PS_UNAVAILABLE)
		s->over = true;
	ranges_free(&r);
}

static void on_status(struct tracing *s, FILE *f)
{
	struct tracer *t = &s->tracer;
	uint64_t written;
	char *text;
	json_t *j;

	tracer_drain(t);
	written = writebook_fresh(&t->book) * t->book.chunk;
	j = json_pack("{s:s, s:i, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:s, "
		      "s:I}",
		      "device", t->path, "pid", (int)getpid(), "size",
		      (json_int_t)t->book.size, "chunk",
		      (json_int_t)t->book.chunk, "base", t->book.base, "last",
		      t->book.last, "written", (json_int_t)written, "events",
		      (json_int_t)t->events, "cuts", (json_int_t)s->cuts,
		      "times_lost", (json_int_t)t->times_lost, "lost", t->why,
		      "seconds",
		      (json_int_t)((mono_now_ns() - s->since_ns) / NS_PER_S));
	text = j != NULL ? json_dumps(j, JSON_COMPACT) : NULL;
	if (text != NULL)
		fprintf(f, "ok\n%s\n", text);
	else
		fprintf(f, "error %d out of memory\n", PS_TEMPFAIL);
	free(text);
	json_decref(j);
}

static void handle(struct tracing *s, int fd, FILE *f, char *line)
{
	char *rest = line, *word = strsep(&rest, " ");

	if (strcmp(word, "cut") == 0) {
		on_cut(s, f, rest);
	} else if (strcmp(word, "status") == 0) {
		on_status(s, f);
	} else if (strcmp(word, "stop") == 0) {
		s->over = true;
		s->farewell = dup(fd);
		return;
	} else {
		fprintf(f, "error %d no such request\n", PS_PROTOCOL);
	}
	fputs("end\n", f);
}

/* One line; false when there is none in time. */
static bool read_request(int fd, char line[REQUEST_MAX])
{
	size_t n = 0;
	char *end;

	while (n < REQUEST_MAX - 1) {
		ssize_t got = read(fd, line + n, REQUEST_MAX - 1 - n);

		if (got <= 0)
			return false;
		n += (size_t)got;
		line[n] = '\0';
		end = strchr(line, '\n');
		if (end != NULL) {
			*end = '\0';
			return true;
		}
	}
	return false;
}

static bool may_ask(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void serve_one(struct tracing *s)
{
	struct timeval limit = {.tv_sec = PEER_S};
	int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
	char line[REQUEST_MAX], *text = NULL;
	size_t n = 0;
	FILE *f;

	if (fd < 0)
		return;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (may_ask(fd) && read_request(fd, line)) {
		f = open_memstream(&text, &n);
		if (f != NULL) {
			handle(s, fd, f, line);
			/* An answer that is cut is seen by its end. */
			if (fclose(f) == 0)
				(void)io_write_full(fd, text, n);
		}
	}
	free(text);
	close(fd);
}

/* ---- the loop ---- */

static int wait_ms(const struct tracing *s)
{
	int64_t left;

	if (s->o->idle_s == 0)
		return -1;
	left = (int64_t)s->o->idle_s * NS_PER_S - (mono_now_ns() - s->cut_ns);
	if (left <= 0)
		return 0;
	return left > 3600 * NS_PER_S ? 3600 * 1000 : (int)(left / 1000000) + 1;
}

static void serve(struct tracing *s)
{
	unsigned i, n = 2 + s->tracer.instance.ncpus;
	struct pollfd *fds = calloc(n, sizeof(*fds));

	if (fds == NULL)
		return;
	fds[0] = (struct pollfd){.fd = s->listener, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = s->signals, .events = POLLIN};
	for (i = 2; i < n; i++)
		fds[i] = (struct pollfd){
		    .fd = s->tracer.instance.cpus[i - 2].fd, .events = POLLIN};
	while (!s->over) {
		int ms = wait_ms(s);

		if (ms == 0)
			break;
		(void)poll(fds, n, ms);
		if (fds[1].revents != 0)
			break;
		if (fds[0].revents != 0)
			serve_one(s);
		tracer_drain(&s->tracer);
		/* Kernels that wake for each event must not make us spin. */
		(void)poll(fds, 2, GAP_MS);
	}
	free(fds);
}

int tracing_run(const struct tracing_options *o, struct err *e)
{
	struct tracing s = {.o = o,
			    .dir = -1,
			    .lock = -1,
			    .listener = -1,
			    .signals = -1,
			    .farewell = -1};
	int rc;

	s.tracer.instance = (struct instance){.folder = -1, .dir = -1};
	s.since_ns = s.cut_ns = mono_now_ns();
	/* Its buffers have to be emptied in time. */
	(void)setpriority(PRIO_PROCESS, 0, -10);
	rc = open_all(&s, e);
	if (rc == 0) {
		notify_state("READY=1");
		if (o->ready != NULL)
			o->ready(o->ctx);
		serve(&s);
	}
	close_all(&s);
	if (s.farewell >= 0) {
		(void)io_write_full(s.farewell, "ok\nend\n", 7);
		close(s.farewell);
	}
	return rc;
}

/* ---- the other side ---- */

static int dial(const char *state, int timeout_s, struct err *e)
{
	int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
	struct timeval limit = {.tv_sec = timeout_s};
	struct sockaddr_un a;

	if (dir >= 0)
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		address(dir, &a);
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
				 sizeof(limit));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit,
				 sizeof(limit));
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
			close(fd);
			fd = -1;
		}
	}
	if (fd < 0)
		fd = err_sys(e, PS_UNAVAILABLE, "%s: nobody traces", state);
	if (dir >= 0)
		close(dir);
	return fd;
}

/* "ok\n...end\n", "unknown WHY\nend\n", "error CODE WORDS\nend\n" */
static int understand(char *text, size_t n, struct tracing_answer *ret,
		      struct err *e)
{
	char *body = strchr(text, '\n');
	int code, at;

	if (body == NULL || n < 4 || strcmp(text + n - 4, "end\n") != 0)
		return err_set(e, PS_TEMPFAIL, "an answer that is cut");
	text[n - 4] = '\0';
	*body++ = '\0';
	if (strcmp(text, "ok") == 0) {
		memmove(text, body, strlen(body) + 1);
		ret->text = text;
		return 0;
	}
	if (strncmp(text, "unknown ", 8) == 0) {
		snprintf(ret->why, sizeof(ret->why), "%s", text + 8);
		return 1;
	}
	if (sscanf(text, "error %d %n", &code, &at) == 1 && code > 0)
		return err_set(e, code, "%s", text + at);
	return err_set(e, PS_PROTOCOL, "an answer that is not understood");
}

int tracing_ask(const char *state, const char *request, int timeout_s,
		struct tracing_answer *ret, struct err *e)
{
	int fd = dial(state, timeout_s, e), rc;
	char *text;
	ssize_t n;

	*ret = (struct tracing_answer){0};
	if (fd < 0)
		return fd;
	text = malloc(ANSWER_MAX + 1);
	if (text == NULL) {
		close(fd);
		return err_set(e, PS_TEMPFAIL, "out of memory");
	}
	if (io_write_full(fd, request, strlen(request)) < 0 ||
	    io_write_full(fd, "\n", 1) < 0 ||
	    (n = io_read_full(fd, text, ANSWER_MAX)) < 0) {
		rc = err_sys(e, PS_TEMPFAIL, "%s: no answer", state);
	} else {
		text[n] = '\0';
		rc = understand(text, (size_t)n, ret, e);
	}
	if (rc != 0)
		free(text);
	close(fd);
	return rc;
}
