/*
 * HTTP/1.1 message heads and bodies, for both ends of our one protocol.
 *
 * Own code, because the choices were an archived parser (http-parser) or a
 * whole server library, and because both ends are ours: a message that is not
 * exactly what RFC 9112 asks senders to write is refused instead of guessed
 * at. Two readers that guess differently are how requests get smuggled.
 *
 * Taken: lines that end in CR LF; HTTP/1.1; a path that begins with '/';
 * printable ASCII; a body by Content-Length or by chunks. Refused: bare CR or
 * LF, other control characters, folded lines, space before a colon, a second
 * Content-Length, Transfer-Encoding or Host, both lengths at once, any
 * coding but "chunked", chunk extensions and trailers, heads over 16 KiB or
 * of more than 64 fields.
 */
#ifndef PS_NET_HTTP_H
#define PS_NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/io.h"

#define HTTP_HEAD_MAX 16384
#define HTTP_FIELDS_MAX 64
#define HTTP_IN_SIZE (32 * 1024)
#define HTTP_CHUNK_MAX 0xffffffffu
#define HTTP_DATE_SIZE 32

struct http_field {
	const char *name, *value;
};

struct http_head {
	const char *method, *target; /* of a request, else NULL */
	unsigned status;	     /* of an answer, else 0 */
	struct http_field fields[HTTP_FIELDS_MAX];
	unsigned nfields;
	bool chunked;
	bool has_length;
	uint64_t length;
	bool close;		      /* Connection: close */
	char text[HTTP_HEAD_MAX + 1]; /* what the pointers point into */
};

enum http_kind { HTTP_REQUEST, HTTP_ANSWER };

/*
 * Parses a head of n bytes that ends in its empty line. -PS_PROTOCOL when it
 * breaks a rule. Pure: no input, no output; this is what is fuzzed.
 */
int http_parse(struct http_head *h, enum http_kind kind, const char *text,
	       size_t n, struct err *e);

/* The value of a field, by its name in any case; NULL when it is not there. */
const char *http_field(const struct http_head *h, const char *name);

/*
 * Cuts a path into its parts, in place ("/a/b" gives "a", "b"; "/" gives
 * none). Returns their number, or -1 when there are more than `max` or one is
 * empty. Nothing is decoded: our names need no escapes.
 */
int http_split(char *path, char **parts, int max);

/* "Fri, 20 Nov 2026 10:00:00 GMT", and back to seconds since 1970. */
void http_date(int64_t seconds, char out[HTTP_DATE_SIZE]);
bool http_date_parse(const char *text, int64_t *ret_seconds);

/* The words that go with a status. */
const char *http_reason(unsigned status);

/* ---- reading ---- */

/* Bytes of one connection, heads and bodies one after another. */
struct http_in {
	io_read_fn *read; /* as in base/io.h */
	void *ctx;
	uint8_t *buf; /* HTTP_IN_SIZE bytes */
	size_t pos, end;
};

int http_in_open(struct http_in *in, io_read_fn *read, void *ctx,
		 struct err *e);
void http_in_close(struct http_in *in);

/*
 * Reads one head. Returns 1, 0 when the connection ended before its first
 * byte, or -CODE. `begun` (or NULL) is called once the first byte is there.
 */
int http_read_head(struct http_in *in, enum http_kind kind, struct http_head *h,
		   void (*begun)(void *ctx), void *ctx, struct err *e);

/* A body that is being read: a source of bytes. */
struct http_body {
	struct http_in *in;
	bool chunked, first, done;
	uint64_t left; /* of the chunk, or of all */
	uint64_t read; /* bytes handed out */
	uint64_t max;  /* more is -PS_DATA */
};

/* The body that the head announces; none at all is an empty one. */
void http_body_begin(struct http_body *b, struct http_in *in,
		     const struct http_head *h, uint64_t max);

/*
 * io_read_fn; ctx is the body. -PS_UNAVAILABLE when the connection ends
 * inside it, -PS_PROTOCOL for bad framing.
 */
ssize_t http_body_read(void *body, void *buf, size_t n, struct err *e);

/*
 * Reads all of a body that fits in `size` - 1 bytes and adds a NUL; a longer
 * one is -PS_DATA.
 */
int http_body_all(struct http_body *b, char *buf, size_t size, size_t *ret_len,
		  struct err *e);

#endif
