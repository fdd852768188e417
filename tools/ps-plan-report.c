/* What ps-plan report prints: one structure, two views. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/units.h"
#include "ps-plan.h"

#define MIB (1024.0 * 1024)

/* ---- text ---- */

static void size_text(double bytes, char out[32])
{
	format_size(bytes < 0 ? 0 : (uint64_t)bytes, out, 32);
}

static void print_machines(const struct sizing *s, const struct churn *c,
			   const struct sizing_opts *o)
{
	char size[32], day[32], rate[16];

	snprintf(rate, sizeof(rate), "P%.0f MiB/s", o->percentile);
	printf("%-16s %5s %10s %10s %10s %10s %8s  %s\n", "MACHINE", "DISKS",
	       "SIZE", rate, "PEAK MiB/s", "DAY", "WRITES/s", "VERDICT");
	for (size_t i = 0; i < c->nmachines; i++) {
		const struct machine_sizing *m = &s->machines[i];

		size_text((double)m->size, size);
		size_text(m->day, day);
		printf("%-16s %5zu %10s %10.2f %10.2f %10s %8.0f  %s%s\n",
		       c->machines[i].name, c->machines[i].ndisks,
		       m->size > 0 ? size : "-", m->rate / MIB, m->peak / MIB,
		       day, m->writes,
		       m->why[0] == '\0' ? "fits" : "no: ", m->why);
	}
}

static void print_line(const struct sizing *s, const struct sizing_opts *o)
{
	char rpo[32], all[32], p95[32], p90[32];

	format_duration(o->rpo, rpo, sizeof(rpo));
	printf("Bandwidth for an RPO of %s: %.1f Mbit/s (90 %% of the time: "
	       "%.1f)\n",
	       rpo, s->need_all / 1e6, s->need_90 / 1e6);
	if (o->bandwidth <= 0)
		return;
	if (s->rpo_all < 0) {
		printf("RPO with %.1f Mbit/s: none, what is pending grows "
		       "without end\n",
		       o->bandwidth / 1e6);
		return;
	}
	format_duration(s->rpo_all, all, sizeof(all));
	format_duration(s->rpo_95, p95, sizeof(p95));
	format_duration(s->rpo_90, p90, sizeof(p90));
	printf("RPO with %.1f Mbit/s: %s (95 %% of the time %s, 90 %% %s)\n",
	       o->bandwidth / 1e6, all, p95, p90);
}

static void print_initial(const struct sizing *s, const struct sizing_opts *o)
{
	char goal[32], size[32], takes[32];

	if (s->size == 0) {
		printf(
		    "Initial replication: unknown, the samples have no sizes "
		    "of disks\n");
		return;
	}
	format_duration(o->initial, goal, sizeof(goal));
	size_text((double)s->size, size);
	printf("Initial replication of %s in %s: %.1f Mbit/s beside the "
	       "changes",
	       size, goal, s->initial_bits / 1e6);
	if (o->bandwidth > 0) {
		format_duration(s->initial_seconds, takes, sizeof(takes));
		printf("; with %.1f Mbit/s: %s", o->bandwidth / 1e6,
		       s->initial_seconds < 0 ? "never" : takes);
	}
	putchar('\n');
}

static void print_servers(const struct sizing *s, const struct sizing_opts *o)
{
	char memory[32], cache[32];
	unsigned n = 0;

	for (int i = 0; i < SIZES; i++) {
		if (s->servers[i] == 0)
			continue;
		n += s->servers[i];
		size_text((double)sizes_process[i].memory, memory);
		size_text((double)sizes_process[i].cache, cache);
		printf("Process servers: %u with %u cores, %s memory, %s cache "
		       "(%.0f %% headroom)\n",
		       s->servers[i], sizes_process[i].cores, memory, cache,
		       100 * o->headroom);
	}
	if (n == 0)
		printf("Process servers: a machine changes more than the "
		       "largest takes\n");
}

