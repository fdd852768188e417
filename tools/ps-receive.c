/*
 * ps-receive: the receiving end of a process server. Listens for sources,
 * puts their segments into the cache and acknowledges what is durable.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/notify.h"
#include "base/opt.h"
#include "base/secret.h"
#include "base/tool.h"
#include "cache/cache.h"
#include "net/keeper.h"
#include "net/sandbox.h"
#include "net/server.h"
#include "net/tls.h"

static const char *listen_on, *cache_dir, *cert, *key, *pass_file, *log_dir;
static const char *user_name;
static uint64_t max_connections = SERVER_CONNECTIONS;
static uint64_t login_s = SERVER_LOGIN_S, idle_s = SERVER_IDLE_S;
static uint64_t log_size = NETLOG_SIZE_DEFAULT;
static bool over_stdio, new_cert, new_passphrase;

static const struct opt opts[] = {
    {'l', "listen", OPT_TEXT, "[ADDR:]PORT", &listen_on,
     "where to listen; port 0: any, printed", 0, "receive.listen", 0, 0, 0},
    {'C', "cache", OPT_DIR, "DIR", &cache_dir, "the cache", "PS_CACHE", "cache",
     0, 0, 0},
    {0, "cert", OPT_FILE, "FILE", &cert, "certificate (PEM)", 0, "receive.cert",
     0, 0, 0},
    {0, "key", OPT_FILE, "FILE", &key, "its private key (PEM)", 0,
     "receive.key", 0, 0, 0},
    {'P', "passphrase", OPT_FILE, "FILE", &pass_file,
     "file with the passphrase of all logins", 0, "receive.passphrase", 0, 0,
     0},
    {0, "max-connections", OPT_NUMBER, "N", &max_connections,
     "connections at a time (default 1024)", 0, "receive.max-connections", 0, 1,
     65536},
    {0, "login-timeout", OPT_DURATION, "TIME", &login_s,
     "time to log in, and for a request's head (default 20s)", 0,
     "receive.login-timeout", 0, 1, 3600},
    {0, "idle-timeout", OPT_DURATION, "TIME", &idle_s,
     "end a connection without a byte for so long (default 5m)", 0,
     "receive.idle-timeout", 0, 1, 86400},
    {0, "log-dir", OPT_DIR, "DIR", &log_dir,
     "cxps.err and cxps.xfer (default CACHE/.log)", 0, "receive.log-dir", 0, 0,
     0},
    {0, "log-size", OPT_SIZE, "SIZE", &log_size,
     "rotate a log of this size (default 16M)", 0, "receive.log-size", 0, 4096,
     0},
    {0, "user", OPT_TEXT, "NAME", &user_name,
     "user to become when started as root (default ps-toolkit)", 0,
     "receive.user", 0, 0, 0},
    {0, "stdio", OPT_FLAG, NULL, &over_stdio,
     "serve one connection on standard input and output", 0, 0, 0, 0, 0},
    {0, "new-cert", OPT_FLAG, NULL, &new_cert,
     "make a key and a self-signed certificate, and end", 0, 0, 0, 0, 0},
    {0, "new-passphrase", OPT_FLAG, NULL, &new_passphrase,
     "make a passphrase file, and end", 0, 0, 0, 0, 0},
    {0},
};

static const struct opt_tool tool = {
    .name = "ps-receive",
    .about = "Receive segments over TLS into the cache of a process server.",
    .synopsis = "-l [ADDR:]PORT -C CACHE --cert FILE --key FILE -P FILE\n"
		"--stdio -C CACHE --cert FILE --key FILE -P FILE\n"
		"--new-cert --cert FILE --key FILE\n"
		"--new-passphrase -P FILE",
    .opts = opts,
};

static void need(const char *value, const char *option)
{
	if (value == NULL)
		opt_misuse("%s is missing", option);
}

static int make_passphrase(const char *path, struct err *e)
{
	char text[LOGIN_PASSPHRASE_SIZE + 1];
	int rc = login_new_passphrase(text, e);

	if (rc == 0) {
		size_t n = strlen(text);

		text[n++] = '\n'; /* the array has room for one more */
		rc = durable_write_path(path, text, n, 0600, DURABLE_CREATE, e);
	}
	if (rc == -PS_NO)
		rc = err_set(e, PS_CANTCREAT, "%s: is there already", path);
	secret_wipe(text, sizeof(text));
	return rc;
}

