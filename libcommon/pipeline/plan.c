#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "pipeline/gauge.h"
#include "pipeline/plan.h"

struct plan_stage *plan_stage(struct plan *p, const char *program)
{
	assert(p->n < PLAN_STAGES);
	plan_word(&p->stages[p->n], program);
	return &p->stages[p->n++];
}

void plan_word(struct plan_stage *s, const char *word)
{
	assert(s->argc < PLAN_ARGS);
	s->argv[s->argc++] = word;
}

/* Begins a stage with these words, the last one NULL. */
static struct plan_stage *stage(struct plan *p, const struct plan_input *in,
				const char *program, ...)
{
	struct plan_stage *s = plan_stage(p, program);
	const char *word;
	va_list ap;

	va_start(ap, program);
	while ((word = va_arg(ap, const char *)) != NULL)
		plan_word(s, word);
	va_end(ap);
	if (in->config != NULL) {
		plan_word(s, "--config");
		plan_word(s, in->config);
	}
	return s;
}

void plan_chain(const struct plan_input *in, struct plan *ret)
{
	struct plan_stage *s;

	memset(ret, 0, sizeof(*ret));
	s = stage(ret, in, "ps-cache", "follow", "-C", in->cache, NULL);
	if (in->once)
		plan_word(s, "--once");
	if (strcmp(in->codec, "none") != 0) {
		s = stage(ret, in, "ps-compress", "--codec", in->codec, NULL);
		if (in->level != 0) {
			snprintf(ret->number, sizeof(ret->number), "%llu",
				 (unsigned long long)in->level);
			plan_word(s, "--level");
			plan_word(s, ret->number);
		}
	}
	if (in->key != NULL)
		stage(ret, in, "ps-encrypt", "-k", in->key, NULL);
	gauge_file(in->cache, ".upload", NULL, ret->report,
		   sizeof(ret->report));
	stage(ret, in, "ps-upload", in->vault, "--report", ret->report, NULL);
	stage(ret, in, "ps-cache", "ack", "-C", in->cache, NULL);
}

void plan_seat(const struct plan_input *in, const char *machine,
	       const char *disk, struct plan *ret)
{
	memset(ret, 0, sizeof(*ret));
	stage(ret, in, "ps-vault", "head", in->vault, "--machine", machine,
	      "--disk", disk, NULL);
	stage(ret, in, "ps-cache", "seat", "-C", in->cache, NULL);
}

void plan_map(const struct plan_input *in, const char *machine,
	      const char *disk, uint64_t seq, struct plan *ret)
{
	struct plan_stage *s;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->number, sizeof(ret->number), "%llu",
		 (unsigned long long)seq);
	s = stage(ret, in, "ps-vault", "map", in->vault, "--machine", machine,
		  "--disk", disk, "--at", ret->number, "-o", "-", NULL);
	if (in->key != NULL) {
		plan_word(s, "-k");
		plan_word(s, in->key);
	}
	stage(ret, in, "ps-cache", "put-map", machine, disk, "-C", in->cache,
	      NULL);
}

static bool plain(const char *word)
{
	return *word != '\0' &&
	       word[strspn(word, "abcdefghijklmnopqrstuvwxyz"
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "0123456789_./:@%+,-")] == '\0';
}

static void print_word(const char *word, FILE *f)
{
	if (plain(word)) {
		fputs(word, f);
		return;
	}
	fputc('\'', f);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			fputs("'\\''", f);
		else
			fputc(*word, f);
	}
	fputc('\'', f);
}

void plan_print(const struct plan *p, FILE *f)
{
	unsigned i, k;

	for (i = 0; i < p->n; i++) {
		if (i > 0)
			fputs(" | ", f);
		for (k = 0; k < p->stages[i].argc; k++) {
			if (k > 0)
				fputc(' ', f);
			print_word(p->stages[i].argv[k], f);
		}
	}
	fputc('\n', f);
}
