#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "pipeline/verdict.h"

/* A signal that tells of a fault of the program, not of somebody's wish. */
static bool crashed(int sig)
{
	return sig == SIGSEGV || sig == SIGABRT || sig == SIGBUS ||
	       sig == SIGFPE || sig == SIGILL || sig == SIGSYS;
}

static int code_of(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return crashed(WTERMSIG(status)) ? PS_SOFTWARE : PS_TEMPFAIL;
}

static enum verdict_kind kind_of(int code)
{
	switch (code) {
	case PS_OK:
		return VERDICT_DONE;
	case PS_UNAVAILABLE:
	case PS_TEMPFAIL:
		return VERDICT_AGAIN;
	case PS_USAGE:
	case PS_STORAGE:
	case PS_NOPERM:
	case PS_CONFIG:
	case 126: /* a program that is not there does not come by waiting */
	case 127:
		return VERDICT_STOP;
	default:
		return VERDICT_FEW;
	}
}

/*
 * A stage that complains about cut input after the one before it died only
 * tells what we know already; so does one that we asked to end.
 */
static bool explained(const struct chain *c, unsigned i)
{
	const struct chain_stage *s = &c->stages[i];
	const struct chain_stage *before = i > 0 ? s - 1 : NULL;

	/*
	 * It may have failed by itself just before it was told: its reader can
	 * miss its input before the end of it is known, the more so as closing
	 * a disk that cannot be read takes a while. Nobody who was told to end
	 * says that the answer is no, or what cannot be read; and nobody has
	 * cut the input of the first one.
	 */
	if (s->told)
		return kind_of(code_of(s->status)) != VERDICT_STOP &&
		       code_of(s->status) != PS_NO &&
		       code_of(s->status) != PS_NOINPUT &&
		       code_of(s->status) != PS_IOERR &&
		       (code_of(s->status) != PS_DATA || before != NULL);
	return code_of(s->status) == PS_DATA && before != NULL &&
	       (before->told || code_of(before->status) != PS_OK);
}

/* `ps-cache ack` says by 1 that it did its work and holds a disk. */
static bool says_held(const struct chain *c, unsigned i)
{
	return i + 1 == c->n && WIFEXITED(c->stages[i].status) &&
	       WEXITSTATUS(c->stages[i].status) == PS_NO;
}

/*
 * Among causes the graver one; among equals that which names a reason or was
 * killed: 75 is also what a stage says whose reader went away.
 */
static bool graver(const struct verdict *v, const struct verdict *than)
{
	if (v->kind != than->kind)
		return v->kind > than->kind;
	if (than->code != PS_TEMPFAIL || WIFSIGNALED(than->status))
		return false;
	return v->code != PS_TEMPFAIL || WIFSIGNALED(v->status);
}

void verdict_of(const struct chain *c, struct verdict *ret)
{
	struct verdict worst = {.kind = VERDICT_DONE};
	bool any = false, cut = false;
	unsigned i, cut_at = 0;

	for (i = 0; i < c->n; i++) {
		const struct chain_stage *s = &c->stages[i];
		int code = code_of(s->status);
		struct verdict v = {kind_of(code), code, i, s->status};

		if (code == PS_OK)
			continue;
		if (says_held(c, i)) {
			v.kind = VERDICT_HELD;
		} else if (explained(c, i)) {
			if (!s->told && !cut) {
				cut = true;
				cut_at = i;
			}
			continue;
		}
		if (!any || graver(&v, &worst)) {
			worst = v;
			any = true;
		}
	}
	/*
	 * Nobody but stages with cut input: the first of them was the cause,
	 * and those before it were told to end because of it.
	 */
	if (!any && cut)
		worst = (struct verdict){VERDICT_FEW, PS_DATA, cut_at,
					 c->stages[cut_at].status};
	*ret = worst;
}

static const char *meaning(int code)
{
	switch (code) {
	case PS_USAGE:
		return "called wrongly";
	case PS_DATA:
		return "damaged input";
	case PS_NOINPUT:
		return "an input does not exist";
	case PS_UNAVAILABLE:
		return "a peer cannot be reached";
	case PS_SOFTWARE:
		return "a fault of the program";
	case PS_STORAGE:
		return "stable storage did not confirm a write";
	case PS_IOERR:
		return "input/output error";
	case PS_TEMPFAIL:
		return "temporary failure";
	case PS_PROTOCOL:
		return "protocol error";
	case PS_NOPERM:
		return "not permitted";
	case PS_CONFIG:
		return "configuration";
	case 126:
	case 127:
		return "cannot be run";
	default:
		return "unexpected";
	}
}

void verdict_words(const struct chain *c, const struct verdict *v, char *out,
		   size_t size)
{
	const char *name = c->stages[v->stage].name;

	if (WIFSIGNALED(v->status))
		snprintf(out, size, "%s was ended by signal %d (%s)", name,
			 WTERMSIG(v->status), strsignal(WTERMSIG(v->status)));
	else if (v->kind == VERDICT_DONE)
		snprintf(out, size, "the chain ended by itself");
	else
		snprintf(out, size, "%s ended with %d (%s)", name, v->code,
			 meaning(v->code));
}
