/* How it went, for people and for scripts. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "print-json.h"
#include "ps-push.h"
#include "push/state.h"

int report_json(const struct target *t, size_t n, struct err *e)
{
	json_t *hosts = json_array();
	size_t failed = 0;

	for (size_t i = 0; i < n; i++) {
		failed += t[i].result.end == PUSH_FAILED;
		json_array_append_new(
		    hosts, push_result_json(&t[i].host, &t[i].result));
	}
	return print_json(json_pack("{s:o, s:I}", "hosts", hosts, "failed",
				    (json_int_t)failed),
			  e);
}

static void code_text(enum push_reason why, char out[12])
{
	if (push_reasons[why].code != 0)
		snprintf(out, 12, "%u", push_reasons[why].code);
	else
		snprintf(out, 12, "-");
}

static void line(const struct target *t, int width)
{
	const struct push_result *r = &t->result;
	char code[12], version[80];

	code_text(r->reason, code);
	if (r->was[0] != '\0' && strcmp(r->was, r->version) != 0)
		snprintf(version, sizeof(version), "%s (was %s)", r->version,
			 r->was);
	else
		snprintf(version, sizeof(version), "%s",
			 r->version[0] != '\0' ? r->version : "-");
	printf("%-*s  %-10s  %-8s  %-5s  %s%s%s\n", width, t->host.text,
	       push_end_names[r->end], version, code,
	       push_reasons[r->reason].word, r->words[0] != '\0' ? ": " : "",
	       r->words);
	for (unsigned i = 0; i < r->nwarnings; i++) {
		const struct push_reason_text *w =
		    &push_reasons[r->warnings[i]];

		code_text(r->warnings[i], code);
		printf("%-*s  %-10s  %-8s  %-5s  %s: %s\n", width, "",
		       "warning", "", code, w->word, w->means);
	}
}

/* What to do, once for each reason. */
static void hints(const struct target *t, size_t n)
{
	bool needed[REASON_COUNT] = {false}, any = false;

	for (size_t i = 0; i < n; i++) {
		needed[t[i].result.reason] = true;
		for (unsigned k = 0; k < t[i].result.nwarnings; k++)
			needed[t[i].result.warnings[k]] = true;
	}
	for (unsigned i = REASON_NONE + 1; i < REASON_COUNT; i++) {
		if (!needed[i] || push_reasons[i].hint[0] == '\0')
			continue;
		printf("%s%s: %s\n", any ? "" : "\n", push_reasons[i].word,
		       push_reasons[i].hint);
		any = true;
	}
}

void report_table(const struct target *t, size_t n)
{
	int width = (int)strlen("HOST");

	for (size_t i = 0; i < n; i++)
		if ((int)strlen(t[i].host.text) > width)
			width = (int)strlen(t[i].host.text);
	printf("%-*s  %-10s  %-8s  %-5s  %s\n", width, "HOST", "RESULT",
	       "VERSION", "CODE", "WHY");
	for (size_t i = 0; i < n; i++)
		line(&t[i], width);
	hints(t, n);
}
