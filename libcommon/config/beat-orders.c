#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "config/beat-orders.h"
#include "net/sandbox.h"

/* What a child says: not more than a pipe takes at once. */
struct says {
	int32_t ended, code;
	char note[ORDER_NOTE_SIZE];
};

int beat_orders_open(struct beat_orders *b, const char *cache, struct err *e)
{
	*b = (struct beat_orders){.cache = cache};
	b->list = calloc(BEAT_ORDERS_MAX, sizeof(*b->list));
	return b->list != NULL ? 0 : err_sys(e, PS_TEMPFAIL, "orders");
}

static void reap(struct beat_order *it)
{
	while (it->pid > 0 && waitpid(it->pid, NULL, 0) < 0 && errno == EINTR)
		;
	if (it->pid > 0)
		close(it->fd);
	it->pid = 0;
}

void beat_orders_close(struct beat_orders *b)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (b->list[i].pid > 0)
			kill(b->list[i].pid, SIGTERM);
	for (i = 0; i < b->n; i++)
		reap(&b->list[i]);
	free(b->list);
	b->list = NULL;
	b->n = 0;
}

/* ---- in a child ---- */

static void say(int fd, bool ended, int code, const char *note)
{
	struct says s = {.ended = ended, .code = code};

	snprintf(s.note, sizeof(s.note), "%s", note);
	(void)io_write_full(fd, &s, sizeof(s));
}

static void progress(void *ctx, const char *note)
{
	say(*(const int *)ctx, false, 0, note);
}

static _Noreturn void be_child(const struct beat_orders *b,
			       const struct order *o, int fd)
{
	struct order_place place = {.cache = b->cache,
				    .wait_s = ORDER_WAIT_S,
				    .progress = progress,
				    .ctx = &fd};
	char note[ORDER_NOTE_SIZE] = "";
	struct err e = {0};
	sigset_t none;
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	/* The connection is not its own. */
	if (sandbox_descriptors(&fd, 1, -1, &e) < 0)
		_exit(0);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (b->cache == NULL)
		rc = err_set(&e, PS_CONFIG,
			     "this server does not know its cache: ps-config "
			     "heartbeat -C DIR");
	else
		rc = order_run(&place, o, note, &e);
	say(fd, true, rc < 0 ? -rc : 0, note[0] != '\0' ? note : e.msg);
	_exit(0);
}

/* ---- here ---- */

static void start(const struct beat_orders *b, struct beat_order *it)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return; /* later */
	fflush(NULL);
	it->pid = fork();
	if (it->pid == 0)
		be_child(b, &it->o, fds[1]);
	close(fds[1]);
	if (it->pid < 0) {
		it->pid = 0;
		close(fds[0]);
		return;
	}
	it->fd = fds[0];
	fcntl(it->fd, F_SETFL, O_NONBLOCK);
}

static void set(struct beat_order *it, const char *state, const char *note)
{
	snprintf(it->o.state, sizeof(it->o.state), "%s", state);
	snprintf(it->o.note, sizeof(it->o.note), "%s", note);
}

static void hear(struct beat_orders *b, struct beat_order *it)
{
	struct says s;
	ssize_t n = read(it->fd, &s, sizeof(s));

	if (n < 0)
		return; /* nothing now */
	if (n != (ssize_t)sizeof(s)) {
		/* It was killed: to be run again. */
		s = (struct says){.ended = 1, .code = PS_TEMPFAIL};
		snprintf(s.note, sizeof(s.note), "its process ended");
	}
	s.note[sizeof(s.note) - 1] = '\0';
	set(it,
	    !s.ended || s.code == PS_TEMPFAIL ? ORDER_RUNNING
	    : s.code == 0		      ? ORDER_DONE
					      : ORDER_FAILED,
	    s.note);
	if (s.ended) {
		reap(it);
		it->ended = true;
	}
	/* How far it is, and that it has to be ordered again, is told soon, and
	 * never in a tight loop. */
	if (s.ended && s.code != PS_TEMPFAIL)
		b->news = true;
	else if (b->again_at == 0)
		b->again_at = mono_now_ns() + BEAT_ORDERS_AGAIN_S * NS_PER_S;
}

