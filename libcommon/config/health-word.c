#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/health-word.h"

#define ANSWER_MAX (900 * 1024u) /* a heartbeat has at most 1 MiB */
#define WAIT_NS (20 * NS_PER_S)

extern char **environ;

/* ---- ps-health ---- */

/* A process of its own: whatever happens to it, heartbeats go on. */
static int start(const char *state, pid_t *ret_pid)
{
	const char *argv[] = {"ps-health", "check", "--format", "json",
			      "--state",   state,   NULL};
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], rc;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
	posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
	rc = posix_spawnp(ret_pid, argv[0], &actions, NULL,
			  (char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	if (rc == 0)
		return pipe_fds[0];
	close(pipe_fds[0]);
	errno = rc;
	return -1;
}

/* All that it says, with a NUL; NULL when that is too much or too late. */
static char *hear(int fd, size_t *ret_n)
{
	int64_t end = mono_now_ns() + WAIT_NS, left;
	char *text = malloc(ANSWER_MAX + 1);
	size_t n = 0;
	bool whole = false;

	while (text != NULL && !whole && n < ANSWER_MAX &&
	       (left = end - mono_now_ns()) > 0) {
		struct pollfd p = {fd, POLLIN, 0};
		ssize_t got;

		if (poll(&p, 1, (int)(left / 1000000) + 1) <= 0)
			continue;
		got = read(fd, text + n, ANSWER_MAX - n);
		if (got < 0 && errno != EINTR)
			break;
		n += got > 0 ? (size_t)got : 0;
		whole = got == 0;
	}
	if (!whole) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	*ret_n = n;
	return text;
}

static json_t *ask_health(const char *state)
{
	pid_t pid = 0;
	json_t *o;
	size_t n = 0;
	char *text;
	int fd = start(state, &pid);

	if (fd < 0) {
		tool_warn("ps-health: %s", strerror(errno));
		return json_null();
	}
	text = hear(fd, &n);
	close(fd);
	if (text == NULL)
		kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	o = text != NULL ? json_loadb(text, n, 0, NULL) : NULL;
	free(text);
	return json_is_object(o) ? o : json_null();
}

/* ---- its machines ---- */

static int64_t time_of(const json_t *disk, const char *key)
{
	const char *text = json_string_value(json_object_get(disk, key));
	int64_t ns;

	return text != NULL && parse_time(text, &ns) ? ns : 0;
}

static json_t *find(json_t *list, const char *machine)
{
	json_t *m;
	size_t i;

	json_array_foreach(list, i, m)
	{
		if (strcmp(json_string_value(json_object_get(m, "machine")),
			   machine) == 0)
			return m;
	}
	m = json_pack("{s:s, s:s, s:I, s:n, s:n}", "machine", machine, "state",
		      "protected", "lag_s", (json_int_t)0, "stored", "point");
	json_array_append_new(list, m);
	json_object_set_new(m, "disks", json_integer(0));
	return m;
}

/* The worst of its disks; in this order. */
static void worse_state(json_t *m, const json_t *disk)
{
	static const char *const states[] = {"held", "unseated", "initial"};
	const char *now = json_string_value(json_object_get(m, "state"));
	size_t i;

	for (i = 0; i < 3 && strcmp(now, states[i]) != 0; i++) {
		if (!json_is_true(json_object_get(disk, states[i])))
			continue;
		json_object_set_new(m, "state", json_string(states[i]));
		return;
	}
}

/*
 * What can be recovered: a point that is stored, not one that waits in the
 * cache. Of a ps-health that does not tell, what was accepted.
 */
static int64_t point_of(const json_t *disk, const char **ret_what)
{
	const char *what =
	    json_string_value(json_object_get(disk, "stored_consistency"));
	int64_t crash, app;

	if (json_object_get(disk, "stored_point") != NULL) {
		*ret_what = what;
		return time_of(disk, "stored_point");
	}
	crash = time_of(disk, "crash_point");
	app = time_of(disk, "app_point");
	*ret_what = app >= crash ? "app" : "crash";
	return app > crash ? app : crash;
}

/* The machine is as far as that of its disks which is least so. */
static void add_disk(json_t *m, const json_t *disk)
{
	json_int_t lag =
	    json_integer_value(json_object_get(disk, "lag_seconds"));
	json_int_t n = json_integer_value(json_object_get(m, "disks"));
	const char *what;
	int64_t point = point_of(disk, &what), was = time_of(m, "stored");
	char text[TIME_TEXT];

	if (lag > json_integer_value(json_object_get(m, "lag_s")))
		json_object_set_new(m, "lag_s", json_integer(lag));
	json_object_set_new(m, "disks", json_integer(n + 1));
	worse_state(m, disk);
	if (n > 0 && (was == 0 || (point != 0 && was <= point)))
		return;
	format_time(point, text);
	json_object_set_new(m, "stored",
			    point != 0 ? json_string(text) : json_null());
	json_object_set_new(m, "point",
			    point != 0 && what != NULL ? json_string(what)
						       : json_null());
}

/* What its limits go by: ps-balance(1). */
static json_t *size_of_host(void)
{
	return json_pack("{s:I, s:I}", "cores",
			 (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
			 "memory_bytes",
			 (json_int_t)sysconf(_SC_PHYS_PAGES) *
			     (json_int_t)sysconf(_SC_PAGESIZE));
}

int health_word(const char *state, json_t **health, json_t **machines,
		struct err *e)
{
	json_t *list = json_array(), *disk;
	json_t *h = state != NULL ? ask_health(state) : json_null();
	size_t i;

	if (list == NULL || h == NULL) {
		json_decref(list);
		json_decref(h);
		return err_set(e, PS_TEMPFAIL, "no memory for the heartbeat");
	}
	json_array_foreach(json_object_get(h, "disks"), i, disk)
	{
		const char *machine =
		    json_string_value(json_object_get(disk, "machine"));

		if (machine != NULL)
			add_disk(find(list, machine), disk);
	}
	if (json_is_object(h))
		json_object_set_new(h, "host", size_of_host());
	*health = h;
	*machines = list;
	return 0;
}
