/*
 * What is in the registry as JSON: the same for ps-config --json and for
 * ps-config-api(5). NULL when there is no memory.
 */
#ifndef PS_CONFIG_FORMS_H
#define PS_CONFIG_FORMS_H

#include <jansson.h>

#include "config/jobs.h"
#include "config/machines.h"
#include "config/policies.h"
#include "config/servers.h"

/* "2026-11-20T10:00:00Z" by whole seconds, or null. */
json_t *json_when(int64_t ns);
/* A text, or null when it is empty. */
json_t *json_word(const char *text);

json_t *form_server(const struct reg_server *s);
/* `disks`: their number, or a list of them; it is taken over. */
json_t *form_machine(const struct reg_machine *m, json_t *disks);
/* The list of its disks: *ret, or -CODE. */
int form_disks(struct reg *r, const char *machine, json_t **ret, struct err *e);
json_t *form_policy(const struct reg_policy *p);
/* `steps`: their number, or a list of them; it is taken over. */
json_t *form_job(const struct reg_job *j, json_t *steps);

#endif
