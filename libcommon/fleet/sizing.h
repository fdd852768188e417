/*
 * What measured churn needs: bandwidth, cache, servers, room in a vault; and
 * which machine breaks which published limit. Bytes are bytes, rates are bytes
 * a second, unless a name says bits.
 */
#ifndef PS_FLEET_SIZING_H
#define PS_FLEET_SIZING_H

#include "fleet/churn.h"
#include "fleet/tables.h"

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
	const struct tables *tables;
};

struct disk_sizing {
	double rate, writes; /* at the percentile, with growth */
	double day;	     /* most bytes in 24 hours in a row, with growth */
	double write_size;   /* mean, bytes */
	/* The smallest class that takes it, NULL: writes more than any; and
	 * the limits that it was held against (of the largest, for NULL). */
	const char *class;
	struct disk_limit limit;
};

#define WHY_SIZE 160
struct machine_sizing {
	double rate, peak; /* at the percentile, highest; with growth */
	double writes;	   /* a second, at the percentile, with growth */
	double day;	   /* most bytes in 24 hours in a row, with growth */
	uint64_t size;	   /* of its disks as far as known */
	size_t unsized;	   /* disks whose size is not known */
	struct disk_sizing *disks;
	char why[WHY_SIZE]; /* the limit that it breaks; empty: fits */
};

struct sizing {
	struct machine_sizing *machines;
	size_t fit;		      /* machines that break no limit */
	double seconds;		      /* measured */
	double mean, rate, peak, day; /* of all, with growth */
	double writes; /* a second of all, at the percentile, with growth */
	uint64_t size;
	size_t unsized; /* disks whose size is not known */
	size_t guessed; /* machines with writes that nobody counted */
	size_t overlap; /* disks with rows that overlap */
	/* Bits a second so that the RPO holds all the time, 90 % of it. */
	double need_all, need_90;
	/* Seconds of RPO with opts.bandwidth: all the time, 95, 90 %; < 0:
	 * what is pending grows without end. */
	double rpo_all, rpo_95, rpo_90;
	double initial_bits;	 /* bits a second for opts.initial */
	double initial_seconds;	 /* with opts.bandwidth; < 0: never */
	double cache;		 /* bytes of disk for opts.outage */
	double vault;		 /* bytes for opts.retention */
	double retention;	 /* bytes of a retention volume */
	unsigned servers[SIZES]; /* all 0: none is large enough, or too many */
	/* A configuration server that is the process server, too: its place in
	 * tables->config, -1: none is enough; else so many that only configure.
	 */
	int config;
	unsigned configs;
	unsigned accounts;	  /* storage accounts, by requests */
	unsigned retention_disks; /* of a retention volume */
	unsigned by[CHURN_BYS];	  /* machines that were measured so */
};

/* After churn_total(). -PS_DATA when there are no samples. */
int sizing_make(struct sizing *ret, const struct churn *c,
		const struct sizing_opts *o, struct err *e);
/*
 * The RPO in seconds, minute by minute, on a line of `bits` a second; to be
 * freed. -1: out of memory.
 */
int sizing_rpo(struct series *ret, const struct churn *c,
	       const struct sizing_opts *o, double bits);
void sizing_free(struct sizing *s, const struct churn *c);

/* How a machine was measured; false: in several ways. */
bool sizing_by(const struct machine_churn *m, enum churn_by *ret);

#endif
