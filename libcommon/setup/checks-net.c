/* The way to others: addresses, store. */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "setup/checks.h"
#include "setup/preflight.h"

/* ---- PSIP ---- */

/* The interface that has an address; false: none. */
static bool interface_of(const char *address, char name[IF_NAMESIZE])
{
	struct ifaddrs *list, *a;
	char text[INET_ADDRSTRLEN];
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (a = list; a != NULL && !found; a = a->ifa_next) {
		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET,
			  &((const struct sockaddr_in *)a->ifa_addr)->sin_addr,
			  text, sizeof(text));
		found = strcmp(text, address) == 0;
		if (found)
			snprintf(name, IF_NAMESIZE, "%s", a->ifa_name);
	}
	freeifaddrs(list);
	return found;
}

/* The only address but those of the machine itself. */
static bool only_address(char out[INET_ADDRSTRLEN])
{
	struct ifaddrs *list, *a;
	unsigned n = 0;

	if (getifaddrs(&list) < 0)
		return false;
	for (a = list; a != NULL; a = a->ifa_next) {
		if (a->ifa_addr == NULL || a->ifa_addr->sa_family != AF_INET ||
		    (a->ifa_flags & IFF_LOOPBACK) != 0)
			continue;
		inet_ntop(AF_INET,
			  &((const struct sockaddr_in *)a->ifa_addr)->sin_addr,
			  out, INET_ADDRSTRLEN);
		n++;
	}
	freeifaddrs(list);
	return n == 1;
}

/* The address from which `to` is reached; nothing is sent. */
static bool way_to(const char *to, uint64_t port, char out[INET_ADDRSTRLEN])
{
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_port = htons((uint16_t)port)};
	struct sockaddr_in own = {0};
	socklen_t len = sizeof(own);
	int fd;
	bool ok;

	if (inet_pton(AF_INET, to, &peer.sin_addr) != 1)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ok = fd >= 0 &&
	     connect(fd, (struct sockaddr *)&peer, sizeof(peer)) == 0 &&
	     getsockname(fd, (struct sockaddr *)&own, &len) == 0 &&
	     inet_ntop(AF_INET, &own.sin_addr, out, INET_ADDRSTRLEN) != NULL;
	if (fd >= 0)
		close(fd);
	return ok;
}

void preflight_address(struct choices *c)
{
	char text[INET_ADDRSTRLEN] = "";

	if (c->address[0] != '\0')
		return;
	if ((c->csip != NULL && way_to(c->csip, c->cs_port, text)) ||
	    only_address(text))
		snprintf(c->address, sizeof(c->address), "%s", text);
}

void check_psip(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	char name[IF_NAMESIZE];

	if (c->address[0] == '\0') {
		find_failed(f, DOCTOR_CAUSE,
			    "this machine has no IPv4 address, or several");
		find_next(f, "name the one that data come in by: /PSIP");
	} else if (!interface_of(c->address, name)) {
		find_failed(f, DOCTOR_CAUSE, "no interface here has %s",
			    c->address);
		find_next(f, "ip -4 address: name one of those with /PSIP; an "
			     "address that a router translates (NAT) will not "
			     "do");
	} else if (strncmp(c->address, "127.", 4) == 0) {
		find_warned(f, "%s: only this machine itself reaches it",
			    c->address);
		find_next(f, "for more than a trial: /PSIP with an address of "
			     "the network");
	} else {
		find_passed(f, "%s is on %s%s", c->address, name,
			    c->psip == NULL ? " (found; /PSIP names another)"
					    : "");
	}
}

/* ---- what the doctor does, too ---- */

void check_address(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	char listen[INET_ADDRSTRLEN + 8], name[IF_NAMESIZE];
	struct doctor with = *d;

	snprintf(listen, sizeof(listen), "%s:%u", c->address,
		 (unsigned)c->port);
	/* One that is not here is told by 'psip'. */
	if (c->address[0] != '\0' && interface_of(c->address, name))
		with.listen = listen;
	step_address(&with, f);
}

void check_clock(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	struct doctor_peer cs;

	if (c->cs) {
		step_clock(d, f);
		return;
	}
	snprintf(cs.host, sizeof(cs.host), "%s", c->csip);
	snprintf(cs.port, sizeof(cs.port), "%u", (unsigned)c->cs_port);
	clock_against(d, "the configuration server", &cs, f);
}

void check_store(const struct doctor *d, struct finding *f)
{
	if (d->vault == NULL) {
		find_skipped(f, "no vault was given: /VaultCredsFilePath");
		return;
	}
	step_store(d, f);
	/* There is no ps.yaml yet, which the upload's own hint names. */
	if (f->verdict == DOCTOR_FAILED && strstr(f->what, "(407)") != NULL)
		advise_login(check_choices(d), f);
}

void check_proxy(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	struct doctor with = *d;

	with.proxy_place = choices_proxy_place(c);

	if (d->vault == NULL)
		find_skipped(f, "no vault was given");
	else if (c->bypass)
		find_passed(f, "none: the way is to be direct");
	else
		step_proxy(&with, f);
}

void check_firewall(const struct doctor *d, struct finding *f)
{
	const struct choices *c = check_choices(d);
	struct doctor with = *d;
	char listen[64];

	snprintf(listen, sizeof(listen), "%s:%u",
		 c->address[0] != '\0' ? c->address : "0.0.0.0",
		 (unsigned)c->port);
	with.listen = listen;
	step_firewall(&with, f);
	if (f->verdict == DOCTOR_FAILED)
		find_next(f, "unifiedsetup --open-firewall lets it in; "
			     "--show-firewall prints what has to pass");
}
