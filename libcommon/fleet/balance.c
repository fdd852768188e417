#include "config.h"

#include <stdlib.h>

#include "fleet/balance.h"
#include "fleet/bound.h"
#include "fleet/place.h"
#include "fleet/sizes.h"

#define LEVEL_STEP 1.02 /* between two tried levels of load */
#define MANY 10000u	/* machines, where no limit is published */

struct planner {
	const struct fleet *f;
	const struct balance_opts *o;
	struct room *rooms;
	struct item *pool;
	size_t npool;
	size_t *sorted; /* machines by server, then the largest first */
	int *server;	/* the plan */
	double level;	/* the highest load it may have */
};

static bool usable(const struct fleet *f, int server)
{
	return server != NO_SERVER && f->servers[server].state != SERVER_SILENT;
}

static void open_rooms(struct planner *p)
{
	for (size_t i = 0; i < p->f->nservers; i++) {
		const struct server *s = &p->f->servers[i];
		double power = (double)s->churn;

		p->rooms[i] = (struct room){
		    .power = power,
		    .limit = s->state == SERVER_SILENT ? 0 : p->level * power,
		    .most = s->state == SERVER_SILENT ? 0 : s->machines,
		    .open = s->state < SERVER_CRITICAL};
	}
}

static void to_pool(struct planner *p, size_t machine)
{
	const struct machine *m = &p->f->machines[machine];

	p->server[machine] = NO_SERVER;
	p->pool[p->npool++] = (struct item){
	    .machine = machine,
	    .churn = (double)m->churn,
	    .home = usable(p->f, m->server) ? m->server : NO_SERVER,
	    .to = NO_SERVER};
}

static void stay(struct planner *p, size_t machine)
{
	const struct machine *m = &p->f->machines[machine];

	p->server[machine] = m->server;
	if (!usable(p->f, m->server))
		return; /* pinned to a silent server */
	p->rooms[m->server].churn += (double)m->churn;
	p->rooms[m->server].machines++;
}

/* Everybody where he is; those without a server, or all, into the pool. */
static void begin(struct planner *p, bool all)
{
	open_rooms(p);
	p->npool = 0;
	for (size_t i = 0; i < p->f->nmachines; i++) {
		const struct machine *m = &p->f->machines[i];

		if (!m->pinned && (all || !usable(p->f, m->server)))
			to_pool(p, i);
		else
			stay(p, i);
	}
}

static bool over(const struct room *r)
{
	return r->churn > r->limit || r->machines > r->most;
}

/*
 * The machine whose leaving helps most: the smallest that is enough, else the
 * largest; when there are only too many, the smallest. `from` to `to` are the
 * server's machines in p->sorted. SIZE_MAX: none may leave.
 */
static size_t leaver(const struct planner *p, const struct room *r, size_t from,
		     size_t to)
{
	double excess = r->churn - r->limit;
	size_t found = SIZE_MAX;

	for (size_t i = from; i < to; i++) {
		const struct machine *m = &p->f->machines[p->sorted[i]];

		if (m->pinned || p->server[p->sorted[i]] == NO_SERVER)
			continue;
		if (found != SIZE_MAX && (double)m->churn < excess)
			break;
		found = p->sorted[i];
	}
	return found;
}

/* Takes machines away from servers that have too much. */
static bool shed(struct planner *p)
{
	size_t from = 0, to, machine;
	bool all = true;

	for (; from < p->f->nmachines; from = to) {
		int server = p->f->machines[p->sorted[from]].server;
		struct room *r;

		for (to = from; to < p->f->nmachines &&
				p->f->machines[p->sorted[to]].server == server;)
			to++;
		if (!usable(p->f, server))
			continue;
		for (r = &p->rooms[server]; over(r);) {
			machine = leaver(p, r, from, to);
			if (machine == SIZE_MAX) {
				all = false;
				break;
			}
			r->churn -= (double)p->f->machines[machine].churn;
			r->machines--;
			to_pool(p, machine);
		}
	}
	return all;
}

/* Pinned machines alone may be too much. */
static bool any_over(const struct planner *p)
{
	for (size_t i = 0; i < p->f->nservers; i++) {
		if (p->f->servers[i].state != SERVER_SILENT &&
		    over(&p->rooms[i]))
			return true;
	}
	return false;
}

