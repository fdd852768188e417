#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/secret.h"
#include "base/units.h"
#include "base/version.h"
#include "doctor/steps.h"
#include "setup/room.h"
#include "setup/steps.h"

/* ---- begin and end ---- */

static void take(const struct conf *c, const char *key, char *out, size_t size)
{
	const char *value = conf_get(c, key);

	snprintf(out, size, "%s", value != NULL ? value : "");
}

/* Of ps.yaml, which people may have edited. */
static int read_yaml(struct steps *s, struct err *e)
{
	struct conf *conf = NULL;
	int rc = conf_read(&conf, s->yaml, e);

	if (rc < 0)
		return rc;
	take(conf, "service.names", s->p.services, sizeof(s->p.services));
	take(conf, "config.identity", s->identity, sizeof(s->identity));
	take(conf, "cache", s->cache, sizeof(s->cache));
	take(conf, "receive.listen", s->data, sizeof(s->data));
	take(conf, "config.listen", s->serve, sizeof(s->serve));
	s->joins = s->identity[0] != '\0';
	conf_free(conf);
	if (s->identity[0] == '\0')
		place_state(s->p.c, "identity", s->identity);
	return 0;
}

int steps_begin(struct steps *s, const struct choices *c, struct err *e)
{
	int rc;

	memset(s, 0, sizeof(*s));
	s->p.c = c;
	rc = record_read(c, &s->was, e);
	if (rc == 0)
		rc = setup_begin(&s->p, c, e);
	if (rc == 0)
		rc = doing_read(c, &s->doing, e);
	s->begun = s->doing;
	snprintf(s->yaml, sizeof(s->yaml), "%s/ps.yaml", s->p.etc);
	s->now = s->was;
	snprintf(s->now.version, sizeof(s->now.version), "%s", version_ours());
	return rc < 0 ? rc : read_yaml(s, e);
}

bool steps_is_cs(const struct steps *s)
{
	return strcmp(s->was.role, "cs") == 0;
}

static void forget(char *text)
{
	if (text != NULL)
		secret_wipe(text, strlen(text));
	free(text);
}

void steps_free(struct steps *s)
{
	unsigned i;

	for (i = 0; i < s->nfiles; i++) {
		forget(s->files[i].text);
		forget(s->files[i].former);
	}
	for (i = 0; i < s->nkept; i++) {
		secret_wipe(s->kept[i].text, s->kept[i].n);
		free(s->kept[i].text);
	}
	s->nfiles = s->nkept = s->n = 0;
	setup_free(&s->p);
}

int steps_full(struct err *e)
{
	return err_set(e, PS_SOFTWARE, "too many steps");
}

int steps_unbegin(struct steps *s, struct err *e)
{
	s->doing = s->begun;
	return s->doing.what[0] != '\0' ? doing_write(s->p.c, &s->doing, e)
					: doing_end(s->p.c, e);
}

struct step *steps_add(struct steps *s, step_fn *run, step_fn *back,
		       const char *fmt, ...)
{
	struct step *st = &s->list[s->n];
	va_list ap;

	if (s->n == STEPS_MAX)
		return NULL;
	s->n++;
	*st = (struct step){.run = run, .back = back};
	va_start(ap, fmt);
	vsnprintf(st->words, sizeof(st->words), fmt, ap);
	va_end(ap);
	return st;
}

int steps_note(struct steps *s, struct err *e, const char *fmt, ...)
{
	struct step *st = &s->list[s->n];
	va_list ap;

	if (s->n == STEPS_MAX)
		return steps_full(e);
	s->n++;
	*st = (struct step){.run = NULL};
	va_start(ap, fmt);
	vsnprintf(st->words, sizeof(st->words), fmt, ap);
	va_end(ap);
	return 0;
}

/* ---- doing them ---- */

void step_action(const struct step *st, bool same, struct action *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->kind = st->run == NULL ? ACT_NOTE : ACT_RUN;
	ret->same = same;
	snprintf(ret->words, sizeof(ret->words), "%.*s",
		 (int)sizeof(ret->words) - 1, st->words);
}

struct running {
	struct steps *s;
	struct room room;
	int log;
	setup_tell_fn *tell;
	void *ctx;
};

static void tell(struct running *r, const struct step *st, bool same,
		 const struct err *e)
{
	static struct action a;

	step_action(st, same, &a);
	setup_log(r->log, &a, e);
	r->tell(r->ctx, &a, e);
}

