#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/units.h"
#include "filter.h"

int filter_input(int argc, char **argv, const char **ret_name, struct err *e)
{
	int fd;

	if (argc > 1)
		opt_misuse("one input at most: '%s' is too many", argv[1]);
	if (argc == 0 || strcmp(argv[0], "-") == 0) {
		if (isatty(STDIN_FILENO))
			opt_misuse("no stream: standard input is a terminal");
		*ret_name = "standard input";
		return STDIN_FILENO;
	}
	fd = open(argv[0], O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_sys(e, 0, "%s", argv[0]);
	*ret_name = argv[0];
	return fd;
}

uint64_t filter_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size
							  : 0;
}

/* A sink that shows how far the source has come. */
struct shown {
	struct io_out to;
	const struct io_in *in;
};

static int write_shown(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct shown *s = ctx;

	progress_at(s->in->consumed);
	return s->to.write(s->to.ctx, buf, n, e);
}

static const char *verb(enum transform_kind kind)
{
	static const char *const verbs[] = {"compressed", "expanded", "sealed",
					    "opened"};

	return verbs[kind];
}

static void say_totals(const struct transform *t,
		       const struct transform_totals *sum)
{
	char in[32], out[32];

	format_size(sum->bytes_in, in, sizeof(in));
	format_size(sum->bytes_out, out, sizeof(out));
	tool_note("%s %llu segments: %s in, %s out (%.1f %%)", verb(t->kind),
		  (unsigned long long)sum->segments, in, out,
		  sum->bytes_in == 0
		      ? 100.0
		      : 100.0 * (double)sum->bytes_out / (double)sum->bytes_in);
}

int filter_run(const struct transform *t, int argc, char **argv)
{
	struct transform_totals sum = {0};
	struct io_out out = {0};
	struct io_in in = {0};
	struct shown shown = {.in = &in};
	const char *name = NULL;
	struct err e = {0};
	int fd, rc;

	fd = filter_input(argc, argv, &name, &e);
	if (fd < 0)
		return tool_fail(&e);
	tool_no_terminal(STDOUT_FILENO, "a stream of segments");
	rc = io_in_open_fd(&in, fd, name, &e);
	if (rc == 0)
		rc = io_out_open_fd(&shown.to, STDOUT_FILENO, "standard output",
				    &e);
	if (rc == 0)
		rc = io_out_open(&out, write_shown, &shown, "standard output",
				 &e);
	progress_begin(verb(t->kind), filter_size(fd));
	if (rc == 0)
		rc = transform_run(t, &in, &out, &sum, &e);
	progress_end();
	io_out_close(&out);
	io_out_close(&shown.to);
	io_in_close(&in);
	if (rc < 0)
		return tool_fail(&e);
	say_totals(t, &sum);
	return PS_OK;
}
