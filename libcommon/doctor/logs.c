/*
 * Failures in the logs of the last hour: cxps.xfer of the receiver (the last
 * answer for each disk), and the lines that the uploader, the pipeline or the
 * agent wrote, from the journal or from files.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "doctor/command.h"
#include "doctor/redact.h"
#include "doctor/steps.h"

#define TAIL (1u << 20)
#define HOUR_NS (3600 * NS_PER_S)
#define PATHS_MAX 1024

struct transfers {
	bool denied; /* this user may not read them */
	struct {
		char path[160]; /* without the sequence */
		unsigned status, failures;
	} items[PATHS_MAX];
	unsigned n, total;
};

/* The fields of a line of cxps.xfer, see net/log.h. */
enum field { F_TIME, F_PEER, F_MACHINE, F_METHOD, F_PATH, F_STATUS, FIELDS };

static bool split(char *line, char *fields[FIELDS])
{
	unsigned i;

	for (i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&line, "\t");
		if (fields[i] == NULL)
			return false;
	}
	return true;
}

static void take_transfer(struct transfers *t, char *fields[FIELDS])
{
	char *slash = strrchr(fields[F_PATH], '/');
	unsigned status = (unsigned)strtoul(fields[F_STATUS], NULL, 10), i;

	if (slash == NULL)
		return;
	*slash = '\0';
	t->total++;
	for (i = 0; i < t->n; i++)
		if (strcmp(t->items[i].path, fields[F_PATH]) == 0)
			break;
	if (i == PATHS_MAX)
		return;
	if (i == t->n) {
		t->n++;
		snprintf(t->items[i].path, sizeof(t->items[i].path), "%s",
			 fields[F_PATH]);
	}
	t->items[i].status = status;
	t->items[i].failures += status >= 400;
}

static void read_transfers(const char *dir, struct transfers *t)
{
	int64_t since = time_now_ns() - HOUR_NS, when;
	char path[4096], *text, *rest, *line, *fields[FIELDS];

	snprintf(path, sizeof(path), "%s/cxps.xfer", dir);
	text = rest = doctor_read(path, TAIL, NULL);
	t->denied = text == NULL && errno == EACCES;
	while (rest != NULL && (line = strsep(&rest, "\n")) != NULL)
		if (split(line, fields) && parse_time(fields[F_TIME], &when) &&
		    when >= since && strcmp(fields[F_METHOD], "PUT") == 0 &&
		    strstr(fields[F_PATH], "/segments/") != NULL)
			take_transfer(t, fields);
	free(text);
}

static const char *meaning(unsigned status)
{
	switch (status) {
	case 400:
		return "damaged on the way";
	case 403:
		return "logged in as another machine";
	case 409:
		return "refused";
	case 423:
		return "the disk is on hold";
	case 500:
		return "stable storage failed";
	case 503:
		return "told to wait";
	case 507:
		return "the cache is full";
	default:
		return "failed";
	}
}

static unsigned show_transfers(const struct transfers *t, struct finding *f)
{
	unsigned i, bad = 0;

	for (i = 0; i < t->n; i++) {
		if (t->items[i].status < 400)
			continue;
		bad++;
		find_shows(f, "last answer %u (%s): %s, %u times",
			   t->items[i].status, meaning(t->items[i].status),
			   t->items[i].path, t->items[i].failures);
	}
	return bad;
}

/* ---- lines of programs ---- */

struct lines {
	unsigned n;
	char last[4096];
};

/* Words by which our programs say that something went wrong. */
static bool is_failure(const char *line)
{
	static const char *const who[] = {
	    "ps-upload: ",  "ps-pipeline: ", "ps-cache: ",
	    "cxpsclient: ", "ps-agent: ",    "ps-scan: "};
	static const char *const words[] = {
	    "fail",	"refused",     "broke",	      "denied",	    "timed out",
	    "cannot",	"could not",   "answered 4",  "answered 5", "no space",
	    "No space", "not trusted", "unreachable", "Connection", "expired"};
	unsigned i, k;

	for (i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		const char *at = strstr(line, who[i]);

		for (k = 0; at != NULL && k < sizeof(words) / sizeof(words[0]);
		     k++)
			if (strstr(at, words[k]) != NULL)
				return true;
	}
	return false;
}

