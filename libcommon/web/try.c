#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "web/try.h"

#define CONNECT_MS 15000L
#define MAX_ANSWER 65536u
#define MAX_FIELDS 32768u
/* Each of curl's buffers; there are two for each handle. */
#define CURL_BUFFER 131072L
/*
 * A try as a whole has two minutes and what its body needs at this rate:
 * a peer that sends a byte now and then holds nobody for long.
 */
#define TRY_MS 120000
#define SLOWEST 8192u

/* What the callbacks of one try share. */
struct transfer {
	struct web *w;
	struct web_request *q;
	struct web_progress *p;
	CURL *curl;
	struct curl_slist *lines;
	uint64_t sent;
	size_t max_answer;
	bool ranged, judged; /* asked for a part; its answer was looked at */
	int rc;		     /* of a callback */
	struct err *e;
	char words[CURL_ERROR_SIZE];
};

/* ---- handles ---- */

static CURL *take_handle(struct web *w)
{
	CURL *curl = NULL;

	pthread_mutex_lock(&w->lock);
	if (w->nidle > 0)
		curl = w->idle[--w->nidle];
	pthread_mutex_unlock(&w->lock);
	if (curl == NULL)
		return curl_easy_init();
	curl_easy_reset(curl); /* connections stay */
	return curl;
}

static void give_handle(struct web *w, CURL *curl)
{
	pthread_mutex_lock(&w->lock);
	if (w->nidle < WEB_IDLE_MAX) {
		w->idle[w->nidle++] = curl;
		curl = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	if (curl != NULL)
		curl_easy_cleanup(curl);
}

/* ---- what curl calls ---- */

/* Small pieces under a limit, so that its sleeps are short. */
static size_t piece(const struct web *w, size_t n)
{
	uint64_t per_second = atomic_load(&w->per_second);
	uint64_t most = per_second / 8 < 4096 ? 4096 : per_second / 8;

	return per_second != 0 && n > most ? (size_t)most : n;
}

static size_t on_read(char *buf, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	const struct web_request *q = t->q;
	size_t n = piece(t->w, size * count);

	if (n > q->body_len - t->sent)
		n = (size_t)(q->body_len - t->sent);
	if (n == 0)
		return 0;
	if (q->read_body != NULL)
		t->rc = q->read_body(q->body_ctx, t->sent, buf, n, t->e);
	else
		memcpy(buf, (const char *)q->body + t->sent, n);
	if (t->rc < 0)
		return CURL_READFUNC_ABORT;
	t->sent += n;
	t->p->limited_ns += web_pace(t->w, n);
	return n;
}

/* curl found its connection closed and begins again on another. */
static int on_seek(void *arg, curl_off_t pos, int origin)
{
	struct transfer *t = arg;

	if (origin != SEEK_SET || pos < 0 || (uint64_t)pos > t->q->body_len)
		return CURL_SEEKFUNC_CANTSEEK;
	t->sent = (uint64_t)pos;
	return CURL_SEEKFUNC_OK;
}

static int append(char **text, size_t *len, const void *p, size_t n)
{
	char *grown = realloc(*text, *len + n + 1);

	if (grown == NULL)
		return -1;
	memcpy(grown + *len, p, n);
	*len += n;
	grown[*len] = '\0';
	*text = grown;
	return 0;
}

static size_t on_field(char *line, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	struct web_answer *a = &t->q->answer;
	size_t n = size * count;

	/* Another head begins: only the last one is the answer's. */
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0)
		a->fields_len = 0;
	if (a->fields_len + n > MAX_FIELDS ||
	    append(&a->fields, &a->fields_len, line, n) < 0) {
		t->rc = err_set(t->e, PS_PROTOCOL,
				"%s: the head of the answer is too long",
				t->q->what);
		return 0;
	}
	return n;
}

static int keep(struct transfer *t, const void *p, size_t n)
{
	struct web_answer *a = &t->q->answer;

	if (n > t->max_answer - a->len) {
		/* Of an error's text the beginning will do. */
		if (a->status < 300)
			return err_set(t->e, PS_PROTOCOL,
				       "%s: the answer is too long",
				       t->q->what);
		n = t->max_answer - a->len;
	}
	if (append(&a->body, &a->len, p, n) < 0)
		return err_set(t->e, PS_TEMPFAIL, "%s: no memory", t->q->what);
	return 0;
}

