#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>

#include "base/io.h"
#include "base/units.h"
#include "pipeline/gauge.h"

#define STEP_NS (NS_PER_S / GAUGE_PER_SECOND)
#define USUAL_NAME "default"

void gauge_file(const char *dir, const char *stem, const char *name, char *out,
		size_t size)
{
	bool usual = name == NULL || strcmp(name, USUAL_NAME) == 0;

	snprintf(out, size, "%s/%s%s%s", dir, stem, usual ? "" : ".",
		 usual ? "" : name);
}

void gauge_open(struct gauge *g, const char *dir, const char *name)
{
	memset(g, 0, sizeof(*g));
	gauge_file(dir, ".stages", name, g->path, sizeof(g->path));
	g->file.path = g->path;
}

/* ---- one sample ---- */

/* What waits in a pipe, by an O_PATH descriptor of it; false: not known. */
static bool glance(int path_fd, int *ret_bytes, int *ret_size)
{
	char path[64];
	int fd;
	bool ok;

	if (path_fd < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return false;
	*ret_size = fcntl(fd, F_GETPIPE_SZ);
	ok = *ret_size > 0 && ioctl(fd, FIONREAD, ret_bytes) == 0;
	close(fd);
	return ok;
}

static enum gauge_fill fill_of(int bytes, int size)
{
	if (bytes <= size / 4)
		return GAUGE_EMPTY;
	return bytes >= size - size / 4 ? GAUGE_FULL : GAUGE_BETWEEN;
}

static void sample(struct gauge *g, const struct chain *c)
{
	unsigned i, at = (unsigned)(g->samples % GAUGE_WINDOW);

	for (i = 0; i < g->n; i++) {
		struct gauge_stage *s = &g->stages[i];

		s->fill[at] = GAUGE_UNKNOWN;
		if (!c->stages[i].ended &&
		    glance(c->stages[i].before, &s->queue, &s->size))
			s->fill[at] = (uint8_t)fill_of(s->queue, s->size);
	}
	g->samples++;
}

/* Processor time in ticks: proc(5), /proc/PID/stat; -1: not known. */
static int64_t ticks_of(pid_t pid)
{
	unsigned long long user, system;
	char path[64], text[1024], *p;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = io_read_full(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	/* The name may hold anything: what counts is behind its ')'. */
	p = strrchr(text, ')');
	if (p == NULL ||
	    sscanf(p + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
		   &user, &system) != 2)
		return -1;
	return (int64_t)(user + system);
}

static void read_cpu(struct gauge *g, int64_t now)
{
	double took = (double)(now - g->cpu_ns) / (double)NS_PER_S;
	double hz = (double)sysconf(_SC_CLK_TCK);
	unsigned i;

	for (i = 0; i < g->n; i++) {
		struct gauge_stage *s = &g->stages[i];
		int64_t ticks = ticks_of(s->pid);

		s->cpu = 0;
		if (ticks >= 0 && s->ticks >= 0 && ticks >= s->ticks &&
		    took > 0)
			s->cpu = (double)(ticks - s->ticks) / hz / took;
		s->ticks = ticks;
	}
	g->cpu_ns = now;
}

/* ---- what they come to ---- */

/* The pipe before a stage in a sample; of the first: full, as there is none. */
static enum gauge_fill before(const struct gauge *g, unsigned stage,
			      unsigned at)
{
	return stage == 0 ? GAUGE_FULL : g->stages[stage].fill[at];
}

static enum gauge_fill behind(const struct gauge *g, unsigned stage,
			      unsigned at)
{
	return stage + 1 == g->n ? GAUGE_EMPTY : g->stages[stage + 1].fill[at];
}

/* Nothing went through the chain: that says nothing of a later stage. */
static bool idle(const struct gauge *g, unsigned at)
{
	unsigned i;

	for (i = 1; i < g->n; i++)
		if (g->stages[i].fill[at] >= GAUGE_BETWEEN)
			return false;
	return true;
}

void gauge_shares(const struct gauge *g, unsigned stage,
		  struct gauge_shares *ret)
{
	unsigned n =
	    g->samples < GAUGE_WINDOW ? (unsigned)g->samples : GAUGE_WINDOW;
	unsigned limits = 0, starved = 0, blocked = 0, i;

	*ret = (struct gauge_shares){0};
	for (i = 0; i < n; i++) {
		enum gauge_fill in = before(g, stage, i);
		enum gauge_fill out = behind(g, stage, i);

		if (in == GAUGE_UNKNOWN || out == GAUGE_UNKNOWN ||
		    (stage > 0 && idle(g, i)))
			continue;
		ret->n++;
		limits += in == GAUGE_FULL && out == GAUGE_EMPTY;
		starved += in == GAUGE_EMPTY;
		blocked += out == GAUGE_FULL;
	}
	if (ret->n == 0)
		return;
	ret->limits = (double)limits / ret->n;
	ret->starved = (double)starved / ret->n;
	ret->blocked = (double)blocked / ret->n;
}

/* Two digits behind the point are more than is known. */
static json_t *share(double v)
{
	return json_real((double)(int)(v * 1000 + 0.5) / 1000);
}

static json_t *stage_json(const struct gauge *g, const struct chain *c,
			  unsigned i)
{
	const struct gauge_stage *s = &g->stages[i];
	struct gauge_shares sh;

	gauge_shares(g, i, &sh);
	return json_pack("{s:s s:i s:o s:i s:i s:o s:o s:o s:i}", "stage",
			 c->stages[i].name, "pid", (int)s->pid, "cpu",
			 share(s->cpu), "queue", s->queue, "queue_size",
			 s->size, "limits", share(sh.limits), "starved",
			 share(sh.starved), "blocked", share(sh.blocked),
			 "samples", (int)sh.n);
}

static void write_file(struct gauge *g, const struct chain *c)
{
	char since[TIME_TEXT], now[TIME_TEXT], *text = NULL;
	json_t *stages = json_array(), *root;
	unsigned i;

	format_time(g->since / NS_PER_S * NS_PER_S, since);
	format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
	for (i = 0; g->running && i < g->n; i++)
		json_array_append_new(stages, stage_json(g, c, i));
	root = json_pack("{s:i s:b s:s s:s s:o}", "pid", (int)getpid(),
			 "running", (int)g->running, "since", since, "updated",
			 now, "stages", stages);
	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER |
					    JSON_REAL_PRECISION(4));
	status_write(&g->file, text);
	free(text);
	json_decref(root);
}

/* ---- the chain ---- */

static bool same_chain(const struct gauge *g, const struct chain *c)
{
	return g->running && g->n == c->n && g->stages[0].pid == c->group;
}

static void begin(struct gauge *g, const struct chain *c, int64_t now)
{
	unsigned i;

	g->n = c->n;
	g->samples = 0;
	g->since = time_now_ns();
	g->running = true;
	g->cpu_ns = now;
	for (i = 0; i < c->n; i++)
		g->stages[i] = (struct gauge_stage){.pid = c->stages[i].pid};
}

int64_t gauge_step(struct gauge *g, const struct chain *c, int64_t until)
{
	int64_t now = mono_now_ns();

	if (c->alive == 0) {
		if (g->running || g->file.written_ns == 0) {
			g->running = false;
			write_file(g, c);
		}
		return until;
	}
	if (!same_chain(g, c))
		begin(g, c, now);
	if (now >= g->next) {
		sample(g, c);
		g->next = now + STEP_NS;
		if (status_due(&g->file)) {
			read_cpu(g, now);
			write_file(g, c);
		}
	}
	return g->next < until ? g->next : until;
}
