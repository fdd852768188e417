/* The configuration server: what it answers, and from where it is asked. */
#include "config.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "base/units.h"
#include "config/client.h"
#include "setup/checks.h"

#define CS_S 20

struct line {
	struct cs cs;
	char port[16];
};

/* Logs in; close_line() in any case. */
static int open_line(struct line *l, const struct choices *c, const char *host,
		     const char *passphrase_file, struct err *e)
{
	uint8_t key[LOGIN_KEY_LEN];
	struct cs_to to = {.host = host,
			   .port = l->port,
			   .name = c->here,
			   .key = key,
			   .wait_ns = CS_S * NS_PER_S};
	struct login_secret secret;
	int rc;

	*l = (struct line){.cs.c.fd = -1};
	snprintf(l->port, sizeof(l->port), "%u", (unsigned)c->cs_port);
	rc = login_secret_read(&secret, passphrase_file, e);
	if (rc == 0)
		rc = login_key(&secret, c->here, key, e);
	if (rc == 0)
		rc = cs_open(&l->cs, &to, e);
	secret_wipe(&secret, sizeof(secret));
	secret_wipe(key, sizeof(key));
	return rc;
}

static void close_line(struct line *l)
{
	cs_close(&l->cs);
}

int cs_try(const struct choices *c, const char *host,
	   const char *passphrase_file, struct err *e)
{
	struct line l;
	int rc = open_line(&l, c, host, passphrase_file, e);

	close_line(&l);
	return rc;
}

/* ---- does it answer, and may this version work with it? ---- */

static void refused(const struct line *l, const struct choices *c,
		    const struct err *e, struct finding *f)
{
	find_error(f, DOCTOR_CAUSE, e);
	if (l->cs.c.phase == CLIENT_LOGIN && e->code == PS_NOPERM) {
		find_failed(f, DOCTOR_CAUSE,
			    "%s: the passphrase is not that of the "
			    "configuration server",
			    c->csip);
		find_next(f,
			  "on the configuration server: ps-config "
			  "passphrase show; it goes into %s",
			  c->passphrase_file);
	} else if (f->next[0] == '\0') {
		find_next(f,
			  "is the configuration server running there? "
			  "Allow TCP %u to it",
			  (unsigned)c->cs_port);
	}
}

/* It took the log-in, as a process server does, too. */
static void no_answer(const struct choices *c, const struct err *e,
		      struct finding *f)
{
	find_error(f, DOCTOR_CAUSE, e);
	if (e->code == PS_PROTOCOL)
		find_next(f,
			  "%s port %u takes the passphrase, but is another "
			  "service (9443 is the receiver's): /CSIP and "
			  "--cs-port name the configuration server",
			  c->csip, (unsigned)c->cs_port);
}

void check_cs(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	struct cs_about about;
	struct line l;
	struct err e = {0};

	if (c->cs) {
		find_skipped(f, "this becomes the configuration server");
		return;
	}
	if (open_line(&l, c, c->csip, c->passphrase_file, &e) < 0)
		refused(&l, c, &e, f);
	else if (cs_about(&l.cs, &about, &e) < 0)
		no_answer(c, &e, f);
	else if (cs_judge_version(about.version, c->csip, &e) < 0)
		find_error(f, DOCTOR_CAUSE, &e);
	else
		find_passed(f,
			    "%s answers, and takes the passphrase; its "
			    "version is %s",
			    c->csip, about.version);
	close_line(&l);
}

/* ---- addresses that are translated on the way (NAT) ---- */

/* Our end of a connection, without the zone of a link-local one. */
static bool own_address(int fd, char out[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage own;
	socklen_t n = sizeof(own);
	char text[NI_MAXHOST];

	if (getsockname(fd, (struct sockaddr *)&own, &n) < 0 ||
	    getnameinfo((struct sockaddr *)&own, n, text, sizeof(text), NULL, 0,
			NI_NUMERICHOST) != 0)
		return false;
	snprintf(out, INET6_ADDRSTRLEN, "%.*s", (int)strcspn(text, "%"), text);
	return true;
}

static void compare(const struct choices *c, const char *seen, const char *own,
		    struct finding *f)
{
	if (strcmp(seen, own) == 0) {
		find_passed(
		    f, "the configuration server sees %s, as it is here", own);
		return;
	}
	find_warned(f,
		    "the configuration server sees %s, but this machine speaks "
		    "from %s: addresses are translated (NAT) on the way",
		    seen, own);
	find_next(f,
		  "a process server behind NAT is not supported: sources must "
		  "reach %s itself; try it from one: cxpsclient -i %s -l %u",
		  c->address[0] != '\0' ? c->address : own,
		  c->address[0] != '\0' ? c->address : own, (unsigned)c->port);
}

void check_nat(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	const struct finding *cs = finding_of(d, "cs");
	char own[INET6_ADDRSTRLEN];
	struct cs_about about;
	struct line l;
	struct err e = {0};

	if (c->cs) {
		find_skipped(f, "there is no other server yet that could see "
				"it");
		return;
	}
	if (cs != NULL && cs->verdict != DOCTOR_PASSED) {
		find_skipped(f, "the configuration server cannot be asked: see "
				"'cs'");
		return;
	}
	if (open_line(&l, c, c->csip, c->passphrase_file, &e) < 0 ||
	    cs_about(&l.cs, &about, &e) < 0)
		find_skipped(f, "%s", e.msg);
	else if (about.peer[0] == '\0' || !own_address(l.cs.c.fd, own))
		find_skipped(f, "the configuration server does not say whom it "
				"sees");
	else
		compare(c, about.peer, own, f);
	close_line(&l);
}
