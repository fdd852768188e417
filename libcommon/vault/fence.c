#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/units.h"
#include "vault/fence.h"

/*
 * Retention removes merged objects no sooner than an hour after the merge
 * (ps-vault(5)). A writer whose last look is older than LOOK looks again
 * before it creates, one that needed longer than SETTLE looks again behind.
 */
#define LOOK_NS (30 * NS_PER_S)
#define SETTLE_NS (600 * NS_PER_S)
/* How often to begin anew because retention took an object away. */
#define TRIES 5

static int64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int fence_look(struct fence *f, struct err *e)
{
	int64_t now = clock_now();
	int rc =
	    vault_head(f->vault, f->machine, f->disk, &f->seq, f->digest, e);

	if (rc == 0)
		f->looked = now;
	return rc;
}

enum fence_verdict fence_judge(uint64_t head, const uint8_t *head_digest,
			       uint64_t seq, const uint8_t *prev)
{
	if (seq <= head)
		return FENCE_BEHIND;
	if (seq - 1 != head)
		return FENCE_GAP;
	return memcmp(prev, head_digest, SHA256_LEN) == 0 ? FENCE_NEXT
							  : FENCE_FORK;
}

void fence_reason(enum fence_verdict verdict, uint64_t head, uint64_t seq,
		  char out[ACK_REASON_SIZE])
{
	if (verdict == FENCE_GAP)
		snprintf(out, ACK_REASON_SIZE,
			 "gap: the vault has this disk up to %llu, not up to "
			 "%llu",
			 (unsigned long long)head,
			 (unsigned long long)(seq - 1));
	else
		snprintf(out, ACK_REASON_SIZE,
			 "fork: the vault's segment %llu is not the one that "
			 "this continues",
			 (unsigned long long)head);
}

static int refuse(struct ack *ret, const char *reason)
{
	ret->level = ACK_REFUSED;
	snprintf(ret->reason, sizeof(ret->reason), "%s", reason);
	return 0;
}

/*
 * The digest that the object `c` holds for `seq`. -PS_NO: none; -PS_NOINPUT:
 * the object is not there (any more).
 */
static int digest_in(struct fence *f, const struct vault_cover *c, uint64_t seq,
		     uint8_t digest[SHA256_LEN], struct err *e)
{
	struct vault_object *o;
	int rc =
	    vault_object_open(f->vault, f->machine, f->disk, c, NULL, &o, e);

	if (rc < 0)
		return rc;
	rc = vault_digest_of(&o->seg.header, &o->seg.trailer, seq, digest);
	vault_object_close(o);
	return rc;
}

/* The object that answers for `seq`, by the exact name or a wider one. */
static int find_cover(struct fence *f, uint64_t seq, struct vault_cover *ret,
		      struct err *e)
{
	struct store *s = f->vault->store;
	struct vault_covers all;
	char name[VAULT_NAME_SIZE];
	size_t i;
	int rc;

	*ret = (struct vault_cover){.first = seq, .seq = seq};
	vault_name(f->machine, f->disk, ret, name);
	rc = s->ops->size(s, name, &ret->size, e);
	if (rc != -PS_NOINPUT)
		return rc;
	rc = vault_covers(f->vault, f->machine, f->disk, &all, e);
	if (rc < 0)
		return rc;
	rc = -PS_NO;
	for (i = 0; rc != 0 && i < all.n; i++) {
		if (all.items[i].first <= seq && seq <= all.items[i].seq) {
			*ret = all.items[i];
			rc = 0;
		}
	}
	vault_covers_free(&all);
	return rc;
}

static int check_once(struct fence *f, const struct fence_claim *claim,
		      struct ack *ret, struct err *e)
{
	struct store *s = f->vault->store;
	struct vault_cover c;
	uint8_t digest[SHA256_LEN];
	char name[VAULT_NAME_SIZE];
	int rc = find_cover(f, claim->seq, &c, e);

	if (rc == 0)
		rc = digest_in(f, &c, claim->seq, digest, e);
	if (rc == -PS_NO)
		return refuse(ret, "the vault no longer keeps what it had "
				   "under this number");
	if (rc == -PS_DATA || rc == -PS_PROTOCOL)
		return refuse(ret, "the vault's object with this number "
				   "cannot be read: see ps-vault verify");
	if (rc < 0)
		return rc;
	if (memcmp(digest, claim->digest, SHA256_LEN) != 0)
		return refuse(ret, "another segment is stored under this "
				   "number");
	vault_name(f->machine, f->disk, &c, name);
	rc = s->ops->confirm(s, name, e);
	if (rc == 0)
		ret->level = ACK_STORED;
	return rc;
}

int fence_check(struct fence *f, const struct fence_claim *claim,
		struct ack *ret, struct err *e)
{
	int i, rc = -PS_NOINPUT;

	for (i = 0; i < TRIES && rc == -PS_NOINPUT; i++)
		rc = check_once(f, claim, ret, e);
	return rc;
}

/* ---- creating ---- */

