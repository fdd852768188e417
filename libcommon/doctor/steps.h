/* Inside of the doctor: the steps, and how they say what they found. */
#ifndef PS_DOCTOR_STEPS_H
#define PS_DOCTOR_STEPS_H

#include <stddef.h>

#include "doctor/doctor.h"

typedef void doctor_step_fn(const struct doctor *d, struct finding *f);

doctor_step_fn step_alerts, step_cache, step_disks;  /* alerts.c, disks.c */
doctor_step_fn step_services, step_heartbeat;	     /* services.c */
doctor_step_fn step_clock;			     /* clock.c */
doctor_step_fn step_antivirus;			     /* antivirus.c */
doctor_step_fn step_port, step_https, step_selftest; /* reach.c */
doctor_step_fn step_address;			     /* address.c */
doctor_step_fn step_logs;			     /* logs.c */
doctor_step_fn step_pushing, step_bandwidth;	     /* flow.c */
doctor_step_fn step_store;			     /* store.c */
doctor_step_fn step_firewall;			     /* firewall.c */
doctor_step_fn step_proxy;			     /* proxy.c */

/* Of a source, instead of those of a server. */
doctor_step_fn source_alerts, source_disks, source_pushing; /* source.c */

/* ---- saying (finding.c) ---- */

/* What the step comes to; the last word counts. */
void find_passed(struct finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void find_warned(struct finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void find_skipped(struct finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void find_failed(struct finding *f, enum doctor_weight w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Another line of evidence; the last place says that there is more. */
void find_shows(struct finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What to do next. */
void find_next(struct finding *f, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A failure by an error: its words and its hint. */
void find_error(struct finding *f, enum doctor_weight w, const struct err *e);

/*
 * This user may not look there: the step is skipped, as that says nothing of
 * the services, which are other users. False: it is another error.
 */
bool find_denied(struct finding *f, const struct err *e);

/* What an earlier step has found; NULL: it has not run. */
const struct finding *finding_of(const struct doctor *d, const char *step);

/* ---- address translation (firewall.c) ---- */

struct nat_found {
	unsigned rules; /* that touch our port: each is shown */
	unsigned away;	/* that send what asks for it elsewhere, for sure */
};
void nat_look(const struct doctor *d, struct finding *f, struct nat_found *ret);

/* ---- where things are (finding.c) ---- */

/* Host and port of the process server as it is reached from here. */
struct doctor_peer {
	char host[256], port[16];
};
/* False when it is not configured. */
bool doctor_peer(const struct doctor *d, struct doctor_peer *ret);

/* step_clock of a machine that is not configured yet, against this server. */
void clock_against(const struct doctor *d, const char *whose,
		   const struct doctor_peer *peer, struct finding *f);

/* URL of the service behind the vault; false: a folder, or none. */
bool doctor_endpoint(const struct doctor *d, char *url, size_t size);
/* Its host and port. */
bool doctor_endpoint_place(const struct doctor *d, struct doctor_peer *ret);
/* A URL for people: without user, password, query. */
void doctor_plain_url(const char *url, char *out, size_t size);

/* ---- several vaults (vaults.c) ---- */

/* At least one, even when none is configured. */
unsigned vault_count(const struct doctor *d);
/*
 * The doctor of one vault alone, `i` of vault_count(); store_settings are set
 * for it, too. With less than two it is `d`.
 */
void vault_at(const struct doctor *d, unsigned i, struct doctor *ret);
/*
 * Looks at each vault in a process of its own, at once: each has its own
 * credentials. What is found becomes one finding that names the worst.
 */
typedef void vault_look_fn(const struct doctor *d, struct finding *f);
void vault_each(const struct doctor *d, struct finding *f, vault_look_fn *look);
/* What an earlier step has found of the vault of `d`. */
bool vault_failed(const struct doctor *d, const char *step);
double vault_rate(const struct doctor *d, const char *step);

/* What ps-upload says of itself in the cache, for the vault of `d`. */
struct upload {
	bool told; /* there is such a report */
	char state[16], cause[32], error[200];
	uint64_t segments, bytes, rate, limit;
};
void upload_read(const struct doctor *d, struct upload *ret);

/*
 * A text file whole, at most `max` bytes of its end; NULL with errno. For
 * free(3).
 */
char *doctor_read(const char *path, size_t max, size_t *ret_n);

#endif
