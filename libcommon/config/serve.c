#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/desk.h"
#include "config/serve.h"
#include "config/worker.h"
#include "net/server.h"

#define PATH_SIZE 4096

struct all {
	const struct serve *ask;
	struct desk desk;
	struct keeper keeper;
	struct server_work work;
	struct server srv;
	struct sandbox_user user;
	char dir[PATH_SIZE], cert[PATH_SIZE], key[PATH_SIZE], log[PATH_SIZE];
};

static void name_files(struct all *a)
{
	const char *dir = a->ask->where->dir;

	snprintf(a->dir, PATH_SIZE, "%s/" DESK_SERVE, dir);
	snprintf(a->log, PATH_SIZE, "%s/" DESK_SERVE "/log", dir);
	snprintf(a->cert, PATH_SIZE, "%s/" DESK_CERT, dir);
	snprintf(a->key, PATH_SIZE, "%s/" DESK_KEY, dir);
	if (a->ask->cert != NULL)
		snprintf(a->cert, PATH_SIZE, "%s", a->ask->cert);
	if (a->ask->key != NULL)
		snprintf(a->key, PATH_SIZE, "%s", a->ask->key);
	if (a->ask->log_dir != NULL)
		snprintf(a->log, PATH_SIZE, "%s", a->ask->log_dir);
}

/* The desk first: it makes the certificate that the keeper needs. */
static int start_helpers(struct all *a, struct err *e)
{
	const struct desk_place place = {.where = a->ask->where,
					 .user = &a->user,
					 .alt = a->ask->alt,
					 .cert = a->ask->cert,
					 .version = PACKAGE_VERSION,
					 .interval = a->ask->interval,
					 .cert_s = a->ask->cert_s};
	struct keeper_files files = {
	    .cert = a->cert, .key = a->key, .roots = -1};
	int rc = desk_start(&a->desk, &place, &files.roots, e);

	if (rc == 0)
		rc = keeper_start(&a->keeper, &files, &a->user, e);
	return rc;
}

static void say_sandbox(const struct all *a)
{
	char words[160];

	sandbox_words(words, sizeof(words));
	tool_note("connections are confined by: %s", words);
	if (strstr(words, "no ") != NULL)
		tool_warn("connections are confined by no more than: %s",
			  words);
	if (a->user.stay_root && a->ask->user == NULL)
		tool_warn("there is no user '%s': this goes on as root, "
			  "without capabilities",
			  SANDBOX_USER);
}

/* What needs root is done before it is given up. */
static int prepare(struct all *a, int *fd, unsigned *port, struct err *e)
{
	int rc = sandbox_user(&a->user, a->ask->user, e);

	if (rc == 0)
		rc = start_helpers(a, e);
	if (rc == 0)
		rc = keeper_tls(&a->srv.tls, a->cert, e);
	if (rc == 0)
		rc = server_listen(a->ask->listen, fd, port, e);
	if (rc == 0)
		rc = sandbox_drop(&a->user, e);
	if (rc == 0)
		rc = netlog_open(&a->srv.log, a->log, NETLOG_SIZE_DEFAULT, e);
	if (rc == 0)
		say_sandbox(a);
	return rc;
}

int serve_run(const struct serve *s, serve_ready_fn *ready, struct err *e)
{
	struct all a = {.ask = s, .keeper = {.fd = -1}};
	unsigned port = 0;
	int fd = -1, rc;

	name_files(&a);
	a.srv = (struct server){.work = &a.work,
				.dir = a.dir,
				.cert = a.cert,
				.keeper = &a.keeper,
				.log = {.dirfd = -1},
				.max_connections = s->max_connections,
				.login_s = SERVER_LOGIN_S,
				.idle_s = SERVER_IDLE_S};
	rc = prepare(&a, &fd, &port, e);
	if (rc == 0) {
		a.work = (struct server_work){worker_run, desk_channel, &a.desk,
					      a.desk.fd};
		server_signals(&a.srv);
		rc = ready(port, e);
	}
	if (rc == 0)
		rc = server_run(&a.srv, fd, e);
	netlog_close(&a.srv.log);
	SSL_CTX_free(a.srv.tls);
	return rc;
}
