#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/bytes.h"
#include "base/units.h"
#include "stream-print.h"

/* ---- words ---- */

static const char *kind_name(const struct seg_header *h)
{
	if (h->kind == SEG_BASE)
		return "base";
	return h->initial ? "initial" : "delta";
}

static const char *encoding_name(const struct seg_header *h)
{
	static const char *const names[] = {"plain", "compressed", "sealed",
					    "compressed,sealed"};

	return names[h->encoding & (SEG_COMPRESSED | SEG_SEALED)];
}

static const char *verdict_name(const struct seg_verdict *v)
{
	if (v->wrong != NULL)
		return "damaged";
	return v->opened ? "ok" : "unauthenticated";
}

static void seq_text(const struct seg_header *h, char out[48])
{
	if (h->first_seq == h->seq)
		snprintf(out, 48, "%" PRIu64, h->seq);
	else
		snprintf(out, 48, "%" PRIu64 "-%" PRIu64, h->first_seq, h->seq);
}

static void print_line(json_t *o)
{
	json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);
	putchar('\n');
	json_decref(o);
}

/* ---- list ---- */

void print_heading(const struct print_options *p)
{
	if (!p->json && isatty(STDOUT_FILENO))
		puts("#machine\tdisk\tseq\tkind\tpart\tbookmark\ttime\t"
		     "consistency\trecords\tdata\tzero\tstored\tencoding\t"
		     "last\tdigest");
}

