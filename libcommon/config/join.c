#include "config.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/durable.h"
#include "base/secret.h"
#include "base/units.h"
#include "config/api.h"
#include "config/client.h"
#include "config/join.h"
#include "config/x509.h"

struct joining {
	struct join *j;
	struct cs cs;
	struct addrinfo *list;
	uint8_t key[LOGIN_KEY_LEN]; /* of the login */
	json_t *answer;
	struct selftest_step step;
};

typedef int step_fn(struct joining *g, struct err *e);

__attribute__((format(printf, 2, 3))) static void detail(struct joining *g,
							 const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->step.detail, sizeof(g->step.detail), fmt, ap);
	va_end(ap);
}

/* ---- before ---- */

/* The first part of the host's name, if that is a name here. */
static int host_name(char out[NAME_SIZE], struct err *e)
{
	char host[NAME_SIZE];
	int rc;

	if (gethostname(host, sizeof(host)) < 0)
		return err_sys(e, PS_CONFIG, "the host's name");
	host[sizeof(host) - 1] = '\0';
	host[strcspn(host, ".")] = '\0';
	rc = reg_name_check("server", host, e);
	if (rc < 0)
		err_hint(e, "say which one: --name NAME");
	snprintf(out, NAME_SIZE, "%s", host);
	return rc;
}

static void keep(char *to, size_t size, const char *from)
{
	if (to[0] == '\0')
		snprintf(to, size, "%s", from);
}

int join_prepare(struct join *j, struct err *e)
{
	struct identity *id = &j->id, old = {.name = ""};
	char ours[REG_TEXT_SIZE];
	int rc = identity_load(j->dir, &old, e);

	if (rc < 0 && rc != -PS_NOINPUT)
		return rc;
	/* Who registered before there were instances keeps that id. */
	identity_machine_id(NULL, ours);
	if (strcmp(ours, old.machine_id) != 0)
		identity_machine_id(j->instance, ours);
	keep(id->machine_id, sizeof(id->machine_id), ours);
	if (old.machine_id[0] != '\0' && id->machine_id[0] != '\0' &&
	    strcmp(old.machine_id, id->machine_id) != 0) {
		rc = err_set(e, PS_CONFIG,
			     "%s: is of another machine ('%s'): this one is a "
			     "clone of it, or got a new /etc/machine-id",
			     j->dir, old.name);
		err_hint(e, IDENTITY_CLONE_HINT);
		return rc;
	}
	if (id->name[0] == '\0' || strcmp(id->name, old.name) == 0) {
		keep(id->name, sizeof(id->name), old.name);
		keep(id->role, sizeof(id->role), old.role);
		keep(id->address, sizeof(id->address), old.address);
		keep(id->alt, sizeof(id->alt), old.alt);
		id->port = id->port != 0 ? id->port : old.port;
	}
	keep(id->cs_host, sizeof(id->cs_host), old.cs_host);
	keep(id->cs_port, sizeof(id->cs_port),
	     old.cs_port[0] != '\0' ? old.cs_port : CS_PORT);
	keep(id->role, sizeof(id->role), "ps");
	if (id->port == 0)
		id->port = 9443;
	keep(id->pin, sizeof(id->pin), j->pin != NULL ? j->pin : old.pin);
	return id->name[0] != '\0' ? reg_name_check("server", id->name, e)
				   : host_name(id->name, e);
}

/* ---- getting there ---- */

static int step_resolve(struct joining *g, struct err *e)
{
	char host[64];
	int rc = client_resolve(&g->cs.to, &g->list, e);

	if (rc < 0)
		return rc;
	if (getnameinfo(g->list->ai_addr, g->list->ai_addrlen, host,
			sizeof(host), NULL, 0, NI_NUMERICHOST) == 0)
		detail(g, "%s", host);
	return 0;
}

/* Where we are reached, unless somebody said so: as this way begins. */
static void take_address(struct joining *g)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);
	char host[64], *percent;

	if (g->j->id.address[0] != '\0' ||
	    getsockname(g->cs.c.fd, (struct sockaddr *)&a, &len) < 0 ||
	    getnameinfo((struct sockaddr *)&a, len, host, sizeof(host), NULL, 0,
			NI_NUMERICHOST) != 0)
		return;
	percent = strchr(host, '%');
	if (percent != NULL)
		*percent = '\0';
	snprintf(g->j->id.address, sizeof(g->j->id.address), "%s", host);
}

static int step_tcp(struct joining *g, struct err *e)
{
	int rc = client_tcp(&g->cs.c, &g->cs.to, g->list, e);

	if (rc == 0) {
		take_address(g);
		detail(g, "connected to %s", g->cs.c.peer);
	} else if (e->sys == ECONNREFUSED) {
		err_hint(e, "the host answers, nobody listens there: is "
			    "ps-config serve running, with this port?");
	}
	return rc;
}

