/* Behind an installation: it is tried whether all works. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <jansson.h>

#include "base/units.h"
#include "setup/checks.h"
#include "setup/install.h"

#define BEAT_WAIT_S 90
/* One that is older was not sent by what runs now: the longest interval that
 * a configuration server asks for, and some. */
#define BEAT_OLD_S 660
#define PAUSE_NS 100000000
#define REACH_S "30"

static int no_room(struct err *e)
{
	return err_set(e, PS_SOFTWARE, "too many steps");
}

/* ---- the configuration server ---- */

/* When it has answered last, as ps-config heartbeat stamps it; 0: never. */
static int64_t answered_ns(const struct choices *c)
{
	char path[PLACE_SIZE];
	struct stat st;

	place_state(c, "health/heartbeat", path);
	return stat(path, &st) == 0
		   ? st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec
		   : 0;
}

int setup_wait_heartbeat(const struct choices *c, int64_t since_ns,
			 struct err *e)
{
	int64_t until = mono_now_ns() + BEAT_WAIT_S * NS_PER_S;
	struct timespec pause = {0, PAUSE_NS};

	/* A clock of files may be a tick behind. */
	since_ns -= PAUSE_NS;
	while (answered_ns(c) < since_ns && mono_now_ns() < until)
		nanosleep(&pause, NULL);
	if (answered_ns(c) >= since_ns)
		return 0;
	return err_set(e, PS_UNAVAILABLE,
		       "the configuration server has answered no heartbeat "
		       "for %d s: see the log of the service 'heartbeat'",
		       BEAT_WAIT_S);
}

static int check_heartbeat(const struct setup_plan *p, struct err *e)
{
	int64_t old = p->begins ? 0 : BEAT_OLD_S * NS_PER_S;

	return setup_wait_heartbeat(p->c, p->begun_ns - old, e);
}

static int check_login(const struct setup_plan *p, struct err *e)
{
	const struct choices *c = p->c;
	char words[PLACE_SIZE];

	place_state(c, "config/connection.passphrase", words);
	return cs_try(c, c->address, words, e);
}

/* ---- health ---- */

/* The first alert that is critical, for people. */
static int judge_health(const char *text, struct err *e)
{
	json_t *o = json_loads(text, 0, NULL), *alert;
	int rc = 0;
	size_t i;

	json_array_foreach(json_object_get(o, "alerts"), i, alert)
	{
		const char *level =
		    json_string_value(json_object_get(alert, "level"));
		const char *what =
		    json_string_value(json_object_get(alert, "what"));

		if (rc == 0 && level != NULL && strcmp(level, "critical") == 0)
			rc = err_set(e, PS_UNAVAILABLE, "ps-health: %s",
				     what != NULL ? what : "critical");
	}
	if (o == NULL)
		rc = err_set(e, PS_SOFTWARE, "ps-health: %.200s", text);
	json_decref(o);
	return rc;
}

static int check_health(const struct setup_plan *p, struct err *e)
{
	char yaml[PLACE_SIZE + 16], *text;
	const char *const sample[] = {"ps-health", "sample", "-q",
				      "--config",  yaml,     NULL};
	const char *const check[] = {"ps-health", "check", "--format", "json",
				     "--config",  yaml,	   NULL};
	int status, rc;

	snprintf(yaml, sizeof(yaml), "%s/ps.yaml", p->etc);
	rc = setup_command(p, sample, &text, &status, e);
	if (rc < 0)
		return rc;
	if (status != 0)
		rc = err_set(e, status < 128 ? status : PS_SOFTWARE, "%.*s",
			     (int)strcspn(text, "\n"), text);
	free(text);
	if (rc < 0)
		return rc;
	rc = setup_command(p, check, &text, &status, e);
	if (rc < 0)
		return rc;
	rc = judge_health(text, e);
	free(text);
	return rc;
}

/* ---- all ---- */

static int want_check(struct setup_plan *p, setup_check_fn *check,
		      const char *name, const char *words, struct err *e)
{
	struct action *a = setup_add(p, ACT_CHECK, name, "%s", words);

	if (a == NULL)
		return no_room(e);
	a->check = check;
	return 0;
}

static int want_test(struct setup_plan *p, const char *words,
		     const char *const *argv, struct err *e)
{
	int rc = setup_program(p, words, argv, e);

	if (rc == 0)
		p->list[p->n - 1].test = true;
	return rc;
}

static int want_client(struct setup_plan *p, const char *yaml, struct err *e)
{
	const struct choices *c = p->c;
	char pass[PLACE_SIZE + 32], port[16], words[128];
	const char *const argv[] = {"cxpsclient", "--config", yaml,    "-i",
				    c->address,	  "-l",	      port,    "-P",
				    pass,	  "-y",	      REACH_S, NULL};

	if (c->cs)
		place_state(c, "config/connection.passphrase", pass);
	else
		snprintf(pass, sizeof(pass), "%s/connection.passphrase",
			 p->etc);
	snprintf(port, sizeof(port), "%u", (unsigned)c->port);
	snprintf(words, sizeof(words),
		 "self-test: cxpsclient from TCP to upload and download, %s "
		 "port %s",
		 c->address, port);
	return want_test(p, words, argv, e);
}

/* The key that ps.yaml has becomes that of the vault, if it has none. */
static int want_one_key(struct setup_plan *p, const char *yaml, struct err *e)
{
	const char *const argv[] = {"ps-vault", "init",		 "--config",
				    yaml,	p->c->vault.url, NULL};
	int rc =
	    want_test(p, "the vault and this server have one key", argv, e);

	if (rc == 0)
		p->list[p->n - 1].warns = true;
	return rc;
}

/* Are services started in this run? */
static bool is_started(const struct setup_plan *p)
{
	unsigned i;

	for (i = 0; i < p->n; i++)
		if (p->list[i].kind == ACT_RUN &&
		    strcmp(p->list[i].path, "ps-service") == 0)
			return true;
	return false;
}

int setup_want_checks(struct setup_plan *p, const char *yaml, struct err *e)
{
	const struct choices *c = p->c;
	const char *const probe[] = {"ps-upload", "--config",	yaml,
				     "--probe",	  c->vault.url, NULL};
	int rc = 0;

	/* Who has no ps-service starts them by himself, later. */
	if (!setup_has_command("ps-service", "start"))
		return 0;
	p->begins = is_started(p);
	if (p->joins)
		rc = want_check(p, check_heartbeat, "heartbeat",
				"heartbeat: the configuration server has "
				"answered",
				e);
	if (rc == 0 && c->cs)
		rc = want_check(p, check_login, "config",
				"self-test: the configuration server takes a "
				"login",
				e);
	if (rc == 0)
		rc = want_client(p, yaml, e);
	if (rc == 0 && c->vault.url[0] != '\0')
		rc = want_test(p,
			       "self-test: the vault is reached, written and "
			       "read",
			       probe, e);
	if (rc == 0 && c->vault.url[0] != '\0')
		rc = want_one_key(p, yaml, e);
	if (rc == 0)
		rc = want_check(p, check_health, "ps-health",
				"self-test: ps-health finds nothing critical",
				e);
	return rc;
}
