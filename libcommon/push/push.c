#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "push/push.h"

#define WORDS_SIZE 1024 /* of a command line */

struct talk {
	const struct push *p;
	const struct push_host *h;
	struct push_result *r;
	struct session s;
	bool began; /* target.sh runs there */
	/* what it may still ask for, once each */
	const struct package *package;
	bool passphrase;
};

/* ---- ends ---- */

static void failed(struct push_result *r, enum push_reason why,
		   const char *words)
{
	r->end = PUSH_FAILED;
	r->reason = why;
	snprintf(r->words, sizeof(r->words), "%.*s", (int)sizeof(r->words) - 1,
		 *words != '\0' ? words : push_reasons[why].means);
}

static void failed_here(struct push_result *r, const struct err *e)
{
	enum push_reason why = REASON_LOCAL;

	if (e->code == PS_TEMPFAIL && e->sys == ECANCELED)
		why = REASON_CANCELLED;
	else if (e->code == PS_TEMPFAIL)
		why = REASON_TIMEOUT;
	failed(r, why, e->msg);
}

/* The session ended, and what was done there had not come to its end. */
static void ended_early(struct talk *t, enum session_rights rights, int status)
{
	char words[WORDS_SIZE];
	enum push_reason why;

	why = session_why(&t->s, words, sizeof(words));
	if (t->began) {
		failed(t->r, REASON_COPY, words);
		return;
	}
	if (rights != SESSION_AS_USER && status != 255)
		why = REASON_RIGHTS;
	else if (why == REASON_NONE)
		why = status == 255 ? REASON_UNREACHABLE : REASON_NO_COMMAND;
	failed(t->r, why, words);
}

/* ---- lines of target.sh ---- */

/* "install-78", "register-77": an exit code of the installer (its manual). */
static enum push_reason coded(const char *word, const char *words)
{
	bool install = strncmp(word, "install-", 8) == 0;
	int code = (int)strtol(strchr(word, '-') + 1, NULL, 10);

	if (!install && code == PS_NOPERM)
		return REASON_PASSPHRASE;
	if (!install && code == PS_UNAVAILABLE)
		return REASON_CS_UNREACHABLE;
	if (!install)
		return REASON_REGISTER;
	if (code == PS_TEMPFAIL && (strstr(words, "free") != NULL ||
				    strstr(words, "No space left") != NULL))
		return REASON_SPACE;
	if (code == PS_CONFIG && (strstr(words, "do not run") != NULL ||
				  strstr(words, "is for") != NULL))
		return REASON_UNSUPPORTED;
	return REASON_INSTALL;
}

static void take_failure(struct push_result *r, const char *line)
{
	const char *space = strchr(line, ' ');
	const char *words = space != NULL ? space + 1 : "";
	enum push_reason why;
	char word[32];

	snprintf(word, sizeof(word), "%.*s", (int)strcspn(line, " "), line);
	if (strncmp(word, "install-", 8) == 0 ||
	    strncmp(word, "register-", 9) == 0)
		why = coded(word, words);
	else
		why = push_reason_of(word);
	failed(r, why != REASON_NONE ? why : REASON_INSTALL, words);
}

static void say(const struct talk *t, const char *words)
{
	if (t->p->say != NULL)
		t->p->say(t->h, words);
}

/* What it may ask for is queued. Returns 0, or a failure of this side. */
static int answer(struct talk *t, const char *line, struct err *e)
{
	const struct package *package = t->package;
	uint64_t have;

	if (strncmp(line, "have ", 5) == 0 && package != NULL &&
	    parse_u64(line + 5, package->size, &have)) {
		say(t, have > 0 ? "goes on with copying" : "copies");
		session_send_file(&t->s, package->fd, (off_t)have,
				  (off_t)package->size);
		t->package = NULL;
		return 0;
	}
	if (strcmp(line, "want passphrase") == 0 && t->passphrase) {
		int rc = session_send(&t->s, t->p->passphrase,
				      strlen(t->p->passphrase), e);

		t->passphrase = false;
		return rc == 0 ? session_send(&t->s, "\n", 1, e) : rc;
	}
	if (strncmp(line, "at ", 3) == 0)
		say(t, line + 3);
	return 0;
}

