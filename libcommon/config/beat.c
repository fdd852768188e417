#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/notify.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/beat-orders.h"
#include "config/beat.h"
#include "config/client.h"
#include "config/desk.h"
#include "config/health-word.h"
#include "config/join.h"
#include "health/gather.h"

#define JOIN_WAIT_NS (30 * NS_PER_S)
#define NEWS_SLACK_S 20 /* for the answer to a request that is held */
#define LOST_S 1	/* after a held request was lost: first, then longer */

struct beating {
	const struct beat *b;
	struct identity id;
	char authority[IDENTITY_PATH];
	uint8_t key[LOGIN_KEY_LEN];
	struct beat_orders orders;
	struct cs_to to;
	struct cs cs;
	bool open; /* connected and logged in */
	bool left; /* unregistered, as it was asked to */
	int64_t interval_s;
	unsigned failed; /* one after another */
	unsigned lost;	 /* held requests, one after another */
	sigset_t mask;	 /* in waits */
};

static volatile sig_atomic_t stop;

static void on_stop(int sig)
{
	(void)sig;
	stop = 1;
}

static void catch_signals(struct beating *g)
{
	struct sigaction sa = {.sa_handler = on_stop};
	sigset_t block;

	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, &g->mask);
	sigdelset(&g->mask, SIGTERM);
	sigdelset(&g->mask, SIGINT);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

/*
 * Until fd (-1: none) can be read: true; false when the time is over, or an
 * order has brought news.
 */
static bool wait_for(struct beating *g, int fd, int64_t end_ns)
{
	struct pollfd p[1 + BEAT_ORDERS_RUN] = {{fd, POLLIN, 0}};

	beat_orders_turn(&g->orders);
	/* While nobody can be told, news are no reason to hurry. */
	while (!stop && (g->failed > 0 || !g->orders.news)) {
		int64_t left = end_ns - mono_now_ns();
		struct timespec t;
		unsigned n =
		    1 + beat_orders_poll(&g->orders, p + 1, BEAT_ORDERS_RUN);

		if (left <= 0)
			return false;
		if (left > BEAT_ORDERS_AGAIN_S * NS_PER_S)
			left = BEAT_ORDERS_AGAIN_S * NS_PER_S;
		t = (struct timespec){left / NS_PER_S, left % NS_PER_S};
		if (ppoll(p, n, &t, &g->mask) > 0 && p[0].revents != 0)
			return true;
		beat_orders_turn(&g->orders);
	}
	return false;
}

/* ---- who we are ---- */

/* A folder that came here with a copy of its machine must not be used. */
static int check_machine(const struct beating *g, struct err *e)
{
	char ours[REG_TEXT_SIZE];
	int rc;

	/* As join_prepare() has it. */
	identity_machine_id(NULL, ours);
	if (g->b->machine_id != NULL)
		snprintf(ours, sizeof(ours), "%s", g->b->machine_id);
	else if (strcmp(g->id.machine_id, ours) != 0)
		identity_machine_id(g->b->instance, ours);
	if (g->id.machine_id[0] == '\0' || ours[0] == '\0' ||
	    strcmp(g->id.machine_id, ours) == 0)
		return 0;
	rc = err_set(e, PS_CONFIG,
		     "%s: is of another machine ('%s'): this one is a clone "
		     "of it, or got a new /etc/machine-id",
		     g->b->dir, g->id.name);
	err_hint(e, IDENTITY_CLONE_HINT);
	return rc;
}

static int read_identity(struct beating *g, struct err *e)
{
	struct login_secret secret;
	char path[IDENTITY_PATH];
	int rc = identity_load(g->b->dir, &g->id, e);

	if (rc == 0)
		rc = check_machine(g, e);
	if (rc < 0)
		return rc;
	identity_path(g->b->dir, IDENTITY_LOGIN, path);
	rc = login_secret_read(&secret, path, e);
	if (rc == 0)
		rc = login_key(&secret, g->id.name, g->key, e);
	secret_wipe(&secret, sizeof(secret));
	identity_path(g->b->dir, IDENTITY_AUTHORITY, g->authority);
	g->to = (struct cs_to){.host = g->id.cs_host,
			       .port = g->id.cs_port,
			       .name = g->id.name,
			       .key = g->key,
			       .authority = g->authority,
			       .pin = g->id.pin};
	return rc;
}