/* Sums over a made-up stream can pass what JSON integers hold here. */
static json_t *number(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

static void set_text(json_t *o, const char *key, const char *text)
{
	json_object_set_new(o, key, json_string(text));
}

static json_t *segment_json(const char *type, const struct seg_header *h)
{
	json_t *o = json_object();

	set_text(o, "type", type);
	set_text(o, "machine", h->machine);
	set_text(o, "disk", h->disk);
	json_object_set_new(o, "first_seq", number(h->first_seq));
	json_object_set_new(o, "seq", number(h->seq));
	return o;
}

static void header_json(json_t *o, const struct seg_header *h)
{
	char prev[SHA256_HEX], pass[2 * SEG_PASS_LEN + 1];
	char id[2 * SEG_KEY_ID_LEN + 1], when[TIME_TEXT];

	hex_encode(h->prev, SHA256_LEN, prev);
	hex_encode(h->pass, SEG_PASS_LEN, pass);
	hex_encode(h->key_id, SEG_KEY_ID_LEN, id);
	format_time(h->bookmark_time, when);
	set_text(o, "kind", h->kind == SEG_BASE ? "base" : "delta");
	json_object_set_new(o, "initial", json_boolean(h->initial));
	set_text(o, "pass", pass);
	json_object_set_new(o, "part", number(h->part));
	set_text(o, "bookmark", h->bookmark);
	set_text(o, "time", when);
	set_text(o, "consistency", seg_consistency_name(h->consistency));
	json_object_set_new(o, "disk_size", number(h->disk_size));
	json_object_set_new(o, "block_size", number(h->block_size));
	set_text(o, "previous", prev);
	json_object_set_new(o, "compressed",
			    json_boolean(h->encoding & SEG_COMPRESSED));
	json_object_set_new(o, "sealed",
			    json_boolean(h->encoding & SEG_SEALED));
	if (h->encoding & SEG_SEALED)
		set_text(o, "key_id", id);
}

static void trailer_json(json_t *o, const struct seg_trailer *t)
{
	char digest[SHA256_HEX], changed[TIME_TEXT];
	json_t *members = json_array(), *replaced = json_array();
	uint32_t i;

	hex_encode(t->digest, SHA256_LEN, digest);
	format_time(t->change_time, changed);
	json_object_set_new(o, "data_records", number(t->data_records));
	json_object_set_new(o, "zero_records", number(t->zero_records));
	json_object_set_new(o, "data_bytes", number(t->data_bytes));
	json_object_set_new(o, "zero_bytes", number(t->zero_bytes));
	json_object_set_new(o, "stored_bytes", number(t->stored_bytes));
	json_object_set_new(o, "bytes", number(t->seg_len));
	json_object_set_new(o, "last_part", json_boolean(t->last_part));
	set_text(o, "change_time", changed);
	for (i = 0; i < t->nmembers; i++)
		json_array_append_new(
		    members, json_sprintf("%s/%s", t->members[i].machine,
					  t->members[i].disk));
	json_object_set_new(o, "members", members);
	for (i = 0; i < t->nreplaced; i++)
		json_array_append_new(replaced, number(t->replaced[i].seq));
	json_object_set_new(o, "replaced", replaced);
	set_text(o, "digest", digest);
}

void print_segment(const struct print_options *p, const struct seg_reader *r)
{
	const struct seg_header *h = &r->header;
	const struct seg_trailer *t = &r->trailer;
	char seq[48], when[TIME_TEXT], digest[SHA256_HEX];

	if (p->json) {
		json_t *o = segment_json("segment", h);

		header_json(o, h);
		trailer_json(o, t);
		/* What no key has confirmed is only claimed. */
		json_object_set_new(o, "authenticated",
				    json_boolean(seg_reader_clear(r)));
		print_line(o);
		return;
	}
	seq_text(h, seq);
	format_time(h->bookmark_time, when);
	hex_encode(t->digest, SHA256_LEN, digest);
	printf("%s\t%s\t%s\t%s\t%" PRIu32 "\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64
	       "\t%" PRIu64 "\t%" PRIu64 "\t%s\t%s\t%s\n",
	       h->machine, h->disk, seq, kind_name(h), h->part, h->bookmark,
	       when, seg_consistency_name(h->consistency),
	       t->data_records + t->zero_records, t->data_bytes, t->zero_bytes,
	       t->stored_bytes, encoding_name(h), t->last_part ? "last" : "-",
	       digest);
}

void print_record(const struct print_options *p, const struct seg_reader *r,
		  const struct seg_item *item)
{
	const struct seg_record *rec = &item->record;
	const char *kind = rec->zero ? "zero" : "data";
	json_t *o;

	if (!p->json) {
		printf("\t%" PRIu32 "\t%s\t%" PRIu64 "\t%" PRIu64
		       "\t%s\t%" PRIu32 "\n",
		       item->record_no, kind, rec->offset, rec->raw_len,
		       seg_codec_name(rec->codec), rec->stored_len);
		return;
	}
	o = segment_json("record", &r->header);
	json_object_set_new(o, "record", number(item->record_no));
	set_text(o, "kind", kind);
	json_object_set_new(o, "offset", number(rec->offset));
	json_object_set_new(o, "length", number(rec->raw_len));
	set_text(o, "codec", seg_codec_name(rec->codec));
	json_object_set_new(o, "stored", number(rec->stored_len));
	print_line(o);
}

/* ---- verify ---- */

void print_verdict(const struct print_options *p, const struct seg_verdict *v)
{
	char seq[48], digest[SHA256_HEX] = "-";
	json_t *o;

	if (v->trailer != NULL)
		hex_encode(v->trailer->digest, SHA256_LEN, digest);
	if (!p->json) {
		seq_text(v->header, seq);
		printf("%s\t%s\t%s\t%s\t%s\n", v->header->machine,
		       v->header->disk, seq, verdict_name(v),
		       v->wrong != NULL ? v->wrong : digest);
		return;
	}
	o = segment_json("verdict", v->header);
	set_text(o, "result", verdict_name(v));
	if (v->wrong != NULL) {
		set_text(o, "wrong", v->wrong);
		json_object_set_new(o, "wrong_records",
				    number(v->wrong_records));
	}
	if (v->trailer != NULL)
		set_text(o, "digest", digest);
	print_line(o);
}

/* ---- stat ---- */

int totals_add(struct totals *t, const struct seg_reader *r, struct err *e)
{
	const struct seg_header *h = &r->header;
	const struct seg_trailer *s = &r->trailer;
	unsigned before = t->disks.n;
	/* It also says what does not fit; that is verify's business. */
	int rc = seg_links_note(&t->disks, h, s->digest, e);

	if (rc == -PS_TEMPFAIL || (rc < 0 && before == SEG_LINKS_MAX))
		return rc;
	if (t->segments == 0 || h->bookmark_time < t->oldest)
		t->oldest = h->bookmark_time;
	if (t->segments == 0 || h->bookmark_time > t->newest)
		t->newest = h->bookmark_time;
	t->segments++;
	t->points += s->last_part;
	t->compressed += (h->encoding & SEG_COMPRESSED) != 0;
	t->sealed += (h->encoding & SEG_SEALED) != 0;
	t->bytes += s->seg_len;
	t->sum.data_records += s->data_records;
	t->sum.zero_records += s->zero_records;
	t->sum.data_bytes += s->data_bytes;
	t->sum.zero_bytes += s->zero_bytes;
	t->sum.stored_bytes += s->stored_bytes;
	return 0;
}

void totals_free(struct totals *t)
{
	seg_links_free(&t->disks);
}

static void totals_json(const struct totals *t)
{
	char oldest[TIME_TEXT], newest[TIME_TEXT];
	json_t *o = json_object();

	json_object_set_new(o, "segments", number(t->segments));
	json_object_set_new(o, "disks", number(t->disks.n));
	json_object_set_new(o, "last_parts", number(t->points));
	json_object_set_new(o, "compressed", number(t->compressed));
	json_object_set_new(o, "sealed", number(t->sealed));
	json_object_set_new(o, "data_records", number(t->sum.data_records));
	json_object_set_new(o, "zero_records", number(t->sum.zero_records));
	json_object_set_new(o, "data_bytes", number(t->sum.data_bytes));
	json_object_set_new(o, "zero_bytes", number(t->sum.zero_bytes));
	json_object_set_new(o, "stored_bytes", number(t->sum.stored_bytes));
	json_object_set_new(o, "bytes", number(t->bytes));
	if (t->segments > 0) {
		format_time(t->oldest, oldest);
		format_time(t->newest, newest);
		set_text(o, "oldest", oldest);
		set_text(o, "newest", newest);
	}
	print_line(o);
}

static void line_bytes(const char *what, uint64_t n)
{
	char text[32];

	format_size(n, text, sizeof(text));
	printf("%s\t%" PRIu64 "\t%s\n", what, n, text);
}

void print_totals(const struct print_options *p, const struct totals *t)
{
	char when[TIME_TEXT];

	if (p->json) {
		totals_json(t);
		return;
	}
	printf("segments\t%" PRIu64 "\n", t->segments);
	printf("disks\t%u\n", t->disks.n);
	printf("last parts\t%" PRIu64 "\n", t->points);
	printf("compressed\t%" PRIu64 "\n", t->compressed);
	printf("sealed\t%" PRIu64 "\n", t->sealed);
	printf("data records\t%" PRIu64 "\n", t->sum.data_records);
	printf("zero records\t%" PRIu64 "\n", t->sum.zero_records);
	line_bytes("data bytes", t->sum.data_bytes);
	line_bytes("zero bytes", t->sum.zero_bytes);
	line_bytes("stored bytes", t->sum.stored_bytes);
	line_bytes("bytes", t->bytes);
	if (t->segments == 0)
		return;
	format_time(t->oldest, when);
	printf("oldest\t%s\n", when);
	format_time(t->newest, when);
	printf("newest\t%s\n", when);
}
