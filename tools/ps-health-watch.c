/* ps-health watch */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/io.h"
#include "base/units.h"
#include "ps-health.h"

/* ANSI: another screen, no cursor; and back. */
#define SCREEN_ON "\033[?1049h\033[?25l"
#define SCREEN_OFF "\033[?25h\033[?1049l"

struct watch {
	const struct looking *l;
	bool screen; /* standard output is a terminal */
	bool keys;   /* standard input is one, too */
	struct termios before;
	int sigfd;
};

static int begin(struct watch *w, struct err *e)
{
	struct termios raw;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	w->sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w->sigfd < 0)
		return err_sys(e, 0, "signalfd");
	w->screen = isatty(STDOUT_FILENO);
	w->keys = w->screen && tcgetattr(STDIN_FILENO, &w->before) == 0;
	if (w->keys) {
		raw = w->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		/* Stopped, it would leave the terminal like this. */
		raw.c_cc[VSUSP] = _POSIX_VDISABLE;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	if (w->screen)
		(void)io_write_full(STDOUT_FILENO, SCREEN_ON,
				    strlen(SCREEN_ON));
	return 0;
}

static void end(struct watch *w)
{
	if (w->screen)
		(void)io_write_full(STDOUT_FILENO, SCREEN_OFF,
				    strlen(SCREEN_OFF));
	if (w->keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &w->before);
	close(w->sigfd);
}

/* What fits on the screen: lines cut at its width, none below its end. */
static int draw(const char *text, struct err *e)
{
	struct winsize size = {0};
	char *frame = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&frame, &n);
	unsigned row;
	int rc;

	if (f == NULL)
		return err_sys(e, PS_TEMPFAIL, "screen");
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 ||
	    size.ws_col == 0) /* a terminal that has not said */
		size = (struct winsize){.ws_row = 24, .ws_col = 80};
	fputs("\033[H", f);
	for (row = 0; *text != '\0' && row < size.ws_row; row++) {
		size_t len = strcspn(text, "\n");

		if (row > 0)
			fputs("\r\n", f);
		fprintf(f, "%.*s\033[K",
			(int)(len < size.ws_col ? len : size.ws_col), text);
		text += len + (text[len] == '\n');
	}
	fputs("\033[J", f);
	fclose(f);
	rc = io_write_full(STDOUT_FILENO, frame, n) < 0
		 ? err_sys(e, PS_IOERR, "standard output")
		 : 0;
	free(frame);
	return rc;
}

static int show(const struct watch *w, struct err *e)
{
	char *text = NULL, now[TIME_TEXT];
	struct why y;
	size_t n = 0;
	FILE *f;
	int rc = look_now(w->l, NULL, NULL, &y, e);

	if (rc < 0)
		return rc;
	f = open_memstream(&text, &n);
	if (f == NULL) {
		why_free(&y);
		return err_sys(e, PS_TEMPFAIL, "screen");
	}
	if (w->screen) {
		format_time(y.now * NS_PER_S, now);
		fprintf(f, "ps-health, %s, %s (q ends)\n\n",
			w->l->agent != NULL ? w->l->agent : w->l->gather.cache,
			now);
		why_text(&y, f);
		fputc('\n', f);
		why_stages(&y, f);
	} else {
		why_line(&y, f);
	}
	why_free(&y);
	fclose(f);
	if (w->screen)
		rc = draw(text, e);
	else if (io_write_full(STDOUT_FILENO, text, n) < 0)
		rc = err_sys(e, PS_IOERR, "standard output");
	free(text);
	return rc;
}

/* 1: go on; 0: somebody ends it. */
static int wait_until(const struct watch *w, int64_t until)
{
	struct pollfd fds[2] = {
	    {.fd = w->sigfd, .events = POLLIN},
	    {.fd = w->keys ? STDIN_FILENO : -1, .events = POLLIN}};
	struct signalfd_siginfo info;
	int64_t left = until - mono_now_ns();
	char key;

	if (poll(fds, 2, left > 0 ? (int)(left / 1000000) + 1 : 0) <= 0)
		return 1;
	while (read(w->sigfd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGWINCH)
			return 0;
	if (fds[1].revents != 0 &&
	    (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
		return 0;
	return 1;
}

int cmd_watch(const struct looking *l, unsigned interval_s, struct err *e)
{
	struct watch w = {.l = l};
	int rc = begin(&w, e);

	if (rc < 0)
		return rc;
	do
		rc = show(&w, e);
	while (rc == 0 &&
	       wait_until(&w, mono_now_ns() + interval_s * NS_PER_S) == 1);
	end(&w);
	return rc;
}