static int step_tls(struct joining *g, struct err *e)
{
	int rc = client_tls(&g->cs.c, e);

	if (rc < 0) {
		selftest_why_no_tls(&g->cs.to, g->list, e);
		e->hint[0] = '\0'; /* that is for process servers */
		return e->code == PS_UNAVAILABLE
			   ? err_set(e, PS_PROTOCOL, "%s", e->msg)
			   : -e->code;
	}
	detail(g, "%s, %s", SSL_get_version(g->cs.c.conn.ssl),
	       SSL_get_cipher(g->cs.c.conn.ssl));
	return 0;
}

static int step_pin(struct joining *g, struct err *e)
{
	char authority[IDENTITY_PATH], pin[64];
	bool known;
	int rc;

	identity_path(g->j->dir, IDENTITY_AUTHORITY, authority);
	/* A pin that somebody typed is what he wants, and nothing else. */
	known = g->j->pin == NULL && access(authority, R_OK) == 0;
	rc = cs_check_pin(&g->cs.c, known ? authority : NULL,
			  known || g->j->pin != NULL ? g->j->id.pin : NULL, e);
	if (rc == 0)
		rc = cs_peer_pin(&g->cs.c, pin, e);
	if (rc == 0)
		detail(g, "%s%s", pin,
		       known		   ? ", as before"
		       : g->j->pin != NULL ? ", as it should be"
					   : ", new: the login proves it");
	return rc;
}

/* The key of our name: from the passphrase, or kept from the last time. */
static int find_key(struct joining *g, struct err *e)
{
	char path[IDENTITY_PATH];
	struct login_secret secret;
	int rc;

	identity_path(g->j->dir, IDENTITY_LOGIN, path);
	rc = login_secret_read(
	    &secret, g->j->passphrase != NULL ? g->j->passphrase : path, e);
	if (rc == -PS_NOINPUT && g->j->passphrase == NULL)
		err_hint(e, "give the passphrase: -P FILE");
	if (rc == 0)
		rc = login_key(&secret, g->j->id.name, g->key, e);
	secret_wipe(&secret, sizeof(secret));
	return rc;
}

static int step_login(struct joining *g, struct err *e)
{
	int rc = find_key(g, e);

	if (rc < 0)
		return rc;
	rc = client_login(&g->cs.c, g->j->id.name, g->key, e);
	if (rc == -PS_NOPERM && strstr(e->msg, "401") != NULL)
		err_hint(e, "wrong passphrase: compare with ps-config "
			    "passphrase show on the configuration server; was "
			    "it rotated?");
	if (rc == 0)
		detail(g, "as '%s', both sides proved the key", g->j->id.name);
	return rc;
}

static int step_clock(struct joining *g, struct err *e)
{
	const char *date = http_field(&g->cs.c.head, "Date");
	int64_t now = time_now_ns() / NS_PER_S, theirs, diff;

	if (date == NULL || !http_date_parse(date, &theirs))
		return err_set(e, PS_PROTOCOL, "the server told no time");
	diff = now - theirs;
	detail(g, "ours is %lld s %s", (long long)(diff < 0 ? -diff : diff),
	       diff < 0 ? "behind" : "ahead");
	if (diff < API_CLOCK_MAX_S && diff > -API_CLOCK_MAX_S)
		return 0;
	return err_set(e, PS_CONFIG,
		       "%s: the clocks must not differ by 15 minutes",
		       g->step.detail);
}

/* ---- registering ---- */

static int make_folder(const char *dir, struct err *e)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return err_sys(e, 0, "%s", dir);
	return 0;
}

/* A request for the key of this folder, which is made once. */
static int make_request(const struct join *j, char csr[CA_PEM_SIZE],
			struct err *e)
{
	char path[IDENTITY_PATH];
	EVP_PKEY *key = NULL;
	int rc = make_folder(j->dir, e);

	identity_path(j->dir, IDENTITY_KEY, path);
	if (rc == 0 && access(path, F_OK) < 0)
		rc = x509_new_key_file(path, e);
	if (rc == 0)
		rc = x509_key_from_file(&key, path, e);
	if (rc == 0)
		rc = x509_new_request(key, j->id.name, csr, e);
	EVP_PKEY_free(key);
	return rc;
}

