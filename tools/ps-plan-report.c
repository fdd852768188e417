/* What ps-plan report prints: for people, and for programs. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/units.h"
#include "fleet/balance.h"
#include "ps-plan.h"

#define MIB (1024.0 * 1024)

/* ---- text ---- */

static void size_text(double bytes, char out[32])
{
	format_size(bytes < 0	      ? 0
		    : bytes >= 0x1p64 ? UINT64_MAX
				      : (uint64_t)bytes,
		    out, 32);
}

void plan_cells(const struct machine_sizing *m, const struct machine_churn *c,
		const struct sizing_opts *o, char cells[PLAN_CELLS][PLAN_CELL])
{
	static const char *const heads[PLAN_CELLS] = {
	    "MACHINE",	  "DISKS", "SIZE",     "",
	    "PEAK MiB/s", "DAY",   "WRITES/s", "VERDICT"};
	char size[32], day[32];

	if (m == NULL) {
		for (int i = 0; i < PLAN_CELLS; i++)
			snprintf(cells[i], PLAN_CELL, "%s", heads[i]);
		snprintf(cells[3], PLAN_CELL, "P%.0f MiB/s", o->percentile);
		return;
	}
	size_text((double)m->size, size);
	size_text(m->day, day);
	snprintf(cells[0], PLAN_CELL, "%s", c->name);
	snprintf(cells[1], PLAN_CELL, "%zu", c->ndisks);
	snprintf(cells[2], PLAN_CELL, "%s", m->size > 0 ? size : "-");
	snprintf(cells[3], PLAN_CELL, "%.2f", m->rate / MIB);
	snprintf(cells[4], PLAN_CELL, "%.2f", m->peak / MIB);
	snprintf(cells[5], PLAN_CELL, "%s", day);
	snprintf(cells[6], PLAN_CELL, "%.0f", m->writes);
	snprintf(cells[7], PLAN_CELL, "%s%s",
		 m->why[0] == '\0' ? "fits" : "no: ", m->why);
}

