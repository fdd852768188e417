/* ps-vault verify and map. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/tool.h"
#include "base/units.h"
#include "ps-vault.h"
#include "vault/mapping.h"
#include "vault/verify.h"

/* What was found, for --json. */
struct findings {
	const struct request *r;
	json_t *damaged, *affected, *foreign;
};

static int add(json_t *list, json_t *o, struct err *e)
{
	if (json_array_append_new(list, o) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

static int damage(void *ctx, const char *name, const char *why, struct err *e)
{
	struct findings *f = ctx;

	if (f->r->json)
		return add(
		    f->damaged,
		    json_pack("{s:s, s:s}", "object", name, "reason", why), e);
	progress_end();
	printf("damaged: %s: %s\n", name, why);
	return 0;
}

static int affected(void *ctx, const char *machine, const char *disk,
		    uint64_t seq, const char *id, struct err *e)
{
	struct findings *f = ctx;

	if (f->r->json)
		return add(f->affected,
			   json_pack("{s:s, s:s, s:I, s:s}", "machine", machine,
				     "disk", disk, "seq", (json_int_t)seq,
				     "point", id),
			   e);
	printf("lost: %s/%s, %s%s at segment %llu\n", machine, disk,
	       id[0] != '\0' ? "point " : "the point, if there is one,", id,
	       (unsigned long long)seq);
	return 0;
}

static int foreign(void *ctx, const char *name, struct err *e)
{
	struct findings *f = ctx;

	if (f->r->json)
		return add(f->foreign, json_string(name), e);
	printf("foreign: %s\n", name);
	return 0;
}

static int verify_json(const struct findings *f, const struct verify_totals *t,
		       struct err *e)
{
	return print_json(
	    json_pack("{s:s, s:I, s:I, s:b, s:I, s:O, s:O, s:O}", "vault",
		      f->r->url, "objects", (json_int_t)t->objects, "bytes",
		      (json_int_t)t->bytes, "data", (int)f->r->data,
		      "unauthenticated", (json_int_t)t->closed, "damaged",
		      f->damaged, "affected", f->affected, "foreign",
		      f->foreign),
	    e);
}

static void verify_text(const struct request *r, const struct verify_totals *t)
{
	char bytes[32];

	format_size(t->bytes, bytes, sizeof(bytes));
	printf("%llu objects, %s: ", (unsigned long long)t->objects, bytes);
	if (t->damaged == 0)
		printf("sound%s", r->data ? ", every block checked" : "");
	else
		printf("%llu damaged, %llu points lost",
		       (unsigned long long)t->damaged,
		       (unsigned long long)t->affected);
	if (t->closed > 0)
		printf("; %llu of them are sealed and were checked without "
		       "their key: unauthenticated",
		       (unsigned long long)t->closed);
	putchar('\n');
}

static int verify(const struct request *r, struct findings *f,
		  struct verify_totals *t, struct err *e)
{
	struct vault v = r->vault;
	struct verify how = {.machine = r->machine,
			     .disk = r->disk,
			     .keys = r->keys,
			     .data = r->data,
			     .damage = damage,
			     .affected = affected,
			     .ctx = f};
	int rc;

	if (opt_verbose > 0 || r->json)
		how.foreign = foreign;
	progress_begin("verified", 0);
	rc = verify_run(&v, &how, t, e);
	progress_end();
	if (rc < 0)
		return rc;
	if (t->objects + t->damaged == 0 && r->machine != NULL)
		return err_set(e, PS_NO, "%s%s%s: not in the vault", r->machine,
			       r->disk != NULL ? "/" : "",
			       r->disk != NULL ? r->disk : "");
	if (r->json)
		rc = verify_json(f, t, e);
	else
		verify_text(r, t);
	return rc;
}

int cmd_verify(const struct request *r, struct err *e)
{
	struct findings f = {.r = r};
	struct verify_totals t = {0};
	int rc;

	f.damaged = json_array();
	f.affected = json_array();
	f.foreign = json_array();
	if (f.damaged == NULL || f.affected == NULL || f.foreign == NULL)
		rc = err_set(e, PS_TEMPFAIL, "no memory for the answer");
	else
		rc = verify(r, &f, &t, e);
	json_decref(f.damaged);
	json_decref(f.affected);
	json_decref(f.foreign);
	if (rc == 0 && t.damaged > 0)
		return err_set(e, PS_DATA, "%s: %llu damaged %s", r->url,
			       (unsigned long long)t.damaged,
			       t.damaged == 1 ? "object" : "objects");
	return rc;
}

/* ---- map ---- */

/* The sequence that is asked for; 0: the last one. */
static int which_seq(const struct request *r, uint64_t *ret, struct err *e)
{
	struct vault v = r->vault;
	const struct point *p;
	struct points all;
	size_t i;
	int rc;

	*ret = r->seq;
	if (r->point == NULL && r->at == 0)
		return 0;
	rc = points_list(&v, r->machine, r->keys, &all, e);
	if (rc < 0)
		return rc;
	rc = choose_point(r, &all, &p, e);
	for (i = 0; rc == 0 && i < p->ndisks; i++)
		if (strcmp(p->disks[i].machine, r->machine) == 0 &&
		    strcmp(p->disks[i].disk, r->disk) == 0)
			*ret = p->disks[i].seq;
	points_free(&all);
	return rc;
}

/* As a stream on standard output. */
static int print_map(const struct request *r, uint64_t *seq, struct err *e)
{
	struct vault v = r->vault;
	struct io_out out;
	int rc;

	tool_no_terminal(STDOUT_FILENO, "a digest map");
	rc = io_out_open_fd(&out, STDOUT_FILENO, "standard output", e);
	if (rc == 0)
		rc = vault_digestmap(&v, r->machine, r->disk, *seq, r->keys,
				     &out, seq, e);
	io_out_close(&out);
	return rc;
}

int cmd_map(const struct request *r, struct err *e)
{
	struct vault v = r->vault;
	uint64_t seq;
	int rc;

	if (r->output == NULL)
		opt_misuse("map needs -o FILE");
	rc = which_seq(r, &seq, e);
	if (rc == 0 && strcmp(r->output, "-") == 0)
		rc = print_map(r, &seq, e);
	else if (rc == 0)
		rc = vault_map(&v, r->machine, r->disk, seq, r->keys, r->output,
			       &seq, e);
	if (rc == 0)
		tool_note("%s: %s/%s after segment %llu", r->output, r->machine,
			  r->disk, (unsigned long long)seq);
	return rc;
}