/* At the first byte for the sink: is it the part that was asked for? */
static int judge_part(struct transfer *t)
{
	uint64_t from = t->q->range_pos + t->p->got;
	char range[96];
	unsigned long long begin;

	if (t->p->etag[0] == '\0')
		(void)web_field(t->q, "ETag", t->p->etag, sizeof(t->p->etag));
	if (!t->ranged || (t->q->answer.status == 200 && from == 0))
		return 0;
	if (t->q->answer.status == 206 &&
	    web_field(t->q, "Content-Range", range, sizeof(range)) &&
	    // NOLINTNEXTLINE(cert-err34-c): the count says whether it is one
	    sscanf(range, "bytes %llu-", &begin) == 1 && begin == from)
		return 0;
	return err_set(t->e, PS_PROTOCOL,
		       "%s: the server sent another part than the one that was "
		       "asked for",
		       t->q->what);
}

static int pass_on(struct transfer *t, const void *p, size_t n)
{
	int rc;

	if (!t->judged) {
		rc = judge_part(t);
		if (rc < 0)
			return rc;
		t->judged = true;
	}
	if (t->q->range_len != 0 && n > t->q->range_len - t->p->got)
		return err_set(t->e, PS_PROTOCOL,
			       "%s: the server sent more than was asked for",
			       t->q->what);
	rc = t->q->sink(t->q->sink_ctx, p, n, t->e);
	if (rc == 0)
		t->p->got += n;
	return rc;
}

static size_t on_write(char *p, size_t size, size_t count, void *arg)
{
	struct transfer *t = arg;
	long status = 0;
	size_t n = size * count;

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	t->q->answer.status = (int)status;
	if (t->q->sink != NULL && (status == 200 || status == 206))
		t->rc = pass_on(t, p, n);
	else
		t->rc = keep(t, p, n);
	t->p->limited_ns += web_pace(t->w, n);
	return t->rc < 0 ? 0 : n;
}

/* ---- setting up ---- */

static int add_line(struct transfer *t, const char *line)
{
	struct curl_slist *more = curl_slist_append(t->lines, line);

	if (more == NULL)
		return err_set(t->e, PS_TEMPFAIL, "%s: no memory", t->q->what);
	t->lines = more;
	return 0;
}

static int set_headers(struct transfer *t)
{
	/* No round trip of its own before the body. */
	int rc = add_line(t, "Expect:");
	unsigned i;

	for (i = 0; rc == 0 && i < t->q->nheaders; i++) {
		const struct web_header *h = &t->q->headers[i];
		size_t size = strlen(h->name) + strlen(h->value) + 3;
		char *line = malloc(size);

		if (line == NULL)
			return err_sys(t->e, PS_TEMPFAIL, "%s", t->q->what);
		/* "Name;" is how curl is told of an empty value. */
		snprintf(line, size, "%s%s%s", h->name,
			 *h->value != '\0' ? ": " : ";", h->value);
		rc = add_line(t, line);
		free(line);
	}
	curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, t->lines);
	return rc;
}

static void set_method(struct transfer *t)
{
	const struct web_request *q = t->q;
	bool put = strcmp(q->method, "PUT") == 0;

	curl_easy_setopt(t->curl, CURLOPT_CUSTOMREQUEST, q->method);
	if (strcmp(q->method, "HEAD") == 0)
		curl_easy_setopt(t->curl, CURLOPT_NOBODY, 1L);
	if (!put && strcmp(q->method, "POST") != 0 && q->body_len == 0)
		return;
	curl_easy_setopt(t->curl, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(t->curl, CURLOPT_INFILESIZE_LARGE,
			 (curl_off_t)q->body_len);
	curl_easy_setopt(t->curl, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(t->curl, CURLOPT_READDATA, t);
	curl_easy_setopt(t->curl, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(t->curl, CURLOPT_SEEKDATA, t);
}

static void set_deadlines(struct transfer *t)
{
	const struct web *w = t->w;
	uint64_t bytes = t->q->body_len + t->q->range_len;
	uint64_t limit = atomic_load(&w->per_second);
	/* Under a limit many connections share it. */
	uint64_t slowest =
	    limit != 0 && limit / 64 < SLOWEST ? limit / 64 + 1 : SLOWEST;

	curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, (long)w->stall);
	if (t->q->range_len != 0 || t->q->sink == NULL)
		curl_easy_setopt(t->curl, CURLOPT_TIMEOUT_MS,
				 (long)(TRY_MS + bytes * 1000 / slowest));
}

static void set_connection(struct transfer *t)
{
	const struct web *w = t->w;
	CURL *curl = t->curl;

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_HTTP_VERSION,
			 (long)CURL_HTTP_VERSION_1_1);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS,
			 (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(curl, CURLOPT_SSLVERSION,
			 (long)CURL_SSLVERSION_TLSv1_2);
	if (w->ca_file != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, w->ca_file);
	/* Not set: curl looks into the environment; no_proxy holds for both. */
	if (t->q->direct)
		curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	if (w->proxy != NULL)
		curl_easy_setopt(curl, CURLOPT_PROXY, w->proxy);
	if (w->proxy_auth != NULL)
		curl_easy_setopt(curl, CURLOPT_PROXYUSERPWD, w->proxy_auth);
	curl_easy_setopt(curl, CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
	curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, CURL_BUFFER);
	curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, CURL_BUFFER);
}

static int set_up(struct transfer *t)
{
	CURL *curl = t->curl;

	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, t->words);
	curl_easy_setopt(curl, CURLOPT_URL, t->q->url);
	curl_easy_setopt(curl, CURLOPT_USERAGENT,
			 "ps-toolkit/" PACKAGE_VERSION);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_field);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, t);
	set_connection(t);
	set_deadlines(t);
	set_method(t);
	return set_headers(t);
}

