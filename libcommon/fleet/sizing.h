/*
 * What measured churn needs: bandwidth, cache, servers, room in a vault; and
 * which machine breaks which published limit. Bytes are bytes, rates are bytes
 * a second, unless a name says bits.
 */
#ifndef PS_FLEET_SIZING_H
#define PS_FLEET_SIZING_H

#include "fleet/churn.h"
#include "fleet/sizes.h"

struct sizing_opts {
	double percentile; /* of minutes: 95 */
	double growth;	   /* 0.3: 30 % more than was measured */
	double ratio;	   /* stored by changed bytes: 1 when nothing shrinks */
	double rpo;	   /* seconds: 900 */
	double bandwidth;  /* bits a second; 0: what is needed is asked */
	double retention;  /* seconds */
	double outage;	   /* seconds that the cache has to bridge */
	double initial;	   /* seconds for the initial replication */
	double headroom;   /* of a server's churn limit */
};

/*
 * Published limits of the disks that a machine is recovered to (Azure Site
 * Recovery, "deployment planner report", replication limits): by the average
 * size of a write. With 1 MB = 2 ** 20 bytes, as "2 MB/s = 168 GB a day" says.
 */
enum disk_class {
	DISK_STANDARD,
	DISK_P10,  /* P10, P15 */
	DISK_P20,  /* P20 to P50 */
	DISK_NONE, /* writes more than any takes */
};

struct disk_sizing {
	double rate, writes; /* at the percentile, with growth */
	double write_size;   /* mean, bytes */
	double limit;	     /* of the class; of the largest for DISK_NONE */
	enum disk_class class;
};

#define WHY_SIZE 160
struct machine_sizing {
	double rate, peak; /* at the percentile, highest; with growth */
	double writes;	   /* a second, at the percentile, with growth */
	double day;	   /* most bytes in 24 hours in a row, with growth */
	uint64_t size;	   /* of its disks as far as known */
	struct disk_sizing *disks;
	char why[WHY_SIZE]; /* the limit that it breaks; empty: fits */
};

struct sizing {
	struct machine_sizing *machines;
	size_t fit;		      /* machines that break no limit */
	double seconds;		      /* measured */
	double mean, rate, peak, day; /* of all, with growth */
	uint64_t size;
	/* Bits a second so that the RPO holds all the time, 90 % of it. */
	double need_all, need_90;
	/* Seconds of RPO with opts.bandwidth: all the time, 95, 90 %; < 0:
	 * what is pending grows without end. */
	double rpo_all, rpo_95, rpo_90;
	double initial_bits;	/* bits a second for opts.initial */
	double initial_seconds; /* with opts.bandwidth; < 0: never */
	double cache;		/* bytes of disk for opts.outage */
	double vault;		/* bytes for opts.retention */
	double retention;	/* bytes of a retention volume */
	unsigned servers[SIZES];
	unsigned accounts;	  /* storage accounts, by requests */
	unsigned retention_disks; /* of a retention volume, by requests */
};

/* After churn_total(). -PS_DATA when there are no samples. */
int sizing_make(struct sizing *ret, const struct churn *c,
		const struct sizing_opts *o, struct err *e);
void sizing_free(struct sizing *s, const struct churn *c);

const char *disk_class_name(enum disk_class c);

#endif