void beat_orders_turn(struct beat_orders *b)
{
	unsigned i, running = 0;

	for (i = 0; i < b->n; i++) {
		if (b->list[i].pid > 0)
			hear(b, &b->list[i]);
		running += b->list[i].pid > 0;
	}
	b->news |= b->again_at != 0 && mono_now_ns() >= b->again_at;
	for (i = 0; i < b->n && running < BEAT_ORDERS_RUN; i++) {
		if (b->list[i].pid > 0 || b->list[i].ended)
			continue;
		start(b, &b->list[i]);
		running++;
	}
}

unsigned beat_orders_poll(const struct beat_orders *b, struct pollfd *p,
			  unsigned max)
{
	unsigned i, n = 0;

	for (i = 0; i < b->n && n < max; i++)
		if (b->list[i].pid > 0)
			p[n++] = (struct pollfd){b->list[i].fd, POLLIN, 0};
	return n;
}

/* ---- heartbeats ---- */

json_t *beat_orders_word(struct beat_orders *b)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < b->n && list != NULL; i++) {
		struct beat_order *it = &b->list[i];

		it->told = it->ended;
		if (json_array_append_new(
			list, json_pack("{s:I, s:s, s:s}", "id",
					(json_int_t)it->o.id, "state",
					it->o.state, "note", it->o.note)) < 0) {
			json_decref(list);
			list = NULL;
		}
	}
	b->news = false;
	b->again_at = 0;
	return list;
}

static bool is_known(const struct beat_orders *b, int64_t id)
{
	unsigned i;

	for (i = 0; i < b->n; i++)
		if (b->list[i].o.id == id)
			return true;
	return false;
}

static bool take_text(const json_t *o, const char *key, char *out, size_t size)
{
	const char *text = json_string_value(json_object_get(o, key));

	snprintf(out, size, "%s", text != NULL ? text : "");
	return text == NULL || strlen(text) < size;
}

static bool is_given(const json_t *orders, int64_t id)
{
	size_t k, n = json_array_size(orders);

	for (k = 0; k < n; k++)
		if (json_integer_value(
			json_object_get(json_array_get(orders, k), "id")) == id)
			return true;
	return false;
}

/*
 * Those whose end was told, and those that were withdrawn: what is given in
 * their place must not run beside them.
 */
static void forget(struct beat_orders *b, const json_t *orders)
{
	unsigned i, kept = 0;

	for (i = 0; i < b->n; i++) {
		struct beat_order *it = &b->list[i];

		if (!it->told && is_given(orders, it->o.id)) {
			b->list[kept++] = *it;
			continue;
		}
		if (it->pid > 0)
			kill(it->pid, SIGTERM);
		reap(it);
	}
	b->n = kept;
}

void beat_orders_take(struct beat_orders *b, const json_t *orders)
{
	const json_t *o;
	size_t k;

	forget(b, orders);
	json_array_foreach(orders, k, o)
	{
		struct order new = {
		    .id = json_integer_value(json_object_get(o, "id")),
		    .job = json_integer_value(json_object_get(o, "job"))};

		if (b->n == BEAT_ORDERS_MAX || new.id <= 0 ||
		    is_known(b, new.id) ||
		    !take_text(o, "what", new.what, sizeof(new.what)) ||
		    !take_text(o, "machine", new.machine,
			       sizeof(new.machine)) ||
		    !take_text(o, "to", new.to, sizeof(new.to)))
			continue;
		snprintf(new.state, sizeof(new.state), ORDER_RUNNING);
		snprintf(new.note, sizeof(new.note), "taken");
		b->list[b->n++] = (struct beat_order){.o = new};
		b->news = true; /* that it was taken is told at once */
	}
}
