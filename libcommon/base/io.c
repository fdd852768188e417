#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"

#define IN_BUFFER (256 * 1024)
#define OUT_BUFFER (64 * 1024)
#define PIPE_SIZE (1024 * 1024)

ssize_t io_read_full(int fd, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(fd, (char *)buf + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

ssize_t io_pread_full(int fd, void *buf, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)buf + done, n - done,
				    (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int io_write_full(int fd, const void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put = write(fd, (const char *)buf + done, n - done);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		done += (size_t)put;
	}
	return 0;
}

int io_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset)
{
	size_t done = 0;

	while (done < n) {
		ssize_t put = pwrite(fd, (const char *)buf + done, n - done,
				     (off_t)(offset + done));

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		done += (size_t)put;
	}
	return 0;
}

void io_grow_pipe(int fd)
{
	/* Unprivileged users have a limit for all their pipes: may fail. */
	(void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

static ssize_t fd_read(void *ctx, void *buf, size_t n, struct err *e)
{
	struct io_in *in = ctx;
	ssize_t got;

	do
		got = read(in->fd, buf, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return err_sys(e, 0, "%s", in->name);
	return got;
}

int io_in_open(struct io_in *in, io_read_fn *read_fn, void *ctx,
	       const char *name, struct err *e)
{
	*in =
	    (struct io_in){.read = read_fn, .ctx = ctx, .fd = -1, .name = name};
	in->buf = malloc(IN_BUFFER);
	if (in->buf == NULL)
		return err_sys(e, 0, "%s", name);
	in->cap = IN_BUFFER;
	return 0;
}

int io_in_open_fd(struct io_in *in, int fd, const char *name, struct err *e)
{
	int rc = io_in_open(in, fd_read, in, name, e);

	if (rc == 0) {
		in->fd = fd;
		io_grow_pipe(fd);
	}
	return rc;
}

void io_in_close(struct io_in *in)
{
	free(in->buf);
	in->buf = NULL;
}

/* Takes what one call of the source gives; 0 at its end. */
static ssize_t pull(struct io_in *in, void *buf, size_t n, struct err *e)
{
	ssize_t got;

	if (in->eof)
		return 0;
	got = in->read(in->ctx, buf, n, e);
	if (got <= 0)
		in->eof = true;
	return got;
}

int io_in_read(struct io_in *in, void *dst, size_t n, struct err *e)
{
	size_t done = 0;

	while (done < n) {
		size_t have = in->end - in->pos;
		size_t want = n - done;
		ssize_t got;

		if (have > 0) {
			size_t take = have < want ? have : want;

			memcpy((char *)dst + done, in->buf + in->pos, take);
			in->pos += take;
			done += take;
			continue;
		}
		if (want >= in->cap) { /* past the buffer: one copy less */
			got = pull(in, (char *)dst + done, want, e);
			if (got > 0)
				done += (size_t)got;
		} else {
			got = pull(in, in->buf, in->cap, e);
			in->pos = 0;
			in->end = got > 0 ? (size_t)got : 0;
		}
		if (got < 0)
			return (int)got;
		if (got == 0)
			break;
	}
	in->consumed += done;
	if (done == n)
		return 1;
	if (done == 0)
		return 0;
	return err_set(e, PS_DATA, "%s: ends in the middle, at byte %llu",
		       in->name, (unsigned long long)in->consumed);
}

bool io_in_buffered(const struct io_in *in)
{
	return in->end > in->pos;
}

static int fd_write(void *ctx, const void *buf, size_t n, struct err *e)
{
	struct io_out *out = ctx;

	if (io_write_full(out->fd, buf, n) < 0)
		return err_sys(e, 0, "%s", out->name);
	return 0;
}

int io_out_open(struct io_out *out, io_write_fn *write_fn, void *ctx,
		const char *name, struct err *e)
{
	*out = (struct io_out){
	    .write = write_fn, .ctx = ctx, .fd = -1, .name = name};
	out->buf = malloc(OUT_BUFFER);
	if (out->buf == NULL)
		return err_sys(e, 0, "%s", name);
	out->cap = OUT_BUFFER;
	return 0;
}

int io_out_open_fd(struct io_out *out, int fd, const char *name, struct err *e)
{
	int rc = io_out_open(out, fd_write, out, name, e);

	if (rc == 0) {
		out->fd = fd;
		io_grow_pipe(fd);
	}
	return rc;
}

void io_out_close(struct io_out *out)
{
	free(out->buf);
	out->buf = NULL;
}

int io_out_flush(struct io_out *out, struct err *e)
{
	size_t n = out->used;

	out->used = 0;
	return n == 0 ? 0 : out->write(out->ctx, out->buf, n, e);
}

int io_out_write(struct io_out *out, const void *buf, size_t n, struct err *e)
{
	int rc;

	out->written += n;
	if (out->used + n > out->cap) {
		rc = io_out_flush(out, e);
		if (rc < 0)
			return rc;
	}
	if (n >= out->cap)
		return out->write(out->ctx, buf, n, e);
	memcpy(out->buf + out->used, buf, n);
	out->used += n;
	return 0;
}