static void print_rooms(const struct sizing *s, const struct sizing_opts *o)
{
	char text[32], time[32];

	size_text(s->cache, text);
	format_duration(o->outage, time, sizeof(time));
	printf("Cache to bridge %s without the vault: %s\n", time, text);
	size_text(s->vault, text);
	format_duration(o->retention, time, sizeof(time));
	printf("Vault with points of %s: %s\n", time, text);
	size_text(s->retention, text);
	printf("Retention volume of a master target: %s on %u disk%s\n", text,
	       s->retention_disks, s->retention_disks == 1 ? "" : "s");
	printf("Storage accounts, by requests: %u\n", s->accounts);
}

void plan_text(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o)
{
	char measured[32], day[32];

	print_machines(s, c, o);
	format_duration(s->seconds, measured, sizeof(measured));
	size_text(s->day, day);
	printf("\n%zu machine%s, %zu within all limits; measured for %s, with "
	       "%.0f %% growth\n",
	       c->nmachines, c->nmachines == 1 ? "" : "s", s->fit, measured,
	       100 * o->growth);
	printf("Churn: %s a day, mean %.2f MiB/s, P%.0f %.2f, peak %.2f\n", day,
	       s->mean / MIB, o->percentile, s->rate / MIB, s->peak / MIB);
	print_line(s, o);
	print_initial(s, o);
	print_servers(s, o);
	print_rooms(s, o);
	if (s->seconds < 30 * 60)
		printf("This is too short to plan with: measure for a week or "
		       "more.\n");
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
		    json_pack("{s:s, s:I, s:f, s:f, s:f, s:s}", "disk",
			      c->disks[i].name, "size_bytes",
			      (json_int_t)c->disks[i].size, "bytes_per_second",
			      d->rate, "writes_per_second", d->writes,
			      "write_size_bytes", d->write_size, "class",
			      disk_class_name(d->class)));
	}
	return list;
}

static json_t *json_machines(const struct sizing *s, const struct churn *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->nmachines; i++) {
		const struct machine_sizing *m = &s->machines[i];

		json_array_append_new(
		    list,
		    json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:b, s:s, s:o}",
			      "machine", c->machines[i].name, "size_bytes",
			      (json_int_t)m->size, "bytes_per_second", m->rate,
			      "peak_bytes_per_second", m->peak, "bytes_per_day",
			      m->day, "writes_per_second", m->writes, "fits",
			      m->why[0] == '\0', "why", m->why, "disks",
			      json_disks(m, &c->machines[i])));
	}
	return list;
}

static json_t *json_servers(const struct sizing *s)
{
	json_t *list = json_array();

	for (int i = 0; i < SIZES; i++) {
		if (s->servers[i] == 0)
			continue;
		json_array_append_new(
		    list, json_pack("{s:i, s:i, s:I, s:I}", "count",
				    (int)s->servers[i], "cores",
				    (int)sizes_process[i].cores, "memory_bytes",
				    (json_int_t)sizes_process[i].memory,
				    "cache_bytes",
				    (json_int_t)sizes_process[i].cache));
	}
	return list;
}

static json_t *json_line(const struct sizing *s, const struct sizing_opts *o)
{
	json_t *line = json_pack("{s:f, s:f, s:f, s:f}", "rpo_seconds", o->rpo,
				 "needed_bits", s->need_all, "needed_bits_90",
				 s->need_90, "initial_bits", s->initial_bits);

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
			    seconds_or_null(s->initial_seconds));
	return line;
}

void plan_json(const struct sizing *s, const struct churn *c,
	       const struct sizing_opts *o)
{
	json_t *root = json_pack(
	    "{s:o, s:f, s:I, s:{s:f, s:f, s:f, s:f}, s:o, s:o, s:f, s:f, s:f, "
	    "s:i, s:i}",
	    "machines", json_machines(s, c), "measured_seconds", s->seconds,
	    "size_bytes", (json_int_t)s->size, "churn", "bytes_per_day", s->day,
	    "mean_bytes_per_second", s->mean, "bytes_per_second", s->rate,
	    "peak_bytes_per_second", s->peak, "line", json_line(s, o),
	    "servers", json_servers(s), "cache_bytes", s->cache, "vault_bytes",
	    s->vault, "retention_bytes", s->retention, "retention_disks",
	    (int)s->retention_disks, "storage_accounts", (int)s->accounts);

	json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(root);
}