/* The last one first. */
static void take_back(struct running *r, unsigned from)
{
	static struct step note;
	unsigned i = from + 1;

	room_give(&r->room);
	while (i-- > 0) {
		const struct step *st = &r->s->list[i];
		struct err e = {0};

		if (st->back == NULL)
			continue;
		r->s->at = i;
		memset(&note, 0, sizeof(note));
		if (st->back(r->s, &e) < 0) {
			r->s->stuck = true;
			snprintf(note.words, sizeof(note.words),
				 "could not be taken back: %.200s: %s",
				 st->words, e.msg);
		} else {
			snprintf(note.words, sizeof(note.words),
				 "taken back: %.1000s", st->words);
		}
		tell(r, &note, false, NULL);
	}
}

static int do_all(struct running *r, struct err *e)
{
	struct steps *s = r->s;
	bool final = false;
	int rc = 0;

	for (s->at = 0; s->at < s->n; s->at++) {
		const struct step *st = &s->list[s->at];

		final |= st->final;
		rc = st->run != NULL ? st->run(s, e) : 0;
		final |= st->final; /* it may have become so */
		if (rc < 0 && final)
			err_hint(e, "what was done stays; the same command "
				    "goes on here");
		if (rc < 0)
			room_hint(e, final ? "goes on here" : "begins again");
		tell(r, st, rc == 1, rc < 0 ? e : NULL);
		if (rc < 0)
			break;
	}
	if (rc < 0 && !final)
		take_back(r, s->at);
	return rc < 0 ? rc : 0;
}

int steps_run(struct steps *s, setup_tell_fn *fn, void *ctx, struct err *e)
{
	struct running r = {.s = s, .room = {{-1, -1}}, .tell = fn, .ctx = ctx};
	mode_t mask = umask(022);
	int rc = 0;

	r.log = setup_log_open(s->p.c, e);
	if (r.log < 0)
		rc = r.log;
	else if (flock(r.log, LOCK_EX | LOCK_NB) < 0)
		rc = err_set(e, PS_TEMPFAIL,
			     "another installation is under way");
	/* To take it away needs none, and makes some. */
	if (rc == 0 && s->how == NULL)
		rc = room_take(&r.room, s, e);
	if (rc == 0)
		rc = do_all(&r, e);
	room_give(&r.room);
	if (r.log >= 0)
		close(r.log);
	umask(mask);
	return rc;
}

/* ---- programs ---- */

/* Its own line of words, or all of a short output. */
int steps_program(struct steps *s, const char *const *argv, struct err *e)
{
	char *text, words[300];
	int status, rc = setup_command(&s->p, argv, &text, &status, e);

	if (rc < 0)
		return rc;
	setup_words(text, argv[0], words, sizeof(words));
	if (words[0] == '\0')
		setup_words_of_others(text, argv[0], words, sizeof(words));
	secret_wipe(text, strlen(text));
	free(text);
	if (status == 0)
		return 0;
	return err_set(e, status > 0 && status < 128 ? status : PS_SOFTWARE,
		       "%s", words);
}

/* ---- services ---- */

#define SERVICE_WORDS 16

/* `names`: "receive,heartbeat", or NULL: those of ps.yaml. */
static int service(struct steps *s, const char *what, const char *names,
		   struct err *e)
{
	const char *argv[SERVICE_WORDS] = {"ps-service", what, "--quiet"};
	char copy[100], *word, *rest;
	unsigned n = 3;

	if (s->boot)
		argv[n++] = "--boot";
	if (s->p.c->root != NULL) {
		argv[n++] = "--root";
		argv[n++] = s->p.c->root;
	}
	snprintf(copy, sizeof(copy), "%s", names != NULL ? names : "");
	for (word = strtok_r(copy, ",", &rest);
	     word != NULL && n < SERVICE_WORDS - 1;
	     word = strtok_r(NULL, ",", &rest))
		argv[n++] = word;
	argv[n] = NULL;
	return steps_program(s, argv, e);
}

/* The services that the step names; NULL: all. */
static const char *words_of(const struct steps *s)
{
	const char *names = s->list[s->at].path;

	return *names != '\0' ? names : NULL;
}

static int run_stop(struct steps *s, struct err *e)
{
	return service(s, "stop", words_of(s), e);
}

static int run_start(struct steps *s, struct err *e)
{
	s->begun_ns = time_now_ns();
	return service(s, "start", words_of(s), e);
}

/* Some may be new. */
static int run_start_all(struct steps *s, struct err *e)
{
	s->boot = s->p.c->root == NULL;
	return run_start(s, e);
}

static int run_restart(struct steps *s, struct err *e)
{
	if (!s->changed)
		return 1;
	s->begun_ns = time_now_ns();
	return service(s, "restart", words_of(s), e);
}