/* ---- how it ended ---- */

static void note_answer(struct transfer *t)
{
	struct web_answer *a = &t->q->answer;
	long status = 0;
	double seconds = 0;
	char text[64];

	curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->curl, CURLINFO_TOTAL_TIME, &seconds);
	a->status = (int)status;
	a->seconds = seconds;
	if (web_field(t->q, "Date", text, sizeof(text))) {
		time_t date = curl_getdate(text, NULL);

		a->date = date > 0 ? (int64_t)date : 0;
	}
	if (web_field(t->q, "Retry-After", text, sizeof(text))) {
		uint64_t s;
		time_t when = curl_getdate(text, NULL);

		if (parse_u64(text, 86400, &s))
			t->p->retry_after = (unsigned)s;
		else if (when > 0 && a->date > 0 && when > a->date &&
			 when - a->date < 86400)
			t->p->retry_after = (unsigned)(when - a->date);
	}
}

static bool worth_another(int status)
{
	return status == 408 || status == 429 || status == 500 ||
	       status == 502 || status == 503 || status == 504;
}

static enum web_end ended(struct transfer *t)
{
	const struct web_request *q = t->q;
	int status = q->answer.status;

	if (worth_another(status)) {
		web_refused(q, t->e);
		return WEB_LATER;
	}
	if (status == 407) {
		web_refused(q, t->e);
		return WEB_FAILED;
	}
	if (status == 412 && t->p->got > 0) {
		err_set(t->e, PS_TEMPFAIL, "%s: was replaced while it was read",
			q->what);
		return WEB_FAILED;
	}
	if (q->sink != NULL && q->range_len != 0 &&
	    (status == 200 || status == 206) && t->p->got != q->range_len) {
		err_set(t->e, PS_DATA, "%s: ends before byte %llu", q->what,
			(unsigned long long)(q->range_pos + q->range_len));
		return WEB_FAILED;
	}
	return WEB_ANSWERED;
}

static enum web_end perform(struct transfer *t)
{
	CURLcode rc = curl_easy_perform(t->curl);

	note_answer(t);
	if (t->rc < 0)
		return WEB_FAILED;
	if (rc != CURLE_OK)
		return web_broken(t->w, t->curl, rc, t->q, t->words, t->e);
	atomic_store(&t->w->worked, true);
	return ended(t);
}

enum web_end web_try(struct web *w, struct web_request *q,
		     struct web_progress *p, struct err *e)
{
	struct transfer t = {.w = w, .q = q, .p = p, .e = e};
	enum web_end end = WEB_FAILED;

	t.max_answer = q->max_answer != 0 ? q->max_answer : MAX_ANSWER;
	t.ranged = q->range_len != 0 || p->got > 0;
	t.curl = take_handle(w);
	if (t.curl == NULL) {
		err_set(e, PS_TEMPFAIL, "%s: no memory", q->what);
		return end;
	}
	if (set_up(&t) == 0)
		end = perform(&t);
	curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, NULL);
	curl_easy_setopt(t.curl, CURLOPT_ERRORBUFFER, NULL);
	curl_slist_free_all(t.lines);
	give_handle(w, t.curl);
	return end;
}