static void print_machines(const struct sizing *s, const struct churn *c,
			   const struct sizing_opts *o, FILE *f)
{
	char x[PLAN_CELLS][PLAN_CELL];

	plan_cells(NULL, NULL, o, x);
	for (size_t i = 0; i <= c->nmachines; i++) {
		fprintf(f, "%-16s %5s %10s %10s %10s %10s %8s  %s\n", x[0],
			x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
		if (i < c->nmachines)
			plan_cells(&s->machines[i], &c->machines[i], o, x);
	}
}

static void print_by(const struct sizing *s, FILE *f)
{
	static const char *const how[CHURN_BYS] = {
	    "every write, so blocks that are written twice count twice",
	    "changed blocks, by a trace of writes",
	    "changed blocks, as agents sent them",
	    "changed blocks, the samples do not say how"};
	bool first = true;

	fputs("Measured (machines): ", f);
	for (int i = 0; i < CHURN_BYS; i++) {
		if (s->by[i] == 0)
			continue;
		fprintf(f, "%s%s: %u", first ? "" : "; ", how[i], s->by[i]);
		first = false;
	}
	fputc('\n', f);
}

static void print_line(const struct sizing *s, const struct sizing_opts *o,
		       FILE *f)
{
	char rpo[32], all[32], p95[32], p90[32];

	format_duration(o->rpo, rpo, sizeof(rpo));
	fprintf(f,
		"Bandwidth for an RPO of %s: %.1f Mbit/s (90 %% of the time: "
		"%.1f Mbit/s)\n",
		rpo, s->need_all / 1e6, s->need_90 / 1e6);
	if (o->bandwidth <= 0)
		return;
	if (s->rpo_all < 0) {
		fprintf(f,
			"RPO with %.1f Mbit/s: none, what is pending grows "
			"without end\n",
			o->bandwidth / 1e6);
		return;
	}
	format_duration(s->rpo_all, all, sizeof(all));
	format_duration(s->rpo_95, p95, sizeof(p95));
	format_duration(s->rpo_90, p90, sizeof(p90));
	fprintf(f,
		"RPO with %.1f Mbit/s: %s (95 %% of the time %s, 90 %% %s)\n",
		o->bandwidth / 1e6, all, p95, p90);
}

/* What a sum of sizes leaves out. */
static void print_unsized(const struct sizing *s, FILE *f)
{
	if (s->unsized > 0)
		fprintf(f, ", and %zu disk%s whose size is not known",
			s->unsized, s->unsized == 1 ? "" : "s");
}

static void print_initial(const struct sizing *s, const struct sizing_opts *o,
			  FILE *f)
{
	char goal[32], size[32], takes[32];

	if (s->size == 0) {
		fprintf(
		    f,
		    "Initial replication: unknown, the samples have no sizes "
		    "of disks\n");
		return;
	}
	format_duration(o->initial, goal, sizeof(goal));
	size_text((double)s->size, size);
	fprintf(f,
		"Initial replication of %s in %s: %.1f Mbit/s beside the "
		"changes",
		size, goal, s->initial_bits / 1e6);
	if (o->bandwidth > 0) {
		format_duration(s->initial_seconds, takes, sizeof(takes));
		fprintf(f, "; with %.1f Mbit/s: %s", o->bandwidth / 1e6,
			s->initial_seconds < 0 ? "never" : takes);
	}
	print_unsized(s, f);
	fputc('\n', f);
}

/* Who does not even fit the largest server alone; NULL: everybody does. */
static const struct machine_churn *too_large(const struct sizing *s,
					     const struct churn *c,
					     const struct sizing_opts *o)
{
	double most =
	    (double)o->tables->process[SIZES - 1].churn * (1 - o->headroom);

	for (size_t i = 0; i < c->nmachines; i++)
		if (s->machines[i].day > most)
			return &c->machines[i];
	return NULL;
}

static void print_no_servers(const struct sizing *s, const struct churn *c,
			     const struct sizing_opts *o, FILE *f)
{
	const struct server_size *size = &o->tables->process[SIZES - 1];
	const struct machine_churn *m = too_large(s, c, o);
	char churn[32];

	size_text((double)size->churn * (1 - o->headroom), churn);
	if (m != NULL)
		fprintf(f,
			"Process servers: none is large enough, %s changes "
			"more in a day than the %s that the largest takes with "
			"%.0f %% headroom\n",
			m->name, churn, 100 * o->headroom);
	else
		fprintf(f,
			"Process servers: more than %d of the largest (%u "
			"cores), plan for less machines at a time\n",
			BALANCE_MORE_MAX, size->cores);
}

static void print_config(const struct sizing *s, const struct sizing_opts *o,
			 FILE *f)
{
	const struct server_size *own =
	    s->config < 0 ? NULL : &o->tables->config[s->config];
	const struct server_size *alone = &o->tables->config_alone;
	char memory[32], cache[32];

	fputs("Configuration server: ", f);
	if (own != NULL) {
		size_text((double)own->memory, memory);
		size_text((double)own->cache, cache);
		fprintf(f,
			"%u cores, %s memory and %s cache are enough for a "
			"process server on the same machine; ",
			own->cores, memory, cache);
	}
	size_text((double)alone->memory, memory);
	fprintf(f, "alone %u with %u cores, %s memory (up to %u machines)\n",
		s->configs, alone->cores, memory, alone->machines);
}

static void print_servers(const struct sizing *s, const struct churn *c,
			  const struct sizing_opts *o, FILE *f)
{
	const struct server_size *size;
	char memory[32], cache[32];
	unsigned n = 0;

	for (int i = 0; i < SIZES; i++) {
		if (s->servers[i] == 0)
			continue;
		n += s->servers[i];
		size = &o->tables->process[i];
		size_text((double)size->memory, memory);
		size_text((double)size->cache, cache);
		fprintf(
		    f,
		    "Process servers: %u with %u cores, %s memory, %s cache "
		    "(%.0f %% headroom)",
		    s->servers[i], size->cores, memory, cache,
		    100 * o->headroom);
		if (size->egress > 0)
			fprintf(f,
				"; published for each: cache disk %.0f MiB/s, "
				"in %.0f Mbit/s, out %.0f Mbit/s",
				(double)size->cache_rate / MIB,
				(double)size->ingress / 1e6,
				(double)size->egress / 1e6);
		fputc('\n', f);
	}
	if (n == 0)
		print_no_servers(s, c, o, f);
}

static void print_rooms(const struct sizing *s, const struct sizing_opts *o,
			FILE *f)
{
	char text[32], time[32];

	size_text(s->cache, text);
	format_duration(o->outage, time, sizeof(time));
	fprintf(f, "Cache to bridge %s without the vault: %s\n", time, text);
	size_text(s->vault, text);
	format_duration(o->retention, time, sizeof(time));
	fprintf(f, "Vault with points of %s: %s", time, text);
	print_unsized(s, f);
	fputc('\n', f);
	size_text(s->retention, text);
	fprintf(f, "Retention volume of a master target: %s on %u disk%s\n",
		text, s->retention_disks, s->retention_disks == 1 ? "" : "s");
	fprintf(f, "Storage accounts, by requests: %u\n", s->accounts);
	fprintf(f, "Limits: published tables of %s (%s)\n", o->tables->name,
		o->tables->sources[0]);
}

/* One line, of what depends on the tables. */
static void print_beside(const struct plan_beside *b, FILE *f)
{
	unsigned servers = 0;

	fprintf(f,
		"By the tables of %s: %zu within all limits; process servers:",
		b->o.tables->name, b->s.fit);
	for (int i = 0; i < SIZES; i++) {
		if (b->s.servers[i] == 0)
			continue;
		fprintf(f, "%s %u with %u cores", servers > 0 ? "," : "",
			b->s.servers[i], b->o.tables->process[i].cores);
		servers += b->s.servers[i];
	}
	fprintf(f,
		"%s; retention volume on %u disk%s; storage accounts, by "
		"requests: %u (%s)\n",
		servers == 0 ? " none is large enough" : "",
		b->s.retention_disks, b->s.retention_disks == 1 ? "" : "s",
		b->s.accounts, b->o.tables->sources[0]);
}

void plan_findings(const struct sizing *s, const struct churn *c,
		   const struct sizing_opts *o, const struct plan_beside *b,
		   FILE *f)
{
	char measured[32], day[32];

	format_duration(s->seconds, measured, sizeof(measured));
	size_text(s->day, day);
	fprintf(f,
		"%zu machine%s, %zu within all limits; measured for %s, with "
		"%.0f %% growth\n",
		c->nmachines, c->nmachines == 1 ? "" : "s", s->fit, measured,
		100 * o->growth);
	print_by(s, f);
	fprintf(f,
		"Churn: %s a day, mean %.2f MiB/s, P%.0f %.2f MiB/s, peak %.2f "
		"MiB/s\n",
		day, s->mean / MIB, o->percentile, s->rate / MIB,
		s->peak / MIB);
	print_line(s, o, f);
	print_initial(s, o, f);
	print_servers(s, c, o, f);
	print_config(s, o, f);
	print_rooms(s, o, f);
	print_beside(b, f);
	if (s->guessed > 0)
		fprintf(f,
			"Of %zu machine%s writes were not counted: each is "
			"taken for %d KiB\n",
			s->guessed, s->guessed == 1 ? "" : "s",
			CHURN_WRITE / 1024);
	if (s->overlap > 0)
		fprintf(f,
			"Rows of %zu disk%s overlap: are the same samples "
			"there twice? They count twice.\n",
			s->overlap, s->overlap == 1 ? "" : "s");
	if (s->seconds < 30 * 60)
		fputs("This is too short to plan with: measure for a week or "
		      "more.\n",
		      f);
}

void plan_text(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o, const struct plan_beside *b,
	       FILE *f)
{
	print_machines(s, c, o, f);
	fputc('\n', f);
	plan_findings(s, c, o, b, f);
}

/* ---- JSON ---- */

static json_t *seconds_or_null(double seconds)
{
	return seconds < 0 ? json_null() : json_real(seconds);
}

static json_t *json_disks(const struct machine_sizing *m,
			  const struct machine_churn *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->ndisks; i++) {
		const struct disk_sizing *d = &m->disks[i];

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:s}", "disk",
			      c->disks[i].name, "size_bytes",
			      (json_int_t)c->disks[i].size, "bytes_per_second",
			      d->rate, "bytes_per_day", d->day,
			      "writes_per_second", d->writes,
			      "write_size_bytes", d->write_size, "class",
			      d->class != NULL ? d->class : "none"));
	}
	return list;
}