/* ---- the two sessions ---- */

/* Everything the machine says of itself. False: `r` says why not. */
static bool look(struct talk *t, struct push_look *l, struct err *e)
{
	const struct push *p = t->p;
	char words[WORDS_SIZE], line[SESSION_LINE];
	int rc, status;

	snprintf(words, sizeof(words), "look %s %s %s",
		 p->dir != NULL ? p->dir : "-", p->cs != NULL ? p->cs : "-",
		 p->cs_port);
	t->began = false;
	rc = session_open(&t->s, &p->way, t->h, SESSION_AS_USER, words, e);
	if (rc < 0) {
		failed_here(t->r, e);
		return false;
	}
	while ((rc = session_line(&t->s, line, e)) > 0) {
		if (strcmp(line, "ps-push 1") == 0)
			t->began = true;
		else if (t->began)
			look_line(l, line);
		else
			session_said(&t->s, line);
	}
	status = session_close(&t->s);
	if (rc < 0)
		failed_here(t->r, e);
	else if (!t->began || status != 0)
		ended_early(t, SESSION_AS_USER, status);
	return rc == 0 && t->began && status == 0;
}

/* Does sudo really let it? Nothing is changed. False: `r` says why not. */
static bool try_rights(struct talk *t, enum session_rights rights,
		       struct err *e)
{
	char line[SESSION_LINE];
	bool root = false;
	int rc, status;

	t->began = false;
	rc = session_open(&t->s, &t->p->way, t->h, rights, "rights", e);
	if (rc < 0) {
		failed_here(t->r, e);
		return false;
	}
	while ((rc = session_line(&t->s, line, e)) > 0) {
		t->began = t->began || strcmp(line, "ps-push 1") == 0;
		root = root || (t->began && strcmp(line, "uid 0") == 0);
	}
	status = session_close(&t->s);
	if (rc < 0)
		failed_here(t->r, e);
	else if (!t->began)
		ended_early(t, rights, status);
	else if (!root)
		failed(t->r, REASON_RIGHTS, "");
	return rc == 0 && root;
}

/* How root is become there; false: not at all. */
static bool rights_of(const struct push *p, const struct push_look *l,
		      enum session_rights *ret)
{
	*ret = SESSION_AS_USER;
	if (l->root)
		return true;
	*ret =
	    strcmp(l->sudo, "yes") == 0 ? SESSION_SUDO : SESSION_SUDO_PASSWORD;
	return *ret == SESSION_SUDO ||
	       (strcmp(l->sudo, "password") == 0 && p->way.password != NULL);
}

static const char *no_rights(const struct push_look *l)
{
	if (strcmp(l->sudo, "tty") == 0)
		return "sudo works on a terminal only (requiretty)";
	if (strcmp(l->sudo, "password") == 0)
		return "sudo asks for a password, and there is none";
	return "not root, and there is no sudo";
}

/* What goes before the package: who may sign, and the signature. */
static int send_signature(struct talk *t, const struct package *package,
			  struct err *e)
{
	const char *signers = t->p->packages->signers;
	int rc = session_send(&t->s, signers, strlen(signers), e);

	if (rc == 0)
		rc = session_send(&t->s, package->signature,
				  strlen(package->signature), e);
	return rc;
}

static void work_words(const struct push *p, const struct push_host *h,
		       const struct push_plan *plan, char *out, size_t size)
{
	const struct package *k = plan->package;
	const char *name = h->name[0] != '\0' ? h->name : "-";
	int n = snprintf(out, size, "work %s %s %s %s %s %s ",
			 p->dir != NULL ? p->dir : "-", p->role, p->platform,
			 name, plan->enrol ? p->cs : "-", p->cs_port);

	if (plan->install)
		snprintf(out + n, size - (size_t)n, "%s %llu %zu %zu",
			 k->sha256, (unsigned long long)k->size,
			 strlen(p->packages->signers), strlen(k->signature));
	else
		snprintf(out + n, size - (size_t)n, "- 0 0 0");
}