static int no_services(struct steps *s, struct err *e)
{
	return steps_note(s, e,
			  "services: there is no ps-service, nothing is ended "
			  "or started");
}

int steps_want_stop(struct steps *s, struct err *e)
{
	if (!setup_has_command("ps-service", "stop"))
		return no_services(s, e);
	return steps_add(s, run_stop, run_start, "services end") == NULL
		   ? steps_full(e)
		   : 0;
}

int steps_want_start(struct steps *s, struct err *e)
{
	struct step *st;

	if (!setup_has_command("ps-service", "start"))
		return 0; /* was noted with the stop */
	st = steps_add(s, run_start_all, NULL, "services start");
	if (st == NULL)
		return steps_full(e);
	st->final = true;
	return 0;
}

int steps_service(struct steps *s, const char *what, const char *names,
		  struct err *e)
{
	bool again = strcmp(what, "restart") == 0;
	struct step *st;

	if (!setup_has_command("ps-service", what))
		return no_services(s, e);
	if (again)
		st = steps_add(s, run_restart, NULL, "%s: started anew", names);
	else if (strcmp(what, "stop") == 0)
		st = steps_add(s, run_stop, run_start, "%s: ends", names);
	else
		st = steps_add(s, run_start, NULL, "%s: runs", names);
	if (st == NULL)
		return steps_full(e);
	snprintf(st->path, sizeof(st->path), "%s", names);
	st->final = again;
	return 0;
}

/* ---- the heartbeat ---- */

static int run_heartbeat(struct steps *s, struct err *e)
{
	if (s->begun_ns == 0) /* they went on as they were */
		return 1;
	return setup_wait_heartbeat(s->p.c, s->begun_ns, e);
}

int steps_want_heartbeat(struct steps *s, struct err *e)
{
	struct step *st;

	if (strstr(s->p.services, "heartbeat") == NULL ||
	    !setup_has_command("ps-service", "start"))
		return 0;
	st = steps_add(s, run_heartbeat, NULL,
		       "heartbeat: the configuration server answers");
	if (st == NULL)
		return steps_full(e);
	st->final = true;
	return 0;
}

/* ---- registration ---- */

void steps_kept_passphrase(const struct steps *s, char out[PLACE_SIZE])
{
	if (steps_is_cs(s))
		place_state(s->p.c, "config/connection.passphrase", out);
	else
		snprintf(out, PLACE_SIZE, "%.*s/connection.passphrase",
			 PLACE_SIZE - 32, s->p.etc);
}

/* An option and what it is, when there is something to say. */
static unsigned add_words(const char **argv, unsigned n, const char *option,
			  const char *value)
{
	if (*value == '\0')
		return n;
	argv[n++] = option;
	argv[n++] = value;
	return n;
}

static int run_registration(struct steps *s, struct err *e)
{
	const char *argv[20] = {"ps-config", "register", "--config", s->yaml};
	uint8_t before[SHA256_LEN], after[SHA256_LEN];
	char kept[PLACE_SIZE];
	unsigned n = 4;
	int rc = steps_is_cs(s) ? steps_find_own(s, e) : 0;

	if (rc < 0)
		return rc;
	if (s->host[0] != '\0') {
		n = add_words(argv, n, "--cs", s->host);
		n = add_words(argv, n, "--cs-port", s->port);
	}
	/* The copy, which the services' user can read. */
	steps_kept_passphrase(s, kept);
	if (s->host[0] != '\0' && access(kept, F_OK) == 0)
		n = add_words(argv, n, "-P", kept);
	n = add_words(argv, n, "--pin", s->pin);
	n = add_words(argv, n, "--name", steps_is_cs(s) ? s->name : "");
	n = add_words(argv, n, "--address", s->address);
	n = add_words(argv, n, "--port", s->data_port);
	argv[n] = NULL;
	rc = steps_keep_identity(s, e);
	if (rc < 0)
		return rc;
	setup_digest(s->identity, before);
	rc = steps_program(s, argv, e);
	setup_digest(s->identity, after);
	if (rc < 0)
		return rc;
	s->changed |= memcmp(before, after, SHA256_LEN) != 0;
	/* Another version is always news there. */
	return strcmp(s->was.version, s->now.version) == 0 &&
	       memcmp(before, after, SHA256_LEN) == 0;
}

int steps_want_registration(struct steps *s, struct err *e)
{
	if (!setup_has_command("ps-config", "register"))
		return steps_note(s, e,
				  "registration: not done, this ps-config has "
				  "no 'register'");
	return steps_add(s, run_registration, steps_put_identity,
			 "registration at the configuration server, as "
			 "version %s",
			 version_ours()) == NULL
		   ? steps_full(e)
		   : 0;
}