static json_t *json_machines(const struct sizing *s, const struct churn *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->nmachines; i++) {
		const struct machine_sizing *m = &s->machines[i];
		enum churn_by by = CHURN_WRITES;
		bool one = sizing_by(&c->machines[i], &by);

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:b, s:b, s:s, "
			      "s:s, s:o}",
			      "machine", c->machines[i].name, "size_bytes",
			      (json_int_t)m->size, "bytes_per_second", m->rate,
			      "peak_bytes_per_second", m->peak, "bytes_per_day",
			      m->day, "writes_per_second", m->writes,
			      "writes_counted", c->machines[i].guessed == 0,
			      "fits", m->why[0] == '\0', "why", m->why,
			      "measured_by", one ? churn_by_name(by) : "mixed",
			      "disks", json_disks(m, &c->machines[i])));
	}
	return list;
}

static json_t *json_servers(const struct sizing *s, const struct sizing_opts *o)
{
	json_t *list = json_array();

	for (int i = 0; i < SIZES; i++) {
		const struct server_size *size = &o->tables->process[i];

		if (s->servers[i] == 0)
			continue;
		json_array_append_new(
		    list,
		    json_pack("{s:i, s:i, s:I, s:I}", "count",
			      (int)s->servers[i], "cores", (int)size->cores,
			      "memory_bytes", (json_int_t)size->memory,
			      "cache_bytes", (json_int_t)size->cache));
	}
	return list;
}

