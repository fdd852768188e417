#include "config.h"

#include <ctype.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent-conf.h"
#include "base/rate.h"
#include "base/units.h"
#include "net/tls.h"

/* <linux/ioprio.h>: class in the bits from 13 on, level below. */
#define IOPRIO(class, level) (((class) << 13) | (level))
#define IOPRIO_BEST_EFFORT 2
#define IOPRIO_IDLE 3
#define DAY 86400

enum kind { TEXT, NAME, PATH, RATE, NUMBER, TIME, NICE, IONICE, CPU, SCRUB };

struct key {
	const char *name;
	enum kind kind;
	size_t at;
	uint64_t min, max;
};

#define AT(field) offsetof(struct agent_conf, field)

static const struct key keys[] = {
    {"machine", NAME, AT(machine), 0, 0},
    {"server.host", TEXT, AT(host), 0, 0},
    {"server.port", NUMBER, AT(port), 1, 65535},
    {"server.key", PATH, AT(key_file), 0, 0},
    {"server.ca", PATH, AT(ca), 0, 0},
    {"server.timeout", TIME, AT(timeout_s), 1, DAY},
    {"config-server.address", TEXT, AT(config_host), 0, 0},
    {"config-server.port", NUMBER, AT(config_port), 1, 65535},
    {"config-server.key", PATH, AT(config_key), 0, 0},
    {"config-server.ca", PATH, AT(config_ca), 0, 0},
    {"config-server.pin", TEXT, AT(config_pin), 0, 0},
    {"config-server.interval", TIME, AT(config_interval_s), 1, DAY},
    {"state", PATH, AT(state), 0, 0},
    {"key", PATH, AT(seal_key), 0, 0},
    {"interval", TIME, AT(interval_s), 1, 30 * DAY},
    {"bookmarks.app", TIME, AT(app_s), 1, 365 * DAY},
    {"hooks.pre", TEXT, AT(pre), 0, 0},
    {"hooks.post", TEXT, AT(post), 0, 0},
    {"hooks.timeout", TIME, AT(hook_timeout_s), 1, DAY},
    {"provider-timeout", TIME, AT(provider_timeout_s), 1, DAY},
    {"max-wait", TIME, AT(max_wait_s), 1, DAY},
    {"stop-timeout", TIME, AT(stop_s), 0, DAY},
    {"limits.passes", NUMBER, AT(passes), 1, AGENT_DISKS},
    {"limits.nice", NICE, AT(nice), 0, 19},
    {"limits.ionice", IONICE, AT(ionice), 0, 0},
    {"limits.cpu", CPU, AT(cpu_percent), 1, 100000},
    {"limits.read-rate", RATE, AT(read_rate), 0, 0},
    {"limits.send-rate", RATE, AT(send_rate), 0, 0},
    {"scrub", SCRUB, AT(scrub), 0, 0},
};

static int wrong(const struct conf *f, const char *key, const char *what,
		 struct err *e)
{
	return err_set(e, PS_CONFIG, "%s:%u: '%s': %s", conf_path(f),
		       conf_line(f, key), key, what);
}

static bool parse_ionice(const char *text, int *ret)
{
	static const char best[] = "best-effort:";
	uint64_t level;

	if (strcmp(text, "idle") == 0) {
		*ret = IOPRIO(IOPRIO_IDLE, 0);
		return true;
	}
	if (strncmp(text, best, sizeof(best) - 1) != 0 ||
	    !parse_u64(text + sizeof(best) - 1, 7, &level))
		return false;
	*ret = IOPRIO(IOPRIO_BEST_EFFORT, (int)level);
	return true;
}

/* "50%" of one processor */
static bool parse_percent(const char *text, uint64_t max, uint64_t *ret)
{
	char digits[16];
	size_t n = strlen(text);

	if (n < 2 || n > sizeof(digits) || text[n - 1] != '%')
		return false;
	memcpy(digits, text, n - 1);
	digits[n - 1] = '\0';
	return parse_u64(digits, max, ret) && *ret > 0;
}

/* "K/N", 1 <= K <= N */
static bool scrub_ok(const char *text)
{
	const char *slash = strchr(text, '/');
	char first[16];
	uint64_t k, n;
	size_t len = slash != NULL ? (size_t)(slash - text) : 0;

	if (len == 0 || len >= sizeof(first))
		return false;
	memcpy(first, text, len);
	first[len] = '\0';
	return parse_u64(first, 1000000, &k) &&
	       parse_u64(slash + 1, 1000000, &n) && k >= 1 && k <= n;
}

static int set_number(struct agent_conf *c, const struct key *k,
		      const char *key, const char *value, struct err *e)
{
	uint64_t *to = (uint64_t *)(void *)((char *)c + k->at), n;
	bool ok;

	if (k->kind == TIME)
		ok = parse_duration(value, &n);
	else if (k->kind == CPU)
		ok = parse_percent(value, k->max, &n);
	else
		ok = parse_u64(value, k->max, &n);
	if (!ok)
		return wrong(c->file, key,
			     k->kind == TIME  ? "not a time (90, 15m, 2h)"
			     : k->kind == CPU ? "not a share such as 50%"
					      : "not a number that is allowed",
			     e);
	if (n < k->min || n > k->max)
		return wrong(c->file, key, "too small or too large", e);
	*to = n;
	return 0;
}