static void hang_up(struct beating *g)
{
	if (g->open)
		cs_close(&g->cs);
	g->open = false;
}

static int connect_to(struct beating *g, struct err *e)
{
	int rc;

	if (g->open)
		return 0;
	rc = cs_open(&g->cs, &g->to, e);
	g->open = rc == 0;
	if (rc < 0)
		cs_close(&g->cs);
	if (rc == -PS_NOPERM && strstr(e->msg, "401") != NULL)
		err_hint(e, "was the passphrase rotated? then: ps-config "
			    "register -P FILE");
	return rc;
}

/* ---- one ---- */

/* ps-health's folder, when it is there: it may come, and go, at any time. */
static const char *health_folder(const struct beating *g)
{
	const char *dir = g->b->health;

	return dir != NULL && access(dir, X_OK) == 0 ? dir : NULL;
}

static json_t *make_body(struct beating *g, struct err *e)
{
	json_t *health = NULL, *machines = NULL, *body = NULL;
	char now[TIME_TEXT];
	int rc = health_word(health_folder(g), &health, &machines, e);

	if (rc < 0)
		return NULL;
	if (json_is_object(health) && g->b->vaults != NULL)
		json_object_set_new(health, "vaults", g->b->vaults());
	format_time(time_now_ns(), now);
	body =
	    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "name", g->id.name,
		      "version", g->b->version, "machine_id", g->id.machine_id,
		      "time", now, "health", health, "machines", machines,
		      "orders", beat_orders_word(&g->orders));
	if (body == NULL)
		err_set(e, PS_TEMPFAIL, "no memory for the heartbeat");
	return body;
}

/* For ps-health and ps-doctor. */
static void stamp(const struct beating *g)
{
	const char *dir = health_folder(g);
	struct err e = {0};
	int dirfd;

	if (dir == NULL)
		return;
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0 || gather_stamp(dirfd, GATHER_HEARTBEAT, &e) < 0)
		tool_warn("%s: %s", dir, dirfd < 0 ? strerror(errno) : e.msg);
	if (dirfd >= 0)
		close(dirfd);
}

static void no_report(void *ctx, const struct selftest_step *step)
{
	(void)ctx;
	(void)step;
}

/* A certificate that ends soon: the same key, the same names. */
static void renew(struct beating *g)
{
	struct join j = {.dir = g->b->dir,
			 .version = g->b->version,
			 .instance = g->b->instance,
			 .wait_ns = JOIN_WAIT_NS};
	struct err e = {0};
	int rc;

	j.id = g->id;
	rc = join_prepare(&j, &e);
	if (rc == 0)
		rc = join_run(&j, no_report, NULL, &e);
	if (rc < 0)
		tool_warn("the certificate ends soon and could not be renewed: "
			  "%s",
			  e.msg);
	else
		tool_warn("the certificate was renewed");
}

