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
	bool ended, back, yes;
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

/* One line of what is typed; false: it ended, or does not fit. */
static bool read_line(struct asking *a)
{
	bool whole = true;
	int c;

	a->ended = fgets(a->line, sizeof(a->line), a->in) == NULL;
	if (!a->ended && strchr(a->line, '\n') == NULL)
		while ((c = fgetc(a->in)) != '\n' && c != EOF)
			whole = false;
	if (!whole)
		fputs("That is too long.\n", a->out);
	if (!whole || a->ended)
		a->line[0] = '\0';
	secret_trim(a->line);
	return whole && !a->ended;
}

/*
 * The answer, or `usual` when there is none, in a->line; false: it ended, or
 * somebody wants the page before.
 */
static bool ask(struct asking *a, const char *what, const char *usual)
{
	if (a->ended || a->back)
		return false;
	do {
		fprintf(a->out, *usual != '\0' ? "%s [%s]: " : "%s: ", what,
			usual);
		fflush(a->out);
	} while (!read_line(a) && !a->ended);
	if (a->ended)
		return false;
	a->back = strcmp(a->line, "<") == 0 || strcasecmp(a->line, "back") == 0;
	if (a->back)
		a->line[0] = '\0';
	else if (a->line[0] == '\0')
		snprintf(a->line, sizeof(a->line), "%s", usual);
	return !a->back;
}

/* What was answered before, if this page was here before. */
static const char *before(const char *answer, const char *usual)
{
	return answer != NULL ? answer : usual;
}

/*
 * One of some words, in any case, by its number or itself: its index; that of
 * the usual one when there is no answer.
 */
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
	for (i = 0; words[i + 1] != NULL && strcmp(words[i], usual) != 0; i++)
		;
	return i;
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

/*
 * A file that is as it has to be, and was `was` before; none is an answer when
 * it may be.
 */
static const char *ask_file(struct asking *a, const char *what, bool needed,
			    const char *was,
			    int (*read)(struct choices *c, const char *path,
					struct fault *f))
{
	while (ask(a, what, before(was, ""))) {
		struct fault f = {0};
		bool none = a->line[0] == '\0' || strcmp(a->line, "none") == 0;

		if (none && !needed)
			return NULL;
		if (none)
			fprintf(a->out, "It is needed.\n");
		else if (read(a->c, a->line, &f) == 0)
			return keep(a->line);
		else
			say_fault(a, &f);
	}
	return a->back ? was : NULL;
}

static void ask_role(struct asking *a)
{
	static const char *const roles[] = {"CS", "PS", NULL};

	page(a, 1, "what this machine becomes");
	fputs("  1 CS  configuration server, and process server\n"
	      "  2 PS  process server of a site that has one\n",
	      a->out);
	a->c->mode =
	    roles[choose(a, roles, "CS or PS", before(a->c->mode, "PS"))];
	a->c->cs = strcmp(a->c->mode, "CS") == 0;
}

/* The addresses that were answered so far are none: says why. */
static bool wrong_address(struct asking *a)
{
	struct fault f = {0};

	if (choices_addresses(a->c, &f) == 0)
		return false;
	say_fault(a, &f);
	return true;
}

static void ask_site(struct asking *a)
{
	struct choices *c = a->c;
	const char *was = c->csip;

	page(a, 2, c->cs ? "registry" : "configuration server");
	if (c->cs) {
		c->csip = c->passphrase_file = NULL;
		c->mysql_file =
		    ask_file(a, "File with MySQL credentials (none: SQLite)",
			     false, c->mysql_file, read_mysql);
		return;
	}
	c->mysql_file = NULL;
	do {
		if (!ask(a, "Its address", before(was, "")))
			return;
		c->csip = keep(a->line);
	} while (c->csip == NULL || wrong_address(a));
	c->passphrase_file = ask_file(a, "File with the passphrase", true,
				      c->passphrase_file, read_passphrase);
}

static void ask_vault(struct asking *a)
{
	struct choices *c = a->c;

	page(a, 3, "vault");
	c->vault_file =
	    ask_file(a,
		     c->cs ? "File with vault credentials"
			   : "File with vault credentials (none: later)",
		     c->cs, c->vault_file, read_vault);
	/* Of one that was no good nothing counts. */
	if (c->vault_file == NULL)
		secret_wipe(&c->vault, sizeof(c->vault));
}

static void ask_internet(struct asking *a)
{
	static const char *const ways[] = {"existing", "direct", "proxy", NULL};
	struct choices *c = a->c;
	unsigned way = c->bypass ? 1 : c->proxy_file != NULL ? 2 : 0;

	page(a, 4, "way to the vault");
	fputs("  1 existing  the proxy of the environment, if any\n"
	      "  2 direct    without a proxy\n"
	      "  3 proxy     by the proxy of a file\n",
	      a->out);
	way = choose(a, ways, "Which", ways[way]);
	c->bypass = way == 1;
	c->proxy_file = way == 2 ? ask_file(a, "File with proxy settings", true,
					    c->proxy_file, read_proxy)
				 : NULL;
	if (c->proxy_file == NULL)
		secret_wipe(&c->proxy, sizeof(c->proxy));
}

static void ask_env(struct asking *a)
{
	static const char *const words[] = {"yes", "no", "y", "n", NULL};

	bool other = a->c->env == NULL || strcmp(a->c->env, "VMWare") != 0;

	page(a, 5, "environment");
	other = choose(a, words, "Are virtual machines of VMware protected",
		       other ? "no" : "yes") %
		    2 !=
		0;
	a->c->env = other ? "NonVMWare" : "VMWare";
}

static void ask_location(struct asking *a)
{
	struct choices *c = a->c;
	const char *was = before(c->location, "/var/cache/ps-toolkit");

	page(a, 6, "folder of the cache");
	fputs("It needs 5 GB at least; 600 GB are recommended.\n", a->out);
	while (ask(a, "Folder", was)) {
		struct fault f = {0};

		c->location = keep(a->line);
		if (choices_location(c, &f) == 0)
			break;
		say_fault(a, &f);
	}
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
	const char *was = a->c->psip;
	uint64_t n;

	page(a, 7, "address and port of the data");
	list_addresses(a->out, usual);
	do {
		if (!ask(a, "Address", before(was, usual)))
			return;
		a->c->psip = keep(a->line);
	} while (a->c->psip == NULL || wrong_address(a));
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

static void ask_summary(struct asking *a)
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
	a->yes = choose(a, words, "Go on", "yes") % 2 == 0;
}

int ask_choices(struct choices *c, FILE *in, FILE *out, struct err *e)
{
	static void (*const pages[])(struct asking * a) = {
	    ask_role, ask_site,	    ask_vault,	 ask_internet,
	    ask_env,  ask_location, ask_network, ask_summary};
	const unsigned n = sizeof(pages) / sizeof(pages[0]);
	struct asking a = {.c = c, .in = in, .out = out};
	unsigned i = 0;

	fputs("unifiedsetup: what stands in [] is taken when nothing is "
	      "answered; < goes\nback to the page before.\n",
	      out);
	while (i < n && !a.ended) {
		a.back = false;
		pages[i](&a);
		if (!a.back)
			i++;
		else if (i > 0)
			i--;
	}
	if (a.ended)
		return err_set(e, PS_USAGE, "the answers ended");
	return a.yes ? 0 : err_set(e, PS_NO, "nothing was changed");
}