static void take_lines(struct lines *l, char *text)
{
	char *line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL) {
		if (!is_failure(line))
			continue;
		l->n++;
		snprintf(l->last, sizeof(l->last), "%s", line);
	}
}

static bool read_journal(const struct doctor *d, struct lines *l)
{
	const char *const server[] = {
	    "journalctl",  "-q",	  "--no-pager", "-o", "cat",
	    "--since=-1h", "-n",	  "5000",	"-u", "ps-receive",
	    "-u",	   "ps-pipeline", NULL};
	const char *const source[] = {
	    "journalctl", "-q", "--no-pager", "-o", "cat", "--since=-1h", "-n",
	    "5000",	  "-u", "ps-agent",   NULL};
	struct command c = {
	    .argv = d->source ? source : server, .seconds = 15, .max = TAIL};
	char *text;
	int status;
	bool ok;

	if (access("/run/systemd/system", F_OK) < 0 ||
	    command_run(&c, &text, &status, NULL) < 0)
		return false;
	/* Who may not see the journal of others is shown none of it. */
	ok = status == 0 && (*text != '\0' || geteuid() == 0);
	if (ok)
		take_lines(l, text);
	free(text);
	return ok;
}

/* Lines have no time: a file that nobody wrote to for an hour is old. */
static unsigned read_files(const struct doctor *d, struct lines *l,
			   struct finding *f)
{
	time_t now = (time_t)(time_now_ns() / NS_PER_S);
	unsigned i, n = 0;
	struct stat st;

	for (i = 0; i < d->logs.n; i++) {
		char *text = doctor_read(d->logs.items[i], TAIL, NULL);

		if (text == NULL || stat(d->logs.items[i], &st) < 0) {
			find_shows(f, "%s: cannot be read", d->logs.items[i]);
			free(text);
			continue;
		}
		n++;
		if (st.st_mtime > now - 3600)
			take_lines(l, text);
		free(text);
	}
	return n;
}

/* Half a secret would not be known: they go before the line is cut. */
static void show_lines(const struct doctor *d, const struct lines *l,
		       struct finding *f)
{
	size_t n;
	char *safe;

	if (l->n == 0)
		return;
	safe = redact_text(d->secrets, l->last, strlen(l->last), &n);
	find_shows(f, "%u line%s tell%s of failures; the last: %.160s", l->n,
		   l->n == 1 ? "" : "s", l->n == 1 ? "s" : "",
		   safe != NULL ? safe : REDACTED);
	free(safe);
}

void step_logs(const struct doctor *d, struct finding *f)
{
	struct transfers *t = calloc(1, sizeof(*t));
	struct lines l = {0};
	unsigned bad = 0, files;
	bool journal;

	if (t != NULL && d->log_dir != NULL) {
		read_transfers(d->log_dir, t);
		bad = show_transfers(t, f);
	}
	journal = read_journal(d, &l);
	files = read_files(d, &l, f);
	show_lines(d, &l, f);
	if (bad > 0) {
		find_failed(f, DOCTOR_SIGN,
			    "%u disk%s: the last segment was not taken", bad,
			    bad == 1 ? "" : "s");
		find_next(f, "%s/cxps.err has the reasons", d->log_dir);
	} else if (l.n > 0) {
		find_warned(f, "%u failure%s in the last hour", l.n,
			    l.n == 1 ? "" : "s");
		find_next(f, "see whether they go on: %s",
			  journal ? "journalctl -fu ps-pipeline"
				  : "tail -f the file");
	} else if (t != NULL && t->denied && !journal && files == 0) {
		find_skipped(f, "this user may read no log: run as root");
	} else if (d->log_dir == NULL && !journal && files == 0) {
		find_skipped(f, "no journal, and no log file is named");
		find_next(f,
			  "name them: --log FILE, or doctor.logs in ps.yaml");
	} else {
		find_passed(f,
			    "%u segments in the last hour, none failed at "
			    "last",
			    t != NULL ? t->total : 0);
	}
	free(t);
}
