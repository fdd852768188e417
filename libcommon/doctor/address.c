/*
 * The address of this machine: static or given by DHCP (a kernel address with
 * a lifetime has no IFA_F_PERMANENT, rtnetlink(7)), and whether /etc/hosts
 * says the same as the interfaces.
 */
#include "config.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <limits.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "doctor/interface.h"
#include "doctor/steps.h"

#define ADDRESSES_MAX 64
#define HOSTS_MAX (256 * 1024)

struct address {
	char text[INET6_ADDRSTRLEN];
	bool dynamic, loopback, private;
};

struct addresses {
	struct address items[ADDRESSES_MAX];
	unsigned n;
};

/* RFC 1918, RFC 6598 (carrier NAT), RFC 4193. */
static bool is_private(int family, const void *raw)
{
	const uint8_t *b = raw;

	if (family == AF_INET6)
		return (b[0] & 0xfe) == 0xfc;
	return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
	       (b[0] == 192 && b[1] == 168) ||
	       (b[0] == 100 && (b[1] & 0xc0) == 64);
}

static void take(struct addresses *a, const struct nlmsghdr *h)
{
	const struct ifaddrmsg *m = NLMSG_DATA(h);
	const struct rtattr *r = IFA_RTA(m);
	int left = (int)IFA_PAYLOAD(h);
	uint32_t flags = m->ifa_flags;
	const void *raw = NULL;
	struct address *it;

	for (; RTA_OK(r, left); r = RTA_NEXT(r, left)) {
		if (r->rta_type == IFA_LOCAL ||
		    (r->rta_type == IFA_ADDRESS && raw == NULL))
			raw = RTA_DATA(r);
		if (r->rta_type == IFA_FLAGS)
			memcpy(&flags, RTA_DATA(r), sizeof(flags));
	}
	if (raw == NULL || m->ifa_scope == RT_SCOPE_LINK ||
	    (m->ifa_family != AF_INET && m->ifa_family != AF_INET6) ||
	    a->n == ADDRESSES_MAX)
		return;
	it = &a->items[a->n++];
	inet_ntop(m->ifa_family, raw, it->text, sizeof(it->text));
	it->loopback = m->ifa_scope == RT_SCOPE_HOST;
	/* Temporary ones of IPv6 are beside a lasting one. */
	it->dynamic = (flags & (IFA_F_PERMANENT | IFA_F_TEMPORARY)) == 0;
	it->private = is_private(m->ifa_family, raw);
}

static bool read_answer(int fd, struct addresses *ret)
{
	static _Alignas(struct nlmsghdr) char buf[65536];
	struct pollfd p = {.fd = fd, .events = POLLIN};
	const struct nlmsghdr *h;
	ssize_t n;

	while (poll(&p, 1, 2000) == 1) {
		n = recv(fd, buf, sizeof(buf), 0);
		if (n <= 0)
			return false;
		for (h = (const struct nlmsghdr *)buf; NLMSG_OK(h, n);
		     h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type == NLMSG_DONE)
				return true;
			if (h->nlmsg_type == NLMSG_ERROR)
				return false;
			if (h->nlmsg_type == RTM_NEWADDR)
				take(ret, h);
		}
	}
	return false;
}

static bool read_addresses(struct addresses *ret)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg m;
	} q = {.h = {.nlmsg_len = sizeof(q),
		     .nlmsg_type = RTM_GETADDR,
		     .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	       .m = {.ifa_family = AF_UNSPEC}};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	bool ok;

	ret->n = 0;
	if (fd < 0)
		return false;
	ok = send(fd, &q, sizeof(q), 0) == (ssize_t)sizeof(q) &&
	     read_answer(fd, ret);
	close(fd);
	return ok;
}

static bool is_here(const struct addresses *a, const char *text)
{
	unsigned i;

	for (i = 0; i < a->n; i++)
		if (strcmp(a->items[i].text, text) == 0)
			return true;
	return strncmp(text, "127.", 4) == 0;
}

/* ---- /etc/hosts ---- */

static bool has_word(char *names, const char *name)
{
	char *word;

	while ((word = strsep(&names, " \t")) != NULL)
		if (*word == '#')
			return false;
		else if (strcasecmp(word, name) == 0)
			return true;
	return false;
}

/* Calls out each address that /etc/hosts gives to a name. */
static unsigned hosts_of(const char *name, char found[][INET6_ADDRSTRLEN],
			 unsigned max)
{
	char *text = doctor_read("/etc/hosts", HOSTS_MAX, NULL), *line;
	char *rest = text;
	unsigned n = 0;

	while (rest != NULL && n < max &&
	       (line = strsep(&rest, "\n")) != NULL) {
		size_t len;

		line += strspn(line, " \t");
		len = strcspn(line, " \t");
		if (*line == '#' || line[len] == '\0' ||
		    len >= INET6_ADDRSTRLEN)
			continue;
		line[len] = '\0';
		if (has_word(line + len + 1, name))
			snprintf(found[n++], INET6_ADDRSTRLEN, "%s", line);
	}
	free(text);
	return n;
}