static int step_register(struct joining *g, struct err *e)
{
	const struct identity *id = &g->j->id;
	char csr[CA_PEM_SIZE], now[TIME_TEXT];
	json_t *body;
	int rc = make_request(g->j, csr, e);

	if (rc < 0)
		return rc;
	format_time(time_now_ns(), now);
	body = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s}",
			 "name", id->name, "role", id->role, "address",
			 id->address, "port", (json_int_t)id->port, "version",
			 g->j->version, "machine_id", id->machine_id, "csr",
			 csr, "alt", id->alt, "time", now);
	rc = body != NULL
		 ? cs_ask(&g->cs, "POST", "/v1/register", body, &g->answer, e)
		 : err_set(e, PS_TEMPFAIL, "no memory");
	json_decref(body);
	if (rc == 0)
		detail(g, "as '%s', %s port %lld", id->name, id->address,
		       (long long)id->port);
	return rc;
}

/* ---- storing ---- */

static int store(const struct join *j, const char *name, const char *text,
		 mode_t mode, struct err *e)
{
	char path[IDENTITY_PATH];

	identity_path(j->dir, name, path);
	return durable_write_path(path, text, strlen(text), mode,
				  DURABLE_REPLACE, e);
}

static int store_pem(struct joining *g, const char *key, const char *name,
		     struct err *e)
{
	const char *pem = json_string_value(json_object_get(g->answer, key));
	X509 *x = NULL;
	int rc;

	if (pem == NULL)
		return err_set(e, PS_PROTOCOL, "the answer has no %s", key);
	rc = x509_from_pem(&x, pem, e);
	X509_free(x);
	return rc < 0 ? rc : store(g->j, name, pem, 0644, e);
}

static int step_files(struct joining *g, struct err *e)
{
	struct join *j = g->j;
	char line[LOGIN_LINE_SIZE];
	int rc = cs_peer_pin(&g->cs.c, j->id.pin, e);

	j->id.generation =
	    json_integer_value(json_object_get(g->answer, "generation"));
	login_key_line(j->id.name, g->key, line);
	if (rc == 0)
		rc = store_pem(g, "certificate", IDENTITY_CERT, e);
	if (rc == 0)
		rc = store_pem(g, "authority", IDENTITY_AUTHORITY, e);
	if (rc == 0)
		rc = store(j, IDENTITY_LOGIN, line, 0600, e);
	secret_wipe(line, sizeof(line));
	if (rc == 0)
		rc = identity_save(j->dir, &j->id, e);
	if (rc == 0)
		rc = identity_give(j->dir, e);
	if (rc == 0)
		detail(g, "%s", j->dir);
	return rc;
}

/* ---- all of it ---- */

static const struct {
	const char *name;
	step_fn *run;
	const char *hint;
} steps[] = {
    {"resolve", step_resolve, "check the name, DNS and /etc/hosts"},
    {"tcp", step_tcp,
     "check routes and firewalls: inbound TCP 443 must be allowed on the "
     "configuration server"},
    {"tls", step_tls,
     "is it ps-config serve that listens there? a proxy or a firewall that "
     "looks into TLS must be out of the way"},
    {"pin", step_pin, "compare: ps-config cert pins"},
    {"login", step_login,
     "is it ps-config serve that listens there? compare the passphrases"},
    {"clock", step_clock, "set both clocks by NTP"},
    {"register", step_register, "see cxps.err on the configuration server"},
    {"files", step_files, "see the folder's rights and room"},
};

static int run_step(struct joining *g, size_t i, selftest_fn *report, void *ctx,
		    struct err *e)
{
	int64_t begin = mono_now_ns();
	int rc;

	g->step = (struct selftest_step){.name = steps[i].name};
	rc = steps[i].run(g, e);
	g->step.took_ns = mono_now_ns() - begin;
	if (rc < 0) {
		g->step.result = SELFTEST_FAILED;
		/* What was typed wrongly here is nothing of the other side. */
		if (e->hint[0] == '\0' && rc != -PS_USAGE && rc != -PS_DATA &&
		    rc != -PS_NOINPUT)
			err_hint(e, "%s", steps[i].hint);
		detail(g, "%s", e->msg);
		snprintf(g->step.hint, sizeof(g->step.hint), "%s", e->hint);
		err_prefix(e, "%s", steps[i].name);
	}
	report(ctx, &g->step);
	return rc;
}

int join_run(struct join *j, selftest_fn *report, void *ctx, struct err *e)
{
	struct joining g = {.j = j};
	size_t i;
	int rc = 0;

	g.cs.to = (struct client_to){.host = j->id.cs_host,
				     .port = j->id.cs_port,
				     .wait_ns = j->wait_ns};
	g.cs.c.fd = -1;
	for (i = 0; i < sizeof(steps) / sizeof(steps[0]) && rc == 0; i++)
		rc = run_step(&g, i, report, ctx, e);
	cs_close(&g.cs);
	if (g.list != NULL)
		freeaddrinfo(g.list);
	json_decref(g.answer);
	secret_wipe(g.key, sizeof(g.key));
	return rc;
}
