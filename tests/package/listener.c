/*
 * Listens with fanotify(7), as a virus scanner does: "listener permission DIR"
 * is asked before a file is opened, "listener told DIR" is told.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fanotify.h>
#include <unistd.h>

static void answer(int fd, const struct fanotify_event_metadata *m)
{
	struct fanotify_response r = {.fd = m->fd, .response = FAN_ALLOW};

	if ((m->mask & FAN_OPEN_PERM) != 0 &&
	    write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r))
		perror("answer");
	close(m->fd);
}

int main(int argc, char **argv)
{
	int asked = argc == 3 && strcmp(argv[1], "permission") == 0;
	int fd = fanotify_init(asked ? FAN_CLASS_CONTENT : FAN_CLASS_NOTIF,
			       O_RDONLY);
	static _Alignas(struct fanotify_event_metadata) char buf[8192];
	const struct fanotify_event_metadata *m;
	ssize_t n;

	if (argc != 3 || fd < 0 ||
	    fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT,
			  asked ? FAN_OPEN_PERM : FAN_OPEN, AT_FDCWD,
			  argv[2]) < 0) {
		perror("listener");
		return 1;
	}
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		for (m = (const void *)buf; FAN_EVENT_OK(m, n);
		     m = FAN_EVENT_NEXT(m, n))
			answer(fd, m);
	return 0;
}
