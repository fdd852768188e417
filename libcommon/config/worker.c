#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <jansson.h>

#include "base/units.h"
#include "base/version.h"
#include "config/desk.h"
#include "config/worker.h"
#include "net/sandbox.h"
#include "net/session.h"

#define JSON "application/json"
#define RETRY_S 10

struct work {
	int desk;
};

static void refuse(struct session *s, unsigned status, const char *word,
		   const char *text)
{
	json_t *o =
	    json_pack("{s:s, s:s, s:n}", "error", word, "text", text, "hint");
	char *body = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;

	session_answer(s,
		       &(struct answer){.status = status,
					.body = body,
					.len = body != NULL ? strlen(body) : 0,
					.cause = status == 503 ? word : NULL,
					.retry_s = RETRY_S,
					.type = JSON});
	json_decref(o);
	free(body);
}

static void pass_on(struct session *s, enum desk_what what, const char *name,
		    const char *body, size_t n)
{
	const struct work *w = s->ctx;
	struct desk_answer a;
	struct err e = {0};

	if (desk_ask(w->desk, what, name, body, n, s->conn.rfd, s->srv, &a,
		     &e) < 0) {
		/* What is still to come on that channel is of no use. */
		s->end = true;
		refuse(s, 503, "busy", e.msg);
		return;
	}
	session_answer(
	    s, &(struct answer){.status = a.status,
				.body = a.body,
				.len = a.len,
				.cause = a.cause[0] != '\0' ? a.cause : NULL,
				.retry_s = a.retry_s,
				.type = JSON});
	free(a.body);
}

static void with_body(struct session *s, enum desk_what what)
{
	char *body = malloc(DESK_BODY_MAX + 1);
	struct err e = {0};
	size_t n = 0;

	if (body == NULL) {
		refuse(s, 503, "busy", "out of memory");
	} else if (http_body_all(&s->body, body, DESK_BODY_MAX + 1, &n, &e) <
		   0) {
		s->end = true;
		refuse(s, e.code == PS_DATA ? 413 : 400, "request", e.msg);
	} else {
		pass_on(s, what, "", body, n);
	}
	free(body);
}

static bool is_path(const struct session *s, const char *method,
		    const char *word)
{
	return s->nparts >= 2 && strcmp(s->part[0], "v1") == 0 &&
	       strcmp(s->part[1], word) == 0 &&
	       strcmp(s->head.method, method) == 0;
}

/* "192.0.2.1:40000", "[2001:db8::1]:40000": the address alone. */
static void address_of(const char *peer, char out[INET6_ADDRSTRLEN])
{
	const char *end = strrchr(peer, ':');
	size_t n = end != NULL ? (size_t)(end - peer) : 0;

	if (n > 2 && peer[0] == '[') {
		peer++;
		n -= 2;
	}
	snprintf(out, INET6_ADDRSTRLEN, "%.*s", (int)n, peer);
}

/*
 * The version, so that a server can be told beforehand that it is too new; and
 * from where it comes, so that it knows whether its address is translated.
 */
static void say_time(struct session *s)
{
	char now[TIME_TEXT], peer[INET6_ADDRSTRLEN], body[192];
	int n;

	format_time(time_now_ns(), now);
	address_of(s->peer, peer);
	n = snprintf(body, sizeof(body),
		     "{\"time\":\"%s\",\"version\":\"%s\",\"peer\":%s%s%s}",
		     now, version_ours(), *peer != '\0' ? "\"" : "",
		     *peer != '\0' ? peer : "null", *peer != '\0' ? "\"" : "");
	session_answer(s, &(struct answer){.status = 200,
					   .body = body,
					   .len = (size_t)n,
					   .type = JSON});
}

static void answer(struct session *s)
{
	static const struct {
		const char *method, *word;
		enum desk_what what;
	} ways[] = {
	    {"POST", "register", DESK_REGISTER},
	    {"POST", "heartbeat", DESK_HEARTBEAT},
	    {"POST", "leave", DESK_LEAVE},
	    {"GET", "news", DESK_NEWS},
	    {"GET", "servers", DESK_SERVERS},
	    {"GET", "status", DESK_STATUS},
	    {"GET", "jobs", DESK_JOBS},
	};
	size_t i;

	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (s->nparts != 2 || !is_path(s, ways[i].method, ways[i].word))
			continue;
		if (ways[i].what <= DESK_LEAVE)
			with_body(s, ways[i].what);
		else
			pass_on(s, ways[i].what, "", "", 0);
		return;
	}
	if (s->nparts < 1) /* what a browser asks for */
		session_say(s, 400, "Bad Request");
	else if (s->nparts == 3 && is_path(s, "GET", "machines") &&
		 name_ok(s->part[2]))
		pass_on(s, DESK_MACHINE, s->part[2], "", 0);
	else if (s->nparts == 2 && is_path(s, "GET", "time"))
		say_time(s);
	else
		refuse(s, 404, "place", "no such place or method");
}

static int enter(struct session *s, struct err *e)
{
	(void)s;
	json_object_seed(0); /* from a file that is out of reach then */
	return sandbox_enter(SANDBOX_GATE, -1, e);
}

int worker_run(struct server *srv, int fd, int lent,
	       const struct keeper_notice *who, const char *peer)
{
	struct work w = {lent};
	const struct session_work work = {enter, answer, NULL, &w};

	return session_run(srv, fd, who->machine, peer, &work);
}
