/* Private to ps-upload: its limit, by option, schedule and ps.yaml. */
#ifndef PS_TOOLS_UPLOAD_RATES_H
#define PS_TOOLS_UPLOAD_RATES_H

#include "base/opt.h"
#include "base/pace.h"
#include "base/rate.h"
#include "vault/store.h"
#include "vault/upload-report.h"

struct upload_rates {
	/* Of the options; for those of ps.yaml the file is read again. */
	uint64_t limit;
	const char *schedule;
	const char *name; /* of an entry of `vaults` */

	const struct opt *opts;
	bool follow;	  /* they may change */
	struct pace pace; /* pace.now: what counts at the beginning */
	struct rate rate; /* what counts now */
	pthread_mutex_t lock;
	struct upload_report *report; /* is told, too; NULL: none */
	struct store *store; /* one that keeps the limit by itself; NULL */
};

/* Reads them for the first time. -PS_CONFIG, -PS_USAGE. */
int rates_begin(struct upload_rates *r, const struct opt *opts, struct err *e);
/* Follows clock and SIGHUP from now on. Before a store is opened. */
int rates_follow(struct upload_rates *r, struct err *e);
/* A store that has to be told. */
void rates_store(struct upload_rates *r, struct store *store);
void rates_end(struct upload_rates *r);

#endif
