/* Inside of the preflight: the checks that are not the doctor's. */
#ifndef PS_SETUP_CHECKS_H
#define PS_SETUP_CHECKS_H

#include "doctor/steps.h"
#include "setup/choices.h"

/* checks-machine.c */
doctor_step_fn check_rights, check_versions, check_processors, check_memory;
doctor_step_fn check_space, check_disk;
/* checks-ports.c; checks-net.c, of which the last five are the doctor's, told
 * what they look at */
doctor_step_fn check_ports, check_psip;
doctor_step_fn check_address, check_clock, check_store, check_proxy,
    check_firewall;

/* checks-cs.c */
doctor_step_fn check_cs, check_nat;

/*
 * Logs in at a configuration server, as this server with the passphrase of
 * the site in that file.
 */
int cs_try(const struct choices *c, const char *host,
	   const char *passphrase_file, struct err *e);

/* checks-key.c, checks-urls.c */
doctor_step_fn check_key, check_urls;
/* What to do when the proxy answers 407. */
void advise_login(const struct choices *c, struct finding *f);

/* The choices that a step is given. */
const struct choices *check_choices(const struct doctor *d);

#endif
