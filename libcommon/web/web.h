/*
 * HTTP client for the stores (Azure Blob, S3) and for tokens: libcurl with
 * connections that are used again, proxies, deadlines on every wait, tries
 * with back-off, one limit of bytes per second for all connections.
 *
 * A struct web may be used by many threads at once; a struct web_request and
 * its answer belong to one.
 */
#ifndef PS_WEB_WEB_H
#define PS_WEB_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct web;

/*
 * What happens, for whoever watches (WEB_MOVED: a piece of a body passed, after
 * a sleep for the limit; WEB_TRIED: a try ended). Called by many threads.
 */
enum web_event_kind { WEB_MOVED, WEB_TRIED };

enum web_trouble {
	WEB_FINE,	 /* an answer that says neither */
	WEB_BUSY,	 /* 408, 429, 5xx, or the connection broke */
	WEB_UNREACHABLE, /* no connection */
	WEB_PROXY,	 /* the proxy is it that fails */
	WEB_DENIED,	 /* 401, 403 */
	WEB_UNUSABLE,	 /* certificate, protocol, our own callback */
};

struct web_event {
	enum web_event_kind kind;
	size_t bytes;		  /* WEB_MOVED */
	int64_t limited_ns;	  /* WEB_MOVED: slept */
	enum web_trouble trouble; /* WEB_TRIED */
	double seconds;		  /* WEB_TRIED: without sleeps for the limit */
	bool again;		  /* WEB_TRIED: there will be another */
	const char *words;	  /* WEB_TRIED: of the error, "" without */
	int64_t date; /* WEB_TRIED: the service's, seconds; 0: not told */
};
typedef void web_watch_fn(void *ctx, const struct web_event *ev);

/* Zero and NULL mean what stands beside them; strings are copied. */
struct web_config {
	const char *proxy;	/* from https_proxy, http_proxy, no_proxy */
	const char *proxy_auth; /* a file with USER:PASSWORD; none */
	const char *ca_file;	/* PEM; the system's */
	uint64_t retry_for;	/* seconds in which tries are made: 120 */
	uint64_t stall;		/* seconds without progress: 60 */
	web_watch_fn *watch;	/* nobody */
	void *watch_ctx;
};

int web_open(struct web **ret, const struct web_config *c, struct err *e);
void web_close(struct web *w); /* NULL is allowed */

/*
 * Bytes per second of bodies, both ways and over all connections; 0: no
 * limit. May be called at any time, by any thread.
 */
void web_limit(struct web *w, uint64_t per_second);

/* ---- requests ---- */

#define WEB_HEADERS_MAX 32

struct web_header {
	char *name, *value;
};

struct web_request;

/*
 * Called before each try, when all other headers stand: sets what depends on
 * the time (date, signature) by web_header().
 */
typedef int web_sign_fn(struct web_request *q, void *ctx, struct err *e);

/* Gives the n bytes of the body that begin at pos; may be asked again. */
typedef int web_body_fn(void *ctx, uint64_t pos, void *buf, size_t n,
			struct err *e);

/*
 * Takes bytes of the answer's body, each exactly once and in order, whatever
 * breaks on the way; only of answers 200 and 206.
 */
typedef int web_sink_fn(void *ctx, const void *buf, size_t n, struct err *e);

/*
 * To be zeroed and filled; then web_header(), web_do(), web_free(). It may be
 * done again after web_answer_clear().
 */
struct web_request {
	const char *method; /* "GET" */
	const char *url;    /* whole and escaped; not copied */
	const char *what;   /* for messages: the name of the object */

	const void *body; /* in memory, or by a function: */
	web_body_fn *read_body;
	void *body_ctx;
	uint64_t body_len;

	web_sign_fn *sign;
	void *sign_ctx;

	/*
	 * A body of unbounded length goes to the sink. With range_len only
	 * these bytes are asked for; a broken transfer goes on where it was,
	 * from the same version of the object (If-Match), else
	 * -PS_TEMPFAIL.
	 */
	web_sink_fn *sink;
	void *sink_ctx;
	uint64_t range_pos, range_len;

	size_t max_answer;  /* bytes kept in memory without sink; 0: 64 KiB */
	bool direct;	    /* past every proxy */
	bool once;	    /* no second try (the caller knows better) */
	uint64_t retry_for; /* instead of that of web_config; 0: that */

	struct web_header headers[WEB_HEADERS_MAX];
	unsigned nheaders;

	struct web_answer {
		int status; /* 200 .. 599 */
		char *body; /* NUL-terminated; NULL: none */
		size_t len;
		char *fields; /* header lines, private: web_field() */
		size_t fields_len;
		unsigned tries;
		/*
		 * An earlier try broke off after the request had been sent,
		 * or was answered 5xx: it may have been done.
		 */
		bool unsure;
		int64_t date;	/* of the server, seconds; 0: not told */
		double seconds; /* of the last try */
		bool proxy;	/* it was the proxy that failed */
	} answer;
};

/* Sets (or replaces, names in any case) a header; no newlines. */
int web_header(struct web_request *q, struct err *e, const char *name,
	       const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* The value that stands, or NULL. */
const char *web_header_get(const struct web_request *q, const char *name);
/* Wipes headers and answer. */
void web_free(struct web_request *q);
void web_answer_clear(struct web_request *q);

/*
 * Does the request, again after network errors, 408, 429, 500, 502, 503 and
 * 504 (Retry-After is obeyed) until retry_for is over. 0: there is an answer,
 * of any other status, which the caller judges (web_refused).
 *
 * -PS_UNAVAILABLE: no connection; -PS_TEMPFAIL: connected, but no answer of
 * use in time; -PS_NOPERM: the proxy refuses us (407); -PS_CONFIG: the
 * server's certificate is not trusted, or a URL makes no sense; -PS_PROTOCOL:
 * the answer is none of HTTP, or too long; or what a callback returned.
 */
int web_do(struct web *w, struct web_request *q, struct err *e);

/* A field of the answer into buf; false: it is not there. */
bool web_field(const struct web_request *q, const char *name, char *buf,
	       size_t size);

/*
 * Turns an answer that is no success into an error: the service's own code
 * and words (XML of Azure and S3, x-ms-error-code) and its request id, never
 * what we sent. 401 and 403: -PS_NOPERM, 404: -PS_NOINPUT, 409 and 412:
 * -PS_TEMPFAIL, 407: -PS_NOPERM, 5xx and 429: -PS_TEMPFAIL, others
 * -PS_PROTOCOL.
 */
int web_refused(const struct web_request *q, struct err *e);
/* The service's code of an answer ("BlobNotFound"), "" when there is none. */
void web_error_code(const struct web_request *q, char *buf, size_t size);

/* "%XX" for all but letters, digits, "-._~" (RFC 3986) and `keep`. */
int web_escape(const char *text, const char *keep, char *out, size_t size);
/* "Fri, 20 Nov 2026 10:00:00 GMT" (RFC 9110 section 5.6.7). */
#define WEB_DATE_SIZE 32
void web_date(int64_t seconds, char out[WEB_DATE_SIZE]);

#endif
