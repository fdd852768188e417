#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/secret.h"
#include "push/session-start.h"
#include "push/target.h"

#define ASKPASS_ENV "PS_PUSH_PIPE"
#define MAX_ARGS 64
#define ARG_SIZE 1280

extern char **environ;

/* ---- the password: from a pipe, by a helper that ssh runs ---- */

void session_askpass(void)
{
	const char *path = getenv(ASKPASS_ENV);
	char secret[1024];
	ssize_t n;
	int fd;

	if (path == NULL)
		return;
	secret_harden_process();
	/* It was filled beforehand; a second question finds it empty. */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, secret, sizeof(secret));
	if (n <= 0 || io_write_full(STDOUT_FILENO, secret, (size_t)n) < 0)
		_exit(PS_NOPERM);
	secret_wipe(secret, sizeof(secret));
	_exit(0);
}

/* A named pipe that holds the password: its bytes are never on a disk. */
static int fill_pipe(struct session *s, struct err *e)
{
	const char *password = s->way->password;

	if (password == NULL)
		return 0;
	snprintf(s->fifo, sizeof(s->fifo), "%.64s/%p", s->way->folder,
		 (void *)s);
	if (mkfifo(s->fifo, 0600) < 0)
		return err_sys(e, 0, "%s", s->fifo);
	s->fifo_fd =
	    open(s->fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (s->fifo_fd < 0 ||
	    io_write_full(s->fifo_fd, password, strlen(password)) < 0 ||
	    io_write_full(s->fifo_fd, "\n", 1) < 0)
		return err_sys(e, 0, "%s", s->fifo);
	return 0;
}

void session_drop_pipe(struct session *s)
{
	if (s->fifo[0] == '\0')
		return;
	if (s->fifo_fd >= 0)
		close(s->fifo_fd);
	unlink(s->fifo);
	s->fifo[0] = '\0';
}

/* ---- the command line ---- */

struct args {
	const char *v[MAX_ARGS];
	unsigned n;
	char text[8][ARG_SIZE]; /* those that are made */
	unsigned ntext;
};

static void put(struct args *a, const char *word)
{
	a->v[a->n++] = word;
	a->v[a->n] = NULL;
}

static void put_option(struct args *a, const char *option)
{
	put(a, "-o");
	put(a, option);
}

static char *room(struct args *a)
{
	return a->text[a->ntext++];
}

static void put_text(struct args *a, const char *name, const char *value)
{
	char *text = room(a);

	snprintf(text, ARG_SIZE, "%s=%s", name, value);
	put_option(a, text);
}

static void put_trust(struct args *a, const struct session_way *w)
{
	put_option(a, w->accept_new ? "StrictHostKeyChecking=accept-new"
				    : "StrictHostKeyChecking=yes");
	if (w->known_hosts != NULL) {
		char *text = room(a);

		/* Quoted: a path may have a space in it. */
		snprintf(text, ARG_SIZE, "UserKnownHostsFile=\"%s\"",
			 w->known_hosts);
		put_option(a, text);
		put_option(a, "GlobalKnownHostsFile=/dev/null");
	}
	put_option(a, "UpdateHostKeys=no");
}

static void put_login(struct args *a, const struct session_way *w,
		      const struct push_host *h)
{
	if (w->password != NULL) {
		put_option(a, "BatchMode=no");
		put_option(a, "NumberOfPasswordPrompts=1");
		put_option(a, "PreferredAuthentications=password,"
			      "keyboard-interactive");
		put_option(a, "PubkeyAuthentication=no");
	} else {
		put_option(a, "BatchMode=yes");
	}
	if (w->identity != NULL) {
		put_option(a, "IdentitiesOnly=yes");
		put(a, "-i");
		put(a, w->identity);
	}
	if (h->user[0] != '\0' || w->user != NULL) {
		put(a, "-l");
		put(a, h->user[0] != '\0' ? h->user : w->user);
	}
	if (h->port[0] != '\0') {
		put(a, "-p");
		put(a, h->port);
	}
}

/*
 * What the login shell there gets, whichever it is: the script comes on
 * standard input when a shell says that it is there, and exactly its bytes are
 * read before it runs, so that what follows is the script's. dd never reads
 * ahead with a block of one byte.
 */
static void command(char out[ARG_SIZE], enum session_rights rights,
		    unsigned seconds, const char *words)
{
	static const char *const how[] = {
	    [SESSION_AS_USER] = "",
	    [SESSION_SUDO] = "env LC_ALL=C sudo -n ",
	    [SESSION_SUDO_PASSWORD] =
		"env LC_ALL=C sudo -k -S -p '" SESSION_PROMPT "' ",
	};

	/* A newline first: what a login prints may end without one. */
	snprintf(out, ARG_SIZE,
		 "%ssh -c 'echo; echo " SESSION_READY "; "
		 "if command -v timeout >/dev/null 2>&1; "
		 "then exec timeout -k 10 %u \"$@\"; fi; exec \"$@\"' sh "
		 "sh -c 'eval \"$(dd bs=1 count=%zu 2>/dev/null)\"' "
		 "ps-push %s",
		 how[rights], seconds, strlen(push_target_text), words);
}

static void make_args(struct args *a, const struct session_way *w,
		      const struct push_host *h, enum session_rights rights,
		      const char *words)
{
	char number[16], *text;

	a->n = a->ntext = 0;
	put(a, "ssh");
	put(a, "-T");
	/* With what sshd and PAM say before the login, and how it ended. */
	put_option(a, "LogLevel=INFO");
	put_option(a, "ControlMaster=no");
	put_option(a, "ControlPath=none");
	put_option(a, "ForwardAgent=no");
	put_option(a, "ForwardX11=no");
	put_option(a, "ClearAllForwardings=yes");
	put_option(a, "PermitLocalCommand=no");
	put_option(a, "RequestTTY=no");
	put_option(a, "EscapeChar=none");
	put_option(a, "ConnectionAttempts=1");
	put_option(a, "ServerAliveInterval=15");
	put_option(a, "ServerAliveCountMax=3");
	snprintf(number, sizeof(number), "%u", w->connect_s);
	put_text(a, "ConnectTimeout", number);
	put_trust(a, w);
	put_login(a, w, h);
	put(a, "--");
	put(a, h->address);
	text = room(a);
	command(text, rights, w->total_s, words);
	put(a, text);
}

/* ---- the process ---- */

/* The environment of ssh: ours, and where its helper finds the password. */
static char **make_env(char *const extra[], unsigned n)
{
	unsigned have = 0, k = 0;
	char **env;

	while (environ[have] != NULL)
		have++;
	env = calloc(have + n + 1, sizeof(*env));
	for (unsigned i = 0; env != NULL && i < have; i++)
		if (strncmp(environ[i], "SSH_ASKPASS", 11) != 0 &&
		    strncmp(environ[i], "LC_ALL=", 7) != 0)
			env[k++] = environ[i];
	for (unsigned i = 0; env != NULL && i < n; i++)
		env[k++] = extra[i];
	return env;
}

static int spawn(struct session *s, const struct args *a, const int fds[3],
		 struct err *e)
{
	char helper[512], pipe_path[192], lang[] = "LC_ALL=C",
					  force[] = "SSH_ASKPASS_REQUIRE=force";
	char *extra[] = {lang, force, helper, pipe_path};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	char **env;
	int rc;

	snprintf(helper, sizeof(helper), "SSH_ASKPASS=%s", s->way->askpass);
	snprintf(pipe_path, sizeof(pipe_path), ASKPASS_ENV "=%s", s->fifo);
	env = make_env(extra, s->fifo[0] != '\0' ? 4 : 1);
	if (env == NULL)
		return err_sys(e, PS_TEMPFAIL, "ssh");
	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&actions, fds[i], i);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	/* No terminal that it could ask, and one group to end. */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID |
					    POSIX_SPAWN_SETSIGMASK |
					    POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawnp(&s->pid, a->v[0], &actions, &attr,
			  (char *const *)(uintptr_t)a->v, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	free(env);
	if (rc == 0)
		return 0;
	errno = rc;
	rc = err_sys(e, PS_UNAVAILABLE, "ssh");
	err_hint(e, "install openssh-client");
	return rc;
}

static void close_pair(int p[2])
{
	if (p[0] >= 0)
		close(p[0]);
	if (p[1] >= 0)
		close(p[1]);
	p[0] = p[1] = -1;
}

static int start(struct session *s, const struct args *a, struct err *e)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1}, rc;

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(err, O_CLOEXEC) < 0)
		rc = err_sys(e, 0, "pipe");
	else
		rc = spawn(s, a, (int[3]){in[0], out[1], err[1]}, e);
	if (rc == 0) {
		s->in = in[1];
		s->out = out[0];
		s->err = err[0];
		in[1] = out[0] = err[0] = -1;
		fcntl(s->in, F_SETFL, O_NONBLOCK);
		io_grow_pipe(s->in);
	}
	close_pair(in);
	close_pair(out);
	close_pair(err);
	return rc;
}

int session_start(struct session *s, const struct push_host *h,
		  const char *words, struct err *e)
{
	struct args *a = malloc(sizeof(*a));
	int rc;

	if (a == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", h->text);
	make_args(a, s->way, h, s->rights, words);
	rc = fill_pipe(s, e);
	if (rc == 0)
		rc = start(s, a, e);
	free(a);
	return rc;
}
