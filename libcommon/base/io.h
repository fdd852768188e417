/*
 * All the bytes or an error: the one place where short reads, short writes
 * and EINTR are handled; and buffered sources and sinks of bytes, so that a
 * stream can come from a descriptor, from memory or from a TLS connection.
 */
#ifndef PS_BASE_IO_H
#define PS_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/*
 * Reads until `n` bytes or end of file. Returns the number of bytes read
 * (less than n only at end of file), or -1 with errno.
 */
ssize_t io_read_full(int fd, void *buf, size_t n);
ssize_t io_pread_full(int fd, void *buf, size_t n, uint64_t offset);

/* Writes all `n` bytes. Returns 0, or -1 with errno. */
int io_write_full(int fd, const void *buf, size_t n);
int io_pwrite_full(int fd, const void *buf, size_t n, uint64_t offset);

/* Makes a pipe hold 1 MiB where the system allows; not a pipe: no effect. */
void io_grow_pipe(int fd);

/* ---- sources ---- */

/*
 * A source of bytes with a buffer. `read` returns 1..n bytes, 0 at the end,
 * or -CODE with `e` set; it is never called again after 0 or a failure.
 */
typedef ssize_t io_read_fn(void *ctx, void *buf, size_t n, struct err *e);

struct io_in {
	io_read_fn *read;
	void *ctx;
	int fd; /* for io_in_fd */
	const char *name;
	uint8_t *buf;
	size_t cap, pos, end;
	uint64_t consumed; /* bytes handed out since the source was opened */
	bool eof;
};

/* Opens a source; `name` is used in messages and is not copied. */
int io_in_open(struct io_in *in, io_read_fn *read, void *ctx, const char *name,
	       struct err *e);
/* The same over a descriptor, which stays the caller's. */
int io_in_open_fd(struct io_in *in, int fd, const char *name, struct err *e);
/* Frees the buffer; a source of zero bytes (`{0}`) may be closed too. */
void io_in_close(struct io_in *in);

/*
 * Copies exactly `n` bytes to `dst`. Returns 1; 0 when the source had ended
 * before the first byte; -PS_DATA when it ends in the middle.
 */
int io_in_read(struct io_in *in, void *dst, size_t n, struct err *e);

/* True when the next byte can be had without waiting for the descriptor. */
bool io_in_buffered(const struct io_in *in);

/* ---- sinks ---- */

/* `write` takes all n bytes or returns -CODE with `e` set. */
typedef int io_write_fn(void *ctx, const void *buf, size_t n, struct err *e);

struct io_out {
	io_write_fn *write;
	void *ctx;
	int fd; /* for io_out_fd */
	const char *name;
	uint8_t *buf;
	size_t cap, used;
	uint64_t written; /* bytes accepted since the sink was opened */
};

int io_out_open(struct io_out *out, io_write_fn *write, void *ctx,
		const char *name, struct err *e);
int io_out_open_fd(struct io_out *out, int fd, const char *name, struct err *e);
/* Frees the buffer without writing what is still in it. */
void io_out_close(struct io_out *out);

/* Small writes are gathered; large ones go straight through. */
int io_out_write(struct io_out *out, const void *buf, size_t n, struct err *e);
int io_out_flush(struct io_out *out, struct err *e);

#endif
