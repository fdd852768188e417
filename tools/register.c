#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/opt.h"
#include "base/secret.h"
#include "base/units.h"
#include "config/forms.h"
#include "config/join.h"
#include "net/tls.h"
#include "print-json.h"
#include "register.h"

#define WAIT_NS (60 * NS_PER_S)

/* A name that was cut to fit would be another server's. */
static void take(const char *option, char *to, size_t size, const char *from)
{
	if (from != NULL && strlen(from) >= size)
		opt_misuse("--%s: has more than %zu characters", option,
			   size - 1);
	if (from != NULL)
		snprintf(to, size, "%s", from);
}

/* What getaddrinfo() makes of others is another port, or a name's fault. */
void register_check_port(const char *port)
{
	uint64_t n;

	if (port != NULL && *port != '\0' &&
	    (!parse_u64(port, 65535, &n) || n == 0))
		opt_misuse("--cs-port: '%s' is no port (1 to 65535)", port);
}

static void check_pin(const char *pin)
{
	if (pin != NULL && !tls_pin_ok(pin))
		opt_misuse("--pin: '%s' is none: ps-config cert pins prints it "
			   "on the configuration server",
			   pin);
}

/* ---- questions ---- */

/* What is missing is asked for on a terminal; `was` when nothing is said. */
static void ask_for(const char *what, const char *was, char *out, size_t size)
{
	char line[512];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return;
	fprintf(stderr, *was != '\0' ? "%s [%s]: " : "%s: ", what, was);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return;
	secret_trim(line);
	snprintf(out, size, "%s", line[0] != '\0' ? line : was);
}

/* The four inputs, of which a second registration needs none. */
static void ask_missing(struct join *j, char passphrase[512])
{
	struct identity old, *id = &j->id;
	char port[8] = "";
	uint64_t n;

	/* One that is damaged is told by join_prepare(). */
	if (identity_load(j->dir, &old, NULL) != -PS_NOINPUT)
		return;
	if (id->cs_host[0] == '\0')
		ask_for("Address of the configuration server", "", id->cs_host,
			sizeof(id->cs_host));
	if (id->cs_port[0] == '\0')
		ask_for("Its port", "443", id->cs_port, sizeof(id->cs_port));
	if (j->passphrase == NULL) {
		ask_for("File with the passphrase", "", passphrase, 512);
		if (passphrase[0] != '\0')
			j->passphrase = passphrase;
	}
	if (id->port == 0) {
		ask_for("Port of the data on this server", "9443", port,
			sizeof(port));
		if (port[0] != '\0' && !parse_u64(port, 65535, &n))
			opt_misuse("'%s' is no port", port);
		if (port[0] != '\0')
			id->port = (int64_t)n;
	}
	if (id->cs_host[0] == '\0')
		opt_misuse("--cs is missing: the address of the configuration "
			   "server");
}

/* ---- steps ---- */

static void tell(void *ctx, const struct selftest_step *s)
{
	json_t *steps = ctx;

	if (steps != NULL)
		json_array_append_new(
		    steps,
		    json_pack("{s:s, s:b, s:f, s:s, s:o}", "step", s->name,
			      "ok", s->result != SELFTEST_FAILED, "ms",
			      (double)s->took_ns / 1e6, "detail", s->detail,
			      "hint", json_word(s->hint)));
	else if (!opt_quiet)
		printf("%-6s %-9s %8.1f ms  %s\n",
		       s->result == SELFTEST_FAILED ? "FAILED" : "ok", s->name,
		       (double)s->took_ns / 1e6, s->detail);
}

int register_here(const struct register_ask *ask, struct err *e)
{
	struct join j = {.dir = ask->dir,
			 .passphrase = ask->passphrase,
			 .pin = ask->pin,
			 .version = PACKAGE_VERSION,
			 .instance = ask->instance,
			 .wait_ns = WAIT_NS};
	json_t *steps = ask->json ? json_array() : NULL;
	char passphrase[512] = "";
	struct identity *id = &j.id;
	int rc;

	take("name", id->name, sizeof(id->name), ask->name);
	take("role", id->role, sizeof(id->role), ask->role);
	take("address", id->address, sizeof(id->address), ask->address);
	take("alt", id->alt, sizeof(id->alt), ask->alt);
	take("machine-id", id->machine_id, sizeof(id->machine_id),
	     ask->machine_id);
	take("cs", id->cs_host, sizeof(id->cs_host), ask->cs);
	take("cs-port", id->cs_port, sizeof(id->cs_port), ask->cs_port);
	if (ask->port != UINT64_MAX)
		id->port = (int64_t)ask->port;
	ask_missing(&j, passphrase);
	register_check_port(id->cs_port);
	check_pin(ask->pin);
	rc = join_prepare(&j, e);
	if (rc == 0)
		rc = join_run(&j, tell, steps, e);
	if (!ask->json)
		return rc;
	rc = rc < 0 ? rc : 0;
	(void)print_json(json_pack("{s:o, s:s, s:b}", "steps", steps, "name",
				   id->name, "registered", rc == 0),
			 e);
	return rc;
}
