/*
 * agent.yaml (ps-agent(8)): what is protected, where it is sent, how often.
 */
#ifndef PS_AGENT_CONF_H
#define PS_AGENT_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/conf.h"
#include "base/name.h"

#define AGENT_DISKS 64
#define AGENT_OPTIONS 16

struct agent_option {
	const char *key;   /* as in the file: "snapshot-size" */
	const char *value; /* borrowed from the file */
};

struct agent_disk_conf {
	const char *name, *source;
	const char *provider; /* "none": the source itself is read */
	struct agent_option options[AGENT_OPTIONS];
	unsigned noptions;
};

struct agent_conf {
	struct conf *file; /* owns the texts */
	const char *machine;
	/* host: NULL when the configuration server is asked; ca: when not
	 * given */
	const char *host, *key_file, *ca;
	uint64_t port, timeout_s;
	/* The configuration server; NULL: none. Its key: NULL: key_file. */
	const char *config_host, *config_key, *config_ca, *config_pin;
	uint64_t config_port, config_interval_s;
	const char *state;
	const char *seal_key; /* NULL: the source does not seal */
	uint64_t interval_s;
	uint64_t app_s;		/* 0: as where_app_s() has it */
	const char *pre, *post; /* NULL: none */
	uint64_t hook_timeout_s;
	uint64_t provider_timeout_s;
	uint64_t max_wait_s; /* longest wait before another try */
	uint64_t stop_s;     /* for passes to finish when asked to end */
	uint64_t passes;     /* at one time */
	int nice;
	int ionice;	      /* value for ioprio_set(2); -1: as it is */
	uint64_t cpu_percent; /* of one processor; 0: no limit */
	const char *read_rate, *send_rate; /* NULL: no limit */
	const char *scrub;		   /* "1/30" or NULL */
	struct agent_disk_conf disks[AGENT_DISKS];
	unsigned ndisks;
};

/* -PS_CONFIG with file and line for what is wrong. */
int agent_conf_read(struct agent_conf **ret, const char *path, struct err *e);

/* Takes one thing that is wrong; it may change the words. */
typedef void agent_told(struct err *e);

/*
 * The same, but goes on behind what is wrong and tells each. `e` is the first
 * of them, and what could be read is there all the same, to be looked at; NULL
 * when the file is no YAML.
 */
int agent_conf_read_all(struct agent_conf **ret, const char *path,
			agent_told *told, struct err *e);
void agent_conf_free(struct agent_conf *c);

#endif
