/*
 * The vaults of a process server: from ps.yaml,
 *
 *	vaults:
 *	  - name: near
 *	    url: file:///srv/vault
 *	  - name: far
 *	    url: azblob://account/container
 *	    credentials: /etc/ps-toolkit/far
 *	    limit-rate: 20Mbit
 *
 * or as NAME=URL from the command line. Each is a follower of the cache by
 * its name; one without a name is the follower "default".
 */
#ifndef PS_PIPELINE_VAULTS_H
#define PS_PIPELINE_VAULTS_H

#include "base/conf.h"
#include "base/name.h"
#include "pipeline/plan.h"

#define VAULTS_MAX 16 /* as many followers as a cache has */

struct vaults {
	struct plan_vault list[VAULTS_MAX];
	char names[VAULTS_MAX][NAME_SIZE];
	unsigned n;
};

/*
 * Those of a configuration (NULL: none); its texts are borrowed. -PS_CONFIG
 * with the line: a key that is unknown or missing, a name or a rate that is
 * none, a name twice.
 */
int vaults_from_conf(struct vaults *ret, const struct conf *c, struct err *e);

/*
 * One more: NAME=URL, or URL without a name. What stands before the first
 * '=' is a name when it could be one: a folder a=b is written ./a=b.
 * -PS_USAGE: no URL, a name twice, too many.
 */
int vaults_add(struct vaults *v, const char *text, struct err *e);

/* "vaults.2" of the entry with this name: 1, 0 when there is none. */
bool vaults_key(const struct conf *c, const char *name, char *out, size_t size);

/* Do two configurations differ, and if so, in nothing but rates? */
enum vaults_change { VAULTS_SAME, VAULTS_RATES, VAULTS_OTHER };
enum vaults_change vaults_compare(const struct conf *a, const struct conf *b);

#endif