static json_t *json_config(const struct sizing *s, const struct sizing_opts *o)
{
	const struct server_size *own =
	    s->config < 0 ? NULL : &o->tables->config[s->config];
	const struct server_size *alone = &o->tables->config_alone;
	json_t *with = json_null();

	if (own != NULL)
		with = json_pack("{s:i, s:I, s:I}", "cores", (int)own->cores,
				 "memory_bytes", (json_int_t)own->memory,
				 "cache_bytes", (json_int_t)own->cache);
	return json_pack("{s:o, s:{s:I, s:i, s:I}}", "with_process_server",
			 with, "alone", "count", (json_int_t)s->configs,
			 "cores", (int)alone->cores, "memory_bytes",
			 (json_int_t)alone->memory);
}

static json_t *json_line(const struct sizing *s, const struct sizing_opts *o)
{
	bool sized = s->size > 0;
	json_t *line = json_pack(
	    "{s:f, s:f, s:f, s:o}", "rpo_seconds", o->rpo, "needed_bits",
	    s->need_all, "needed_bits_90", s->need_90, "initial_bits",
	    sized ? json_real(s->initial_bits) : json_null());

	if (o->bandwidth <= 0)
		return line;
	json_object_set_new(line, "bits", json_real(o->bandwidth));
	json_object_set_new(line, "achieved_rpo_seconds",
			    seconds_or_null(s->rpo_all));
	json_object_set_new(line, "achieved_rpo_seconds_95",
			    seconds_or_null(s->rpo_95));
	json_object_set_new(line, "achieved_rpo_seconds_90",
			    seconds_or_null(s->rpo_90));
	json_object_set_new(line, "initial_seconds",
			    seconds_or_null(sized ? s->initial_seconds : -1));
	return line;
}

static json_t *json_tables(const struct tables *t)
{
	json_t *sources = json_array();

	for (int i = 0; t->sources[i] != NULL; i++)
		json_array_append_new(sources, json_string(t->sources[i]));
	return json_pack("{s:s, s:o}", "name", t->name, "sources", sources);
}

/* What depends on the tables. */
static json_t *json_beside(const struct plan_beside *b, const struct churn *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->nmachines; i++) {
		const struct machine_sizing *m = &b->s.machines[i];

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:b, s:s}", "machine", c->machines[i].name,
			      "fits", m->why[0] == '\0', "why", m->why));
	}
	return json_pack("{s:o, s:o, s:o, s:I, s:I, s:o}", "machines", list,
			 "servers", json_servers(&b->s, &b->o), "config_server",
			 json_config(&b->s, &b->o), "retention_disks",
			 (json_int_t)b->s.retention_disks, "storage_accounts",
			 (json_int_t)b->s.accounts, "tables",
			 json_tables(b->o.tables));
}

void plan_json(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o, const struct plan_beside *b,
	       FILE *f)
{
	json_t *root = json_pack(
	    "{s:o, s:f, s:I, s:I, s:I, s:{s:f, s:f, s:f, s:f, s:f}, s:o, s:o, "
	    "s:o, s:f, s:f, s:f, s:I, s:I, s:o, s:o}",
	    "machines", json_machines(s, c), "measured_seconds", s->seconds,
	    "size_bytes", (json_int_t)s->size, "disks_without_size",
	    (json_int_t)s->unsized, "disks_overlapping", (json_int_t)s->overlap,
	    "churn", "bytes_per_day", s->day, "mean_bytes_per_second", s->mean,
	    "bytes_per_second", s->rate, "peak_bytes_per_second", s->peak,
	    "writes_per_second", s->writes, "line", json_line(s, o), "servers",
	    json_servers(s, o), "config_server", json_config(s, o),
	    "cache_bytes", s->cache, "vault_bytes", s->vault, "retention_bytes",
	    s->retention, "retention_disks", (json_int_t)s->retention_disks,
	    "storage_accounts", (json_int_t)s->accounts, "tables",
	    json_tables(o->tables), "beside", json_beside(b, c));

	json_dumpf(root, f, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	fputc('\n', f);
	json_decref(root);
}
