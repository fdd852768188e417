#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <jansson.h>

#include "base/opt.h"
#include "base/units.h"
#include "doctor/view.h"

/* Columns: verdict, step, what was found. */
#define INDENT 17
#define WIDTH_MIN 60
#define WIDTH_MAX 100

const char *doctor_verdict_name(enum doctor_verdict v)
{
	static const char *const names[] = {"passed", "warning", "failed",
					    "skipped"};

	return names[v];
}

/* ---- for people ---- */

static const char *word_of(enum doctor_verdict v)
{
	static const char *const words[] = {"ok", "warn", "FAILED", "skip"};

	return words[v];
}

/* SGR parameters (ECMA-48): green, yellow, red, faint. */
static const char *colour_of(enum doctor_verdict v)
{
	static const char *const codes[] = {"32", "33", "1;31", "2"};

	return codes[v];
}

static unsigned width_of(const struct doctor_view *v)
{
	return v->width < WIDTH_MIN   ? WIDTH_MIN
	       : v->width > WIDTH_MAX ? WIDTH_MAX
				      : v->width;
}

/* Words from column `at` on, broken between words. */
static void put_words(const struct doctor_view *v, unsigned at,
		      const char *text)
{
	unsigned room = width_of(v) - at;

	while (strlen(text) > room) {
		size_t n = room;

		while (n > 0 && text[n] != ' ')
			n--;
		if (n == 0)
			n = strcspn(text, " ");
		fprintf(v->f, "%.*s", (int)n, text);
		text += n + strspn(text + n, " ");
		if (*text != '\0')
			fprintf(v->f, "\n%*s", (int)at, "");
		else
			break;
	}
	fprintf(v->f, "%s\n", text);
}

static void put_verdict(const struct doctor_view *v, enum doctor_verdict what)
{
	if (v->colour)
		fprintf(v->f, "\033[%sm%-7s\033[0m", colour_of(what),
			word_of(what));
	else
		fprintf(v->f, "%-7s", word_of(what));
}

static void put_step(const struct doctor_view *v, const struct doctor_step *s,
		     const struct finding *f)
{
	bool bad = f->verdict == DOCTOR_FAILED || f->verdict == DOCTOR_WARNED;
	unsigned i;

	if (v->quiet && !bad)
		return;
	put_verdict(v, f->verdict);
	fprintf(v->f, "%-*s", INDENT - 7, s->name);
	put_words(v, INDENT, f->what);
	for (i = 0; (bad || v->verbose) && i < f->n; i++) {
		fprintf(v->f, "%*s- ", INDENT, "");
		put_words(v, INDENT + 2, f->evidence[i]);
	}
	if (f->next[0] != '\0' &&
	    (v->verbose ||
	     (bad && (v->advise || f->verdict != DOCTOR_FAILED)))) {
		fprintf(v->f, "%*snext: ", INDENT, "");
		put_words(v, INDENT + 6, f->next);
	}
	fflush(v->f);
}

void doctor_view_tell(const struct doctor_view *v, const struct doctor_step *s,
		      const struct finding *f)
{
	bool tty = isatty(STDERR_FILENO) && !v->quiet;

	if (f == NULL && tty)
		fprintf(stderr, "...    %s: %s", s->name, s->title);
	if (f != NULL && tty)
		fputs("\r\033[K", stderr);
	if (f != NULL && v->f != NULL)
		put_step(v, s, f);
}

struct doctor_view doctor_view_here(void)
{
	const char *none = getenv("NO_COLOR");
	bool tty = isatty(STDOUT_FILENO);
	struct winsize w;

	return (struct doctor_view){
	    .f = stdout,
	    .colour = tty && (none == NULL || *none == '\0'),
	    .quiet = opt_quiet,
	    .verbose = opt_verbose > 0,
	    .width = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0
			 ? w.ws_col
			 : 80,
	};
}

struct counts {
	unsigned n[4];
};

static void count(const struct doctor *d, struct counts *ret)
{
	unsigned steps, i;

	(void)doctor_steps_of(d, &steps);
	*ret = (struct counts){0};
	for (i = 0; i < steps; i++)
		if (d->findings[i].over)
			ret->n[d->findings[i].verdict]++;
}

void doctor_view_end(const struct doctor_view *v, const struct doctor *d,
		     int cause)
{
	unsigned steps;
	const struct doctor_step *s = doctor_steps_of(d, &steps);
	char words[DOCTOR_LINE_SIZE + 32];
	const struct finding *f;
	struct counts c;

	count(d, &c);
	if (cause == DOCTOR_WELL) {
		if (!v->quiet)
			fprintf(v->f,
				"\nNo fault found: %u passed, %u with a "
				"warning, %u skipped.\n",
				c.n[DOCTOR_PASSED], c.n[DOCTOR_WARNED],
				c.n[DOCTOR_SKIPPED]);
		return;
	}
	f = &d->findings[cause];
	fputs(f->weight == DOCTOR_SIGN ? "\nSign:  " : "\nCause: ", v->f);
	snprintf(words, sizeof(words), "%s: %s", s[cause].name, f->what);
	put_words(v, 7, words);
	if (f->next[0] != '\0') {
		fputs("Next:  ", v->f);
		put_words(v, 7, f->next);
	}
	if (f->weight == DOCTOR_SIGN)
		fputs("       No step explains it; ps-doctor --bundle FILE "
		      "packs what a helper needs.\n",
		      v->f);
}

/* ---- JSON ---- */

static json_t *json_step(const struct doctor_step *s, const struct finding *f)
{
	json_t *lines = json_array();
	json_t *o;
	unsigned i;

	for (i = 0; i < f->n && i < DOCTOR_LINES; i++)
		json_array_append_new(lines, json_string(f->evidence[i]));
	o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:o, s:s, s:f}", "step",
		      s->name, "title", s->title, "guide", (int)s->guide,
		      "result", doctor_verdict_name(f->verdict), "what",
		      f->what, "evidence", lines, "next", f->next, "seconds",
		      f->seconds);
	if (f->verdict == DOCTOR_FAILED)
		json_object_set_new(o, "explains",
				    json_boolean(f->weight > DOCTOR_SIGN));
	return o;
}

struct json_t *doctor_json_steps(const struct doctor *d)
{
	unsigned n, i;
	const struct doctor_step *s = doctor_steps_of(d, &n);
	json_t *list = json_array();

	for (i = 0; d->findings != NULL && i < n; i++)
		if (d->findings[i].over)
			json_array_append_new(
			    list, json_step(&s[i], &d->findings[i]));
	return list;
}

char *doctor_json(const struct doctor *d, int cause, double seconds)
{
	const struct doctor_step *s = doctor_steps_of(d, &(unsigned){0});
	const struct finding *f =
	    cause != DOCTOR_WELL ? &d->findings[cause] : NULL;
	json_t *o;
	char now[TIME_TEXT], *text;

	format_time(time_now_ns(), now);
	o = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:f, s:o}", "role",
		      d->source ? "source" : "server", "time", now, "result",
		      f != NULL ? "fault" : "well", "cause",
		      f != NULL ? s[cause].name : NULL, "what",
		      f != NULL ? f->what : NULL, "next",
		      f != NULL ? f->next : NULL, "seconds", seconds, "steps",
		      doctor_json_steps(d));
	text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER |
				 JSON_REAL_PRECISION(6));
	json_decref(o);
	return text;
}
