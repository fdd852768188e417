/* Private to web: one try of a request, and how it ended. */
#ifndef PS_WEB_TRY_H
#define PS_WEB_TRY_H

#include <pthread.h>
#include <stdatomic.h>

#include <curl/curl.h>

#include "web/web.h"

/* Idle handles that are kept, each with its connections. */
#define WEB_IDLE_MAX 32

struct web {
	char *proxy, *proxy_auth, *ca_file;
	uint64_t retry_for, stall;
	web_watch_fn *watch;
	void *watch_ctx;
	atomic_bool worked; /* a server answered in this process */
	atomic_uint_fast64_t per_second;
	pthread_mutex_t lock; /* of what follows */
	int64_t next;	      /* when the bucket is empty again */
	CURL *idle[WEB_IDLE_MAX];
	unsigned nidle;
};

/* How a try ended. */
enum web_end {
	WEB_ANSWERED, /* a status that is final */
	WEB_LATER,    /* another try is worth it; `e` says why */
	WEB_NETWORK,  /* the same, no connection was made */
	WEB_FAILED,   /* `e` says why */
};

/*
 * `got` counts the bytes that the sink took, over all tries; `etag` is that
 * of the first answer. `retry_after`: seconds, 0 when the server names none.
 */
struct web_progress {
	uint64_t got;
	char etag[128];
	unsigned retry_after;
	int64_t limited_ns; /* that this try slept for the limit */
};

enum web_end web_try(struct web *w, struct web_request *q,
		     struct web_progress *p, struct err *e);

/* Waits until n bytes may pass; returns how long. */
int64_t web_pace(struct web *w, size_t n);

/* The words of curl's failure; e gets the code and a hint, the answer whether
 * it was the proxy. */
enum web_end web_broken(struct web *w, CURL *curl, CURLcode rc,
			struct web_request *q, const char *words,
			struct err *e);
/* HOST:PORT of a URL for messages, without user and password. */
void web_host(const char *url, char *out, size_t size);
/* The proxy that is used for a URL, without password; "" when not known. */
void web_proxy_name(const struct web *w, const char *url, char *out,
		    size_t size);

#endif
