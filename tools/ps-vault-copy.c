/* ps-vault copy. */
#include "config.h"

#include <stdio.h>

#include "base/opt.h"
#include "base/progress.h"
#include "base/units.h"
#include "ps-vault.h"
#include "vault/copy.h"

struct job {
	const struct request *r;
	json_t *list; /* NULL: text */
};

static const char *end_name(const struct copy_disk *d)
{
	if (d->end == COPY_REFUSED)
		return "refused";
	return d->end == COPY_DAMAGED ? "damaged" : "done";
}

static int report_json(json_t *list, const struct copy_disk *d, struct err *e)
{
	json_t *o = json_pack(
	    "{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "machine", d->machine,
	    "disk", d->disk, "from", (json_int_t)d->from, "to",
	    (json_int_t)d->to, "objects", (json_int_t)d->objects, "bytes",
	    (json_int_t)d->bytes, "end", end_name(d), "reason", d->reason);

	if (json_array_append_new(list, o) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

static void report_text(const struct job *j, const struct copy_disk *d)
{
	char bytes[32];

	format_size(d->bytes, bytes, sizeof(bytes));
	printf("%s/%s: %llu objects%s, %s, up to segment %llu", d->machine,
	       d->disk, (unsigned long long)d->objects,
	       j->r->dry_run ? " to copy" : "", bytes,
	       (unsigned long long)d->to);
	if (d->end != COPY_DONE)
		printf("; %s: %s", end_name(d), d->reason);
	putchar('\n');
}

static int report(void *ctx, const struct copy_disk *d, struct err *e)
{
	struct job *j = ctx;

	if (j->list != NULL)
		return report_json(j->list, d, e);
	if (opt_quiet && d->end == COPY_DONE)
		return 0;
	report_text(j, d);
	return 0;
}

static int answer_json(const struct job *j, const struct copy_totals *t,
		       struct err *e)
{
	return print_json(json_pack("{s:I, s:I, s:b, s:O}", "objects",
				    (json_int_t)t->objects, "bytes",
				    (json_int_t)t->bytes, "dry_run",
				    (int)j->r->dry_run, "disks", j->list),
			  e);
}

static int verdict(const struct request *r, const struct copy_totals *t,
		   struct err *e)
{
	if (t->disks == 0 && (r->machine != NULL || r->disk != NULL))
		return err_set(e, PS_NO, "%s: there is no such disk", r->url);
	if (t->damaged > 0) {
		err_set(e, PS_DATA, "%s: %llu disks have damaged objects",
			r->url, (unsigned long long)t->damaged);
		err_hint(e, "see ps-vault verify");
		return -PS_DATA;
	}
	if (t->refused > 0)
		return err_set(e, PS_NO, "%s: %llu disks were refused", r->to,
			       (unsigned long long)t->refused);
	return 0;
}

int cmd_copy(const struct request *r, struct err *e)
{
	struct job j = {.r = r, .list = r->json ? json_array() : NULL};
	struct copy how = {.machine = r->machine,
			   .disk = r->disk,
			   .rate = r->rate,
			   .dry_run = r->dry_run,
			   .report = report,
			   .ctx = &j};
	struct copy_totals t = {0};
	struct vault from = r->vault, to;
	int rc = vault_open(&to, r->to, e);

	if (rc == 0) {
		rc = copy_run(&from, &to, &how, &t, e);
		vault_close(&to);
	}
	if (rc == 0 && j.list != NULL)
		rc = answer_json(&j, &t, e);
	json_decref(j.list);
	return rc < 0 ? rc : verdict(r, &t, e);
}