/* Those that could as well have stayed go back. */
static void go_home(struct planner *p)
{
	for (size_t i = 0; i < p->npool; i++) {
		struct item *it = &p->pool[i];
		struct room *home;

		if (it->home == NO_SERVER || it->to == it->home)
			continue;
		home = &p->rooms[it->home];
		if (home->machines >= home->most ||
		    home->churn + it->churn > home->limit)
			continue;
		p->rooms[it->to].churn -= it->churn;
		p->rooms[it->to].machines--;
		home->churn += it->churn;
		home->machines++;
		it->to = it->home;
	}
}

/* One try at a level of load: from how it is, or (all) from nothing. */
static bool attempt(struct planner *p, double level, bool all)
{
	p->level = level;
	begin(p, all);
	if (!shed(p) || any_over(p) ||
	    !place_all(p->rooms, p->f->nservers, p->pool, p->npool))
		return false;
	go_home(p);
	for (size_t i = 0; i < p->npool; i++)
		p->server[p->pool[i].machine] = p->pool[i].to;
	return true;
}

/* ---- the result ---- */

static double highest_load(const struct fleet *f, const int *server)
{
	double *churn = calloc(f->nservers + 1, sizeof(*churn)), most = 0;
	size_t i;

	for (i = 0; churn != NULL && i < f->nmachines; i++) {
		int s = server != NULL ? server[i] : f->machines[i].server;

		if (s != NO_SERVER)
			churn[s] += (double)f->machines[i].churn;
	}
	for (i = 0; churn != NULL && i < f->nservers; i++) {
		if (churn[i] / (double)f->servers[i].churn > most)
			most = churn[i] / (double)f->servers[i].churn;
	}
	free(churn);
	return most;
}

static enum move_reason reason_of(const struct planner *p,
				  const struct room *before,
				  const struct machine *m)
{
	const struct room *r = &before[m->server == NO_SERVER ? 0 : m->server];

	if (m->server == NO_SERVER)
		return MOVE_NEW;
	if (!usable(p->f, m->server))
		return MOVE_SILENT;
	if (r->machines > r->most)
		return MOVE_MACHINES;
	if (r->churn > (1 - p->o->headroom) * r->power)
		return MOVE_CHURN;
	return r->churn > p->level * r->power ? MOVE_EVEN : MOVE_MAKE_ROOM;
}

static void list_moves(struct planner *p, struct balance *b)
{
	begin(p, false); /* how it was: p->rooms; p->server is in b already */
	for (size_t i = 0; i < p->f->nmachines; i++) {
		const struct machine *m = &p->f->machines[i];

		if (b->server[i] == m->server || b->server[i] == NO_SERVER)
			continue;
		b->moves[b->nmoves++] = (struct move){
		    i, m->server, b->server[i], reason_of(p, p->rooms, m)};
	}
}

/* No feasible plan: as many as there is room for, the largest first. */
static void place_some(struct planner *p, struct balance *b)
{
	size_t n;

	p->level = 1 - p->o->headroom;
	begin(p, false);
	b->pinned = !shed(p);
	n = p->npool;
	for (size_t i = 0; i < n; i++) {
		struct item *it = &p->pool[i];

		if (place_all(p->rooms, p->f->nservers, it, 1))
			p->server[it->machine] = it->to;
		else
			b->left++;
	}
}

/*
 * Levels of load from the lowest that can be to what headroom allows. Without
 * any churn the lowest is 0, and the only one.
 */
static bool find_plan(struct planner *p, double bound)
{
	double most = 1 - p->o->headroom, level = bound * (1 + p->o->slack);

	while (level > 0 && level < most) {
		if (attempt(p, level, false) || attempt(p, level, true))
			return true;
		level *= LEVEL_STEP;
	}
	return attempt(p, most, false) || attempt(p, most, true);
}

static int by_server(const void *a, const void *b, void *ctx)
{
	const struct fleet *f = ctx;
	const struct machine *x = &f->machines[*(const size_t *)a];
	const struct machine *y = &f->machines[*(const size_t *)b];

	if (x->server != y->server)
		return x->server < y->server ? -1 : 1;
	if (x->churn != y->churn)
		return x->churn < y->churn ? 1 : -1;
	return x < y ? -1 : x > y;
}

