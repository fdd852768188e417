/* ps-config cert: issue, list, pins, authority. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/io.h"
#include "base/secret.h"
#include "base/tool.h"
#include "base/units.h"
#include "config/ca.h"
#include "ps-config.h"

/* A request is no secret; "-" is standard input. */
static int read_csr(char text[CA_PEM_SIZE], struct err *e)
{
	bool input = strcmp(ask.csr, "-") == 0;
	int fd = input ? STDIN_FILENO : open(ask.csr, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? io_read_full(fd, text, CA_PEM_SIZE) : -1;
	int rc = 0;

	if (n < 0)
		rc = err_sys(e, 0, "%s", ask.csr);
	else if (n == CA_PEM_SIZE)
		rc = err_set(e, PS_DATA, "%s: too long for a request", ask.csr);
	else
		text[n] = '\0';
	if (!input && fd >= 0)
		close(fd);
	return rc;
}

static int put_pem(const char *pem, struct err *e)
{
	if (ask.output != NULL && strcmp(ask.output, "-") != 0)
		return durable_write_path(ask.output, pem, strlen(pem), 0644,
					  DURABLE_REPLACE, e);
	if (ask.json)
		return print_json(json_pack("{s:s}", "pem", pem), e);
	fputs(pem, stdout);
	return 0;
}

static int cmd_issue(struct reg *r, char **operands, struct err *e)
{
	struct ca_request q = {
	    .server = operands[0], .alt = ask.alt, .valid_s = ask.valid};
	char csr[CA_PEM_SIZE], pem[CA_PEM_SIZE];
	struct login_secret proof;
	int rc = 0;

	if (ask.csr == NULL)
		opt_misuse("cert issue needs --csr");
	if (ask.proof != NULL) {
		rc = login_secret_read(&proof, ask.proof, e);
		q.proof = &proof;
	}
	if (rc == 0)
		rc = read_csr(csr, e);
	q.csr = csr;
	if (rc == 0)
		rc = ca_issue(r, &q, pem, e);
	if (ask.proof != NULL)
		secret_wipe(&proof, sizeof(proof));
	return rc < 0 ? rc : put_pem(pem, e);
}

/* Tells who looks at certificates of one whose end is near. */
static void warn_end(const struct reg_cert *c)
{
	int64_t now = time_now_ns();
	const char *state = cert_state(c, now);

	if (strcmp(state, "renew") == 0)
		tool_warn("the certificate of '%s' expires in %lld days",
			  c->subject,
			  (long long)((c->ends - now) / NS_PER_S / 86400));
	else if (strcmp(state, "expired") == 0)
		tool_warn("the certificate of '%s' has expired", c->subject);
}

static int cmd_authority(struct reg *r, char **operands, struct err *e)
{
	char pem[CA_PEM_SIZE];
	struct reg_cert c;
	int rc = ca_certificate(r, pem, e);

	(void)operands;
	if (rc == 0)
		rc = ca_look(r, &c, e);
	if (rc < 0)
		return rc;
	warn_end(&c);
	if (!ask.json || ask.output != NULL)
		return put_pem(pem, e);
	return print_json(
	    json_pack("{s:s, s:I, s:s, s:o, s:o, s:s, s:s}", "serial", c.serial,
		      "generation", (json_int_t)c.authority, "state",
		      cert_state(&c, time_now_ns()), "begins",
		      json_when(c.begins), "ends", json_when(c.ends), "pin",
		      c.pin, "pem", pem),
	    e);
}

static int give(void *ctx, const struct reg_cert *c, struct err *e)
{
	struct listing *l = ctx;
	const char *state = cert_state(c, time_now_ns());
	char ends[40];

	warn_end(c);
	if (!listing_line(l, "SERVER            STATE     ENDS"
			     "                  SERIAL"
			     "                            NAMES"))
		return listing_add(
		    l,
		    json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o}",
			      "server", c->subject, "serial", c->serial,
			      "state", state, "names", c->alt, "begins",
			      json_when(c->begins), "ends", json_when(c->ends),
			      "pin", c->pin, "replaced",
			      json_word(c->replaced)),
		    e);
	when_text(c->ends, ends);
	printf("%-16s  %-8s  %-20s  %s  %s\n", c->subject, state, ends,
	       c->serial, c->alt);
	return 0;
}

static int cmd_list(struct reg *r, char **operands, struct err *e)
{
	struct reg_cert authority;
	struct listing l;
	int rc = ca_look(r, &authority, e);

	(void)operands;
	if (rc == 0)
		warn_end(&authority);
	else if (rc != -PS_NO) /* there may be none yet */
		return rc;
	listing_begin(&l);
	return listing_end(&l, cert_each(r, !ask.all, give, &l, e), e);
}

static int give_pin(void *ctx, const struct reg_cert *c, struct err *e)
{
	(void)e;
	if (ctx != NULL)
		json_object_set_new(ctx, c->subject, json_string(c->pin));
	else
		printf("%s\t%s\n", c->subject, c->pin);
	return 0;
}

static int cmd_pins(struct reg *r, char **operands, struct err *e)
{
	json_t *pins = ask.json ? json_object() : NULL;
	int rc = cert_each(r, true, give_pin, pins, e);

	(void)operands;
	if (rc == 0 && ask.json)
		return print_json(pins, e);
	json_decref(pins);
	return rc;
}

const struct action cert_actions[] = {
    {"issue", 1, " SERVER --csr FILE [-o FILE] [-P FILE]", cmd_issue},
    {"list", 0, "", cmd_list},
    {"pins", 0, "", cmd_pins},
    {"authority", 0, " [-o FILE]", cmd_authority},
    {0},
};
