#include "config.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "pipeline/gauge.h"
#include "pipeline/plan.h"

void plan_word(struct plan_stage *s, const char *word)
{
	assert(s->argc < PLAN_ARGS);
	s->argv[s->argc++] = word;
}

struct plan_stage *plan_stage(struct plan *p, const char *config,
			      const char *program, ...)
{
	struct plan_stage *s = &p->stages[p->n];
	const char *word;
	va_list ap;

	assert(p->n < PLAN_STAGES);
	p->n++;
	plan_word(s, program);
	va_start(ap, program);
	while ((word = va_arg(ap, const char *)) != NULL)
		plan_word(s, word);
	va_end(ap);
	plan_option(s, "--config", config);
	return s;
}

void plan_option(struct plan_stage *s, const char *name, const char *value)
{
	if (value == NULL)
		return;
	plan_word(s, name);
	plan_word(s, value);
}

/* --for NAME, where it is not the usual one. */
static void for_whom(struct plan_stage *s, const struct plan_vault *v)
{
	if (strcmp(v->name, PLAN_DEFAULT) != 0)
		plan_option(s, "--for", v->name);
}

static void store_options(struct plan_stage *s, const struct plan_vault *v)
{
	plan_option(s, "--endpoint", v->endpoint);
	plan_option(s, "--credentials", v->credentials);
	plan_option(s, "--ca-file", v->ca_file);
	plan_option(s, "--retry-for", v->retry_for);
	plan_option(s, "--proxy", v->proxy);
	plan_option(s, "--proxy-auth", v->proxy_auth);
}

static void upload(const struct plan_input *in, const struct plan_vault *v,
		   struct plan *ret)
{
	struct plan_stage *s =
	    plan_stage(ret, in->config, "ps-upload", v->url, NULL);

	gauge_file(in->cache, ".upload", v->name, ret->report,
		   sizeof(ret->report));
	plan_option(s, "--report", ret->report);
	store_options(s, v);
	plan_option(s, "--jobs", v->jobs);
	if (v->listed)
		plan_option(s, "--for", v->name);
	else
		for_whom(s, v);
}

void plan_chain(const struct plan_input *in, const struct plan_vault *v,
		struct plan *ret)
{
	struct plan_stage *s;

	memset(ret, 0, sizeof(*ret));
	s = plan_stage(ret, in->config, "ps-cache", "follow", "-C", in->cache,
		       NULL);
	for_whom(s, v);
	if (in->once)
		plan_word(s, "--once");
	if (strcmp(in->codec, "none") != 0) {
		s = plan_stage(ret, in->config, "ps-compress", "--codec",
			       in->codec, NULL);
		if (in->level != 0) {
			snprintf(ret->number, sizeof(ret->number), "%llu",
				 (unsigned long long)in->level);
			plan_option(s, "--level", ret->number);
		}
	}
	if (in->key != NULL)
		plan_stage(ret, in->config, "ps-encrypt", "-k", in->key, NULL);
	upload(in, v, ret);
	for_whom(plan_stage(ret, in->config, "ps-cache", "ack", "-C", in->cache,
			    NULL),
		 v);
}

void plan_head(const struct plan_input *in, const struct plan_vault *v,
	       const char *machine, const char *disk, struct plan *ret)
{
	memset(ret, 0, sizeof(*ret));
	store_options(plan_stage(ret, in->config, "ps-vault", "head", v->url,
				 "--machine", machine, "--disk", disk, NULL),
		      v);
}

void plan_seat(const struct plan_input *in, const struct plan_vault *v,
	       struct plan *ret)
{
	memset(ret, 0, sizeof(*ret));
	for_whom(plan_stage(ret, in->config, "ps-cache", "seat", "-C",
			    in->cache, NULL),
		 v);
}

void plan_map(const struct plan_input *in, const struct plan_vault *v,
	      const char *machine, const char *disk, uint64_t seq,
	      struct plan *ret)
{
	struct plan_stage *s;

	memset(ret, 0, sizeof(*ret));
	snprintf(ret->number, sizeof(ret->number), "%llu",
		 (unsigned long long)seq);
	s = plan_stage(ret, in->config, "ps-vault", "map", v->url, "--machine",
		       machine, "--disk", disk, "--at", ret->number, "-o", "-",
		       NULL);
	store_options(s, v);
	plan_option(s, "-k", in->key);
	plan_stage(ret, in->config, "ps-cache", "put-map", machine, disk, "-C",
		   in->cache, NULL);
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
}