static bool wrong_hosts(const struct addresses *a, struct finding *f)
{
	char found[8][INET6_ADDRSTRLEN], name[HOST_NAME_MAX + 1] = "";
	bool wrong = false;
	unsigned n, i;

	if (gethostname(name, sizeof(name) - 1) < 0)
		return false;
	n = hosts_of(name, found, 8);
	for (i = 0; i < n; i++) {
		/* As Debian's installer does; others do not see that. */
		if (strncmp(found[i], "127.", 4) == 0)
			find_shows(f,
				   "/etc/hosts gives %s the address %s: "
				   "only programs here see that",
				   name, found[i]);
		if (is_here(a, found[i]))
			continue;
		wrong = true;
		find_shows(f,
			   "/etc/hosts gives %s the address %s, which no "
			   "interface has",
			   name, found[i]);
	}
	return wrong;
}

/* ---- judge ---- */

struct tally {
	unsigned fixed, dynamic, public;
};

static void show_addresses(const struct addresses *a, struct tally *t,
			   struct finding *f)
{
	char text[DOCTOR_LINE_SIZE] = "";
	size_t n = 0;
	unsigned i;

	for (i = 0; i < a->n; i++) {
		const struct address *it = &a->items[i];

		if (it->loopback)
			continue;
		t->fixed += !it->dynamic;
		t->dynamic += it->dynamic;
		t->public += !it->private;
		if (n + 80 < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "%s%s%s%s", n > 0 ? ", " : "",
					      it->text,
					      it->dynamic ? " (leased)" : "",
					      it->private ? " (private)" : "");
	}
	if (n > 0)
		find_shows(f, "%s", text);
}

/* Is the place where ps-receive is told to listen one that others reach? */
static bool listens_elsewhere(const struct doctor *d, const struct addresses *a,
			      struct finding *f)
{
	char found[8][INET6_ADDRSTRLEN];
	struct doctor with = *d;
	struct doctor_peer peer;
	struct in6_addr raw;

	with.host = NULL;
	if (d->source || !doctor_peer(&with, &peer))
		return false;
	if (inet_pton(AF_INET, peer.host, &raw) == 1 ||
	    inet_pton(AF_INET6, peer.host, &raw) == 1) {
		if (is_here(a, peer.host))
			return false;
		find_shows(f, "receive.listen is %s, which no interface has",
			   peer.host);
		return true;
	}
	if (strcmp(peer.host, "localhost") == 0 ||
	    hosts_of(peer.host, found, 8) == 0 ||
	    strncmp(found[0], "127.", 4) != 0)
		return false;
	find_shows(f, "receive.listen is %s, which /etc/hosts gives %s",
		   peer.host, found[0]);
	return true;
}

/*
 * Has the kernel a lease for the address that sources use: the one of
 * receive.listen, else that from which this machine speaks? Others, of bridges
 * for containers, say nothing.
 */
static bool is_leased(const struct doctor *d, const struct addresses *a)
{
	const char *server = role_config_server(d->conf);
	char ours[INET6_ADDRSTRLEN] = "";
	struct doctor with = *d;
	struct doctor_peer peer;
	unsigned i, leased = 0, fixed = 0;

	with.host = NULL;
	if (d->source)
		return false;
	if (doctor_peer(&with, &peer) && is_here(a, peer.host) &&
	    strncmp(peer.host, "127.", 4) != 0)
		snprintf(ours, sizeof(ours), "%.*s", (int)sizeof(ours) - 1,
			 peer.host);
	else
		interface_source(server != NULL ? server : "", ours,
				 sizeof(ours));
	for (i = 0; i < a->n; i++) {
		if (strcmp(a->items[i].text, ours) == 0 &&
		    !a->items[i].loopback)
			return a->items[i].dynamic;
		leased += !a->items[i].loopback && a->items[i].dynamic;
		fixed += !a->items[i].loopback && !a->items[i].dynamic;
	}
	return leased > 0 && fixed == 0;
}

void step_address(const struct doctor *d, struct finding *f)
{
	struct addresses a;
	struct tally t = {0};
	struct nat_found nat;
	bool hosts, listen;

	if (!read_addresses(&a)) {
		find_skipped(f, "the kernel tells no addresses");
		return;
	}
	show_addresses(&a, &t, f);
	hosts = wrong_hosts(&a, f);
	listen = listens_elsewhere(d, &a, f);
	nat_look(d, f, &nat);
	if (listen) {
		find_failed(f, DOCTOR_CAUSE,
			    "ps-receive is to listen where no source reaches "
			    "it");
		find_next(f, "mend receive.listen in ps.yaml, or give the "
			     "machine this address");
	} else if (nat.away > 0 && !d->source) {
		find_failed(f, DOCTOR_LIKELY,
			    "a rule of NAT here sends what asks for our port "
			    "elsewhere");
		find_next(f, "take it out: sources must reach ps-receive "
			     "itself, without NAT");
	} else if (hosts) {
		find_failed(f, DOCTOR_PARTLY,
			    "/etc/hosts and the interfaces differ");
		find_next(f, "mend the line of this host in /etc/hosts");
	} else if (nat.rules > 0) {
		find_warned(f, "NAT on this machine touches our port");
		find_next(f, "sources should reach the process server by its "
			     "own address, without NAT");
	} else if (is_leased(d, &a)) {
		find_warned(f, "the address is leased, not static");
		find_next(f, "give the process server a static address (or a "
			     "reservation): sources and certificates name it");
	} else if (t.fixed + t.dynamic == 0) {
		find_warned(f, "no address but those of this machine itself");
		find_next(f, "ip address; is the network up?");
	} else {
		find_passed(f, "%u address%s%s", t.fixed + t.dynamic,
			    t.fixed + t.dynamic == 1 ? "" : "es",
			    t.public == 0 && !d->source
				? ", private: sources elsewhere would need "
				  "NAT, which is not supported"
				: "");
	}
}
