#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "base/io.h"
#include "base/secret.h"
#include "base/units.h"
#include "doctor/steps.h"
#include "setup/checks.h"
#include "setup/preflight.h"
#include "vault/settings.h"

static const struct doctor_step checks[] = {
    {"rights", "this user may install", 0, true, false, false, 10,
     check_rights},
    {"versions", "the programs are there, of one version", 0, true, false,
     false, 20, check_versions},
    {"cpu", "against the published sizes", 0, true, false, false, 10,
     check_processors},
    {"memory", "against the published sizes", 0, true, false, false, 10,
     check_memory},
    {"space", "room for the cache", 0, true, false, false, 10, check_space},
    {"disk", "how fast the cache's disk writes", 0, true, false, false, 30,
     check_disk},
    {"psip", "the address of the data is on this machine", 0, true, false,
     false, 10, check_psip},
    {"address", "static address, NAT, /etc/hosts", 0, true, false, false, 10,
     check_address},
    {"ports", "nobody has our ports", 0, true, false, false, 10, check_ports},
    {"cs", "the configuration server answers and takes the passphrase", 0, true,
     false, true, 30, check_cs},
    {"nat", "the configuration server sees our own address", 0, true, false,
     true, 30, check_nat},
    {"clock", "the clocks of configuration server and store", 0, true, false,
     true, 30, check_clock},
    {"urls", "each URL of the store answers", 0, true, false, true, 40,
     check_urls},
    {"store", "the vault can be reached, written and read", 0, true, false,
     true, 60, check_store},
    {"key", "one key for all of the vault", 0, true, false, true, 30,
     check_key},
    {"proxy", "one proxy in all places, and it answers", 0, true, false, true,
     20, check_proxy},
    {"firewall", "rules of this machine that drop our ports", 0, true, false,
     false, 20, check_firewall},
};

#define CHECKS (sizeof(checks) / sizeof(checks[0]))
_Static_assert(CHECKS <= DOCTOR_STEPS_MAX, "findings have room");

const struct doctor_step *preflight_steps(unsigned *ret_n)
{
	*ret_n = CHECKS;
	return checks;
}

/* ---- what the store is told ---- */

struct hidden {
	int fd;
	char path[64];
};

/* A file that has no name, and that only this process and its steps see. */
static int hide(struct hidden *h, const char *what, const char *text,
		struct err *e)
{
	h->fd = memfd_create("setup", MFD_CLOEXEC);
	if (h->fd < 0 || fchmod(h->fd, 0600) < 0 ||
	    io_write_full(h->fd, text, strlen(text)) < 0)
		return err_sys(e, PS_TEMPFAIL, "%s", what);
	snprintf(h->path, sizeof(h->path), "/proc/self/fd/%d", h->fd);
	return 0;
}

struct told {
	struct hidden credentials, auth;
	char proxy[SECRET_TEXT + 32];
};

static int tell_store(struct told *t, const struct choices *c, struct err *e)
{
	const struct vault_creds *v = &c->vault;
	char *text;
	int rc;

	*t = (struct told){.credentials = {.fd = -1}, .auth = {.fd = -1}};
	if (v->endpoint[0] != '\0')
		store_settings.endpoint = v->endpoint;
	if (v->ca_file[0] != '\0')
		store_settings.ca_file = v->ca_file;
	store_settings.retry_for = c->retry_for;
	text = choices_credentials(c);
	rc = text != NULL ? hide(&t->credentials, "credentials", text, e)
			  : err_sys(e, PS_TEMPFAIL, "credentials");
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
	if (rc == 0)
		store_settings.credentials = c->credentials_file != NULL
						 ? c->credentials_file
						 : t->credentials.path;
	if (rc == 0 && c->proxy.host[0] != '\0') {
		proxy_settings_url(&c->proxy, t->proxy, sizeof(t->proxy));
		store_settings.proxy = t->proxy;
	}
	if (rc == 0 && c->proxy.auth) {
		char pair[2 * SECRET_TEXT + 2];

		snprintf(pair, sizeof(pair), "%s:%s\n", c->proxy.user,
			 c->proxy.password);
		rc = hide(&t->auth, "proxy", pair, e);
		secret_wipe(pair, sizeof(pair));
		store_settings.proxy_auth = t->auth.path;
	}
	/* Steps and programs that they start are to go without one. */
	if (c->bypass)
		setenv("no_proxy", "*", 1);
	return rc;
}

static void forget_store(struct told *t)
{
	if (t->credentials.fd >= 0)
		close(t->credentials.fd);
	if (t->auth.fd >= 0)
		close(t->auth.fd);
	memset(&store_settings, 0, sizeof(store_settings));
}

/* ---- all ---- */

int preflight_run(struct preflight *p, const struct choices *c,
		  const char *const *only,
		  void (*tell)(void *ctx, unsigned i, const struct finding *f),
		  void *ctx, struct err *e)
{
	struct doctor_run run = {
	    .all = true, .only = only, .tell = tell, .ctx = ctx};
	int64_t begun = mono_now_ns();
	struct told told;
	unsigned i;
	int rc;

	*p = (struct preflight){.c = c};
	p->d = (struct doctor){
	    .steps = checks,
	    .nsteps = CHECKS,
	    .more = c,
	    .vault = c->vault.url[0] != '\0' ? c->vault.url : NULL,
	    .passphrase = c->passphrase_file,
	};
	while (only != NULL && only[run.nonly] != NULL)
		run.nonly++;
	rc = tell_store(&told, c, e);
	if (rc == 0)
		rc = doctor_run(&p->d, &run, e);
	forget_store(&told);
	if (rc < 0)
		return rc;
	for (i = 0; i < CHECKS; i++)
		p->n[p->d.findings[i].verdict] += p->d.findings[i].over;
	p->seconds = (double)(mono_now_ns() - begun) / NS_PER_S;
	return 0;
}

void preflight_free(struct preflight *p)
{
	doctor_free(&p->d);
}

void preflight_view_end(const struct preflight *p, FILE *f)
{
	fprintf(f,
		"\n%s: %u passed, %u with a warning, %u failed, %u skipped.\n",
		p->n[DOCTOR_FAILED] > 0 ? "Not ready" : "Ready",
		p->n[DOCTOR_PASSED], p->n[DOCTOR_WARNED], p->n[DOCTOR_FAILED],
		p->n[DOCTOR_SKIPPED]);
}

char *preflight_json(const struct preflight *p)
{
	const struct choices *c = p->c;
	json_t *o = json_pack(
	    "{s:s, s:s, s:s, s:s, s:i, s:s?, s:i, s:i, s:i, s:i, s:f, s:o}",
	    "result", p->n[DOCTOR_FAILED] > 0 ? "not-ready" : "ready", "mode",
	    c->cs ? "CS" : "PS", "name", c->here, "address", c->address, "port",
	    (int)c->port, "root", c->root, "passed", (int)p->n[DOCTOR_PASSED],
	    "warning", (int)p->n[DOCTOR_WARNED], "failed",
	    (int)p->n[DOCTOR_FAILED], "skipped", (int)p->n[DOCTOR_SKIPPED],
	    "seconds", p->seconds, "checks", doctor_json_steps(&p->d));
	char *text = json_dumps(o, JSON_INDENT(2) | JSON_PRESERVE_ORDER |
				       JSON_REAL_PRECISION(6));

	json_decref(o);
	return text;
}
