#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "net/keeper.h"
#include "net/session.h"

/* A wrong guess costs this long, and a new connection. */
#define FAILED_PAUSE_NS 1000000000L

static void refuse(struct session *s, const char *machine)
{
	struct timespec pause = {0, FAILED_PAUSE_NS - 1};

	netlog_err(&s->srv->log, s->peer, NETLOG_LOGIN, "login as '%s' refused",
		   machine);
	nanosleep(&pause, NULL);
	s->end = true;
	session_say(s, 401, "login refused");
}

/* The body of the next login request; anything else is answered 400. */
static int login_message(struct session *s, char line[LOGIN_LINE_SIZE])
{
	struct err e = {0};
	size_t n;

	if (session_next(s) == 0)
		return -1;
	if (strcmp(s->head.method, "POST") == 0 && s->nparts == 2 &&
	    strcmp(s->part[0], "v1") == 0 && strcmp(s->part[1], "login") == 0 &&
	    http_body_all(&s->body, line, LOGIN_LINE_SIZE, &n, &e) == 0 &&
	    strlen(line) == n)
		return 0;
	s->end = true;
	session_say(s, 400, "Bad Request");
	return -1;
}

static int first_step(struct session *s, struct login *l)
{
	char line[LOGIN_LINE_SIZE];
	struct err e = {0};

	if (login_message(s, line) < 0)
		return -1;
	if (!login_hello_parse(line, l)) {
		s->end = true;
		session_say(s, 400, "Bad Request");
		return -1;
	}
	if (keeper_nonce(s->keeper, l->server_nonce, &e) < 0 ||
	    conn_exporter(&s->conn, l->exporter, &e) < 0) {
		netlog_err(&s->srv->log, s->peer, NETLOG_OWN, "%s", e.msg);
		s->end = true;
		session_say(s, 500, "%s", e.msg);
		return -1;
	}
	login_word_line("nonce", l->server_nonce, line);
	line[strlen(line) - 1] = '\0';
	session_say(s, 200, "%s", line);
	return s->end ? -1 : 0;
}

static int second_step(struct session *s, struct login *l)
{
	uint8_t theirs[LOGIN_PROOF_LEN], ours[LOGIN_PROOF_LEN];
	char line[LOGIN_LINE_SIZE];
	struct err e = {0};
	int rc;

	if (login_message(s, line) < 0)
		return -1;
	if (!login_word_parse(line, "proof", theirs)) {
		s->end = true;
		session_say(s, 400, "Bad Request");
		return -1;
	}
	rc = keeper_prove(s->keeper, l, theirs, ours, &e);
	if (rc == 0) {
		refuse(s, l->machine);
		return -1;
	}
	if (rc < 0) {
		netlog_err(&s->srv->log, s->peer, NETLOG_OWN, "%s", e.msg);
		s->end = true;
		session_say(s, 500, "%s", e.msg);
		return -1;
	}
	memcpy(s->machine, l->machine, sizeof(s->machine));
	login_word_line("proof", ours, line);
	line[strlen(line) - 1] = '\0';
	session_say(s, 200, "%s", line);
	return s->end ? -1 : 0;
}

int session_login(struct session *s)
{
	struct login l = {0};
	int rc = first_step(s, &l);

	if (rc == 0)
		rc = second_step(s, &l);
	return rc;
}
