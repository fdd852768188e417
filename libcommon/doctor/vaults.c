/* Several vaults: a step looks at each, and says which one it is. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rate.h"
#include "doctor/steps.h"
#include "pipeline/vault-settings.h"

#define LINES_EACH 4 /* of evidence, of a vault that is not well */

void vault_at(const struct doctor *d, unsigned i, struct doctor *ret)
{
	const struct plan_vault *v = &d->vaults.list[i];
	uint64_t rate;

	*ret = *d;
	if (i >= d->vaults.n)
		return;
	ret->at = i;
	ret->vault = v->url;
	ret->vault_name = v->name;
	if (v->limit_rate != NULL && parse_rate(v->limit_rate, &rate))
		ret->limit_rate = rate;
	vault_settle(&d->settings, v);
}

void vault_first(struct doctor *d)
{
	struct doctor one;

	if (d->vaults.n == 0)
		return;
	vault_at(d, 0, &one);
	*d = one;
}

unsigned vault_count(const struct doctor *d)
{
	return d->vaults.n > 1 ? d->vaults.n : 1;
}

bool vault_failed(const struct doctor *d, const char *step)
{
	const struct finding *f = finding_of(d, step);

	if (f == NULL)
		return false;
	return d->vaults.n > 1 ? (f->vaults_failed & (1u << d->at)) != 0
			       : f->verdict == DOCTOR_FAILED;
}

double vault_rate(const struct doctor *d, const char *step)
{
	const struct finding *f = finding_of(d, step);

	if (f == NULL)
		return 0;
	return d->vaults.n > 1 ? f->vault_rates[d->at] : f->rate;
}

/* ---- each in a process of its own ---- */

/* Of two, which one is told first? */
static int gravity(const struct finding *f)
{
	static const int of[] = {[DOCTOR_SKIPPED] = 0,
				 [DOCTOR_PASSED] = 1,
				 [DOCTOR_WARNED] = 2,
				 [DOCTOR_FAILED] = 3};

	return of[f->verdict] * 16 + (int)f->weight;
}

static void take_over(const struct doctor *d, unsigned i,
		      const struct finding *one, struct finding *f)
{
	unsigned k;

	f->vault_rates[i] = one->rate;
	if (one->verdict == DOCTOR_FAILED)
		f->vaults_failed |= 1u << i;
	find_shows(f, "%s: %.200s", d->vaults.list[i].name, one->what);
	for (k = 0; gravity(one) > 16 && k < one->n && k < LINES_EACH; k++)
		find_shows(f, "%s: %.200s", d->vaults.list[i].name,
			   one->evidence[k]);
}

/* The worst first, as there is not room for all that each has to show. */
static void tell_all(const struct doctor *d, const struct finding *each,
		     struct finding *f)
{
	unsigned i, n = d->vaults.n, worst = 0;
	int level;

	for (i = 1; i < n; i++)
		if (gravity(&each[i]) > gravity(&each[worst]))
			worst = i;
	for (level = 4 * 16; level >= 0; level--)
		for (i = 0; i < n; i++)
			if (gravity(&each[i]) == level)
				take_over(d, i, &each[i], f);
	f->verdict = each[worst].verdict;
	f->weight = each[worst].weight;
	if (f->verdict == DOCTOR_PASSED)
		snprintf(f->what, sizeof(f->what), "%u vaults, each is well",
			 n);
	else
		snprintf(f->what, sizeof(f->what), "%s: %.200s",
			 d->vaults.list[worst].name, each[worst].what);
	memcpy(f->next, each[worst].next, sizeof(f->next));
}

static pid_t begin(const struct doctor *d, unsigned i, vault_look_fn *look,
		   struct finding *one)
{
	struct doctor at;
	pid_t pid;

	/* Until the step has said something. */
	find_skipped(one, "not done");
	pid = fork();
	if (pid != 0)
		return pid;
	vault_at(d, i, &at);
	look(&at, one);
	_exit(0);
}

/* While they run `whom` says whose answer is still to come. */
static void await(const struct doctor *d, pid_t *pids, struct finding *f)
{
	unsigned i, left, n = d->vaults.n;
	size_t len;
	pid_t got;

	do {
		left = 0;
		len = 0;
		for (i = 0; i < n; i++) {
			if (pids[i] <= 0)
				continue;
			left++;
			if (len < sizeof(f->whom))
				len += (size_t)snprintf(
				    f->whom + len, sizeof(f->whom) - len,
				    "%s%s", len > 0 ? ", " : "",
				    d->vaults.list[i].name);
		}
		got = left > 0 ? waitpid(-1, NULL, 0) : -1;
		for (i = 0; i < n; i++)
			if (pids[i] == got)
				pids[i] = 0;
	} while (got > 0 || (left > 0 && errno == EINTR));
}

void vault_each(const struct doctor *d, struct finding *f, vault_look_fn *look)
{
	pid_t pids[VAULTS_MAX] = {0};
	unsigned i, n = d->vaults.n;
	struct finding *each;

	if (n <= 1) {
		look(d, f);
		return;
	}
	each = mmap(NULL, n * sizeof(*each), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (each == MAP_FAILED) {
		find_skipped(f, "no memory");
		return;
	}
	for (i = 0; i < n; i++)
		pids[i] = begin(d, i, look, &each[i]);
	await(d, pids, f);
	tell_all(d, each, f);
	munmap(each, n * sizeof(*each));
}
