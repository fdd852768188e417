#include "config.h"

#include <stdio.h>

#include "base/conf.h"
#include "base/tool.h"
#include "base/units.h"
#include "pipeline/vaults.h"
#include "upload-rates.h"

static int bad_value(const struct conf *c, const char *key, const char *what,
		     struct err *e)
{
	return err_set(e, PS_CONFIG, "%s:%u: %s: %s", conf_path(c),
		       conf_line(c, key), key, what);
}

/* The two keys below `prefix`; nothing where they are missing. */
static int rates_below(const struct conf *c, const char *prefix,
		       struct pace_rates *ret, struct err *e)
{
	char key[64];
	struct err why = {0};
	const char *text;

	snprintf(key, sizeof(key), "%s.limit-rate", prefix);
	text = conf_get(c, key);
	if (text != NULL && !parse_rate(text, &ret->limit))
		return bad_value(c, key, "not a rate", e);
	snprintf(key, sizeof(key), "%s.schedule", prefix);
	text = conf_get(c, key);
	if (text != NULL && hours_parse(&ret->hours, text, &why) < 0)
		return bad_value(c, key, why.msg, e);
	return 0;
}

/* True when the vault's own entry says something of rates. */
static bool has_own(const struct conf *c, const char *name, char *prefix,
		    size_t size)
{
	char key[64];
	bool own;

	if (name == NULL || !vaults_key(c, name, prefix, size))
		return false;
	snprintf(key, sizeof(key), "%s.limit-rate", prefix);
	own = conf_get(c, key) != NULL;
	snprintf(key, sizeof(key), "%s.schedule", prefix);
	return own || conf_get(c, key) != NULL;
}

/* Given otherwise than by the file: then that counts. */
static bool fixed(const struct upload_rates *r, const char *option)
{
	return opt_given(r->opts, option) && !opt_from_conf(r->opts, option);
}

static int rates_of(const struct upload_rates *r, const struct conf *c,
		    struct pace_rates *ret, struct err *e)
{
	char prefix[32];
	int rc = 0;

	if (c != NULL)
		rc = rates_below(c,
				 has_own(c, r->name, prefix, sizeof(prefix))
				     ? prefix
				     : "upload",
				 ret, e);
	if (fixed(r, "limit-rate"))
		ret->limit = r->limit;
	if (rc == 0 && fixed(r, "schedule"))
		rc = hours_parse(&ret->hours, r->schedule, e);
	return rc;
}

static int read_rates(void *ctx, struct pace_rates *ret, struct err *e)
{
	const struct upload_rates *r = ctx;
	struct conf *c = NULL;
	int rc = 0;

	*ret = (struct pace_rates){0};
	if (opt_conf() != NULL)
		rc = conf_read(&c, conf_path(opt_conf()), e);
	if (rc == 0)
		rc = rates_of(r, c, ret, e);
	conf_free(c);
	return rc;
}

static void set_rate(void *ctx, uint64_t per_second)
{
	struct upload_rates *r = ctx;
	char text[32];

	format_size(per_second, text, sizeof(text));
	if (per_second == 0)
		tool_note("no limit from now on");
	else
		tool_note("at most %s/s from now on", text);
	pthread_mutex_lock(&r->lock);
	atomic_store(&r->rate.per_second, per_second);
	if (r->store != NULL)
		r->store->ops->limit(r->store, per_second);
	pthread_mutex_unlock(&r->lock);
	if (r->report != NULL)
		upload_report_rate(r->report, per_second);
}

static void say(void *ctx, const char *words)
{
	(void)ctx;
	tool_warn("%s", words);
}

int rates_begin(struct upload_rates *r, const struct opt *opts, struct err *e)
{
	int rc;

	r->opts = opts;
	r->pace.read = read_rates;
	r->pace.set = set_rate;
	r->pace.say = say;
	r->pace.ctx = r;
	pthread_mutex_init(&r->lock, NULL);
	/* Nothing can change without a file, nor without rules. */
	r->follow = opt_conf() != NULL || r->schedule != NULL;
	if (r->follow)
		pace_listen();
	rc = pace_read(&r->pace, e);
	atomic_store(&r->rate.per_second, r->pace.now);
	return rc;
}

int rates_follow(struct upload_rates *r, struct err *e)
{
	return r->follow ? pace_start(&r->pace, e) : 0;
}

void rates_store(struct upload_rates *r, struct store *store)
{
	pthread_mutex_lock(&r->lock);
	r->store = store;
	store->ops->limit(store, atomic_load(&r->rate.per_second));
	pthread_mutex_unlock(&r->lock);
}

void rates_end(struct upload_rates *r)
{
	pace_stop(&r->pace);
}