static int planner_begin(struct planner *p, const struct fleet *f,
			 const struct balance_opts *o, struct err *e)
{
	*p = (struct planner){.f = f, .o = o};
	p->rooms = calloc(f->nservers + 1, sizeof(*p->rooms));
	p->pool = calloc(f->nmachines + 1, sizeof(*p->pool));
	p->sorted = calloc(f->nmachines + 1, sizeof(*p->sorted));
	p->server = calloc(f->nmachines + 1, sizeof(*p->server));
	if (p->rooms == NULL || p->pool == NULL || p->sorted == NULL ||
	    p->server == NULL)
		return err_sys(e, PS_TEMPFAIL, "planning");
	for (size_t i = 0; i < f->nmachines; i++)
		p->sorted[i] = i;
	qsort_r(p->sorted, f->nmachines, sizeof(*p->sorted), by_server,
		(void *)(uintptr_t)f);
	return 0;
}

static void planner_end(struct planner *p)
{
	free(p->rooms);
	free(p->pool);
	free(p->sorted);
	free(p->server);
}

int balance_plan(struct balance *ret, const struct fleet *f,
		 const struct balance_opts *o, struct err *e)
{
	struct balance b = {.bound = bound_of(f)};
	struct planner p;
	int rc = planner_begin(&p, f, o, e);

	if (rc == 0) {
		b.server = calloc(f->nmachines + 1, sizeof(*b.server));
		b.moves = calloc(f->nmachines + 1, sizeof(*b.moves));
		if (b.server == NULL || b.moves == NULL || b.bound < 0)
			rc = err_sys(e, PS_TEMPFAIL, "planning");
	}
	if (rc != 0) {
		balance_free(&b);
		planner_end(&p);
		return rc;
	}
	if (!find_plan(&p, b.bound))
		place_some(&p, &b);
	for (size_t i = 0; i < f->nmachines; i++)
		b.server[i] = p.server[i];
	list_moves(&p, &b);
	b.load_before = highest_load(f, NULL);
	b.load_after = highest_load(f, b.server);
	planner_end(&p);
	*ret = b;
	return b.left > 0 || b.pinned ? PS_NO : 0;
}

void balance_free(struct balance *b)
{
	free(b->server);
	free(b->moves);
	*b = (struct balance){0};
}

/* Whether `n` more servers of a size would make a plan possible. -1: error. */
static int helps(const struct fleet *f, const struct balance_opts *o,
		 const struct server_size *s, unsigned n, struct err *e)
{
	struct fleet more = *f;
	struct planner p;
	int rc;

	more.servers = calloc(f->nservers + n, sizeof(*more.servers));
	if (more.servers == NULL)
		return err_sys(e, PS_TEMPFAIL, "planning");
	for (size_t i = 0; i < f->nservers; i++)
		more.servers[i] = f->servers[i];
	for (unsigned i = 0; i < n; i++)
		more.servers[more.nservers++] = (struct server){
		    .churn = s->churn,
		    .machines = s->machines > 0 ? s->machines : MANY};
	rc = planner_begin(&p, &more, o, e);
	if (rc == 0)
		rc = attempt(&p, 1 - o->headroom, false) ||
		     attempt(&p, 1 - o->headroom, true);
	planner_end(&p);
	free(more.servers);
	return rc;
}

int balance_wanted(const struct fleet *f, const struct balance_opts *o,
		   int *size, unsigned *n, struct err *e)
{
	return balance_wanted_of(sizes_process, f, o, size, n, e);
}

int balance_wanted_of(const struct server_size table[SIZES],
		      const struct fleet *f, const struct balance_opts *o,
		      int *size, unsigned *n, struct err *e)
{
	int rc;

	*n = 1;
	for (*size = 0; *size < SIZES; (*size)++) {
		rc = helps(f, o, &table[*size], 1, e);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	*size = SIZES - 1;
	for (*n = 2; *n <= BALANCE_MORE_MAX; (*n)++) {
		rc = helps(f, o, &table[*size], *n, e);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	*n = 0;
	return 0;
}

const char *move_reason_name(enum move_reason r)
{
	static const char *const names[] = {"new",   "silent", "machines",
					    "churn", "even",   "make-room"};

	return names[r];
}
