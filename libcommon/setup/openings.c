#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "setup/openings.h"

__attribute__((format(printf, 5, 6))) static void add(struct openings *o,
						      bool inbound,
						      unsigned port,
						      const char *what,
						      const char *fmt, ...)
{
	struct opening *it = &o->items[o->n];
	va_list ap;

	if (o->n == OPENINGS_MAX)
		return;
	o->n++;
	*it = (struct opening){.inbound = inbound, .port = port};
	snprintf(it->what, sizeof(it->what), "%s", what);
	va_start(ap, fmt);
	if (inbound)
		vsnprintf(it->who, sizeof(it->who), fmt, ap);
	else
		vsnprintf(it->url, sizeof(it->url), fmt, ap);
	va_end(ap);
}

static const char *secret_of(const struct vault_creds *v, const char *name)
{
	unsigned i;

	for (i = 0; i < v->n; i++)
		if (strcmp(v->secrets[i].name, name) == 0)
			return v->secrets[i].value;
	return NULL;
}

/* The port that stands in a URL, or that of its scheme. */
static unsigned port_of(const char *url)
{
	const char *host = strstr(url, "://"), *colon;
	size_t n;

	host = host != NULL ? host + 3 : url;
	n = strcspn(host, "/?#");
	colon = memchr(host, ':', n);
	if (colon != NULL)
		return (unsigned)strtoul(colon + 1, NULL, 10);
	return strncmp(url, "http://", 7) == 0 ? 80 : 443;
}

/* "account" of "azblob://account/container/prefix". */
static void first_part(const char *url, char out[256])
{
	const char *at = strstr(url, "://") + 3;

	snprintf(out, 256, "%.*s", (int)strcspn(at, "/"), at);
}

static void add_store(struct openings *o, const struct vault_creds *v)
{
	static const char what[] = "data to the vault, and its list";
	const char *region = secret_of(v, "AWS_REGION");
	unsigned i = o->n;
	char part[256];

	if (strstr(v->url, "://") == NULL || strncmp(v->url, "file:", 5) == 0)
		return;
	first_part(v->url, part);
	if (v->endpoint[0] != '\0')
		add(o, false, port_of(v->endpoint), what, "%s", v->endpoint);
	else if (strncmp(v->url, "azblob:", 7) == 0)
		add(o, false, 443, what, "https://%s.blob.core.windows.net/",
		    part);
	else
		add(o, false, 443, what, "https://%s.s3.%s.amazonaws.com/",
		    part, region != NULL ? region : "us-east-1");
	if (secret_of(v, "AZURE_CLIENT_SECRET") != NULL)
		add(o, false, 443, "log-in of the service principal", "%s",
		    secret_of(v, "AZURE_AUTHORITY_HOST") != NULL
			? secret_of(v, "AZURE_AUTHORITY_HOST")
			: "https://login.microsoftonline.com/");
	for (; i < o->n; i++)
		o->items[i].store = true;
}

void openings_of(const struct choices *c, struct openings *ret)
{
	*ret = (struct openings){0};
	memcpy(ret->address, c->address, sizeof(ret->address));
	add(ret, true, (unsigned)c->port, "their changes (TLS 1.3)",
	    "the machines that are protected");
	if (c->cs)
		add(ret, true, (unsigned)c->cs_port,
		    "registration, heartbeats, orders (HTTPS)",
		    "process servers, and the machines that are protected");
	else
		add(ret, false, (unsigned)c->cs_port,
		    "registration, heartbeats, orders", "https://%s:%u/",
		    c->csip, (unsigned)c->cs_port);
	add_store(ret, &c->vault);
	if (c->proxy.host[0] != '\0')
		proxy_settings_url(&c->proxy, ret->proxy, sizeof(ret->proxy));
}

/* Clocks: of no server here, and the only one that is not TCP. */
#define CLOCK_PORT 123 /* NTP, RFC 5905 */
static const char clock_to[] = "your time server (NTP)";
static const char clock_for[] = "clocks that agree within 15 minutes";

void openings_print(const struct openings *o, const struct choices *c, FILE *f)
{
	const char *here = c->address[0] != '\0' ? c->address : c->here;
	unsigned i;

	fprintf(f, "Firewall for the %s %s (%s)\n\n",
		c->cs ? "configuration and process server" : "process server",
		c->here, here);
	fprintf(f, "Inbound to %s:\n", here);
	for (i = 0; i < o->n; i++)
		if (o->items[i].inbound)
			fprintf(f, "  TCP %-6u from %s\n             for %s\n",
				o->items[i].port, o->items[i].who,
				o->items[i].what);
	fprintf(f, "\nOutbound from %s:\n", here);
	for (i = 0; i < o->n; i++)
		if (!o->items[i].inbound)
			fprintf(f, "  TCP %-6u to %s\n             for %s\n",
				o->items[i].port, o->items[i].url,
				o->items[i].what);
	fprintf(f, "  UDP %-6d to %s\n             for %s\n", CLOCK_PORT,
		clock_to, clock_for);
	if (o->proxy[0] != '\0')
		fprintf(f,
			"\nThe vault is reached by the proxy %s, which has to "
			"let\nCONNECT to those URLs pass.\n",
			o->proxy);
	fputs("\nNothing has to be opened towards the machines that are "
	      "protected: they make\nevery connection. Addresses must not be "
	      "translated (NAT) on the way to the\nprocess server.\n",
	      f);
}

char *openings_json(const struct openings *o, const struct choices *c)
{
	json_t *in = json_array(), *out = json_array(), *all;
	unsigned i;
	char *text;

	for (i = 0; i < o->n; i++) {
		const struct opening *it = &o->items[i];

		json_array_append_new(
		    it->inbound ? in : out,
		    json_pack("{s:s, s:i, s:s, s:s}", "protocol", "tcp", "port",
			      (int)it->port, it->inbound ? "from" : "to",
			      it->inbound ? it->who : it->url, "for",
			      it->what));
	}
	json_array_append_new(out, json_pack("{s:s, s:i, s:s, s:s}", "protocol",
					     "udp", "port", CLOCK_PORT, "to",
					     clock_to, "for", clock_for));
	all = json_pack("{s:s, s:s, s:s?, s:o, s:o}", "name", c->here,
			"address", c->address, "proxy",
			o->proxy[0] != '\0' ? o->proxy : NULL, "inbound", in,
			"outbound", out);
	text = json_dumps(all, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	json_decref(all);
	return text;
}
