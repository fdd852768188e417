#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/units.h"
#include "ps-service.h"
#include "service/state.h"

/* What a service reads at its start alone. */
static const struct {
	const char *service;
	const char *keys[4];
} reads[] = {
    {"receive", {"receive.cert", "receive.key", "receive.passphrase", NULL}},
    {"config", {"config.cert", "config.key", NULL}},
};

/* When the newest of these files was written; 0: there is none. */
static int64_t newest(const struct conf *c, const char *const *keys)
{
	int64_t last = 0;

	for (; *keys != NULL; keys++) {
		const char *path = conf_get(c, *keys);
		struct stat st;
		int64_t ns;

		if (path == NULL || stat(path, &st) < 0)
			continue;
		ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
		if (ns > last)
			last = ns;
	}
	return last;
}

void service_renewed(const struct place *p, const struct conf *conf,
		     const struct units *all, struct chosen *ret)
{
	unsigned i;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		const struct unit *u = units_find(all, reads[i].service);
		int64_t began =
		    p != NULL ? service_since(p, u) : systemd_since(u);

		/* A start in the very second may have read the old ones. */
		if (began != 0 && newest(conf, reads[i].keys) >= began)
			ret->list[ret->n++] = u;
	}
}
