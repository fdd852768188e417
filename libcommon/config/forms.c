#include "config.h"

#include <string.h>

#include "base/units.h"
#include "config/forms.h"

json_t *json_when(int64_t ns)
{
	char text[TIME_TEXT];

	if (ns == 0)
		return json_null();
	format_time(ns / NS_PER_S * NS_PER_S, text);
	return json_string(text);
}

json_t *json_word(const char *text)
{
	return *text != '\0' ? json_string(text) : json_null();
}

json_t *form_server(const struct reg_server *s)
{
	const char *state = server_state(s, time_now_ns());

	return json_pack(
	    "{s:s, s:s, s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:s, s:o, s:I}",
	    "name", s->name, "role", s->role, "machine_id",
	    json_word(s->machine_id), "address", s->address, "port",
	    (json_int_t)s->port, "version", json_word(s->version),
	    "passphrase_generation",
	    s->generation != 0 ? json_integer(s->generation) : json_null(),
	    "registered", json_when(s->registered), "contact",
	    json_when(s->contact), "state", state, "code",
	    strcmp(state, "silent") == 0 ? json_integer(SERVER_SILENT_CODE)
					 : json_null(),
	    "machines", (json_int_t)s->machines);
}

json_t *form_machine(const struct reg_machine *m, json_t *disks)
{
	return json_pack(
	    "{s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o}, s:o, s:o, "
	    "s:o}",
	    "name", m->name, "machine_id", json_word(m->machine_id), "state",
	    m->state, "policy", json_word(m->policy), "server",
	    json_word(m->server), "target", json_word(m->target), "vault",
	    json_word(m->vault), "recovered", "name",
	    json_word(m->recovered_name), "size", json_word(m->recovered_size),
	    "network", json_word(m->recovered_network), "added",
	    json_when(m->added), "changed", json_when(m->changed), "disks",
	    disks);
}

static int disk_json(void *ctx, const struct reg_disk *d, struct err *e)
{
	if (json_array_append_new(
		ctx, json_pack("{s:s, s:o}", "disk", d->name, "size",
			       d->size != 0 ? json_integer(d->size)
					    : json_null())) < 0)
		return err_set(e, PS_TEMPFAIL, "no memory for the answer");
	return 0;
}

int form_disks(struct reg *r, const char *machine, json_t **ret, struct err *e)
{
	json_t *disks = json_array();
	int rc = machine_each_disk(r, machine, disk_json, disks, e);

	if (rc < 0)
		json_decref(disks);
	else
		*ret = disks;
	return rc;
}

json_t *form_policy(const struct reg_policy *p)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:b, s:I}", "name", p->name,
			 "rpo_seconds", (json_int_t)p->rpo_s,
			 "retention_seconds", (json_int_t)p->retention_s,
			 "app_consistent_seconds", (json_int_t)p->app_s,
			 "multi_vm", (int)p->multi_vm, "machines",
			 (json_int_t)p->machines);
}

json_t *form_job(const struct reg_job *j, json_t *steps)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:I, "
			 "s:o}",
			 "job", (json_int_t)j->id, "kind", j->kind, "object",
			 j->object, "state", j->state, "who", j->who, "made",
			 json_when(j->made), "begun", json_when(j->begun),
			 "ended", json_when(j->ended), "result",
			 json_word(j->result), "steps_done",
			 (json_int_t)j->steps_done, "steps", steps);
}