static bool is_true(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* It was asked to go: tells so, and forgets who it was. */
static int leave(struct beating *g, struct err *e)
{
	json_t *body = json_pack("{s:s}", "name", g->id.name), *got = NULL;
	int rc = cs_ask(&g->cs, "POST", "/v1/leave", body, &got, e);

	json_decref(body);
	json_decref(got);
	if (rc == -PS_NO && strcmp(g->cs.word, "leave") == 0) {
		tool_warn("shall stay after all");
		return 0;
	}
	if (rc == 0)
		rc = identity_forget(g->b->dir, e);
	g->left = rc == 0;
	if (g->left)
		tool_warn("unregistered, as the configuration server asked");
	return rc;
}

static int take_answer(struct beating *g, const json_t *a, struct err *e)
{
	int64_t s = json_integer_value(json_object_get(a, "interval"));

	g->interval_s = g->b->interval_s != 0 ? (int64_t)g->b->interval_s
			: s >= 1 && s <= 600  ? s
					      : 60;
	stamp(g);
	beat_orders_take(&g->orders, json_object_get(a, "orders"));
	if (is_true(a, "leave"))
		return leave(g, e);
	if (is_true(a, "renew"))
		renew(g);
	return 0;
}

static int beat_one(struct beating *g, struct err *e)
{
	json_t *body = NULL, *answer = NULL;
	int rc = connect_to(g, e);

	if (rc < 0)
		return rc;
	body = make_body(g, e);
	rc = body != NULL
		 ? cs_ask(&g->cs, "POST", "/v1/heartbeat", body, &answer, e)
		 : -e->code;
	if (rc == 0)
		rc = take_answer(g, answer, e);
	json_decref(body);
	json_decref(answer);
	if (rc < 0)
		hang_up(g);
	return rc;
}

/* ---- all of them ---- */

/*
 * The way in which it reaches us is gone: it was restarted, or the network cut
 * it. Orders must not wait for the next heartbeat that is due, so that comes
 * soon; later each time, as long as none is held.
 */
static void wait_lost(struct beating *g, int64_t due)
{
	int64_t ns = LOST_S * NS_PER_S << (g->lost < 6 ? g->lost : 6);
	uint32_t r = 0;

	hang_up(g);
	g->lost++;
	/* Many servers have lost it at once: not all in the same moment. */
	(void)getrandom(&r, sizeof(r), 0);
	ns = ns / 2 + (int64_t)((double)ns * r / UINT32_MAX);
	if (due > mono_now_ns() + ns)
		due = mono_now_ns() + ns;
	(void)wait_for(g, -1, due);
}

/* The answer to a request that was held: false when there is none. */
static bool take_news(struct beating *g, bool *ret_refresh)
{
	struct err e = {0};
	json_t *a = NULL;

	if (cs_take(&g->cs, &a, &e) < 0)
		return false;
	g->lost = 0;
	*ret_refresh = is_true(a, "refresh");
	json_decref(a);
	return true;
}

/*
 * Until the next one is due, or the configuration server has something to say.
 * A request that it holds is the way in which it reaches us.
 */
static void wait_for_news(struct beating *g)
{
	int64_t due = mono_now_ns() + g->interval_s * NS_PER_S;
	bool refresh = false;
	struct err e = {0};

	while (!stop && !refresh && !g->orders.news && mono_now_ns() < due) {
		int64_t most =
		    mono_now_ns() + (DESK_HOLD_S + NEWS_SLACK_S) * NS_PER_S;

		if (!g->open ||
		    cs_send(&g->cs, "GET", "/v1/news", NULL, &e) < 0) {
			wait_lost(g, due);
			return;
		}
		if (!wait_for(g, g->cs.c.fd, due < most ? due : most)) {
			hang_up(g); /* its answer may still be on the way */
		} else if (!take_news(g, &refresh)) {
			wait_lost(g, due);
			return;
		}
	}
}

static bool may_pass(const struct beating *g, int rc)
{
	return !g->b->once && rc != -PS_CONFIG &&
	       (rc != -PS_NO || g->cs.word[0] == '\0');
}

/* It is not there: after some time again, longer each time. */
static void wait_again(struct beating *g, const struct err *e)
{
	unsigned s = BEAT_RETRY_S << (g->failed < 4 ? g->failed : 4);

	if (g->cs.retry_s != 0)
		s = g->cs.retry_s;
	if (s > BEAT_RETRY_MAX_S)
		s = BEAT_RETRY_MAX_S;
	if (g->failed++ == 0)
		tool_warn("%s (tried again)", e->msg);
	(void)wait_for(g, -1, mono_now_ns() + s * NS_PER_S);
}

int beat_run(const struct beat *b, struct err *e)
{
	struct beating g = {.b = b};
	int rc = read_identity(&g, e);

	if (rc == 0)
		rc = beat_orders_open(&g.orders, b->cache, e);
	if (rc < 0)
		return rc;
	catch_signals(&g);
	notify_state("READY=1");
	while (!stop) {
		rc = beat_one(&g, e);
		if (g.left || (rc == 0 && b->once) ||
		    (rc < 0 && !may_pass(&g, rc)))
			break;
		if (rc < 0) {
			wait_again(&g, e);
			rc = 0;
			continue;
		}
		if (g.failed > 0)
			tool_warn("the configuration server is there again");
		g.failed = 0;
		wait_for_news(&g);
	}
	hang_up(&g);
	beat_orders_close(&g.orders);
	secret_wipe(g.key, sizeof(g.key));
	return rc;
}