static int set_text(struct agent_conf *c, const struct key *k, const char *key,
		    const char *value, struct err *e)
{
	const char **to = (const char **)(void *)((char *)c + k->at);
	const char *bad = NULL;
	uint64_t rate;

	if (*value == '\0')
		bad = "empty";
	else if (k->kind == NAME && !name_ok(value))
		bad = "not a name (1 to 63 letters, digits, '-', '_', '.')";
	else if (k->kind == PATH && *value != '/')
		bad = "not an absolute path";
	else if (k->kind == RATE && !parse_rate(value, &rate))
		bad = "not a rate (20M, 100Mbit)";
	else if (k->kind == SCRUB && !scrub_ok(value))
		bad = "not a slice such as 1/30";
	if (bad != NULL)
		return wrong(c->file, key, bad, e);
	*to = value;
	return 0;
}

static int set(struct agent_conf *c, const struct key *k, const char *key,
	       const char *value, struct err *e)
{
	uint64_t n;

	switch (k->kind) {
	case NICE:
		if (!parse_u64(value, k->max, &n))
			return wrong(c->file, key, "not from 0 to 19", e);
		c->nice = (int)n;
		return 0;
	case IONICE:
		if (!parse_ionice(value, &c->ionice))
			return wrong(c->file, key,
				     "neither idle nor best-effort:0 to 7", e);
		return 0;
	case NUMBER:
	case TIME:
	case CPU:
		return set_number(c, k, key, value, e);
	default:
		return set_text(c, k, key, value, e);
	}
}

/* What the scripts get as PS_OPT_KEY. */
static bool option_ok(const char *key)
{
	size_t i;

	for (i = 0; key[i] != '\0'; i++)
		if (!isalnum((unsigned char)key[i]) && key[i] != '-' &&
		    key[i] != '_')
			return false;
	return i > 0 && i <= 32;
}

static int set_option(struct agent_conf *c, struct agent_disk_conf *d,
		      const char *key, const char *name, const char *value,
		      struct err *e)
{
	if (!option_ok(name))
		return wrong(c->file, key, "not the name of an option", e);
	if (d->noptions == AGENT_OPTIONS)
		return wrong(c->file, key, "too many options", e);
	d->options[d->noptions++] = (struct agent_option){name, value};
	return 0;
}

static bool provider_ok(const char *name)
{
	return name_ok(name) || *name == '/';
}

/* "disks.0.name" and so on; numbers come in order. */
static int set_disk(struct agent_conf *c, const char *key, const char *value,
		    struct err *e)
{
	static const char options[] = "options.";
	const char *dot = strchr(key + 6, '.'), *what;
	struct agent_disk_conf *d;
	unsigned long i = strtoul(key + 6, NULL, 10);

	if (dot == NULL || !isdigit((unsigned char)key[6]))
		return wrong(c->file, key, "no such key: 'disks' is a list", e);
	if (i >= AGENT_DISKS)
		return wrong(c->file, key, "too many disks", e);
	if (i >= c->ndisks)
		c->ndisks = (unsigned)i + 1;
	d = &c->disks[i];
	what = dot + 1;
	if (strncmp(what, options, sizeof(options) - 1) == 0)
		return set_option(c, d, key, what + sizeof(options) - 1, value,
				  e);
	if (strcmp(what, "name") == 0) {
		if (!name_ok(value))
			return wrong(c->file, key, "not a name", e);
		d->name = value;
	} else if (strcmp(what, "source") == 0) {
		if (*value == '\0')
			return wrong(c->file, key, "empty", e);
		d->source = value;
	} else if (strcmp(what, "provider") == 0) {
		if (!provider_ok(value))
			return wrong(c->file, key,
				     "neither a name nor an absolute path", e);
		d->provider = value;
	} else {
		return wrong(c->file, key, "no such key", e);
	}
	return 0;
}

static int set_key(struct agent_conf *c, const char *key, struct err *e)
{
	const char *value = conf_get(c->file, key);
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].name, key) == 0)
			return set(c, &keys[i], key, value, e);
	if (strncmp(key, "disks.", 6) == 0)
		return set_disk(c, key, value, e);
	return wrong(c->file, key, "no such key", e);
}

/* ---- what belongs together ---- */

/* Everything that is wrong, or the first of it. */
struct wrongs {
	agent_told *told; /* NULL: the first one is enough */
	struct err *first;
	int rc;
};

/* Takes what came out; true: it goes on. */
static bool take(struct wrongs *w, int rc, struct err *e)
{
	if (rc < 0 && w->told != NULL)
		w->told(e);
	if (rc < 0 && w->rc == 0) {
		w->rc = rc;
		if (w->first != NULL)
			*w->first = *e;
	}
	return w->rc == 0 || w->told != NULL;
}

