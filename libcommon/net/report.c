#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/text.h"
#include "base/units.h"
#include "net/report.h"

#define RATE_WEIGHT 0.3 /* of the newest second */
#define SERVER_S 30	/* what is older hardly counts */

static const char *const state_names[] = {"connecting", "sending", "waiting",
					  "done", "failed"};

static char *as_text(const struct report *r)
{
	char now[TIME_TEXT], *text;
	json_t *root;

	format_time(time_now_ns() / NS_PER_S * NS_PER_S, now);
	root = json_pack(
	    "{s:i s:s s:s s:i s:s s:s s:s s:I s:I s:I s:I s:I s:o s:s}", "pid",
	    (int)getpid(), "state", state_names[r->state], "cause", r->cause,
	    "retry_after", (int)r->retry_s, "error", r->error, "machine",
	    r->machine, "disk", r->disk, "seq", (json_int_t)r->seq, "segments",
	    (json_int_t)r->segments, "bytes", (json_int_t)r->bytes, "rate",
	    (json_int_t)r->rate, "acked_seq", (json_int_t)r->acked_seq,
	    "server_share",
	    r->server_known ? json_real(r->server) : json_null(), "updated",
	    now);
	text = root != NULL
		   ? json_dumps(root, JSON_COMPACT | JSON_PRESERVE_ORDER)
		   : NULL;
	json_decref(root);
	return text;
}

static void measure(struct report *r, int64_t now)
{
	double took = (double)(now - r->since_ns) / (double)NS_PER_S, newest;

	if (r->since_ns != 0 && took < 0.2)
		return;
	if (r->since_ns != 0) {
		newest = (double)(r->bytes - r->since_bytes) / took;
		r->rate = r->rate == 0 ? newest
				       : r->rate * (1 - RATE_WEIGHT) +
					     newest * RATE_WEIGHT;
	}
	r->since_ns = now;
	r->since_bytes = r->bytes;
}

static void write_now(struct report *r)
{
	char *text;

	if (r->file.path == NULL)
		return;
	measure(r, mono_now_ns());
	text = as_text(r);
	status_write(&r->file, text);
	free(text);
}

void report_server(struct report *r, int64_t busy_ms)
{
	int64_t now = mono_now_ns();
	double took = (double)(now - r->served_ns) / (double)NS_PER_S;
	double busy = (double)busy_ms / 1000;

	if (busy > took)
		busy = took;
	if (r->served_ns != 0 && took > 0)
		r->server = r->server_known ? (r->server * SERVER_S + busy) /
						  (SERVER_S + took)
					    : busy / took;
	r->server_known |= r->served_ns != 0 && took > 0;
	r->served_ns = now;
}

void report_tick(struct report *r)
{
	if (status_due(&r->file))
		write_now(r);
}

void report_state(struct report *r, enum report_state state)
{
	bool news = r->state != state || r->file.written_ns == 0;

	r->state = state;
	if (news)
		write_now(r);
}

void report_cause(struct report *r, const char *cause, unsigned retry_s)
{
	bool news = strcmp(r->cause, cause) != 0;

	snprintf(r->cause, sizeof(r->cause), "%s", cause);
	r->retry_s = retry_s;
	if (news)
		write_now(r);
}

void report_end(struct report *r, int rc, const struct err *e)
{
	r->state = rc == 0		? REPORT_DONE
		   : rc == -PS_TEMPFAIL ? REPORT_WAITING
					: REPORT_FAILED;
	if (rc < 0)
		snprintf(r->error, sizeof(r->error), "%s", e->msg);
	text_tame(r->error);
	if (rc == 0)
		r->cause[0] = '\0';
	if (rc != -PS_TEMPFAIL)
		r->retry_s = 0;
	r->rate = 0;
	write_now(r);
}
