#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/channel.h"

#define SAY_MS 1000
#define ASK_MS 30000

#define HEAD offsetof(struct channel_msg, text)

static int wait_for(int fd, short what, int ms)
{
	struct pollfd p = {fd, what, 0};

	return poll(&p, 1, ms) > 0 ? 0 : -1;
}

static int send_msg(int fd, enum channel_kind kind, uint64_t number,
		    const char *text)
{
	struct channel_msg m = {.kind = kind, .number = number};
	size_t n = strnlen(text, CHANNEL_TEXT);
	unsigned tries;

	m.len = (uint32_t)n;
	memcpy(m.text, text, n);
	for (tries = 0; tries < 2; tries++) {
		if (send(fd, &m, HEAD + n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EAGAIN || wait_for(fd, POLLOUT, SAY_MS) < 0)
			return -1;
	}
	return -1;
}

void channel_say(int fd, enum channel_kind kind, uint64_t number,
		 const char *text)
{
	(void)send_msg(fd, kind, number, text);
}

int channel_ask(int fd, enum channel_kind kind, uint64_t number,
		const char *text, struct err *e)
{
	struct err theirs = {0};

	if (send_msg(fd, kind, number, text) < 0 ||
	    wait_for(fd, POLLIN, ASK_MS) < 0 ||
	    recv(fd, &theirs, sizeof(theirs), MSG_DONTWAIT) !=
		(ssize_t)sizeof(theirs))
		return err_set(e, PS_TEMPFAIL, "the listener does not answer");
	if (theirs.code == 0)
		return 0;
	if (e != NULL)
		*e = theirs;
	return -theirs.code;
}

int channel_hear(int fd, struct channel_msg *ret)
{
	ssize_t n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < (ssize_t)HEAD || ret->len > CHANNEL_TEXT ||
	    (size_t)n != HEAD + ret->len)
		return -1;
	ret->text[ret->len] = '\0';
	return 1;
}

void channel_reply(int fd, const struct err *e)
{
	(void)send(fd, e, sizeof(*e), MSG_DONTWAIT | MSG_NOSIGNAL);
}

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

int channel_pass(int over, int type, const void *words, size_t n, struct err *e)
{
	union control control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)words, n};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int pair[2], rc = 0;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys(e, PS_TEMPFAIL, "channel");
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pair[1], sizeof(int));
	if (sendmsg(over, &m, MSG_NOSIGNAL) < 0)
		rc = err_sys(e, PS_SOFTWARE, "channel");
	close(pair[1]);
	if (rc < 0)
		close(pair[0]);
	return rc < 0 ? rc : pair[0];
}

int channel_taken(int over, void *words, size_t n, int *ret_fd)
{
	union control control = {.room = {0}};
	struct iovec iov = {words, n};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.room,
			   .msg_controllen = sizeof(control.room)};
	const struct cmsghdr *c;
	ssize_t got = recvmsg(over, &m, MSG_CMSG_CLOEXEC);

	if (got <= 0)
		return got < 0 && errno == EINTR ? 0 : -1;
	c = CMSG_FIRSTHDR(&m);
	if (c == NULL || c->cmsg_type != SCM_RIGHTS)
		return 0;
	memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	if ((size_t)got == n)
		return 1;
	close(*ret_fd);
	return 0;
}
