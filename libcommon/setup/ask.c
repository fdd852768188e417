#include "config.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "base/units.h"
#include "setup/ask.h"

#define LINE_SIZE 1024

struct asking {
	struct choices *c;
	FILE *in, *out;
	bool ended;
	char line[LINE_SIZE];
};

bool ask_wanted(const struct choices *c)
{
	return c->mode == NULL && c->drive == NULL && c->location == NULL &&
	       c->mysql_file == NULL && c->vault_file == NULL &&
	       c->passphrase_file == NULL && c->proxy_file == NULL &&
	       c->env == NULL && c->psip == NULL && c->csip == NULL &&
	       !c->bypass;
}

/* Each answer is of use until the end. */
static const char *keep(const char *text)
{
	char *copy = *text != '\0' ? strdup(text) : NULL;

	return copy;
}

static void page(struct asking *a, unsigned n, const char *title)
{
	fprintf(a->out, "\n%u of 8: %s\n", n, title);
}

/* The answer, or `usual` when there is none, in a->line; false: it ended. */
static bool ask(struct asking *a, const char *what, const char *usual)
{
	fprintf(a->out, *usual != '\0' ? "%s [%s]: " : "%s: ", what, usual);
	fflush(a->out);
	if (a->ended || fgets(a->line, sizeof(a->line), a->in) == NULL) {
		a->ended = true;
		a->line[0] = '\0';
		return false;
	}
	secret_trim(a->line);
	if (a->line[0] == '\0')
		snprintf(a->line, sizeof(a->line), "%s", usual);
	return true;
}

/* One of some words, in any case, by its number or itself: its index. */
static unsigned choose(struct asking *a, const char *const *words,
		       const char *what, const char *usual)
{
	uint64_t n;
	unsigned i;

	while (ask(a, what, usual)) {
		for (i = 0; words[i] != NULL; i++)
			if (strcasecmp(words[i], a->line) == 0 ||
			    (parse_u64(a->line, 99, &n) && n == i + 1))
				return i;
		fprintf(a->out, "'%s' is none of these.\n", a->line);
	}
	return 0;
}

/* ---- the pages ---- */

static void say_fault(struct asking *a, const struct fault *f)
{
	fprintf(a->out, "%s%s%s\n", f->err.msg,
		f->err.hint[0] != '\0' ? "; " : "", f->err.hint);
}

static int read_vault(struct choices *c, const char *path, struct fault *f)
{
	return vault_creds_read(&c->vault, path, time_now_ns() / NS_PER_S, f);
}

static int read_passphrase(struct choices *c, const char *path, struct fault *f)
{
	return passphrase_file_read(c->passphrase, path, f);
}

static int read_proxy(struct choices *c, const char *path, struct fault *f)
{
	return proxy_settings_read(&c->proxy, path, f);
}

static int read_mysql(struct choices *c, const char *path, struct fault *f)
{
	return mysql_creds_read(&c->mysql, path, f);
}

/* A file that is as it has to be; empty is an answer when it may be. */
static const char *ask_file(struct asking *a, const char *what, bool needed,
			    int (*read)(struct choices *c, const char *path,
					struct fault *f))
{
	while (ask(a, what, "")) {
		struct fault f = {0};

		if (a->line[0] == '\0' && !needed)
			return NULL;
		if (a->line[0] == '\0')
			fprintf(a->out, "It is needed.\n");
		else if (read(a->c, a->line, &f) == 0)
			return keep(a->line);
		else
			say_fault(a, &f);
	}
	return NULL;
}

static void ask_role(struct asking *a)
{
	static const char *const roles[] = {"CS", "PS", NULL};

	page(a, 1, "what this machine becomes");
	fputs("  1 CS  configuration server, and process server\n"
	      "  2 PS  process server of a site that has one\n",
	      a->out);
	a->c->mode = roles[choose(a, roles, "CS or PS", "PS")];
	a->c->cs = strcmp(a->c->mode, "CS") == 0;
}

static void ask_site(struct asking *a)
{
	struct choices *c = a->c;

	page(a, 2, c->cs ? "registry" : "configuration server");
	if (c->cs) {
		c->mysql_file =
		    ask_file(a, "File with MySQL credentials (none: SQLite)",
			     false, read_mysql);
		return;
	}
	do {
		if (!ask(a, "Its address", ""))
			return;
	} while (a->line[0] == '\0');
	c->csip = keep(a->line);
	c->passphrase_file =
	    ask_file(a, "File with the passphrase", true, read_passphrase);
}

static void ask_vault(struct asking *a)
{
	page(a, 3, "vault");
	a->c->vault_file =
	    ask_file(a,
		     a->c->cs ? "File with vault credentials"
			      : "File with vault credentials (none: later)",
		     a->c->cs, read_vault);
}

