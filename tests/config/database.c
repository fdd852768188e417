#include "config.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/units.h"
#include "database.h"

struct server server;

/*
 * What is tested is what survives a killed server, not a power cut; the
 * installation alone syncs for seconds.
 */
#define UNSYNCED "$(command -v eatmydata) "
#define SMALL "--innodb-buffer-pool-size=16M --innodb-log-file-size=8M "

bool server_installed(void)
{
#ifndef HAVE_MARIADB
	return false;
#endif
	return system("command -v mariadbd mariadb-install-db >/dev/null") == 0;
}

static void make_dir(char *out, size_t size)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(out, size, "%s/ps-config.XXXXXX", tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(out));
}

static int free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	close(fd);
	return ntohs(a.sin_port);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void run(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (system(text) != 0)
		fail_msg("failed: %s", text);
}

static void install(void)
{
	make_dir(server.dir, sizeof(server.dir));
	snprintf(server.socket, sizeof(server.socket), "%s/socket", server.dir);
	server.port = free_port();
	/* At its start MariaDB deletes the temporary tables of all others
	 * that have the same TMPDIR. */
	run("cd %s && TMPDIR=%s " UNSYNCED "mariadb-install-db --no-defaults "
	    "--datadir=%s/db " SMALL
	    "--user=\"$(id -un)\" --auth-root-authentication-method=normal "
	    "--skip-test-db >install.log 2>&1 && openssl req -x509 -newkey "
	    "ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert "
	    "-subj /CN=localhost -days 2 2>/dev/null",
	    server.dir, server.dir, server.dir);
}

void server_begin(void)
{
	char command[2048];

	if (server.dir[0] == '\0')
		install();
	snprintf(
	    command, sizeof(command),
	    "exec " UNSYNCED
	    "mariadbd --no-defaults --datadir=%s/db --socket=%s "
	    "--tmpdir=%s --pid-file=%s/pid --bind-address=127.0.0.1 --port=%d "
	    "--ssl-cert=%s/cert --ssl-key=%s/key "
	    "--user=\"$(id -un)\" " SMALL ">>%s/log 2>&1 </dev/null",
	    server.dir, server.socket, server.dir, server.dir, server.port,
	    server.dir, server.dir, server.dir);
	server.pid = fork();
	assert_true(server.pid >= 0);
	if (server.pid == 0) {
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
}

void server_start(void)
{
	struct sql_target t = {
	    .host = server.socket, .user = "root", .wait_s = 30};
	struct sql *s;
	struct err e = {0};

	if (server.pid == 0)
		server_begin();
	if (sql_open(&s, &t, &e) < 0)
		fail_msg("%s", e.msg);
	sql_close(s);
}

void server_stop(void)
{
	if (server.pid == 0)
		return;
	kill(server.pid, SIGKILL); /* as a power cut would */
	waitpid(server.pid, NULL, 0);
	server.pid = 0;
}

void server_remove(void)
{
	server_stop();
	if (server.dir[0] != '\0')
		run("rm -rf %s", server.dir);
	server.dir[0] = '\0';
}

void place_make(struct place *p, bool mariadb)
{
	static int number;
	struct err e = {0};
	FILE *f;

	*p = (struct place){.mariadb = mariadb};
	make_dir(p->dir, sizeof(p->dir));
	p->where = (struct reg_where){.dir = p->dir, .wait_s = 20};
	if (mariadb) {
		server_start();
		snprintf(p->name, sizeof(p->name), "t%d_%d", (int)getpid(),
			 ++number);
		snprintf(p->credentials, sizeof(p->credentials), "%s/mysql",
			 p->dir);
		umask(077);
		f = fopen(p->credentials, "w");
		assert_non_null(f);
		fprintf(f,
			"[MySQLCredentials]\nMySQLRootPassword = \"\"\n"
			"MySQLUserPassword = \"%s\"\n",
			PLACE_PASSWORD);
		assert_int_equal(fclose(f), 0);
		p->where.credentials = p->credentials;
		p->where.host = server.socket;
		p->where.name = p->name;
	}
	if (reg_init(&p->reg, &p->where, "test", &e) < 0)
		fail_msg("%s", e.msg);
}

struct reg *place_open(struct place *p)
{
	struct reg *r = NULL;
	struct err e = {0};

	if (reg_open(&r, &p->where, "test", &e) < 0)
		fail_msg("%s", e.msg);
	return r;
}

void place_remove(struct place *p)
{
	reg_close(p->reg);
	run("rm -rf %s", p->dir);
}