/* Makes what was asked for. */
static int make_new(struct err *e)
{
	int rc = 0;

	if (new_cert) {
		need(cert, "--cert");
		need(key, "--key");
		rc = tls_new_cert(cert, key, e);
	}
	if (rc == 0 && new_passphrase) {
		need(pass_file, "-P");
		rc = make_passphrase(pass_file, e);
	}
	return rc;
}

/* May the user that we are now work with the cache? */
static int check_cache(const struct sandbox_user *u, struct err *e)
{
	struct cache *c;
	int rc = cache_open(&c, cache_dir, e);

	if (rc == 0)
		cache_close(c);
	if (rc == 0 && access(cache_dir, R_OK | W_OK | X_OK) < 0)
		rc = err_sys(e, PS_NOPERM, "cache %s", cache_dir);
	if (rc == -PS_NOPERM && u->name[0] != '\0')
		err_hint(e, "chown -R %s %s, or --user root", u->name,
			 cache_dir);
	return rc;
}

static void say_sandbox(const struct sandbox_user *u)
{
	char words[160];

	sandbox_words(words, sizeof(words));
	tool_note("connections are confined by: %s", words);
	if (strstr(words, "no ") != NULL)
		tool_warn("connections are confined by no more than: %s",
			  words);
	if (u->stay_root && user_name == NULL)
		tool_warn("there is no user '%s': this goes on as root, "
			  "without capabilities",
			  SANDBOX_USER);
}

/*
 * Everything that can be wrong is found before the first connection. The
 * secrets are read by the keeper alone; what needs root is done before it is
 * given up.
 */
static int prepare(struct server *s, struct keeper *k, int *fd, unsigned *port,
		   struct err *e)
{
	const struct keeper_files files = {
	    .cert = cert, .key = key, .passphrase = pass_file};
	struct sandbox_user user;
	char default_log[4096];
	struct cache *c;
	int rc = cache_open(&c, cache_dir, e);

	if (rc < 0)
		return rc;
	cache_close(c);
	rc = sandbox_user(&user, user_name, e);
	if (rc == 0)
		rc = keeper_start(k, &files, &user, e);
	if (rc == 0)
		rc = keeper_tls(&s->tls, cert, e);
	if (rc == 0 && !over_stdio)
		rc = server_listen(listen_on, fd, port, e);
	if (rc == 0)
		rc = sandbox_drop(&user, e);
	if (rc == 0)
		rc = check_cache(&user, e);
	snprintf(default_log, sizeof(default_log), "%s/.log", cache_dir);
	if (rc == 0)
		rc = netlog_open(&s->log,
				 log_dir != NULL ? log_dir : default_log,
				 log_size, e);
	if (rc == 0)
		say_sandbox(&user);
	return rc;
}

static int run(struct err *e)
{
	struct keeper keeper = {.fd = -1};
	const struct server_work work = {.run = session_cache_run, .life = -1};
	struct server s = {.work = &work,
			   .dir = cache_dir,
			   .cache = cache_dir,
			   .cert = cert,
			   .keeper = &keeper,
			   .log = {.dirfd = -1},
			   .max_connections = (unsigned)max_connections,
			   .login_s = login_s,
			   .idle_s = idle_s};
	unsigned port = 0;
	int fd = -1, rc = prepare(&s, &keeper, &fd, &port, e);

	if (rc == 0)
		server_signals(&s);
	if (rc == 0 && over_stdio) {
		rc = server_one(&s, STDIN_FILENO, STDOUT_FILENO, e);
	} else if (rc == 0) {
		/* Whoever waits for the port would wait for ever. */
		if (printf("%u\n", port) < 0 || fflush(stdout) != 0)
			rc = tool_no_output(e);
		if (rc == 0) {
			notify_state("READY=1");
			rc = server_run(&s, fd, e);
		}
	}
	netlog_close(&s.log);
	SSL_CTX_free(s.tls);
	return rc;
}

int main(int argc, char **argv)
{
	struct err e = {0};
	int rc;

	tool_init("ps-receive");
	if (opt_parse(&tool, argc, argv) < argc)
		opt_misuse("too many arguments");
	secret_harden_process();
	if (new_cert || new_passphrase) {
		rc = make_new(&e);
	} else {
		if (over_stdio ==
		    (listen_on != NULL && opt_given(opts, "listen")))
			opt_misuse("either --listen or --stdio");
		need(cache_dir, "-C");
		need(cert, "--cert");
		need(key, "--key");
		need(pass_file, "-P");
		rc = run(&e);
	}
	return tool_finish(rc < 0 ? tool_fail(&e) : PS_OK);
}
