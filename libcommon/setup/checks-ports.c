/* The ports that are to be ours: does anybody else have them? */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "base/conf.h"
#include "doctor/command.h"
#include "setup/checks.h"
#include "setup/install.h"
#include "setup/place.h"
#include "setup/site.h"

#define STATUS_S 20
#define STATUS_SIZE (1u << 16)

/* ---- what runs here ---- */

/* What ps-service says of them; NULL: there is none that could. */
static json_t *services_here(const struct choices *c)
{
	const char *const argv[] = {
	    "ps-service", "status", "--json", c->root != NULL ? "--root" : NULL,
	    c->root,	  NULL};
	struct command run = {
	    .argv = argv, .seconds = STATUS_S, .max = STATUS_SIZE};
	struct err e = {0};
	json_t *list;
	char *text;
	int status;

	if (!setup_has_command("ps-service", "start") ||
	    command_run(&run, &text, &status, &e) < 0)
		return NULL;
	list = json_loads(text, 0, NULL);
	free(text);
	return list;
}

static bool runs(json_t *services, const char *name)
{
	json_t *one;
	size_t i;

	json_array_foreach(services, i, one)
	{
		const char *its =
		    json_string_value(json_object_get(one, "name"));

		if (its != NULL && strcmp(its, name) == 0)
			return json_is_integer(json_object_get(one, "pid"));
	}
	return false;
}

/* Is it the port that ps.yaml gives to a service that runs? */
static bool has_port(json_t *services, const struct conf *conf,
		     const char *service, const char *key, uint64_t port)
{
	const char *listen = conf_get(conf, key);
	struct site_address at;

	if (listen == NULL || !runs(services, service))
		return false;
	site_split(listen, &at);
	return strtoull(at.port, NULL, 10) == port;
}

enum holder { NOT_KNOWN, OURS, ANOTHER };

/* Who has a port that is in use. */
static enum holder holder_of(const struct choices *c, uint64_t port)
{
	char yaml[PLACE_SIZE + 16];
	struct conf *conf = NULL;
	struct err e = {0};
	json_t *services;
	enum holder who;

	if (!place_installed(c))
		return ANOTHER;
	place_etc(c, yaml);
	snprintf(yaml + strlen(yaml), 16, "/ps.yaml");
	services = services_here(c);
	if (services == NULL || conf_read(&conf, yaml, &e) < 0)
		who = NOT_KNOWN;
	else if (has_port(services, conf, "receive", "receive.listen", port) ||
		 has_port(services, conf, CONFIG_SERVICE, "config.listen",
			  port))
		who = OURS;
	else
		who = ANOTHER;
	conf_free(conf);
	json_decref(services);
	return who;
}

/* ---- trying ---- */

/* 0, or errno. */
static int try_port(const char *address, uint64_t port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port)};
	int fd, one = 1, sys = 0;

	if (inet_pton(AF_INET, address, &at.sin_addr) != 1)
		return EINVAL;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 ||
	    listen(fd, 1) < 0)
		sys = errno;
	close(fd);
	return sys;
}

static void say_in_use(const struct choices *c, uint64_t port, bool known,
		       struct finding *f)
{
	if (!known) {
		find_warned(f,
			    "port %u of %s is in use, perhaps by what is "
			    "installed here: there is no ps-service to ask",
			    (unsigned)port, c->address);
		find_next(f, "ss -ltnp 'sport = :%u' names the program",
			  (unsigned)port);
		return;
	}
	find_failed(f, DOCTOR_CAUSE, "port %u of %s is in use", (unsigned)port,
		    c->address);
	find_next(f,
		  "ss -ltnp 'sport = :%u' names the program; end it, or "
		  "choose another %s",
		  (unsigned)port,
		  port == c->port ? "/DataTransferSecurePort" : "--cs-port");
}

/* False: it was told why it is not to be had. *ours: a service of this
 * installation has it. */
static bool one_port(const struct choices *c, uint64_t port, bool *ours,
		     struct finding *f)
{
	int sys = try_port(c->address, port);
	enum holder who;

	*ours = false;
	if (sys == 0)
		return true;
	if (sys == EADDRINUSE) {
		who = holder_of(c, port);
		*ours = who == OURS;
		if (!*ours)
			say_in_use(c, port, who == ANOTHER, f);
		return *ours;
	}
	if (sys == EADDRNOTAVAIL) {
		find_skipped(f, "%s is not here", c->address);
		return false;
	}
	find_failed(f, DOCTOR_CAUSE, "port %u of %s: %s", (unsigned)port,
		    c->address, strerror(sys));
	find_next(f, "ports below 1024 need root");
	return false;
}

void check_ports(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	bool ours, its = false;

	if (c->address[0] == '\0') {
		find_skipped(f, "the address is not known");
		return;
	}
	if (!one_port(c, c->port, &ours, f) ||
	    (c->cs && !one_port(c, c->cs_port, &its, f)))
		return;
	if (c->cs)
		find_passed(f, "%u and %u of %s are %s", (unsigned)c->port,
			    (unsigned)c->cs_port, c->address,
			    ours && its	  ? "those of what runs here"
			    : ours || its ? "free, or that of what runs here"
					  : "free");
	else
		find_passed(f, "%u of %s is %s", (unsigned)c->port, c->address,
			    ours ? "that of what runs here" : "free");
}
