/*
 * A fleet: N servers, of one machine with three disks each, that register and
 * then send heartbeats to a configuration server on this machine, whose
 * processor time is counted.
 *
 *	fleet PORT KEYFILE PID N ROUNDS HOLD [anew]
 *
 * PID is the server's. Connections are kept, as ps-config heartbeat does;
 * `anew`: each heartbeat has one of its own. Afterwards all ask for news, and
 * wait HOLD seconds for them. Prints one line of JSON: how many heartbeats were
 * answered 200, how long they took, and what they cost the server.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/tool.h"
#include "base/units.h"
#include "config/client.h"
#include "config/x509.h"

struct one {
	char name[NAME_SIZE];
	uint8_t key[LOGIN_KEY_LEN];
	struct cs_to to;
	struct cs cs;
};

static struct err e;
static struct one *fleet;
static unsigned n_fleet;

static void ok(int rc)
{
	if (rc < 0)
		tool_die(&e);
}

/* ---- what it costs ---- */

static double ticks_of(long pid)
{
	char path[64], text[1024], *p;
	unsigned long v[4] = {0};
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0; /* it has ended, and is counted by its parent */
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 1,
				" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
				"%lu %lu %lu %lu",
				&v[0], &v[1], &v[2], &v[3]) != 4)
		return 0;
	return (double)(v[0] + v[1] + v[2] + v[3]);
}

/* Seconds of a processor that the server has used, with all its children. */
static double used(long server)
{
	double sum = ticks_of(server);
	char path[64];
	long pid;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/task/%ld/children", server,
		 server);
	f = fopen(path, "re");
	while (f != NULL && fscanf(f, "%ld", &pid) == 1)
		sum += ticks_of(pid);
	if (f != NULL)
		(void)fclose(f);
	return sum / (double)sysconf(_SC_CLK_TCK);
}

/* ---- the fleet ---- */

static void begin_one(struct one *o, const struct login_secret *secret,
		      const char *port, unsigned i)
{
	snprintf(o->name, sizeof(o->name), "m%03u", i);
	ok(login_key(secret, o->name, o->key, &e));
	o->to = (struct cs_to){.host = "127.0.0.1",
			       .port = port,
			       .name = o->name,
			       .key = o->key,
			       .wait_ns = 60 * NS_PER_S};
}

static void register_one(struct one *o, const char *csr)
{
	char now[TIME_TEXT];
	json_t *body, *got = NULL;

	format_time(time_now_ns(), now);
	body = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s, s:s}", "name",
			 o->name, "role", "ps", "address", "127.0.0.1", "port",
			 9443, "version", PACKAGE_VERSION, "machine_id",
			 o->name, "csr", csr, "time", now);
	ok(cs_open(&o->cs, &o->to, &e));
	ok(cs_ask(&o->cs, "POST", "/v1/register", body, &got, &e));
	json_decref(body);
	json_decref(got);
}

static json_t *disks(void)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < 3; i++)
		json_array_append_new(
		    list,
		    json_pack("{s:s+, s:I, s:I, s:i, s:b}", "disk", "d",
			      i == 0   ? "0"
			      : i == 1 ? "1"
				       : "2",
			      "accepted", (json_int_t)100000, "stored",
			      (json_int_t)99999, "lag_seconds", i, "held", 0));
	return list;
}

static bool beat(struct one *o, bool anew)
{
	char now[TIME_TEXT];
	json_t *body, *got = NULL;
	int rc;

	format_time(time_now_ns(), now);
	body = json_pack(
	    "{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:[], s:o}, s:[{s:s, s:s, s:i, "
	    "s:s, s:s}], s:[]}",
	    "name", o->name, "version", PACKAGE_VERSION, "machine_id", o->name,
	    "time", now, "health", "status", "OK", "level", "ok", "alerts",
	    "disks", disks(), "machines", "machine", o->name, "state",
	    "protected", "lag_s", 3, "stored", now, "point", "crash", "orders");
	if (anew)
		ok(cs_open(&o->cs, &o->to, &e));
	rc = cs_ask(&o->cs, "POST", "/v1/heartbeat", body, &got, &e);
	if (rc < 0)
		tool_warn("%s: %s", o->name, e.msg);
	if (anew)
		cs_close(&o->cs);
	json_decref(body);
	json_decref(got);
	return rc == 0;
}

static unsigned beat_all(unsigned rounds, bool anew)
{
	unsigned i, k, good = 0;

	for (k = 0; k < rounds; k++)
		for (i = 0; i < n_fleet; i++)
			good += beat(&fleet[i], anew);
	return good;
}

static void hold(unsigned seconds)
{
	const struct timespec t = {seconds, 0};
	unsigned i;

	for (i = 0; i < n_fleet; i++)
		ok(cs_send(&fleet[i].cs, "GET", "/v1/news", NULL, &e));
	nanosleep(&t, NULL);
}

static unsigned number(const char *text)
{
	uint64_t n;

	if (!parse_u64(text, 1000000, &n))
		err_set(&e, PS_USAGE, "'%s' is no number", text), ok(-PS_USAGE);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	struct login_secret secret;
	EVP_PKEY *key = EVP_EC_gen("P-256");
	char csr[CA_PEM_SIZE];
	bool anew = argc == 8 && strcmp(argv[7], "anew") == 0;
	unsigned i, rounds, seconds, good;
	double cpu, idle = 0;
	int64_t begun;
	long pid;

	tool_init("fleet");
	if (argc < 7)
		return PS_USAGE;
	pid = (long)number(argv[3]);
	n_fleet = number(argv[4]);
	rounds = number(argv[5]);
	seconds = anew ? 0 : number(argv[6]);
	fleet = calloc(n_fleet, sizeof(*fleet));
	ok(login_secret_read(&secret, argv[2], &e));
	ok(x509_new_request(key, "fleet", csr, &e));
	for (i = 0; i < n_fleet; i++) {
		begin_one(&fleet[i], &secret, argv[1], i);
		register_one(&fleet[i], csr);
		if (anew)
			cs_close(&fleet[i].cs);
	}
	cpu = used(pid);
	begun = mono_now_ns();
	good = beat_all(rounds, anew);
	cpu = used(pid) - cpu;
	begun = mono_now_ns() - begun;
	if (seconds > 0) {
		idle = used(pid);
		hold(seconds);
		idle = (used(pid) - idle) / seconds;
	}
	printf("{\"servers\": %u, \"heartbeats\": %u, \"answered\": %u, "
	       "\"seconds\": %.2f, \"cpu_ms_each\": %.3f, \"cpu_hold\": "
	       "%.5f}\n",
	       n_fleet, n_fleet * rounds, good, (double)begun / NS_PER_S,
	       cpu * 1000 / (n_fleet * rounds), idle);
	for (i = 0; i < n_fleet && !anew; i++)
		cs_close(&fleet[i].cs);
	EVP_PKEY_free(key);
	free(fleet);
	return good == n_fleet * rounds ? 0 : 1;
}