/* Hears it to its end: true when it was done there. */
static bool hear_work(struct talk *t, int *ret_rc, struct err *e)
{
	char line[SESSION_LINE];
	bool done = false;
	int rc = 0;

	while (rc >= 0 && (rc = session_line(&t->s, line, e)) > 0) {
		if (strcmp(line, "ps-push 1") == 0)
			t->began = true;
		else if (strcmp(line, "done") == 0)
			done = t->began;
		else if (strcmp(line, "unknown") == 0)
			push_warn(t->r, REASON_UNKNOWN_MACHINE);
		else if (strncmp(line, "fail ", 5) == 0)
			take_failure(t->r, line + 5);
		else
			rc = answer(t, line, e);
	}
	*ret_rc = rc;
	return done;
}

static void work(struct talk *t, const struct push_plan *plan,
		 enum session_rights rights, struct err *e)
{
	const struct package *package = plan->install ? plan->package : NULL;
	char words[WORDS_SIZE];
	bool done = false;
	int rc, status;

	work_words(t->p, t->h, plan, words, sizeof(words));
	t->began = false;
	t->package = package;
	t->passphrase = plan->enrol;
	rc = session_open(&t->s, &t->p->way, t->h, rights, words, e);
	if (rc == 0 && package != NULL)
		rc = send_signature(t, package, e);
	if (rc == 0)
		done = hear_work(t, &rc, e);
	status = session_close(&t->s);
	if (rc < 0)
		failed_here(t->r, e);
	else if (!done && t->r->reason == REASON_NONE)
		ended_early(t, rights, status);
	if (rc < 0 || !done || t->r->reason != REASON_NONE)
		return;
	t->r->end = PUSH_REGISTERED;
	if (package != NULL) {
		bool newer = t->r->was[0] != '\0' &&
			     strcmp(t->r->was, package->version) != 0;

		t->r->end = newer ? PUSH_UPGRADED : PUSH_INSTALLED;
		snprintf(t->r->version, sizeof(t->r->version), "%s",
			 package->version);
	}
}

/* ---- all of it ---- */

static void judge(struct talk *t, const struct push_look *l, struct err *e)
{
	const struct push *p = t->p;
	struct push_wish wish = {.dir = p->dir,
				 .role = p->role,
				 .cs = p->cs,
				 .cs_port = p->cs_port,
				 .name = t->h->name,
				 .again = p->again};
	uint64_t now = (uint64_t)(time_now_ns() / NS_PER_S);
	struct push_plan plan = {0};
	enum session_rights rights;
	enum push_reason why;
	char words[WORDS_SIZE];

	why = look_judge(l, &wish, p->packages, now, &plan, t->r, words,
			 sizeof(words));
	if (why != REASON_NONE)
		failed(t->r, why, words);
	else if (!plan.install && !plan.enrol)
		t->r->end = PUSH_SKIPPED;
	else if (!rights_of(p, l, &rights))
		failed(t->r, REASON_RIGHTS, no_rights(l));
	else if (p->check && rights != SESSION_AS_USER &&
		 !try_rights(t, rights, e))
		return;
	else if (p->check)
		t->r->end = PUSH_READY;
	else
		work(t, &plan, rights, e);
}

void push_run(const struct push *p, const struct push_host *h,
	      struct push_result *ret)
{
	struct talk *t = calloc(1, sizeof(*t));
	struct push_look *l = calloc(1, sizeof(*l));
	int64_t begun = mono_now_ns();
	struct err e = {0};

	memset(ret, 0, sizeof(*ret));
	if (t == NULL || l == NULL) {
		failed(ret, REASON_LOCAL, "no memory");
	} else {
		t->p = p;
		t->h = h;
		t->r = ret;
		if (look(t, l, &e))
			judge(t, l, &e);
	}
	free(l);
	free(t);
	ret->seconds = (double)(mono_now_ns() - begun) / 1e9;
}