static void ask_internet(struct asking *a)
{
	static const char *const ways[] = {"existing", "direct", "proxy", NULL};
	unsigned way;

	page(a, 4, "way to the vault");
	fputs("  1 existing  the proxy of the environment, if any\n"
	      "  2 direct    without a proxy\n"
	      "  3 proxy     by the proxy of a file\n",
	      a->out);
	way = choose(a, ways, "Which", "existing");
	a->c->bypass = way == 1;
	if (way == 2)
		a->c->proxy_file =
		    ask_file(a, "File with proxy settings", true, read_proxy);
}

static void ask_env(struct asking *a)
{
	static const char *const words[] = {"yes", "no", "y", "n", NULL};

	page(a, 5, "environment");
	a->c->env =
	    choose(a, words, "Are virtual machines of VMware protected", "no") %
			2 ==
		    0
		? "VMWare"
		: "NonVMWare";
}

static void ask_location(struct asking *a)
{
	page(a, 6, "folder of the cache");
	fputs("It needs 5 GB at least; 600 GB are recommended.\n", a->out);
	while (ask(a, "Folder", "/var/cache/ps-toolkit") && a->line[0] != '/')
		fprintf(a->out, "'%s' is no path that begins with '/'.\n",
			a->line);
	a->c->location = keep(a->line);
}

/* Prints the addresses; the first one that others may reach, or any. */
static void list_addresses(FILE *out, char usual[INET_ADDRSTRLEN])
{
	struct ifaddrs *list, *it;
	char text[INET_ADDRSTRLEN];

	*usual = '\0';
	if (getifaddrs(&list) < 0)
		return;
	for (it = list; it != NULL; it = it->ifa_next) {
		bool own;

		if (it->ifa_addr == NULL || it->ifa_addr->sa_family != AF_INET)
			continue;
		inet_ntop(AF_INET,
			  &((const struct sockaddr_in *)it->ifa_addr)->sin_addr,
			  text, sizeof(text));
		own = (it->ifa_flags & IFF_LOOPBACK) != 0;
		fprintf(out, "  %-15s %s\n", text, it->ifa_name);
		if (*usual == '\0' || (!own && strncmp(usual, "127.", 4) == 0))
			snprintf(usual, INET_ADDRSTRLEN, "%s", text);
	}
	freeifaddrs(list);
}

static void ask_network(struct asking *a)
{
	char usual[INET_ADDRSTRLEN], port[16];
	struct in_addr raw;
	uint64_t n;

	page(a, 7, "address and port of the data");
	list_addresses(a->out, usual);
	while (ask(a, "Address", usual) &&
	       inet_pton(AF_INET, a->line, &raw) != 1)
		fprintf(a->out, "'%s' is no IPv4 address.\n", a->line);
	a->c->psip = keep(a->line);
	snprintf(port, sizeof(port), "%u", (unsigned)a->c->port);
	while (ask(a, "Port", port)) {
		if (parse_u64(a->line, 65535, &n) && n > 0 &&
		    n != a->c->cs_port) {
			a->c->port = n;
			break;
		}
		fprintf(a->out, "'%s' is no port for data.\n", a->line);
	}
}

static bool ask_summary(struct asking *a)
{
	static const char *const words[] = {"yes", "no", "y", "n", NULL};
	const struct choices *c = a->c;

	page(a, 8, "summary");
	fprintf(a->out,
		"  %s, cache in %s, address %s port %u\n"
		"  vault: %s\n  way to it: %s\n"
		"All of it is checked before anything is changed.\n",
		c->cs ? "configuration and process server" : "process server",
		c->location != NULL ? c->location : "?",
		c->psip != NULL ? c->psip : "?", (unsigned)c->port,
		c->vault_file != NULL ? c->vault.url : "none yet",
		c->bypass		? "direct"
		: c->proxy_file != NULL ? c->proxy.host
					: "as the environment says");
	return choose(a, words, "Go on", "yes") % 2 == 0;
}

int ask_choices(struct choices *c, FILE *in, FILE *out, struct err *e)
{
	struct asking a = {.c = c, .in = in, .out = out};
	bool yes;

	fputs("unifiedsetup: what stands in [] is taken when nothing is "
	      "answered.\n",
	      out);
	ask_role(&a);
	ask_site(&a);
	ask_vault(&a);
	ask_internet(&a);
	ask_env(&a);
	ask_location(&a);
	ask_network(&a);
	yes = ask_summary(&a);
	if (a.ended)
		return err_set(e, PS_USAGE, "the answers ended");
	return yes ? 0 : err_set(e, PS_NO, "nothing was changed");
}
