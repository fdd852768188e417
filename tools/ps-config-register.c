/* ps-config register, heartbeat, fetch: from elsewhere, over the network. */
#include "config.h"

#include <unistd.h>

#include "base/conf.h"
#include "base/opt.h"
#include "base/secret.h"
#include "config/beat.h"
#include "config/client.h"
#include "pipeline/vaults.h"
#include "ps-config.h"
#include "register.h"

/* ---- register ---- */

static int cmd_register(struct reg *r, char **operands, struct err *e)
{
	const struct register_ask a = {.dir = ask.identity,
				       .cs = ask.cs,
				       .cs_port = ask.cs_port,
				       .passphrase = ask.proof,
				       .name = ask.name,
				       .role = ask.role,
				       .address = ask.address,
				       .alt = ask.alt,
				       .machine_id = ask.machine_id,
				       .instance = ask.instance,
				       .pin = ask.pin,
				       .port = ask.port,
				       .json = ask.json};

	(void)r;
	(void)operands;
	return register_here(&a, e);
}

const struct action register_actions[] = {
    {NULL, 0,
     " [--cs ADDRESS] [--cs-port PORT] [-P FILE] [--port PORT] [--name NAME]",
     cmd_register},
    {0},
};

/* ---- heartbeat ---- */

/* As ps.yaml says now: its pipeline reads it again, too. */
static json_t *vaults_now(void)
{
	json_t *list = json_array();
	struct vaults v = {.n = 0};
	struct conf *c = NULL;
	const char *path = conf_path(opt_conf()), *one;
	unsigned i;

	if (path == NULL || conf_read(&c, path, NULL) < 0 ||
	    vaults_from_conf(&v, c, NULL) < 0)
		v.n = 0;
	for (i = 0; i < v.n; i++)
		json_array_append_new(list, json_string(v.list[i].url));
	if (v.n == 0 && c != NULL && (one = conf_get(c, "vault")) != NULL)
		json_array_append_new(list, json_string(one));
	conf_free(c);
	return list;
}

static int cmd_heartbeat(struct reg *r, char **operands, struct err *e)
{
	const struct beat b = {.dir = ask.identity,
			       .health = ask.health,
			       .cache = ask.cache,
			       .version = PACKAGE_VERSION,
			       .machine_id = ask.machine_id,
			       .instance = ask.instance,
			       .vaults = vaults_now,
			       .interval_s =
				   ask.interval != NOT_GIVEN ? ask.interval : 0,
			       .once = ask.once};

	(void)r;
	(void)operands;
	return beat_run(&b, e);
}

const struct action heartbeat_actions[] = {
    {NULL, 0, " [--once] [--interval TIME]", cmd_heartbeat},
    {0},
};

/* ---- fetch ---- */

/* An agent that would be newer than its servers is not set up. */
static int check_version(const struct cs_to *to, struct err *e)
{
	char version[CS_VERSION_SIZE];
	struct cs cs;
	int rc = cs_open(&cs, to, e);

	if (rc == 0)
		rc = cs_version(&cs, version, e);
	if (rc == 0)
		rc = cs_judge_version(version, to->host, e);
	cs_close(&cs);
	return rc;
}

/* As an agent asks: with the machine's own login. */
static int fetch(const char *machine, json_t **ret, struct err *e)
{
	struct login_secret secret;
	uint8_t key[LOGIN_KEY_LEN];
	struct cs_to to = {.host = ask.cs, .port = ask.cs_port, .key = key};
	int rc = login_secret_read(&secret, ask.proof, e);

	if (rc < 0)
		return rc;
	to.name = secret.machine[0] != '\0' ? secret.machine : machine;
	to.pin = ask.pin;
	rc = login_key(&secret, to.name, key, e);
	if (rc == 0)
		rc = check_version(&to, e);
	if (rc == 0)
		rc = cs_machine(&to, machine, ret, e);
	if (rc == 0)
		rc = cs_judge_server(*ret, e);
	secret_wipe(&secret, sizeof(secret));
	secret_wipe(key, sizeof(key));
	return rc;
}

static int cmd_fetch(struct reg *r, char **operands, struct err *e)
{
	json_t *o = NULL;
	int rc;

	(void)r;
	if (ask.cs == NULL || ask.proof == NULL)
		opt_misuse("fetch needs --cs and -P");
	register_check_port(ask.cs_port);
	if (ask.cs_port == NULL)
		ask.cs_port = CS_PORT;
	rc = fetch(operands[0], &o, e);
	if (rc == 0)
		return print_json(o, e);
	json_decref(o);
	return rc;
}

const struct action fetch_actions[] = {
    {NULL, 1, " MACHINE --cs ADDRESS [--cs-port PORT] -P FILE", cmd_fetch},
    {0},
};