/* One other object against ours: 1: agrees, 0: says nothing, -1: differs. */
static int compare(struct fence *f, const struct fence_claim *claim,
		   const struct vault_cover *c, int *ret, struct err *e)
{
	struct vault_object *o;
	uint8_t digest[SHA256_LEN];
	int rc =
	    vault_object_open(f->vault, f->machine, f->disk, c, NULL, &o, e);

	if (rc < 0)
		return rc;
	if (c->first == claim->seq + 1)
		memcpy(digest, o->seg.header.prev, SHA256_LEN);
	else
		rc = vault_digest_of(&o->seg.header, &o->seg.trailer,
				     claim->seq, digest);
	vault_object_close(o);
	if (rc < 0)
		*ret = 0;
	else
		*ret = memcmp(digest, claim->digest, SHA256_LEN) == 0 ? 1 : -1;
	return 0;
}

/* The first of the others that says anything; *ret_others: there are some. */
static int ask_others(struct fence *f, const struct fence_claim *claim,
		      int *ret, bool *ret_others, struct err *e)
{
	struct vault_covers all = {0};
	size_t i;
	int rc = vault_covers(f->vault, f->machine, f->disk, &all, e);

	*ret = 0;
	*ret_others = false;
	for (i = 0; rc == 0 && *ret == 0 && i < all.n; i++) {
		const struct vault_cover *c = &all.items[i];

		if (c->seq < claim->seq ||
		    (c->seq == claim->seq && c->first == claim->seq))
			continue;
		*ret_others = true;
		if (c->first <= claim->seq + 1)
			rc = compare(f, claim, c, ret, e);
	}
	vault_covers_free(&all);
	return rc;
}

int fence_settle(struct fence *f, const struct fence_claim *claim,
		 bool *ret_ours, struct err *e)
{
	struct store *s = f->vault->store;
	struct vault_cover own = {.first = claim->seq, .seq = claim->seq};
	char name[VAULT_NAME_SIZE];
	bool others = false;
	int verdict = 0, i, rc = -PS_NOINPUT;

	for (i = 0; i < TRIES && rc == -PS_NOINPUT; i++)
		rc = ask_others(f, claim, &verdict, &others, e);
	if (rc < 0)
		return rc;
	*ret_ours = verdict > 0 || !others;
	if (*ret_ours)
		return 0;
	vault_name(f->machine, f->disk, &own, name);
	return s->ops->remove(s, name, e);
}

/* The name was taken, or the last look says that it is not ours to take. */
static int judge_again(struct fence *f, const struct fence_claim *claim,
		       struct ack *ret, struct err *e)
{
	char reason[ACK_REASON_SIZE];
	enum fence_verdict verdict =
	    fence_judge(f->seq, f->digest, claim->seq, claim->prev);

	if (verdict == FENCE_BEHIND)
		return fence_check(f, claim, ret, e);
	if (verdict == FENCE_NEXT)
		return err_set(e, PS_TEMPFAIL,
			       "%s/%s: segment %llu is neither there nor can "
			       "it be created",
			       f->machine, f->disk,
			       (unsigned long long)claim->seq);
	fence_reason(verdict, f->seq, claim->seq, reason);
	return refuse(ret, reason);
}

static int look_or_refuse(struct fence *f, struct ack *ret, bool *ret_refused,
			  struct err *e)
{
	int rc = fence_look(f, e);

	*ret_refused = rc == -PS_DATA || rc == -PS_PROTOCOL;
	if (!*ret_refused)
		return rc;
	return refuse(ret, "the vault's last object of this disk cannot be "
			   "read: see ps-vault verify");
}

/* The create has happened: our knowledge moves on. */
static int created(struct fence *f, const struct fence_claim *claim,
		   struct ack *ret, struct err *e)
{
	bool ours = true;
	int rc = 0;

	if (clock_now() - f->looked > SETTLE_NS)
		rc = fence_settle(f, claim, &ours, e);
	if (rc < 0)
		return rc;
	if (!ours)
		return refuse(ret, "others went on from another segment with "
				   "this number");
	f->seq = claim->seq;
	memcpy(f->digest, claim->digest, SHA256_LEN);
	ret->level = ACK_STORED;
	return 0;
}

int fence_commit(struct fence *f, const struct fence_claim *claim,
		 struct store_put *put, struct ack *ret, struct err *e)
{
	const struct store_ops *ops = f->vault->store->ops;
	bool refused = false;
	int rc = 0;

	if (clock_now() - f->looked > LOOK_NS)
		rc = look_or_refuse(f, ret, &refused, e);
	if (rc < 0 || refused ||
	    fence_judge(f->seq, f->digest, claim->seq, claim->prev) !=
		FENCE_NEXT) {
		ops->put_abort(put);
		if (rc < 0 || refused)
			return rc;
		return judge_again(f, claim, ret, e);
	}
	rc = ops->put_commit(put, e);
	if (rc == 0)
		return created(f, claim, ret, e);
	if (rc != -PS_NO)
		return rc;
	rc = look_or_refuse(f, ret, &refused, e);
	return rc < 0 || refused ? rc : judge_again(f, claim, ret, e);
}