static bool need(struct wrongs *w, const struct agent_conf *c,
		 const char *value, const char *key)
{
	struct err e = {0};

	/* What stands there and makes no sense was told. */
	if (value != NULL || conf_get(c->file, key) != NULL)
		return true;
	return take(w,
		    err_set(&e, PS_CONFIG, "%s: '%s:' is missing",
			    conf_path(c->file), key),
		    &e);
}

static bool check_name(struct wrongs *w, const struct agent_conf *c, unsigned i)
{
	const struct agent_disk_conf *d = &c->disks[i];
	struct err e = {0};
	unsigned k;

	if (d->name == NULL || d->source == NULL)
		return take(w,
			    err_set(&e, PS_CONFIG, "%s: disk %u has no '%s:'",
				    conf_path(c->file), i + 1,
				    d->name == NULL ? "name" : "source"),
			    &e);
	/* The folder of a service is not that of who tries it by hand. */
	if (strcmp(d->provider, "none") == 0 && *d->source != '/')
		return take(w,
			    err_set(&e, PS_CONFIG,
				    "%s: disk %s: source '%s': not an absolute "
				    "path",
				    conf_path(c->file), d->name, d->source),
			    &e);
	for (k = 0; k < i; k++)
		if (c->disks[k].name != NULL &&
		    strcmp(c->disks[k].name, d->name) == 0)
			return take(w,
				    err_set(&e, PS_CONFIG,
					    "%s: two disks have the name '%s'",
					    conf_path(c->file), d->name),
				    &e);
	return true;
}

static bool check_disks(struct wrongs *w, struct agent_conf *c)
{
	unsigned i;

	if (c->ndisks == 0)
		return need(w, c, NULL, "disks");
	for (i = 0; i < c->ndisks; i++) {
		if (c->disks[i].provider == NULL)
			c->disks[i].provider = "none";
		if (!check_name(w, c, i))
			return false;
	}
	return true;
}

static bool together(struct wrongs *w, const struct agent_conf *c, bool yes,
		     const char *words)
{
	struct err e = {0};

	return yes || take(w,
			   err_set(&e, PS_CONFIG, "%s: %s belong together",
				   conf_path(c->file), words),
			   &e);
}

static bool pin_is_one(struct wrongs *w, const struct agent_conf *c)
{
	struct err e = {0};

	return c->config_pin == NULL || tls_pin_ok(c->config_pin) ||
	       take(w,
		    err_set(&e, PS_CONFIG,
			    "%s: config-server.pin: '%s' is no pin "
			    "(sha256//...)",
			    conf_path(c->file), c->config_pin),
		    &e);
}

static void check(struct wrongs *w, struct agent_conf *c)
{
	bool asks = c->config_host != NULL;

	(void)(need(w, c, c->machine, "machine") &&
	       (asks || need(w, c, c->host, "server.host")) &&
	       (asks ||
		(c->config_key == NULL && c->config_ca == NULL &&
		 c->config_pin == NULL) ||
		need(w, c, NULL, "config-server.address")) &&
	       need(w, c, c->key_file, "server.key") && check_disks(w, c) &&
	       pin_is_one(w, c) &&
	       together(w, c, (c->pre == NULL) == (c->post == NULL),
			"hooks.pre and hooks.post") &&
	       /* Or the policy of a configuration server says how often. */
	       together(w, c,
			(c->pre == NULL) == (c->app_s == 0) ||
			    (asks && c->app_s == 0),
			"hooks and bookmarks.app"));
}

static void set_defaults(struct agent_conf *c)
{
	c->port = 9443;
	c->timeout_s = 300;
	c->config_port = 443;
	c->config_interval_s = 900;
	c->state = "/var/lib/ps-agent";
	c->interval_s = 300;
	c->hook_timeout_s = 30;
	c->provider_timeout_s = 60;
	c->max_wait_s = 600;
	c->stop_s = 30;
	c->passes = 4;
	c->ionice = -1;
}

int agent_conf_read_all(struct agent_conf **ret, const char *path,
			agent_told *told, struct err *e)
{
	struct agent_conf *c = calloc(1, sizeof(*c));
	struct wrongs w = {.told = told, .first = e};
	struct err one = {0};
	bool on = true;
	const char *key;
	size_t i;

	if (c == NULL)
		return err_sys(e, PS_TEMPFAIL, "%s", path);
	set_defaults(c);
	if (conf_read(&c->file, path, &one) < 0) {
		(void)take(&w, -one.code, &one);
		free(c);
		return w.rc;
	}
	for (i = 0; on && (key = conf_key(c->file, i)) != NULL; i++) {
		one = (struct err){0};
		on = take(&w, set_key(c, key, &one), &one);
	}
	if (on)
		check(&w, c);
	*ret = c;
	return w.rc;
}

int agent_conf_read(struct agent_conf **ret, const char *path, struct err *e)
{
	struct agent_conf *c = NULL;
	int rc = agent_conf_read_all(&c, path, NULL, e);

	if (rc < 0)
		agent_conf_free(c);
	else
		*ret = c;
	return rc;
}

void agent_conf_free(struct agent_conf *c)
{
	if (c == NULL)
		return;
	conf_free(c->file);
	free(c);
}
